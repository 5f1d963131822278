"""`export` names the stage whose work is missing or damaged."""

from __future__ import annotations

from pathlib import Path

import pytest

from world_model.diffusion.autoencoder import FrameAutoencoder
from world_model.shards import ShardMeta
from world_model.training.export import export

META = ShardMeta("toy", 2, ("up", "down"), (1, None), ("red box",), {"revision": None})


def test_a_stage_that_has_not_been_run_is_named(tmp_path: Path) -> None:
    text = r"a trained autoencoder, got .*autoencoder: train one with .* stage=fit"
    with pytest.raises(FileNotFoundError, match=text):
        export(tmp_path / "stages", tmp_path / "weights", META, min_change=0.1)
    assert not (tmp_path / "weights").exists()


def test_damaged_work_of_a_stage_is_named(tmp_path: Path) -> None:
    stages = tmp_path / "stages"
    FrameAutoencoder().save_pretrained(stages / "autoencoder")
    next((stages / "autoencoder").glob("*.safetensors")).write_bytes(b"torn")
    with pytest.raises(ValueError, match="The autoencoder in .* must be readable, got"):
        export(stages, tmp_path / "weights", META, min_change=0.1)
    assert not (tmp_path / "weights").exists()
