"""Scene revisit consistency: scale, floor, ceiling."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from eval.video.revisit_score import RevisitScore
from eval.video.src import SceneRevisitConsistency, other_places
from eval.video.vgg16_conv5 import Vgg16Conv5


@pytest.fixture(scope="module")
def metric() -> SceneRevisitConsistency:
    return SceneRevisitConsistency(Vgg16Conv5())


def _places(num_places: int, noise: float = 0.0) -> Tensor:
    """Coloured floors and walls with a box each, (N, 3, 64, 64) in [-1, 1]."""
    rng = np.random.default_rng(0)
    images = np.empty((num_places, 3, 64, 64))
    for image in images:
        wall, floor, box = rng.uniform(-0.9, 0.9, (3, 3, 1, 1))
        row, column, size = rng.integers((20, 0, 10), (40, 50, 30))
        image[:] = wall
        image[:, 32:] = floor
        image[:, row : row + size, column : column + size] = box
    images += np.random.default_rng(1).normal(0, noise, images.shape)
    return torch.from_numpy(images.clip(-1, 1).astype(np.float32))


def test_the_name_carries_the_extractor(metric: SceneRevisitConsistency) -> None:
    assert metric.name == "src_vgg16_c5_64"


def test_the_same_frames_are_fully_consistent(metric: SceneRevisitConsistency) -> None:
    places = _places(2)
    torch.testing.assert_close(metric.similarity(places, places), torch.ones(2))


def test_a_noisy_revisit_lies_between_another_place_and_the_truth(
    metric: SceneRevisitConsistency,
) -> None:
    first = _places(6)
    elsewhere = other_places(first, rng=np.random.default_rng(0))
    score = metric.score(
        first, _places(6, noise=0.005), elsewhere=elsewhere, truth=first
    )
    assert score.ceiling == pytest.approx(1, abs=1e-5)
    assert score.floor < score.value < 1
    assert score.normalised is not None
    assert 0.5 < score.normalised < 1
    assert (score.name, score.num_revisits) == ("src_vgg16_c5_64", 6)


def test_a_score_without_a_scale_has_no_normalised_value() -> None:
    for ceiling in (None, 0.4):
        score = RevisitScore(
            "src_x", value=0.6, floor=0.5, ceiling=ceiling, num_revisits=3
        )
        assert score.normalised is None


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 12), st.integers(0, 10**6))
def test_other_places_never_show_the_same_place(num_places: int, seed: int) -> None:
    rows = torch.arange(num_places)
    partners = other_places(rows, rng=np.random.default_rng(seed))
    assert (partners != rows).all()
    assert torch.equal(partners.sort().values, rows)


def test_one_place_has_no_other() -> None:
    with pytest.raises(ValueError, match="at least 2 places, got 1"):
        other_places(_places(1), rng=np.random.default_rng(0))


def test_images_of_another_size_are_refused(metric: SceneRevisitConsistency) -> None:
    images = torch.zeros(1, 3, 128, 128)
    with pytest.raises(ValueError, match=r"reads 64 x 64 px, got \(128, 128\)"):
        metric.similarity(images, images)
