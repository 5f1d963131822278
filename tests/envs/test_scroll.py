"""The `scroll` domain: everything follows from modular arithmetic."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from envs.lattice import path_to, reachable
from envs.scroll.domain import BLOCKS, STEP, WINDOW, Cell, ScrollDomain

COORDINATES = st.integers(0, BLOCKS - 1)
CELLS = st.builds(Cell, COORDINATES, COORDINATES)


@pytest.fixture
def domain() -> ScrollDomain:
    domain = ScrollDomain()
    domain.reset(np.random.default_rng(1))
    return domain


def torus_distance(a: Cell, b: Cell) -> int:
    deltas = [abs(p - q) for p, q in zip(a, b, strict=True)]
    return sum(min(d, BLOCKS - d) for d in deltas)


@given(CELLS, CELLS)
def test_the_optimum_is_the_manhattan_distance_on_the_torus(a, b):
    path = path_to(ScrollDomain(), a, [b])
    assert len(path) == torus_distance(a, b)


@given(CELLS, st.integers(0, 3))
def test_an_action_is_undone_by_its_inverse(cell, action):
    domain = ScrollDomain()
    undo = domain.action_space.inverses[action]
    assert domain.successor(domain.successor(cell, action), undo) == cell


@given(CELLS, st.integers(0, 3))
def test_executing_ends_where_the_lattice_says_and_scrolls_by_half_steps(cell, action):
    domain = ScrollDomain()
    domain.place(cell)
    before = domain.render()
    halfway, after = domain.execute(action)
    axis, sign = ((0, -1), (0, 1), (1, -1), (1, 1))[action]
    assert domain.node == domain.successor(cell, action)
    assert np.array_equal(after, domain.render())
    for view, shift in ((halfway, STEP // 2), (after, STEP)):
        kept = range(shift, WINDOW) if sign > 0 else range(WINDOW - shift)
        same = range(WINDOW - shift) if sign > 0 else range(shift, WINDOW)
        assert np.array_equal(before.take(kept, axis), view.take(same, axis))


def test_the_window_walks_round_the_torus(domain):
    start, view = domain.node, domain.render()
    for _ in range(BLOCKS):
        domain.execute(3)
    assert domain.node == start
    assert np.array_equal(domain.render(), view)


def test_the_tour_shows_every_block(domain):
    shown = set(domain.segment_parts())
    for action in domain.tour():
        domain.execute(action)
        shown |= set(domain.segment_parts())
    assert len(shown) == BLOCKS**2


def test_blobs_are_counted_pixel_by_pixel(domain):
    for cell in reachable(domain, domain.node):
        domain.place(cell)
        image = domain.render()
        yellow = (image == (255, 255, 0)).all(-1).sum()
        assert domain.segment_objects()["yellow blob"] == yellow


def test_every_frame_of_a_chunk_is_segmented(domain):
    for _ in range(BLOCKS):
        frames = domain.execute(3)
        counts = [c["yellow blob"] for c in domain.segment_chunk()]
        assert counts == [(f == (255, 255, 0)).all(-1).sum() for f in frames]


def test_a_blob_is_found_in_the_middle_of_the_window(domain):
    for cell in domain.found_nodes("red blob"):
        domain.place(cell)
        assert domain.found("red blob")
        middle = domain.render()[STEP:-STEP, STEP:-STEP].reshape(-1, 3)
        assert (middle == (255, 0, 0)).all(-1).sum() == STEP**2
    assert len(domain.found_nodes("red blob")) == 4


def test_a_state_brings_back_layout_and_window(domain):
    state, view = domain.get_state(), domain.render()
    domain.reset(np.random.default_rng(2))
    domain.execute(1)
    domain.set_state(state)
    assert np.array_equal(domain.render(), view)


def test_skipping_the_images_moves_all_the_same(domain):
    expected = domain.successor(domain.node, 2)
    assert domain.execute(2, render=False).shape == (0, *domain.frame_shape)
    assert domain.node == expected


def test_distance_takes_the_short_way_round(domain):
    assert domain.distance(Cell(0, 0), Cell(BLOCKS - 1, 1)) == pytest.approx(2**0.5)


def test_a_foreign_node_is_refused(domain):
    with pytest.raises(TypeError, match=r"must be a Cell, got \(1, 2\)"):
        domain.place((1, 2))
