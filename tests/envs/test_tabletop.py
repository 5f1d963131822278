"""The `tabletop` domain: real grasps, visible cubes, no memory in the arm."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from envs.tabletop import library
from envs.tabletop.arrangement import HAND, spot_place
from envs.tabletop.domain import TabletopDomain
from envs.tabletop.errands import errand
from envs.tabletop.grid import (
    CELLS,
    CUBES,
    NUM_CUPS,
    SLOT_ROW,
    TOLERANCE,
    Cell,
    cell_place,
    slot_place,
)
from envs.tabletop.layout import Layout, draw_restore_cubes, draw_shell_game
from envs.tabletop.places import check_places
from envs.tabletop.vocabulary import ACTION_SPACE
from world_model.errors import told_in_one_line

pytestmark = pytest.mark.sim

MIN_CUBE_PIXELS = 7
RED = "red cube"


@pytest.fixture(scope="module")
def domain() -> Iterator[TabletopDomain]:
    domain = TabletopDomain()
    yield domain
    domain.close()


def alone(place: tuple[float, float]) -> Layout:
    return Layout({RED: (place, 0.0)})


def does(domain: TabletopDomain, *phrases: str) -> list[np.ndarray]:
    return [domain.execute(ACTION_SPACE.phrases.index(phrase)) for phrase in phrases]


def middle(mask: np.ndarray) -> np.ndarray:
    return np.argwhere(mask).mean(0)


@pytest.mark.parametrize("cell", CELLS)
def test_a_cube_spans_seven_pixels_on_every_cell(domain, cell):
    domain.start(alone(cell_place(cell)))
    rows, columns = np.nonzero(domain.segment(RED))
    assert np.ptp(rows) + 1 >= MIN_CUBE_PIXELS
    assert np.ptp(columns) + 1 >= MIN_CUBE_PIXELS


def test_what_stays_is_drawn_once_and_what_moves_anew(domain):
    domain.start(alone(cell_place(CELLS[7])))
    here = domain.render()
    misses = domain._drawn.cache_info().misses
    (still,) = does(domain, "lower the cup")
    assert (still == here).all()
    here[:] = 0  # nobody else's image
    assert domain._drawn.cache_info().misses == misses
    domain.start(alone(cell_place(CELLS[8])))
    red, state = domain.render(), domain.get_state()
    assert not (red == still[0]).all()
    domain.start(Layout({"blue cube": (cell_place(CELLS[8]), 0.0)}))
    assert not (domain.render() == red).all()
    domain.set_state(state)
    assert (domain.render() == red).all()


def test_a_cube_below_a_lifted_cup_would_span_seven_pixels_on_every_slot(domain):
    for slot in range(NUM_CUPS):
        domain.start(alone(slot_place(slot)))
        rows, columns = np.nonzero(domain.segment(RED))
        assert min(np.ptp(rows), np.ptp(columns)) + 1 >= MIN_CUBE_PIXELS


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("cell", [Cell(1, 1), Cell(1, 3), Cell(4, 5)])
def test_the_tolerance_is_two_pixels(domain, cell, axis):
    place = cell_place(cell)
    seen = []
    for shift in (-TOLERANCE / 2, TOLERANCE / 2):
        moved = list(place)
        moved[axis] += shift
        domain.start(alone((moved[0], moved[1])))
        seen.append(middle(domain.segment(RED)))
    assert np.linalg.norm(seen[1] - seen[0]) >= 2


def test_the_grid_is_seen_as_it_is_named(domain):
    domain.start(alone(cell_place(Cell(1, 1))))
    row, column = middle(domain.segment(RED))
    domain.start(alone(cell_place(Cell(4, 1))))
    assert middle(domain.segment(RED))[0] > row
    domain.start(alone(cell_place(Cell(1, 5))))
    assert middle(domain.segment(RED))[1] > column


def test_pick_and_place_is_precise_and_shown(domain):
    domain.start(Layout({RED: (cell_place(Cell(2, 2)), 0.1)}))
    picked, placed = does(domain, "pick up the red cube", "place it at row 4, column 5")
    assert picked.shape == placed.shape == (6, 64, 64, 3)
    assert len({frame.tobytes() for frame in (*picked, *placed)}) == 12
    assert np.array_equal(placed[-1], domain.render())
    x, y, height = domain.position(RED)
    assert np.hypot(*np.subtract((x, y), cell_place(Cell(4, 5)))) < 0.005
    assert height == pytest.approx(0.02, abs=0.001)
    assert domain.held is None


def test_a_held_cube_is_visible(domain):
    domain.start(alone(cell_place(Cell(3, 3))))
    does(domain, "pick up the red cube")
    assert domain.held == RED
    assert domain.found(RED)
    assert domain.segment_objects()[RED] >= domain.min_visible_pixels


def test_a_failed_grasp_is_a_failure(domain):
    domain.start(alone(cell_place(Cell(3, 3))))
    before, friction = domain.position(RED), domain._model.geom_friction.copy()
    domain._model.geom_friction[:, 0] = 1e-4  # everything is oiled
    try:
        does(domain, "pick up the red cube")
    finally:
        domain._model.geom_friction[:] = friction
    assert domain.held is None
    assert domain.position(RED)[2] == pytest.approx(before[2], abs=0.002)
    lies = domain.position(RED)
    does(domain, "place it at row 1, column 1")
    assert np.allclose(domain.position(RED), lies, atol=1e-4)


@pytest.mark.parametrize(
    "phrase",
    [
        "pick up the blue cube",
        "place it at row 1, column 1",
        "lower the cup",
        "lift the first cup",
        "swap the first and second cups",
        "cover the red cube",
    ],
)
def test_what_makes_no_sense_now_does_nothing(domain, phrase):
    domain.start(alone(cell_place(Cell(3, 3))))
    view, node = domain.render(), domain.node
    (frames,) = does(domain, phrase)
    assert (frames == view).all()
    assert domain.node == node
    assert domain.successor(node, ACTION_SPACE.phrases.index(phrase)) == node


def test_a_covered_cube_is_hidden_and_moves_with_its_cup(domain):
    layout = draw_shell_game(np.random.default_rng(1))
    domain.start(layout)
    node = domain.node
    for action in layout.tour[: len(CUBES) + 1]:
        domain.execute(action)
        node = domain.successor(node, action)
        assert domain.node == node
    assert not any(domain.segment_objects().values())
    for cube in CUBES:
        assert domain.covering(cube)
        assert domain.position(cube)[0] == pytest.approx(SLOT_ROW, abs=0.01)


def test_only_lifted_cups_uncover(domain):
    lift, pick = map(
        ACTION_SPACE.phrases.index, ("lift the first cup", "pick up the red cube")
    )
    domain.start(draw_shell_game(np.random.default_rng(1)))
    assert domain.uncovers(lift)
    assert not domain.uncovers(pick)
    domain.start(draw_restore_cubes(np.random.default_rng(1)))
    assert not domain.uncovers(lift)  # there is none


@pytest.mark.parametrize(
    ("draw", "then"),
    [
        (draw_restore_cubes, ()),
        (draw_shell_game, ("lift the second cup", "lower the cup")),
    ],
)
def test_a_fresh_arm_continues_every_episode_in_the_same_way(domain, draw, then):
    """Wipes all that is not physics, the controller included, before each primitive."""
    other = TabletopDomain()
    layout = draw(np.random.default_rng(0))
    domain.start(layout)
    for action in (*layout.tour, *map(ACTION_SPACE.phrases.index, then)):
        other.set_state(domain.get_state())
        # An arm that has just done something else would act on what it remembers.
        robot = other._simulation.robots[0]
        robot.composite_controller.reset()
        assert np.array_equal(domain.execute(action), other.execute(action))
        assert np.array_equal(domain.get_state().physics, other.get_state().physics)
    other.close()


def test_states_bring_everything_back(domain):
    domain.start(draw_restore_cubes(np.random.default_rng(0)))
    (action, *_) = domain.tour()
    state, view = domain.get_state(), domain.render()
    frames = domain.execute(action)
    domain.start(draw_shell_game(np.random.default_rng(0)))
    domain.set_state(state)
    assert np.array_equal(domain.render(), view)
    assert len(domain.history) == 1
    assert np.array_equal(domain.execute(action), frames)
    assert len(domain.history) == 2


def test_the_longest_primitive_takes_at_most_3000_steps_of_physics(domain):
    layout = draw_shell_game(np.random.default_rng(1))
    domain.start(layout)
    for action in layout.tour:
        before = domain.get_state().physics[0]  # MuJoCo's time [s]
        domain.execute(action)
        assert domain.get_state().physics[0] - before <= 3000 * 0.004


def test_phrases_name_what_is_there_and_nothing_past():
    past = {"back", "again", "former", "previous", "started", "return", "was", "old"}
    words = {word for phrase in ACTION_SPACE.phrases for word in phrase.split()}
    assert not words & past
    assert len(set(ACTION_SPACE.phrases)) == int(ACTION_SPACE.n) == 37


def test_errands_make_sense(domain):
    rng = np.random.default_rng(0)
    for seed in range(20):
        domain.reset(np.random.default_rng(seed))
        assert domain.successor(domain.node, errand(domain.node, rng)[0]) != domain.node


def test_objects_in_the_hand_cannot_be_laid_out():
    with pytest.raises(ValueError, match="spot on the table is needed, got the hand"):
        spot_place(HAND)


def test_places_that_the_fingers_cannot_reach_are_refused(domain):
    rule = "Objects must lie where the fingers reach, x in .-0.2, 0.2. m and y in "
    with pytest.raises(ValueError, match=rule + ".*, got the red cube at .0.3, 0.: mo"):
        domain.start(alone((0.3, 0.0)))
    two = Layout({RED: ((0.0, 0.0), 0.0), "blue cube": ((0.0, 0.03), 0.0)})
    rule = "at least 0.04 m apart, got the red cube and the blue cube 0.030 m apart: m"
    with pytest.raises(ValueError, match=rule):
        domain.start(two)


@pytest.mark.parametrize(
    ("one", "other", "least"),
    [
        ("red cube", "blue cube", 0.04),
        ("cup 0", "cup 1", 0.056),
        ("cup 0", "red cube", 0.048),
    ],
)
def test_objects_are_as_far_apart_as_they_are_wide(one, other, least):
    check_places({one: (0.0, 0.0), other: (0.0, least + 1e-6)})
    with pytest.raises(ValueError, match=f"at least {least} m apart, got the {one} a"):
        check_places({one: (0.0, 0.0), other: (0.0, least - 0.001)})


def test_a_cup_may_stand_over_a_cube():
    check_places({"cup 0": (0.0, 0.0), RED: (0.0, 0.005)})
    with pytest.raises(ValueError, match="the cup 0 and the red cube 0.006 m apart"):
        check_places({"cup 0": (0.0, 0.0), RED: (0.0, 0.006)})


def test_what_the_machine_lacks_is_told_in_one_line():
    rule = "^error: `domain=tabletop` needs MuJoCo 3.3 to 3.8, got 3.2.7: run `make se"
    with pytest.raises(SystemExit, match=rule), told_in_one_line():
        library.check_mujoco("3.2.7")


def test_another_robosuite_is_named():
    with pytest.raises(RuntimeError, match="needs robosuite 1.5.2, got 1.5.1: run `m"):
        library.check_robosuite("1.5.1")


@pytest.mark.parametrize("version", ["3.2.7", "3.10.0", "4.0.0"])
def test_a_wrong_mujoco_is_named(version):
    with pytest.raises(
        RuntimeError, match=f"needs MuJoCo 3.3 to 3.8, got {version}: run `make setup`"
    ):
        library.check_mujoco(version)


def test_a_missing_robosuite_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "robosuite.models.tasks", None)
    spec = importlib.util.spec_from_file_location("again", Path(library.__file__))
    assert spec is not None
    assert spec.loader is not None
    with pytest.raises(
        RuntimeError, match=r"needs robosuite 1\.5\.2, got .*: run `make setup`"
    ):
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
