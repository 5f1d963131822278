"""Slow-fast learning: what is asked, what is read, and what training does with it."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from world_model.diffusion.denoiser import VideoDenoiser
from world_model.diffusion.model import VideoDiffusionWorldModel
from world_model.memory.anchor import AnchorMemory
from world_model.memory.composed import ComposedMemory
from world_model.memory.none import NoMemory
from world_model.memory.paper_rule import PaperRule
from world_model.memory.retrieval import RetrievalMemory
from world_model.memory.temp_lora import TempLoraMemory
from world_model.shards import ShardMeta
from world_model.text.encoder import embed_phrases
from world_model.training import slow_fast
from world_model.training.action_codes import ActionCodes
from world_model.training.clips import ClipMix
from world_model.training.episodes import LatentEpisodes
from world_model.training.export import with_denoiser
from world_model.training.loop import TrainingLoop
from world_model.training.queries import MIN_DELAY, ask, latent_model
from world_model.training.question_batch import SlowFastConfig, question_batch
from world_model.training.slow_fast import evaluate_memory, train_slow_fast

PHRASES = ("forward", "backward", "turn left", "turn right")
META = ShardMeta("toy", 2, PHRASES, (1, 0, 3, 2), (), {})
CONFIG = SlowFastConfig(
    episodes=4,
    parallel=2,
    snapshots=(7, 10),
    per_snapshot=4,
    num_steps=6,
    batch_size=8,
    groups=2,
    warmup=1,
    held_out=0.2,
    evaluate_every=3,
    shard_steps=3,
    mixed_precision="no",
)


def episodes(size=10, num_actions=12):
    """No view twice."""
    rng = np.random.default_rng(0)
    frames = 1 + num_actions * META.chunk_length
    return LatentEpisodes(
        latents=torch.from_numpy(rng.standard_normal((size, frames, 3, 8, 8))).half(),
        actions=np.tile(np.arange(num_actions) % 4, (size, 1)),
        moved=np.ones((size, num_actions), bool),
        chunk_length=META.chunk_length,
        inverses=np.array([1, 0, 3, 2]),
    )


def fresh():
    with torch.random.fork_rng():
        torch.default_generator.manual_seed(0)
        return VideoDenoiser(latent_channels=3, width=32, num_layers=1)


def retrieval(network):
    return RetrievalMemory(latent_model(network, META, 0.5))


def temp_lora(network):
    model = latent_model(network, META, 0.5)
    return TempLoraMemory(model, PaperRule(model), rank=2, num_steps=1)


def asked(make=retrieval, data=None):
    data = data or episodes()
    return ask(
        make(fresh()),
        data,
        [0, 1, 2],
        snapshots=[8, 11],
        per_snapshot=4,
        rng=np.random.default_rng(0),
        device=torch.device("cpu"),
    )


def test_half_of_the_questions_are_about_what_was_written_long_before():
    data = episodes()
    queries = asked(data=data)
    assert len(queries) == 3 * 2 * 4
    ends = data.latents[:, :: data.chunk_length]
    for n in range(len(queries)):
        here = ends[queries.episode[n]]
        start = int((here - queries.past[n, -1]).abs().sum(dim=(1, 2, 3)).argmin())
        assert torch.equal(here[start - 1], queries.past[n, 0])
        assert torch.equal(here[start + 1], queries.target[n])
        assert queries.actions[n].tolist() == [(start - 1) % 4, start % 4]
        written = 8 if n < 12 else 11
        if n % 2 == 0:
            assert start + MIN_DELAY <= written
            assert bool(queries.known[n])
            torch.testing.assert_close(queries.recalled[n], queries.target[n])
        else:
            assert start >= written
            # Chunk 10 was "turn left": "turn right" afterwards seems to undo it.
            assert bool(queries.known[n]) == (start == written == 11)


def test_half_of_the_questions_are_asked_from_beside_where_there_are_views():
    data = episodes()
    data = replace(data, beside=data.ends + 100)
    queries = asked(data=data)
    beside = queries.past[:, 0].mean(dim=(1, 2, 3)) > 50
    assert 0 < beside.sum() < len(queries)
    # One who stands beside the path before the action stands there after it.
    assert torch.equal(queries.past[:, 1].mean(dim=(1, 2, 3)) > 50, beside)
    assert torch.equal(queries.target.mean(dim=(1, 2, 3)) > 50, beside)
    # What was written was seen from the path, whence it is recalled.
    assert (queries.recalled.abs().amax(dim=(1, 2, 3)) < 50).all()


def test_fast_weights_are_kept_once_per_snapshot():
    queries = asked(temp_lora)
    assert not queries.known.any()
    assert all(len(x) == 6 for x in queries.adapter.values())
    assert queries.snapshot.tolist() == [s for s in range(6) for _ in range(4)]


PURE = replace(CONFIG, dropped=0.0, wrong=0.0, from_recalled=1.0)


def test_starting_from_the_recalled_frame_the_target_leads_to_the_truth():
    queries = asked()
    shifted = replace(queries, recalled=queries.recalled + 1)
    batch, _ = question_batch(shifted, PURE, np.random.default_rng(0))
    level = batch.clip.noise_levels[:, -1]
    starts = (batch.clip.noise_levels[:, 0] == 0).nonzero()[:, 0]
    assert 0 < len(starts) < len(level)
    assert all(0.1 <= t <= 0.6 for t in level[starts].tolist())
    flow = batch.noise - batch.clean
    t = level[:, None, None, None]
    ends = batch.clip.latents[:, -1] - t * flow[:, -1]
    torch.testing.assert_close(ends, batch.clean[:, -1], atol=1e-5, rtol=1e-5)
    slot, noisy = batch.clip.latents[starts, 0], batch.clip.latents[starts, -1]
    # What is left beside the recalled frame is noise of unit variance.
    t = t[starts]
    rest = (noisy - (1 - t) * slot) / t
    assert float(rest.std()) == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("make", [retrieval, temp_lora])
def test_controls_never_read_their_own_answer(make):
    queries = asked(make)
    rng = np.random.default_rng(0)
    config = replace(PURE, reading="none")
    batch, adapter = question_batch(queries, config, rng)
    assert not adapter
    if not queries.adapter:
        assert (batch.clip.noise_levels[:, 0] == 1).all()
        config = replace(PURE, reading="wrong_episode", from_recalled=0.0)
        batch, _ = question_batch(queries, config, rng)
        for slot, target in zip(batch.clean[:, 0], batch.clean[:, -1], strict=True):
            own = (queries.target - target).abs().sum(dim=(1, 2, 3)).argmin()
            read = (queries.recalled - slot).abs().sum(dim=(1, 2, 3)).argmin()
            silent = not bool(slot.any())
            assert silent or queries.episode[own] != queries.episode[read]


def train(folder, make=retrieval, **options):
    codes = ActionCodes.of_wordings([embed_phrases([x]) for x in PHRASES])
    config = replace(CONFIG, **options)
    origin = {"memory": make.__name__}
    return train_slow_fast(
        fresh(), make, episodes(), codes, folder, config, origin=origin
    )


@pytest.mark.parametrize("make", [retrieval, temp_lora])
@pytest.mark.parametrize("stored", [True, False])
def test_training_changes_the_slow_weights_and_says_how_well_memory_is_used(
    tmp_path, make, stored
):
    before = fresh().state_dict()
    after = train(tmp_path, make, stored=stored, rounds=2).state_dict()
    assert before.keys() == after.keys()
    assert any(not torch.equal(after[name], x) for name, x in before.items())
    lines = (tmp_path / "slow_fast.csv").read_text().splitlines()
    assert lines[0].startswith("step,loss,skill_0,")
    assert "error_known,error_unknown" in lines[0]
    assert len(lines) == 3
    # Two rounds of two shards, if they are stored.
    assert len(list(tmp_path.glob("snapshots/snapshots-*.pt"))) == 4 * stored
    assert VideoDenoiser.from_pretrained(tmp_path / "denoiser")


def test_trained_slow_weights_join_the_rest_of_what_ships(tmp_path):
    base, log = tmp_path / "base", tmp_path / "slow_fast.csv"
    latent_model(fresh(), META, 0.25).save_pretrained(base)
    (base / "classifier").mkdir()
    (base / "card.json").write_text('{"training": {"slow": {"step": "9"}}}')
    log.write_text("step,loss\n1,0.5\n2,0.25\n")
    changed = VideoDenoiser.from_pretrained(base / "denoiser")
    with torch.no_grad():
        next(changed.parameters()).add_(1)
    with_denoiser(base, changed, log, tmp_path / "weights")
    model = VideoDiffusionWorldModel.from_pretrained(tmp_path / "weights")
    assert model.min_change == 0.25
    for name, x in model.denoiser.state_dict().items():
        assert torch.equal(x, changed.state_dict()[name].half().float()), name
    assert (tmp_path / "weights" / "classifier").is_dir()
    card = json.loads((tmp_path / "weights" / "card.json").read_text())
    last = {"step": "2", "loss": "0.25"}
    assert card["training"] == {"slow": {"step": "9"}, "slow_fast": last}
    assert next(changed.parameters()).dtype == torch.float32  # left as it was
    for path in (tmp_path / "weights").glob("*/config.json"):
        assert str(tmp_path) not in path.read_text()


def test_arms_may_share_snapshots_but_nothing_made_otherwise(tmp_path):
    train(tmp_path / "a")
    shutil.copytree(tmp_path / "a" / "snapshots", tmp_path / "b" / "snapshots")
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.glob("b/snapshots/*")}
    train(tmp_path / "b", reading="none")
    assert kept == {path: path.stat().st_mtime_ns for path in kept}
    assert kept.keys() == set(tmp_path.glob("b/snapshots/*"))
    for changed, what in (
        ({"make": temp_lora}, "memory"),
        ({"seed": 1}, "seed"),
        ({"rounds": 2}, "batch_size, dropped, .*, reading, rehearsal, rounds, .*"),
    ):
        with pytest.raises(ValueError, match=rf"got other values of {what} in .*orig"):
            train(tmp_path / "b", **changed)


@pytest.mark.parametrize(
    ("make", "options"),
    [
        (retrieval, {}),
        (temp_lora, {}),
        (temp_lora, {"stored": False}),
    ],
)
def test_a_killed_training_ends_as_an_unbroken_one(
    tmp_path, monkeypatch, make, options
):
    unbroken = train(tmp_path / "a", make, **options).state_dict()
    step, count = TrainingLoop.step, iter(range(100))

    def killed(loop, *batch):
        if next(count) == 4:
            raise KeyboardInterrupt
        return step(loop, *batch)

    with monkeypatch.context() as patch:
        patch.setattr(TrainingLoop, "step", killed)
        with pytest.raises(KeyboardInterrupt):
            train(tmp_path / "b", make, **options)
    continued = train(tmp_path / "b", make, **options).state_dict()
    assert all(torch.equal(continued[name], x) for name, x in unbroken.items())


def test_the_judge_tells_what_is_known_from_what_is_not():
    queries, config = asked(), replace(PURE, batch_size=64)
    codes = ActionCodes.of_wordings([embed_phrases([x]) for x in PHRASES])
    errors = evaluate_memory(fresh(), queries, codes, config)
    # A random network leaves about what it was given: half the frame, or noise.
    assert errors["error_known"] < errors["error_unknown"]


def test_impossible_values_are_refused():
    with pytest.raises(ValueError, match="Unknown reading 'memry'. Did you mean"):
        SlowFastConfig(reading="memry")
    with pytest.raises(ValueError, match="`batch_size` must be a multiple of"):
        SlowFastConfig(batch_size=10, groups=3)
    rule = "`evaluate_every` must be a multiple of `shard_steps`=4 .* got 250"
    with pytest.raises(ValueError, match=rule):
        SlowFastConfig(stored=False, shard_steps=4)
    rule = "`checkpoint_every` must be a multiple of `shard_steps`=5 .* got 7"
    with pytest.raises(ValueError, match=rule):
        SlowFastConfig(stored=False, checkpoint_every=7)


@pytest.mark.parametrize("name", ["reading", "dropped", "warmup", "mix"])
def test_what_decides_about_a_training_is_noted_with_its_checkpoints(name):
    others = {"reading": "none", "dropped": 0.5, "warmup": 3, "mix": ClipMix(short=0.1)}
    changed = SlowFastConfig(**{name: others[name]}).fixed()
    assert changed.keys() == SlowFastConfig().fixed().keys()
    assert [k for k, v in SlowFastConfig().fixed().items() if v != changed[k]] == [name]
    assert SlowFastConfig(num_steps=7, evaluate_every=5).fixed() == (
        SlowFastConfig().fixed()
    )


def anchor(network):
    return AnchorMemory(latent_model(network, META, 0.5))


def both(network):
    return ComposedMemory(retrieval(network), temp_lora(network))


@pytest.mark.parametrize(
    ("make", "options", "text"),
    [
        (retrieval, {"snapshots": (8, 13)}, "must be at most 12, .* got .8, 13."),
        (anchor, {}, "one that answers none of the held-out questions"),
        (both, {}, "must recall frames or give weights, got a pair that does both"),
        (
            retrieval,
            {"parallel": 1},
            "needs another episode beside it, got slow_fast",
        ),
    ],
)
def test_what_cannot_be_trained_with_is_refused(tmp_path, make, options, text):
    with pytest.raises(ValueError, match=text):
        train(tmp_path, make, **options)


def test_memories_that_look_at_images_are_refused():
    def composed(network):
        return ComposedMemory(retrieval(network), OracleLike())

    for make in (lambda network: OracleLike(), composed):
        with pytest.raises(ValueError, match="works on latents, got a memory that loo"):
            asked(make)


class OracleLike(NoMemory):
    privileged = True


@pytest.mark.parametrize("goal", [0.0, 0.2])
def test_goals_that_are_not_rehearsed_are_forgotten(tmp_path, monkeypatch, goal):
    network = fresh()
    network.register_to_config(told_goals=True)
    monkeypatch.setitem(globals(), "fresh", lambda: network)
    monkeypatch.setattr(slow_fast, "evaluate", lambda *arguments: {})
    rehearsed = replace(CONFIG.mix, goal=goal)
    trained = train(tmp_path, num_steps=1, rehearsal=0.0, mix=rehearsed)
    assert trained.config["told_goals"] == (goal > 0)


def test_a_wrong_answer_is_never_of_the_own_episode():
    queries = asked()
    config = replace(PURE, reading="memory", wrong=1.0, from_recalled=0.0)
    rng = np.random.default_rng(0)
    batch, _ = question_batch(queries, config, rng)
    for slot, target in zip(batch.clean[:, 0], batch.clean[:, -1], strict=True):
        own = (queries.target - target).abs().sum(dim=(1, 2, 3)).argmin()
        read = (queries.recalled - slot).abs().sum(dim=(1, 2, 3)).argmin()
        assert not slot.any() or queries.episode[own] != queries.episode[read]
