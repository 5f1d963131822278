"""Quality where the camera stays: every pixel counts, and objects have places."""

import numpy as np
import pytest
import torch

from eval.quality.cases import make_cases
from eval.quality.positions import position_figures
from eval.quality.walks import Walks, WalkSpec, check_domain, load_walks
from world_model.position_probe import PositionProbe

HIDDEN, SEEN = -5.0, 5.0


class ReadsLatents(PositionProbe):
    """Latents (M, O, 4) are what is read of them."""

    def forward(self, latents):
        return latents[..., :3], latents[..., 3]


@pytest.fixture
def walks():
    """Two objects; each action moves the first 10 cm to the right, the second hides."""
    places = np.zeros((1, 4, 2, 3), np.float32)
    places[0, :, 0, 0] = [0.0, 0.1, 0.2, 0.3]
    seen = np.ones((1, 4, 2), bool)
    seen[0, 3, 1] = False
    return Walks(
        frames=np.zeros((1, 4, 8, 8, 3), np.uint8),
        actions=np.zeros((1, 3), np.int16),
        moved=np.ones((1, 3), bool),
        found=np.zeros((1, 4, 2), bool),
        places=places,
        seen=seen,
    )


def test_a_camera_that_stays_has_seen_every_pixel(walks):
    cases = make_cases(walks, 1, tolerance=0.05)
    assert cases.visible.shape == (3, 8, 8)
    assert cases.visible.all()


def test_distances_are_those_of_visible_objects_in_centimetres(walks):
    cases = make_cases(walks, 1, tolerance=0.05)
    logits = torch.tensor([[SEEN, SEEN], [SEEN, SEEN], [SEEN, HIDDEN]])
    truth = torch.cat([cases.places[:, 1], logits[..., None]], dim=-1)
    imagined = truth.clone()
    imagined[:, 0, 1] += 0.02  # the moved object, 2 cm off
    imagined[2, 1] = SEEN  # far off, but nobody can see it
    found = {
        (f.name, f.group): f
        for f in position_figures(ReadsLatents(["a", "b"]), cases, imagined, truth)
    }
    assert found["position_error", "real"].value == 0
    assert found["position_error", "imagined"].value == pytest.approx(2 * 3 / 5)
    assert found["position_error", "imagined"].n == 5
    assert found["position_error", "imagined, moved"].value == pytest.approx(2)
    assert found["position_shift", "moved"].value == pytest.approx(10)
    assert found["visibility_error", "real"].value == 0
    assert found["visibility_error", "imagined"].value == pytest.approx(1 / 6)


def test_a_probe_of_latents_fits(walks):
    cases = make_cases(walks, 1, tolerance=0.05)
    probe = PositionProbe(("a", "b"), latent_channels=3, width=8)
    latents = torch.zeros(3, 3, 8, 8)
    assert len(position_figures(probe, cases, latents, latents)) == 7


@pytest.mark.sim
def test_errands_on_the_table_are_recorded_once_without_depth(tmp_path):
    check_domain("tabletop")
    spec = WalkSpec("tabletop", "val", first_seed=0, episodes=1, actions=2)
    walks = load_walks(spec, tmp_path)
    assert walks.depth is None
    assert walks.places.shape == (1, 3, 3, 3)
    assert walks.seen.shape == (1, 3, 3)
    again = load_walks(spec, tmp_path)
    assert again.focal_length is None
    assert np.array_equal(again.places, walks.places)
