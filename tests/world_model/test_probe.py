"""`ActionProbe`: learns a trivial world, and refuses what it was not trained for."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from world_model.diffusion.autoencoder import FrameAutoencoder
from world_model.fingerprint import encoder_fingerprint
from world_model.probe import ActionProbe, load_probe
from world_model.toy import DotWorldModel, draw_dot
from world_model.training.episodes import LatentEpisodes
from world_model.training.probe import (
    ProbeConfig,
    accuracy,
    action_pairs,
    fit_probe,
)
from world_model.training.progress import Log

PHRASES = ("up", "down", "left", "right")
STEPS = DotWorldModel.STEPS


def make_probe(**options):
    with torch.random.fork_rng():
        torch.default_generator.manual_seed(0)
        return ActionProbe(
            **{"phrases": PHRASES, "latent_channels": 3, "width": 8} | options
        )


def dot_pairs(count, seed):
    rng = torch.Generator().manual_seed(seed)
    actions = torch.randint(4, (count,), generator=rng)
    before = torch.randint(1, 7, (count, 2), generator=rng)  # never at the border
    frames = [draw_dot(before), draw_dot(before + STEPS[actions])]
    return torch.stack(frames, dim=1), actions


def test_a_trivial_world_is_learned_and_read_on_held_out_pairs(tmp_path):
    probe = make_probe(width=16)
    held_out = dot_pairs(200, seed=1)
    assert accuracy(probe, *held_out) < 0.5
    config = ProbeConfig(
        num_steps=200, batch_size=64, learning_rate=3e-3, evaluate_every=100
    )
    log = Log(tmp_path / "probe.csv")
    fit_probe(probe, dot_pairs(1000, seed=0), held_out, config, log)
    assert accuracy(probe, *held_out) > 0.95
    lines = log.path.read_text().splitlines()
    assert lines[0].startswith("step,loss,accuracy")
    assert len(lines) == 3


def test_blocked_actions_teach_nothing():
    latents = torch.arange(2 * 7, dtype=torch.float16).reshape(2, 7, 1, 1, 1)
    episodes = LatentEpisodes(
        latents=latents.expand(-1, -1, 3, 8, 8),
        actions=np.array([[0, 1, 2], [3, 2, 1]]),
        moved=np.array([[True, False, True], [True, True, False]]),
        chunk_length=2,
        inverses=np.array([1, 0, 3, 2]),
    )
    pairs, actions = action_pairs(episodes)
    assert actions.tolist() == [0, 2, 3, 2]
    ends = pairs[:, :, 0, 0, 0].tolist()
    assert ends == [[0, 2], [4, 6], [7, 9], [9, 11]]


def test_a_saved_probe_reads_the_same(tmp_path):
    probe = make_probe(encoder="abc").eval()
    probe.save_pretrained(tmp_path)
    loaded = load_probe(tmp_path, phrases=PHRASES, encoder="abc")
    pairs, _ = dot_pairs(20, seed=0)
    assert torch.equal(loaded(pairs), probe(pairs))


def test_a_missing_probe_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"got .*nowhere: train one with"):
        load_probe(tmp_path / "nowhere", phrases=PHRASES, encoder="")


def test_a_damaged_probe_is_named(tmp_path):
    make_probe().save_pretrained(tmp_path)
    next(tmp_path.glob("*.safetensors")).write_bytes(b"torn")
    with pytest.raises(ValueError, match=r"must be readable, got .*stage=probe"):
        load_probe(tmp_path, phrases=PHRASES, encoder="")


def test_a_probe_that_lacks_weights_is_not_filled_up_at_random(tmp_path):
    make_probe().save_pretrained(tmp_path)
    (path,) = tmp_path.glob("*.safetensors")
    weights = load_file(path)
    name = sorted(weights)[0]
    del weights[name]
    save_file(weights, path)
    with pytest.raises(ValueError, match=f"got 1 weights do not fit, such as {name}"):
        load_probe(tmp_path, phrases=PHRASES, encoder="")


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"phrases": ("go", "stop")}, r"phrases \['go', 'stop'\], got \['up', "),
        ({"encoder": "other"}, "encoder other, got abc: train one with"),
    ],
)
def test_a_probe_of_other_actions_or_latents_is_refused(tmp_path, wanted, message):
    make_probe(encoder="abc").save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=message):
        load_probe(tmp_path, **{"phrases": PHRASES, "encoder": "abc"} | wanted)


def test_export_in_half_precision_keeps_the_encoders_name():
    encoder = FrameAutoencoder(kind="identity", latent_channels=3)
    encoder.scale += torch.rand(3, generator=torch.Generator().manual_seed(0))
    name = encoder_fingerprint(encoder)
    assert encoder.scale.dtype == torch.float32  # left as it was
    assert encoder_fingerprint(encoder.half().float()) == name
    encoder.scale *= 2
    assert encoder_fingerprint(encoder) != name
