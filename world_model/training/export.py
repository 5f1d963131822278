"""Checkpoints of all stages -> one folder of half-precision weights that ships."""

from __future__ import annotations

import copy
import csv
import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from world_model.classifier import GoalClassifier
from world_model.diffusion.autoencoder import FrameAutoencoder
from world_model.diffusion.denoiser import VideoDenoiser
from world_model.diffusion.model import (
    CONFIG_FILE,
    ModelConfig,
    VideoDiffusionWorldModel,
)
from world_model.place_matcher import PlaceMatcher
from world_model.predictive_state import PredictiveStateNet
from world_model.pretrained import Net, load_trained
from world_model.provenance import provenance
from world_model.shards import ShardMeta
from world_model.whole_file import swap_in


def export(checkpoints: Path, target: Path, meta: ShardMeta, min_change: float) -> None:
    """Writes float16 safetensors, JSON and `card.json` to `target`, all or nothing.

    Args:
        checkpoints: Output folder of the training stages.
        target: Folder to replace.
        meta: The data set the stages were trained on.
        min_change: See `WorldModel`.

    Raises:
        FileNotFoundError: If a stage has not been run.
        ValueError: If what it has made is damaged.
    """
    with _replacing(target) as folder:
        _write(checkpoints, folder, meta, min_change)


def check_target(target: Path) -> None:
    """Refuses a folder that is none of exported weights: it would be deleted.

    Raises:
        ValueError: If it is not.
    """
    if target.exists() and not is_exported(target):
        raise ValueError(
            f"`weights` must be a new folder or one of exported weights, got {target}, "
            "which would be deleted: name another, e.g. world_model/weights/rooms."
        )


def is_exported(folder: Path) -> bool:
    """Whether a folder holds the weights of a world model."""
    return (folder / CONFIG_FILE).exists()


def with_denoiser(
    weights: Path, denoiser: VideoDenoiser, log: Path, target: Path
) -> None:
    """Writes exported weights once more, with other slow weights; all or nothing.

    Args:
        weights: An exported folder.
        denoiser: The slow weights, written in half precision.
        log: The training log behind them; its last row goes into `card.json`.
        target: Folder to replace.
    """
    with _replacing(target) as folder:
        shutil.copytree(weights, folder)
        shutil.rmtree(folder / "denoiser")
        copy.deepcopy(denoiser).half().save_pretrained(folder / "denoiser")
        path = folder / "card.json"
        card = json.loads(path.read_text()) if path.exists() else {"training": {}}
        card["exported_with"] = provenance()
        card["training"][log.stem] = _last_row(log)
        path.write_text(json.dumps(card, indent=2) + "\n")


@contextmanager
def _replacing(target: Path) -> Iterator[Path]:
    """A folder to write (not yet there) that becomes `target` if nothing fails."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        folder = Path(scratch) / "weights"
        yield folder
        _forget_paths(folder)
        swap_in(folder, target)


def _forget_paths(folder: Path) -> None:
    """Drops what diffusers notes of where networks were loaded from."""
    for path in folder.glob("*/config.json"):
        config = json.loads(path.read_text())
        config.pop("_name_or_path", None)
        path.write_text(json.dumps(config, indent=2) + "\n")


def _write(checkpoints: Path, folder: Path, meta: ShardMeta, min_change: float) -> None:
    model = VideoDiffusionWorldModel(
        _trained(FrameAutoencoder, checkpoints, "autoencoder", stage="fit"),
        _trained(VideoDenoiser, checkpoints, "denoiser", stage="slow"),
        ModelConfig.of(meta, min_change),
    )
    model.save_pretrained(folder)
    # Without labels there is nothing to learn it from; where objects are moved, the
    # position probe says what holds.
    if "found" in meta.labels and not (checkpoints / "position_probe").exists():
        classifier = _trained(GoalClassifier, checkpoints, "classifier")
        classifier.save_pretrained(folder / "classifier")
    for name, kind in (
        ("matcher", PlaceMatcher),
        ("predictive_state", PredictiveStateNet),
    ):
        if (checkpoints / name).exists():
            _trained(kind, checkpoints, name).save_pretrained(folder / name)
    for probe in ("probe", "position_probe"):
        if (checkpoints / probe).exists():
            shutil.copytree(checkpoints / probe, folder / probe)
    card = {
        "data": vars(meta),
        "exported_with": provenance(),
        "training": {
            path.stem: _last_row(path) for path in sorted(checkpoints.glob("*.csv"))
        },
    }
    (folder / "card.json").write_text(json.dumps(card, indent=2) + "\n")


def _trained(
    net: type[Net], checkpoints: Path, name: str, stage: str | None = None
) -> Net:
    """What a stage has made, in half precision."""
    found = load_trained(net, checkpoints / name, name=name, stage=stage or name)
    return found.half()


def _last_row(path: Path) -> dict[str, str]:
    """The final figures of a training log."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return rows[-1] if rows else {}
