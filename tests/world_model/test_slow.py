"""Slow learning: a killed training ends where an unbroken one does."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from world_model.diffusion.autoencoder import FrameAutoencoder
from world_model.diffusion.denoiser import VideoDenoiser
from world_model.shards import write_shard
from world_model.training import autoencoder as module
from world_model.training import slow
from world_model.training.action_codes import ActionCodes
from world_model.training.autoencoder import (
    AutoencoderConfig,
    fit_autoencoder,
    train_correction,
)
from world_model.training.episodes import LatentEpisodes, joined
from world_model.training.loop import TrainingLoop
from world_model.training.progress import Log
from world_model.training.slow import SlowConfig, evaluate, train_slow

CONFIG = SlowConfig(
    num_steps=5,
    batch_size=4,
    warmup=1,
    checkpoint_every=2,
    evaluate_every=5,
    held_out=0.2,
    mixed_precision="no",
)


def episodes(seed=0, size=10, chunk_length=2, num_actions=6):
    rng = np.random.default_rng(seed)
    frames = 1 + num_actions * chunk_length
    return LatentEpisodes(
        latents=torch.from_numpy(rng.standard_normal((size, frames, 3, 4, 4))).half(),
        actions=np.tile(np.arange(num_actions) % 4, (size, 1)),
        moved=np.ones((size, num_actions), bool),
        chunk_length=chunk_length,
        inverses=np.array([1, 0, 3, 2]),
    )


def parts():
    """An untrained denoiser and the codes of four actions, the same every time."""
    with torch.random.fork_rng():
        torch.default_generator.manual_seed(0)
        denoiser = VideoDenoiser(latent_channels=3, width=32, num_layers=1, text_dim=8)
        codes = ActionCodes.of_wordings([torch.randn(2, 8) for _ in range(4)])
    return denoiser, codes


def train(folder, **options):
    denoiser, codes = parts()
    return train_slow(denoiser, episodes(), codes, folder, CONFIG, **options)


def test_a_killed_training_ends_as_an_unbroken_one(tmp_path, monkeypatch):
    unbroken = train(tmp_path / "a").state_dict()
    step, count = TrainingLoop.step, iter(range(100))

    def killed(loop, *batch):
        if next(count) == 3:
            raise KeyboardInterrupt
        return step(loop, *batch)

    with monkeypatch.context() as patch:
        patch.setattr(TrainingLoop, "step", killed)
        with pytest.raises(KeyboardInterrupt):
            train(tmp_path / "b")
    assert [p.name for p in (tmp_path / "b").glob("checkpoint*")] == [
        "checkpoint-0000002"
    ]
    continued = train(tmp_path / "b").state_dict()
    assert all(torch.equal(continued[name], x) for name, x in unbroken.items())
    lines = (tmp_path / "b" / "slow.csv").read_text().splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("step,loss,skill_0,")


def test_what_was_evaluated_stands_before_its_checkpoint(tmp_path, monkeypatch):
    def killed(loop, step):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(TrainingLoop, "save", killed)
        with pytest.raises(KeyboardInterrupt):
            train_all_at_once(tmp_path)
    assert (tmp_path / "slow.csv").exists()
    assert VideoDenoiser.from_pretrained(tmp_path / "denoiser")


def train_all_at_once(folder):
    denoiser, codes = parts()
    config = replace(CONFIG, checkpoint_every=CONFIG.num_steps)
    return train_slow(denoiser, episodes(), codes, folder, config)


def test_another_learning_rate_is_not_continued(tmp_path):
    train(tmp_path)
    denoiser, codes = parts()
    config = replace(CONFIG, learning_rate=1e-5, num_steps=CONFIG.num_steps + 1)
    with pytest.raises(ValueError, match="`learning_rate` must be that of .*got 1e-05"):
        train_slow(denoiser, episodes(), codes, tmp_path, config)


def test_a_torn_checkpoint_pushes_no_whole_one_out(tmp_path):
    (tmp_path / "checkpoint-0000009.tmp").mkdir()
    train(tmp_path)
    names = sorted(path.name for path in tmp_path.glob("checkpoint-*"))
    assert names == ["checkpoint-0000005", "checkpoint-0000009.tmp"]


def test_a_log_is_begun_anew_or_continued_with_the_same_columns(tmp_path):
    path = tmp_path / "log.csv"
    Log(path).write(step=1, loss=2.0)
    Log(path, after=1).write(step=2, loss=1.0)
    assert len(path.read_text().splitlines()) == 3
    with pytest.raises(ValueError, match="must have the columns step,loss,auroc,sec"):
        Log(path, after=2).write(step=3, loss=1.0, auroc=0.5)
    Log(path).write(step=1, loss=1.0, auroc=0.5)
    assert len(path.read_text().splitlines()) == 2


@pytest.mark.parametrize("torn", ["", "3,0."])
def test_rows_after_the_checkpoint_are_written_again(tmp_path, torn):
    path = tmp_path / "log.csv"
    log = Log(path)
    for step in (1, 2, 3):
        log.write(step=step, loss=1.0)
    path.write_text(path.read_text() + torn)
    Log(path, after=2).write(step=3, loss=2.0)
    rows = [line.split(",")[:2] for line in path.read_text().splitlines()]
    assert rows == [["step", "loss"], ["1", "1.0"], ["2", "1.0"], ["3", "2.0"]]


def test_a_log_that_a_kill_left_empty_is_begun_anew(tmp_path):
    path = tmp_path / "log.csv"
    path.touch()
    Log(path, after=4).write(step=5, loss=1.0)
    assert path.read_text().startswith("step,loss,seconds\n5,1.0,")


@pytest.mark.parametrize("goal", [0.0, 0.2])
def test_goals_that_are_not_rehearsed_are_forgotten(tmp_path, monkeypatch, goal):
    denoiser, codes = parts()
    denoiser.register_to_config(told_goals=True)
    monkeypatch.setattr(slow, "evaluate", lambda *arguments: {})
    monkeypatch.setattr(slow, "_batch", lambda *arguments: (None, {}))
    monkeypatch.setattr(TrainingLoop, "step", lambda loop, *batch: 0.0)
    config = replace(CONFIG, mix=replace(CONFIG.mix, goal=goal))
    trained = train_slow(denoiser, episodes(), codes, tmp_path, config)
    assert trained.config["told_goals"] == (goal > 0)


def test_codes_of_another_size_are_refused_before_any_work(tmp_path):
    denoiser = VideoDenoiser(latent_channels=3, width=32, num_layers=1, text_dim=8)
    codes = ActionCodes.of_wordings([torch.randn(2, 16) for _ in range(4)])
    with pytest.raises(ValueError, match=r"text_dim` must be 16, .* got 8\."):
        train_slow(denoiser, episodes(), codes, tmp_path / "a", CONFIG)
    assert not (tmp_path / "a").exists()


def test_mirrored_episodes_join_the_training_but_not_the_held_out(tmp_path):
    plain = train(tmp_path / "a")
    mirrored = train(tmp_path / "b", mirrored=episodes(seed=1))
    pairs = zip(plain.parameters(), mirrored.parameters(), strict=True)
    assert any(not torch.equal(a, b) for a, b in pairs)
    assert len(joined(episodes(), episodes(1)).actions) == 20


def test_skill_is_that_of_actions_that_were_not_blocked():
    data = episodes()
    data = replace(data, moved=data.actions != 3)
    denoiser, codes = parts()
    skills = evaluate(denoiser.eval(), data, codes)
    known = [math.isfinite(skills[f"skill_{a}"]) for a in range(4)]
    assert known == [True, True, True, False]


def test_there_is_no_decoder_to_correct_where_images_are_latents(tmp_path):
    model = FrameAutoencoder(kind="identity", latent_channels=3)
    rule = "corrects a decoder, got autoencoder.kind=identity, which has none"
    with pytest.raises(ValueError, match=rule):
        train_correction(model, tmp_path, tmp_path, AutoencoderConfig())


def images(folder, size=5):
    """Episodes of nine frames of noise."""
    rng = np.random.default_rng(0)
    frames = rng.integers(256, size=(size, 9, 16, 16, 3), dtype=np.uint8)
    folder.mkdir()
    write_shard(folder, 0, {"frames": frames, "actions": np.zeros((size, 4), np.int16)})
    return folder


def corrected(model, folder, **options):
    config = AutoencoderConfig(num_steps=2, batch_size=2, **options)
    return train_correction(model, folder / "data", folder, config)


def test_a_correction_starts_again(tmp_path):
    images(tmp_path / "data")
    model = FrameAutoencoder(channels=(8, 16, 16, 16), layers=(0, 1, 1, 1))
    fit_autoencoder(model, tmp_path / "data", tmp_path, AutoencoderConfig())
    once = corrected(model, tmp_path)
    gate, basis = once.gate.detach().clone(), once.basis.clone()
    again = corrected(once, tmp_path)
    assert gate.abs() > 0
    assert torch.equal(again.gate, gate)
    assert torch.equal(again.basis, basis)


def test_a_correction_is_judged_on_whole_episodes(tmp_path, monkeypatch):
    images(tmp_path / "data")
    judged = []

    def noted(model, images, device):
        judged.append(len(images))
        return 0.0

    monkeypatch.setattr(module, "evaluate", noted)
    model = FrameAutoencoder(channels=(8, 16, 16, 16), layers=(0, 1, 1, 1))
    corrected(model, tmp_path, num_held_out=10)
    assert set(judged) == {18}


def test_one_episode_is_too_few_to_correct_a_decoder(tmp_path):
    images(tmp_path / "data", size=1)
    model = FrameAutoencoder(channels=(8, 16, 16, 16), layers=(0, 1, 1, 1))
    with pytest.raises(ValueError, match="at least 2 episodes, got 1: one is kept"):
        corrected(model, tmp_path)
