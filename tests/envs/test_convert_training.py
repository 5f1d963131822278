"""Videos of one's own train a world model, by one command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import hydra
import numpy as np
import pytest
import torch

from envs.convert import convert
from envs.formats.api import ReadOptions
from envs.formats.mp4 import write_video
from world_model.core import Context
from world_model.diffusion.model import VideoDiffusionWorldModel
from world_model.frames import to_model
from world_model.shards import read_meta, read_shards
from world_model.training.classifier import ClassifierConfig, train_classifier
from world_model.training.clips import ClipMix, sample_batch
from world_model.training.episodes import LatentEpisodes, joined, split
from world_model.training.latents import has_mirror, mirrored_actions
from world_model.training.matcher import MatcherConfig, train_matcher
from world_model.training.probe import ProbeConfig, train_probe
from world_model.training.stages import STAGES
from world_model.training.stages.training import Training

CONFIGS = Path(__file__).parents[2] / "configs"

PHRASES = ("pan along the shelf", "left")
TINY = (
    "denoiser.width=32",
    "denoiser.num_layers=1",
    "slow.num_steps=2",
    "slow.batch_size=4",
    "slow.evaluate_every=2",
    "slow.compile=false",
    "autoencoder_training.num_steps=2",
    "autoencoder_training.batch_size=4",
    "threads=1",
)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Two clips that pan over coloured tiles, imported at 48 x 32."""
    folder = tmp_path_factory.mktemp("videos")
    rng = np.random.default_rng(0)
    clips = folder / "clips"
    clips.mkdir()
    for number in range(2):
        tiles = rng.integers(0, 256, (6, 16, 3)).astype(np.uint8)
        wide = tiles.repeat(16, 0).repeat(16, 1)
        starts = [8 * min(i, 16 - i) for i in range(17)]
        frames = [wide[:, x : x + 128] for x in starts]
        write_video(clips / f"{number}.mp4", frames, 10)
        text = json.dumps({"actions": [PHRASES[0], PHRASES[0], PHRASES[1], PHRASES[1]]})
        (clips / f"{number}.json").write_text(text)
    options = ReadOptions(size=(48, 32), chunk_length=2)
    convert(clips, folder / "data", options=options)
    return folder / "data"


def test_one_command_makes_a_world_model_of_videos(data, tmp_path):
    weights = tmp_path / "weights"
    command = [sys.executable, "-m", "world_model.train"]
    command += ["stage=[fit,slow,autoencoder,export]", "domain=video", f"data={data}"]
    command += [f"output={tmp_path / 'checkpoints'}", f"weights={weights}", *TINY]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    model = VideoDiffusionWorldModel.from_pretrained(weights)
    assert model.action_space.phrases == PHRASES
    assert not (weights / "classifier").exists()
    card = json.loads((weights / "card.json").read_text())
    assert card["data"]["provenance"]["converted_from"]["format"] == "video"
    frames = to_model(next(read_shards(data))["frames"][:, :1])
    actions = torch.tensor([[[0, 1]], [[1, 1]]])
    source = [torch.Generator().manual_seed(i) for i in range(2)]
    rollout = model.rollout(
        Context(torch.zeros(2, 0, dtype=torch.long), frames=frames),
        actions,
        generator=source,
        all_frames=True,
    )
    assert rollout.frames.shape == (2, 1, 2, 2, 3, 32, 48)
    assert rollout.frames.isfinite().all()


@pytest.mark.parametrize(
    ("train", "config", "stage", "missing"),
    [
        (train_classifier, ClassifierConfig(), "classifier", "visible, found"),
        (train_matcher, MatcherConfig(), "matcher", "moved"),
        (train_probe, ProbeConfig(), "probe", "moved"),
    ],
)
def test_stages_that_need_a_simulator_refuse(
    data, tmp_path, train, config, stage, missing
):
    rule = f"`stage={stage}` needs what only a simulator knows \\({missing}\\), got .*"
    with pytest.raises(ValueError, match=rule + f"without {missing}: use a data set"):
        train(None, data, tmp_path, config)


@pytest.mark.parametrize(
    ("module", "words", "text"),
    [
        (
            "world_model.train",
            ["stage=[fit,slow]", "domain=video", "data=nosuch"],
            "error: `data` must be a folder with meta.json, got nosuch: run `python",
        ),
        (
            "envs.collect",
            ["domain=scroll", "episodes=0"],
            "error: `episodes` must be at least 1, got 0.",
        ),
        (
            "envs.collect",
            ["domain=scrol"],
            "error: Unknown domain 'scrol'. Did you mean 'scroll'? Available: ",
        ),
        (
            "world_model.train",
            ["domain=room", "memory=anchr"],
            "error: Unknown domain 'room'. Did you mean 'rooms'? Available: ",
        ),
    ],
)
def test_bad_input_is_answered_in_one_line(tmp_path, module, words, text):
    command = [sys.executable, "-m", module, *words, f"output={tmp_path}/out"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith(text)
    assert done.stderr.count("\n") == 1


def test_the_denoiser_to_start_from_must_be_there(data, tmp_path):
    words = ["stage=[fit,slow]", "init=typo", f"data={data}", f"output={tmp_path}"]
    with hydra.initialize_config_dir(str(CONFIGS), version_base="1.3"):
        cfg = hydra.compose("train", ["domain=video", *words])
    rule = "`denoiser` must be .*, got typo: .*stage=slow"
    with pytest.raises(FileNotFoundError, match=rule):
        STAGES["slow"](Training(cfg, earlier=("fit",)))


def latents(moved, num_episodes=4):
    return LatentEpisodes(
        latents=torch.randn(num_episodes, 1 + 6 * 2, 1, 2, 2).half(),
        actions=np.zeros((num_episodes, 6), np.int64),
        moved=moved,
        chunk_length=2,
        inverses=np.array([0]),
    )


def test_nothing_is_played_backwards_where_nobody_knows_what_was_blocked():
    rng = np.random.default_rng(0)
    data = latents(None)
    ramp = torch.arange(13.0).half()[None, :, None, None, None]
    data.latents[:] = ramp
    batch = sample_batch(data, ClipMix(reverse=1.0, extra=0.0), 64, rng)
    assert (batch.clean[:, -1] > batch.clean[:, 0]).all()
    assert data.min_change == pytest.approx(4 / 2)


def test_unknown_labels_stay_unknown():
    train, held_out = split(latents(None), 0.25)
    assert train.moved is held_out.moved is None
    assert joined(train, latents(np.ones((4, 6), bool))).moved is None


def test_one_episode_is_too_few_to_train_on():
    with pytest.raises(ValueError, match="at least 2 episodes, got 1: one is kept for"):
        split(latents(None, num_episodes=1), 0.03)


def test_only_known_phrases_have_mirror_images(data):
    assert mirrored_actions(("forward", "turn left", "turn right")).tolist() == [
        0,
        2,
        1,
    ]
    for phrases in (read_meta(data).phrases, ("turn left",)):
        assert not has_mirror(phrases)
        with pytest.raises(ValueError, match="known, got .*: use `mirror=false`"):
            mirrored_actions(phrases)
