"""Stages of training refuse what is wrong before any of them starts."""

import dataclasses
import json

import numpy as np
import pytest
from hydra import compose, initialize_config_dir

from world_model.diffusion.autoencoder import FrameAutoencoder
from world_model.diffusion.denoiser import VideoDenoiser
from world_model.names import CONFIGS
from world_model.shards import ShardMeta, write_meta, write_shard
from world_model.train import _run

PHRASES = ("up", "down", "left", "right")
META = ShardMeta("scroll", 2, PHRASES, (1, 0, 3, 2), ("red box",), {})


@pytest.fixture
def train(tmp_path):
    """Runs stages of scroll on tiny data with `meta`; returns what was trained on."""

    def train(stages: str, *words: str, **changes) -> None:
        data = tmp_path / "data"
        data.mkdir(exist_ok=True)
        write_meta(data, dataclasses.replace(META, **changes))
        rng = np.random.default_rng(0)
        shard = {
            "frames": rng.integers(255, size=(4, 13, 8, 8, 3), dtype=np.uint8),
            "actions": rng.integers(4, size=(4, 6)),
            "moved": np.ones((4, 6), bool),
            "visible": np.ones((4, 7, 1), int),
            "found": rng.random((4, 7, 1)) < 0.5,
        }
        write_shard(data, 0, shard)
        folders = [f"data={data}", f"output={tmp_path}/out", f"weights={tmp_path}/w"]
        small = ["denoiser.width=32", "denoiser.num_layers=1", "slow.compile=false"]
        small += ["slow.num_steps=2", "slow.batch_size=2", "slow.mixed_precision=no"]
        chosen = [f"stage={stages}", "domain=scroll", *folders, *small, *words]
        with initialize_config_dir(str(CONFIGS), version_base="1.3"):
            cfg = compose("train", chosen)
        _run(cfg)

    return train


VECTORS = {"bounds": ((-1.0, 1.0),), "phrases": (), "inverses": ()}


@pytest.mark.parametrize(
    ("stages", "words", "changes", "problem"),
    [
        ("[fit,solw]", [], {}, "Unknown stage 'solw'. Did you mean 'slow'"),
        ("[fit,slow]", ["+slow.num_stesp=3"], {}, "Unknown option of `slow` 'num_st"),
        ("[fit,slow]", ["slow.num_steps=2e4"], {}, "`slow.num_steps` must be of type "),
        (
            "[fit,slow]",
            ["slow.evaluate_every=0"],
            {},
            "`evaluate_every` must be at lea",
        ),
        (
            "[fit,slow]",
            ["slow.held_out=3"],
            {},
            "`held_out` must be in .0, 1., got 3",
        ),
        (
            "[fit,slow]",
            ["slow.mixed_precision=fp16"],
            {},
            "`mixed_precision` must be no",
        ),
        ("[fit,slow]", ["slow.mirror=true"], VECTORS, "needs actions that are phrases"),
        ("[fit,slow]", ["slow.mirror=true"], {"phrases": ("a",)}, "mirror images are"),
        (
            "[fit,slow]",
            ["slow.mix.goal=0.3"],
            {"labels": ("moved",)},
            "`slow.mix.goal`",
        ),
        ("[fit,slow]", ["slow.mix.num_past={1:1.0}"], {}, "shares that sum to 1, got"),
        (
            "[fit,slow]",
            ["slow.mix.conditional=1"],
            {},
            "`conditional` and `independent` are shares of the same clips and must sum",
        ),
        (
            "[fit,slow]",
            ["autoencoder.latent_channels=4"],
            {},
            "the autoencoder's 4, got",
        ),
        ("[fit,slow]", ["+denoiser.text_dim=20"], {}, "`denoiser.text_dim` must be 38"),
        (
            "[fit,slow]",
            ["slow.mix.num_past={1:0,2:0,4:0}", "+slow.mix.num_past={7:1}"],
            {},
            "`slow.mix.num_past` must be at most 6, the actions of an episode",
        ),
        ("[fit,autoencoder]", [], {}, "got autoencoder.kind=identity, which has none"),
        ("[fit,slow,matcher]", [], {}, "`stage=matcher` needs actions that say how"),
        (
            "[fit,classifier]",
            ["+classifier.foo=1"],
            {},
            "Unknown option of `classifier",
        ),
        (
            "[fit,classifier]",
            ["+classifier.sampling_steps=0"],
            {},
            "`sampling_steps` must be at least 1, got 0",
        ),
        (
            "[fit,slow,position_probe]",
            ["+position_probe.imagined=0"],
            {},
            "`imagined` must be at least 1, got 0",
        ),
        (
            "[fit,predictive_state]",
            ["predictive_state.min_count=1"],
            {},
            "`min_count` must be at least 2, got 1",
        ),
        ("[fit,classifier]", [], {"labels": ()}, "needs what only a simulator knows"),
        ("[fit,classifier]", [], {}, "`denoiser` must be a folder with a trained den"),
        (
            "[fit,slow,probe]",
            ["probe.num_steps=0"],
            {},
            "`num_steps` must be at least 1",
        ),
        ("[fit,slow,probe]", [], {"labels": ()}, "`stage=probe` needs what only a sim"),
        ("[fit,slow,position_probe]", [], {}, "needs data that say where objects are"),
        ("[fit,predictive_state]", [], VECTORS, "needs actions that are phrases"),
        ("[fit,slow,export]", [], {}, "`classifier` must be a folder with a trained"),
        (
            "[fit,slow,export]",
            ["weights=null"],
            {},
            "`weights` must be a folder to wri",
        ),
        ("slow", [], {}, "`autoencoder` must be a folder with a trained autoencoder"),
        ("[fit,slow,slow_fast]", [], {}, "needs an output of its own"),
        (
            "slow_fast",
            [],
            VECTORS,
            "needs actions that are phrases, got .* of vectors: ",
        ),
        (
            "slow_fast",
            ["memory=window"],
            {},
            "must leave the model its context, got wi",
        ),
        ("slow_fast", ["slow_fast.reading=memry"], {}, "Unknown reading 'memry'. Did"),
        (
            "slow_fast",
            ["slow_fast.snapshots=5"],
            {},
            "`slow_fast.snapshots` must be of",
        ),
        ("slow_fast", ["slow_fast.snapshots=[]"], {}, "`snapshots` must be at least 5"),
        (
            "slow_fast",
            ["+slow_fast.strengths=[0,0.5]"],
            {},
            "`strengths` must be noise levels 0 < low <= high <= 1, got 0.0 and 0.5",
        ),
        ("slow_fast", ["slow_fast.rounds=0"], {}, "`rounds` must be at least 1, got 0"),
        (
            "slow_fast",
            ["slow_fast.parallel=1", "slow_fast.snapshots=[6]"],
            {},
            "A wrong episode's answer needs another episode beside it, got slow_fast.p",
        ),
        (
            "slow_fast",
            [],
            {},
            "`slow_fast.snapshots` must be at most 6, the actions of",
        ),
    ],
)
def test_nothing_starts_that_cannot_end(
    train, tmp_path, stages, words, changes, problem
):
    with pytest.raises((ValueError, FileNotFoundError), match=problem):
        train(stages, *words, **changes)
    assert not (tmp_path / "out").exists()


def test_slow_learning_misses_its_compiler_before_it_collects(train, monkeypatch):
    monkeypatch.setenv("CXX", "/no/such/compiler")
    rule = "`slow.compile=true` needs a C.. compiler, got none at /no/such/compiler: i"
    with pytest.raises(RuntimeError, match=rule):
        train("[fit,slow]", "slow.compile=true")
    train("[fit,slow]")


@pytest.fixture
def exported(tmp_path):
    """A denoiser and an autoencoder as `stage=export` leaves them."""
    FrameAutoencoder(kind="identity", latent_channels=3).save_pretrained(
        tmp_path / "w" / "autoencoder"
    )
    denoiser = VideoDenoiser(latent_channels=3, width=32, num_layers=1)
    denoiser.save_pretrained(tmp_path / "w" / "denoiser")
    (tmp_path / "w" / "world_model.json").write_text("{}")


def test_the_loop_starts_from_what_was_exported(train, exported, tmp_path):
    (tmp_path / "w" / "world_model.json").unlink()
    rule = "`stage=slow_fast` starts from exported weights, got .*/w: run stage=export"
    with pytest.raises(ValueError, match=rule):
        train("slow_fast", "slow_fast.snapshots=[6]")


def test_nothing_but_weights_is_replaced_by_weights(train, tmp_path):
    (tmp_path / "w").mkdir()
    (tmp_path / "w" / "thesis.tex").touch()
    rule = "`weights` must be a new folder or one of exported weights, got .*/w, which"
    with pytest.raises(ValueError, match=rule):
        train("[fit,slow,classifier,export]")
    assert (tmp_path / "w" / "thesis.tex").exists()
    assert not (tmp_path / "out").exists()


def test_first_weights_are_of_the_network_that_is_asked_for(train, exported, tmp_path):
    init = f"init={tmp_path}/w/denoiser"
    rule = "`denoiser` must be the network of init=.*, got width=64, there 32: ask for"
    with pytest.raises(ValueError, match=rule):
        train("[fit,slow]", init, "denoiser.width=64")
    train("[fit,slow]", init)


def test_a_data_set_without_episodes_is_refused(train, tmp_path):
    train("fit")
    next((tmp_path / "data").glob("shard-*")).rename(tmp_path / "gone.npz")
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        words = ["stage=fit", "domain=scroll", f"data={tmp_path}/data"]
        cfg = compose("train", [*words, f"output={tmp_path}/out"])
    with pytest.raises(ValueError, match="`data` must hold episodes, got .*/data with"):
        _run(cfg)


@pytest.mark.parametrize(
    ("memory", "problem"),
    [
        ("pose_weights", "`pose_weights` needs .* say how they move|say how they move"),
        ("predictive_state", "`predictive_state` must be a folder with a trained"),
    ],
)
def test_the_loop_makes_its_memory_before_it_encodes(
    train, exported, tmp_path, memory, problem
):
    words = [f"memory={memory}", "slow_fast.snapshots=[6]"]
    with pytest.raises((ValueError, FileNotFoundError), match=problem):
        train("slow_fast", *words)
    assert not list((tmp_path / "data").glob("latents-*"))


def test_a_training_is_continued_by_the_same_only(train, tmp_path):
    train("[fit,slow]")
    note = json.loads((tmp_path / "out" / "origin.json").read_text())
    assert note["stage"] == "slow"
    train("slow")  # nothing left to do
    train("slow", "slow.num_steps=3", "slow.evaluate_every=1")
    rule = "`output` must hold no checkpoints that were made otherwise, got other"
    with pytest.raises(ValueError, match=f"{rule} values of batch_size in "):
        train("slow", "slow.batch_size=3", "slow.num_steps=3")
    projection = (tmp_path / "out" / "autoencoder" / "config.json").stat().st_mtime_ns
    for stages in ("slow", "[fit,slow]"):
        with pytest.raises(ValueError, match=f"{rule} values of data in "):
            train(stages, objects=("blue box",))
    with pytest.raises(ValueError, match=f"{rule} values of encoder in "):
        train("fit", "autoencoder.kind=pca")
    after = (tmp_path / "out" / "autoencoder" / "config.json").stat().st_mtime_ns
    assert after == projection
    with pytest.raises(ValueError, match="`num_steps` must be at least 3, which"):
        train("slow")
