"""`VectorCode`: bounded, injective, continuous."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from world_model.vector_code import TEXT_DIM, VectorCode

PLANE = ((-1.0, 1.0), (0.0, 4.0))


def test_codes_are_as_wide_and_about_as_large_as_embedded_phrases():
    rng = torch.Generator().manual_seed(0)
    actions = torch.rand(500, 2, generator=rng) * torch.tensor([2.0, 4.0])
    actions[:, 0] -= 1
    codes = VectorCode(PLANE)(actions)
    assert codes.shape == (500, TEXT_DIM)
    assert float(codes.square().mean()) == pytest.approx(1, abs=0.2)


def test_the_action_can_be_read_back_linearly():
    rng = torch.Generator().manual_seed(0)
    scaled = 2 * torch.rand(300, 2, generator=rng) - 1
    actions = torch.stack([scaled[:, 0], 2 + 2 * scaled[:, 1]], dim=1)
    codes = VectorCode(PLANE)(actions)
    solution = torch.linalg.lstsq(codes.double(), scaled.double()).solution
    torch.testing.assert_close(codes.double() @ solution, scaled.double())


@given(st.floats(-1, 1), st.floats(0, 4), st.floats(-1e-3, 1e-3))
def test_near_actions_have_near_codes(x, y, step):
    code = VectorCode(PLANE)
    a, b = code(torch.tensor([x, y])), code(torch.tensor([x + step, y + step]))
    assert float((a - b).norm()) <= 300 * abs(step) + 1e-5


def test_what_is_out_of_bounds_is_clipped():
    code = VectorCode(PLANE)
    torch.testing.assert_close(
        code(torch.tensor([3.0, -7.0])), code(torch.tensor([1.0, 0.0]))
    )


@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        (((-1.0, float("inf")),), "need finite bounds, the lower below the upper, got"),
        (((1.0, 1.0),), "need finite bounds"),
        (((-1.0, 1.0),) * 50, "may have 42 numbers at most, got 50"),
    ],
)
def test_impossible_bounds_are_refused(bounds, message):
    with pytest.raises(ValueError, match=message):
        VectorCode(bounds)
