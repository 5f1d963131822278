"""Random tiny weights of the scroll domain, as a folder of shipped weights."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from string import Template

import pytest
import torch

from envs.rooms.domain import RoomsDomain
from envs.scroll.domain import ScrollDomain
from world_model.classifier import GoalClassifier
from world_model.diffusion.autoencoder import FrameAutoencoder
from world_model.diffusion.denoiser import VideoDenoiser
from world_model.diffusion.model import ModelConfig, VideoDiffusionWorldModel
from world_model.fingerprint import encoder_fingerprint
from world_model.plugins import GROUPS
from world_model.probe import ActionProbe

PARTS = Path(__file__).with_name("parts")
NUMBERS = count()
WHOLE = {"top": "", "fault": "pass", "actions": "actions", "costs": "costs"}
WHOLE["size"] = "0 if self.views is None else self.views[0].nbytes"
BASES = {"planner": "Planner", "task": "ReturnHome"}
"""What stands in the holes of `PARTS` where nothing is broken."""


def make_scroll_model(**options) -> VideoDiffusionWorldModel:
    """One layer of width 32, untrained, the same every time."""
    with torch.random.fork_rng():
        torch.default_generator.manual_seed(0)
        denoiser = VideoDenoiser(latent_channels=3, width=32, num_layers=1)
    space = ScrollDomain.action_space
    config = ModelConfig(
        space.phrases,
        space.inverses,
        ScrollDomain.chunk_length,
        ScrollDomain.id,
        space.motions,
    )
    autoencoder = FrameAutoencoder(kind="identity", latent_channels=3)
    return VideoDiffusionWorldModel(autoencoder, denoiser, config, **options)


@pytest.fixture
def run(monkeypatch) -> Iterator[Callable[..., str | None]]:
    """Runs `python -m eval.run` in this process; returns the error or None."""
    before = torch.get_num_threads()

    def run(*arguments: str) -> str | None:
        monkeypatch.setattr(sys, "argv", ["eval.run", *arguments])
        try:
            runpy.run_module("eval.run", run_name="__main__", alter_sys=True)
        except SystemExit as stop:
            return str(stop.code)
        return None

    yield run
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def scroll_weights(tmp_path_factory) -> Path:
    """A folder that `world_model.weights` may name."""
    folder = tmp_path_factory.mktemp("scroll-weights")
    make_scroll_model().save_pretrained(folder)
    with torch.random.fork_rng():
        torch.default_generator.manual_seed(0)
        classifier = GoalClassifier(
            objects=list(ScrollDomain.vocabulary), latent_channels=3, latent_size=8
        )
    classifier.save_pretrained(folder / "classifier")
    return folder


@pytest.fixture(name="make_scroll_model")
def _make_scroll_model():
    return make_scroll_model


@pytest.fixture(scope="session")
def rooms_weights(tmp_path_factory) -> Path:
    """Random weights of the smallest model of `rooms`, with classifier and probe."""
    folder = tmp_path_factory.mktemp("rooms-weights")
    space = RoomsDomain.action_space
    with torch.random.fork_rng():
        torch.default_generator.manual_seed(0)
        autoencoder = FrameAutoencoder(
            latent_channels=4, channels=(8, 8, 8, 8), layers=(0, 1, 1, 1)
        )
        autoencoder.fit(torch.rand(8, 3, 64, 64) * 2 - 1)
        denoiser = VideoDenoiser(latent_channels=4, width=32, num_layers=1)
        name = encoder_fingerprint(autoencoder)
        probe = ActionProbe(space.phrases, encoder=name, latent_channels=4, width=8)
        objects = list(RoomsDomain.vocabulary)
        classifier = GoalClassifier(objects, latent_channels=4, width=8)
    config = ModelConfig(
        space.phrases,
        space.inverses,
        RoomsDomain.chunk_length,
        RoomsDomain.id,
        space.motions,
    )
    VideoDiffusionWorldModel(autoencoder, denoiser, config).save_pretrained(folder)
    probe.save_pretrained(folder / "probe")
    classifier.save_pretrained(folder / "classifier")
    return folder


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Installs a package with one part, broken as asked for; returns its name."""
    monkeypatch.syspath_prepend(tmp_path)

    def install(part: str, **holes: str) -> str:
        kind = "planner" if part == "policy" else part
        name = f"plugin_{next(NUMBERS)}"
        values = {
            **WHOLE,
            "name": name,
            "own": name,
            "base": BASES.get(part, ""),
        } | holes
        file = tmp_path / name / "configs" / kind / f"{name}.yaml"
        file.parent.mkdir(parents=True)
        file.write_text(fill(f"{part}.yaml", values))
        (tmp_path / name / "__init__.py").write_text(fill(f"{part}.py", values))
        announce(tmp_path, kind, name)
        return name

    return install


def fill(file: str, values: dict[str, str]) -> str:
    return Template((PARTS / f"{file}.txt").read_text()).substitute(values)


def announce(site: Path, kind: str, name: str) -> None:
    """What pip leaves of a distribution with one entry point."""
    info = site / f"{name}_of_a_stranger-0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Name: {name}-of-a-stranger\nVersion: 0.1\n")
    (info / "entry_points.txt").write_text(f"[{GROUPS[kind]}]\n{name} = {name}\n")


@pytest.fixture(name="announce")
def _announce():
    return announce
