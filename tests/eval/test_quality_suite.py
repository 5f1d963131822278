"""`suite=quality` from end to end: a random model, two rooms, no video features."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf
from PIL import Image

from eval.quality import walks as walks_module
from eval.quality.suite import check, run_quality
from eval.quality.walks import WalkSpec, check_domain, load_walks, record_walks
from world_model.text.motion_phrases import MOTIONS
from world_model.training.classifier import placements

CONFIGS = Path(__file__).parents[2] / "configs"
PHRASES = ("forward", "backward", "turn left", "turn right")
TINY = {
    "episodes": 2,
    "actions": 4,
    "min_pixels": 1,
    "open_loop": {
        "clips": 2,
        "chunks": 3,
        "early": [1, 1],
        "late": [2, 3],
        "features": None,
    },
    "pictures": {"examples": 1, "films": 1},
}


def make_config(folder: Path, **changes):
    """The configuration of `python -m eval.run suite=quality`, made tiny."""
    quality = OmegaConf.load(CONFIGS / "quality" / "default.yaml")
    cfg = OmegaConf.create(
        {
            "task": {"name": "rooms_find_seen", "domain": "rooms"},
            "world_model": {
                "name": "tiny",
                "weights": str(folder / "weights"),
                "num_context_frames": 2,
                "num_sampling_steps": 2,
                "precision": "float32",
                "recall_strength": 0.5,
                "device": "cpu",
            },
            "memory": {"name": "none"},
            "split": "val",
            "threads": None,
            "outputs": str(folder / "outputs"),
            "quality": OmegaConf.merge(quality, TINY, {"cache": str(folder / "cache")}),
        }
    )
    for name, value in changes.items():
        OmegaConf.update(cfg, name.replace("__", "."), value)
    return cfg


@pytest.fixture(scope="module")
def folder(tmp_path_factory, rooms_weights):
    folder = tmp_path_factory.mktemp("quality")
    (folder / "weights").symlink_to(rooms_weights)
    return folder


@pytest.mark.sim
def test_the_suite_writes_a_whole_report(folder, capsys):
    cfg = make_config(folder)
    output = run_quality(cfg, ["suite=quality"])
    assert {p.name for p in output.iterdir()} == {
        "quality.json",
        "quality.csv",
        "grid.png",
        "filmstrip.png",
    }
    report = json.loads((output / "quality.json").read_text())
    figures = {(f["name"], f["group"]): f for f in report["figures"]}
    with_target = {key for key, f in figures.items() if f["target"] is not None}
    assert with_target == {
        ("covisible_gain", "turns"),
        ("covisible_gain", "moves"),
        ("probe_generated", "all"),
        ("paraphrase_gap", "all"),
        ("probe_unrelated", "all"),
        ("open_loop_probe", "chunks 2-3"),
    }
    for phrase, wordings in MOTIONS.unseen.items():
        assert ("covisible_psnr", phrase) in figures
        assert all(("probe_paraphrase", text) in figures for text in wordings)
    assert report["seeds"] == [0, 1]
    assert report["config"]["quality"]["actions"] == 4
    assert report["provenance"]["command"].endswith("suite=quality")
    with (output / "quality.csv").open() as file:
        assert len(list(csv.DictReader(file))) == len(figures)
    with Image.open(output / "filmstrip.png") as picture:
        assert picture.width > 4 * 128
    printed = capsys.readouterr().out
    assert "quality of tiny on rooms" in printed
    assert "paraphrase_gap" in printed


@pytest.mark.sim
def test_walks_are_recorded_once_and_in_reality(tmp_path, monkeypatch):
    spec = WalkSpec("rooms", "val", first_seed=3, episodes=1, actions=3)
    walks = load_walks(spec, tmp_path)
    assert walks.frames.shape == (1, 13, 64, 64, 3)
    assert walks.depth.shape == (1, 4, 64, 64)
    assert walks.key_frames.shape[1] == 4
    path = next(tmp_path.iterdir())
    made = path.stat().st_mtime_ns
    again = load_walks(spec, tmp_path)
    assert path.stat().st_mtime_ns == made
    path.write_bytes(b"torn")
    for other in (again, load_walks(spec, tmp_path), record_walks(spec)):
        for name, array in vars(walks).items():
            assert np.array_equal(getattr(other, name), array)
    # Where anything that is drawn may have changed, they are recorded again.
    monkeypatch.setattr(walks_module, "fingerprint", lambda: "another table.xml")
    load_walks(spec, tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


def test_a_domain_without_depth_is_refused():
    with pytest.raises(ValueError, match=r"depth camera, got 'scroll' without depth"):
        check_domain("scroll")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"quality__episodes": 0}, r"`quality.episodes` must be at least 1, got 0"),
        ({"quality__open_loop__clips": 1}, r"clips` must be at least 2, got 1"),
        ({"quality__open_loop__clips": 5}, r"at most `quality.episodes` = 2, got 5"),
        ({"quality__open_loop__late": [3, 4]}, r"within 1 ... 3, got \[3, 4\]"),
    ],
)
def test_impossible_values_are_named_before_any_work(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        check(make_config(tmp_path, **changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"quality__actions": 3}, r"`quality.actions` must be at least 4 .*got 3"),
        ({"quality__groups": {"x": ["turn lift"]}}, "Did you mean 'turn left'"),
        ({"quality__open_loop__features": "i2d"}, "Did you mean 'i3d'"),
        ({"quality__open_loop__features": "i3d"}, r"at least 9 frames, got 4"),
    ],
)
def test_what_does_not_fit_the_model_is_named_before_any_work(folder, changes, message):
    cfg = make_config(folder, **changes)
    with pytest.raises(ValueError, match=message):
        run_quality(cfg, [])


def test_a_missing_probe_is_named_before_any_work(folder, tmp_path):
    cfg = make_config(folder, quality__probe=str(tmp_path / "nowhere"))
    with pytest.raises(FileNotFoundError, match=r"trained probe, got .*nowhere"):
        run_quality(cfg, [])


def test_the_mean_placement_is_the_area_under_the_roc_curve():
    positives, negatives = np.array([3.0, 1.0, 2.0]), np.array([0.0, 2.0, 5.0, 1.0])
    pairs = [(p > n) + 0.5 * (p == n) for p in positives for n in negatives]
    assert placements(positives, negatives).mean() == np.mean(pairs)
    assert placements(positives, negatives).tolist() == [0.75, 0.375, 0.625]
    assert np.isnan(placements(positives, negatives[:0])).all()
