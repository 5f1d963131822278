"""`PositionProbe`: finds a dot, judges imagined views, refuses data without places."""

import csv

import numpy as np
import pytest
import torch

from world_model.diffusion.autoencoder import FrameAutoencoder
from world_model.diffusion.denoiser import VideoDenoiser
from world_model.shards import ShardMeta, write_meta, write_shard
from world_model.toy import DotWorldModel, draw_dot
from world_model.training.position_probe import (
    PositionProbeConfig,
    train_position_probe,
)

PIXEL = 0.05
"""One pixel of the toy [m]."""
PHRASES = ("forward", "backward", "turn left", "turn right")
CONFIG = PositionProbeConfig(
    num_steps=400, batch_size=64, width=16, imagined=200, evaluate_every=200
)


def collect(folder, episodes=240, actions=6, positions=True):
    """A dot that walks a pixel with each action, unless at the border; often hidden."""
    rng = np.random.default_rng(0)
    chosen = rng.integers(4, size=(episodes, actions))
    steps = DotWorldModel.STEPS[torch.from_numpy(chosen)]
    places = torch.cat([torch.full((episodes, 1, 2), 4), 4 + steps.cumsum(1)], dim=1)
    places = places.clamp(1, 6)
    images = draw_dot(places.flatten(0, 1)).unflatten(0, (episodes, -1)).clone()
    hidden = torch.from_numpy(rng.random((episodes, actions + 1)) < 0.2)
    images[hidden] = -1.0
    frames = ((images + 1) * 127.5).round().byte().permute(0, 1, 3, 4, 2).numpy()
    visible = (~hidden[..., None]).int().numpy()
    shard = {
        "frames": frames,
        "actions": chosen.astype(np.int16),
        "moved": np.ones((episodes, actions), bool),
        "visible": visible,
        "found": visible > 1,
    }
    if positions:
        flat = PIXEL * places[:, :, None].float()
        hand = torch.zeros_like(flat)
        rows = torch.cat([flat, hand], dim=2)
        shard["positions"] = torch.cat([rows, 0 * rows[..., :1]], dim=-1).numpy()
    meta = ShardMeta("toy", 1, PHRASES, (1, 0, 3, 2), ("red dot",), {})
    folder.mkdir()
    write_meta(folder, meta)
    write_shard(folder, 0, shard)


def train(folder, config=CONFIG):
    autoencoder = FrameAutoencoder(kind="identity", latent_channels=3)
    with torch.random.fork_rng():
        torch.default_generator.manual_seed(0)
        denoiser = VideoDenoiser(latent_channels=3, width=32, num_layers=1).eval()
    data, output = folder / "data", folder / "out"
    return train_position_probe(autoencoder, denoiser, data, output, config)


def test_it_finds_the_dot_and_misses_it_where_an_untrained_model_imagines(tmp_path):
    collect(tmp_path / "data")
    train(tmp_path)
    with (tmp_path / "out" / "position_probe.csv").open() as file:
        first, last = csv.DictReader(file)
    assert float(last["real_cm"]) < 2.5  # half a pixel
    assert float(last["real_cm"]) < float(first["real_cm"])
    assert float(last["real_visible_error"]) < 0.05
    assert float(last["real_moved_median_cm"]) < 2.5
    assert float(last["imagined_cm"]) > 2 * float(last["real_cm"])
    assert float(last["shift_moved_cm"]) == pytest.approx(100 * PIXEL, rel=1e-3)


def test_the_saved_probe_reads_positions_in_metres(tmp_path):
    collect(tmp_path / "data")
    probe = train(tmp_path)
    read, visible = probe(draw_dot(torch.tensor([[2, 5]])))
    assert read.shape == (1, 1, 3)
    assert visible.shape == (1, 1)
    assert visible > 0
    assert probe(torch.full((1, 3, 8, 8), -1.0))[1] < 0
    wanted = torch.tensor([[[2 * PIXEL, 5 * PIXEL, 0.0]]])
    torch.testing.assert_close(read.detach(), wanted, atol=PIXEL, rtol=0)


def test_data_without_positions_are_refused(tmp_path):
    collect(tmp_path / "data", positions=False)
    with pytest.raises(ValueError, match="needs data that say where objects are, got"):
        train(tmp_path)
