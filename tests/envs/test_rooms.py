"""The `rooms` domain: physics agrees with the lattice, hidden things stay hidden."""

from __future__ import annotations

import dataclasses
import itertools
import math
import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest

from envs.rooms.domain import RoomsDomain
from envs.rooms.lattice import HUB, RoomNode, node_pose, place_distance, wrap
from envs.rooms.layout import Layout, draw_layout
from envs.rooms.robot import MAX_SUBSTEPS

SEEDS = (0, 1, 2)


@pytest.fixture(scope="module")
def domain() -> Iterator[RoomsDomain]:
    domain = RoomsDomain()
    yield domain
    domain.close()


def reset(domain: RoomsDomain, seed: int) -> Layout:
    domain.reset(np.random.default_rng(seed))
    return domain.layout


def nodes(layout: Layout, depths: tuple[int, ...] = (0, 1, 2)) -> list[RoomNode]:
    places = [(HUB, 0)] + [(s, d) for s in layout.sectors for d in (1, 2)]
    return [RoomNode(s, d, h) for s, d in places if d in depths for h in range(6)]


def errors(domain: RoomsDomain, node: RoomNode) -> tuple[float, float]:
    """Distance [m] and turn [deg] between the real pose and a node."""
    real, ideal = domain.pose, node_pose(node)
    return place_distance(real, ideal), abs(math.degrees(wrap(real.yaw - ideal.yaw)))


@pytest.mark.parametrize("seed", SEEDS)
def test_physics_follows_the_lattice_without_drift(
    domain: RoomsDomain, seed: int
) -> None:
    reset(domain, seed)
    rng = np.random.default_rng(seed)
    node = domain.node
    for action in rng.integers(4, size=120).tolist():
        node = domain.successor(node, action)
        domain.execute(action, render=False)
        distance, turn = errors(domain, node)
        assert domain.node == node
        assert distance < 0.03
        assert turn < 2.0


def test_every_move_from_every_node_ends_where_the_lattice_says(
    domain: RoomsDomain,
) -> None:
    layout = reset(domain, 3)
    for node, action in itertools.product(nodes(layout), (0, 1)):
        domain.place(node)
        domain.execute(action, render=False)
        distance, turn = errors(domain, domain.successor(node, action))
        assert distance < 0.03, (node, action)
        assert turn < 2.0, (node, action)


def test_a_blocked_move_really_drives_and_collides(domain: RoomsDomain) -> None:
    layout = reset(domain, 0)
    blank = next(s for s in range(6) if s not in layout.sectors)
    domain.place(RoomNode(HUB, 0, blank))
    start = domain.pose
    path = domain._driver.drive(node_pose(RoomNode(blank, 1, blank)), start)
    reach = np.linalg.norm(path[:, :2], axis=1).max()
    assert 0.45 < reach < 0.50  # the wall is at 0.60 m, the robot's radius 0.12 m
    assert len(path) < MAX_SUBSTEPS
    assert domain.node == RoomNode(HUB, 0, blank)


def test_execute_gives_a_chunk_of_distinct_frames(domain: RoomsDomain) -> None:
    reset(domain, 0)
    first = domain.render()
    frames = domain.execute(0 if domain.node.heading else 2)
    assert frames.shape == (domain.chunk_length, *domain.frame_shape)
    assert frames.dtype == np.uint8
    assert np.array_equal(frames[-1], domain.render())
    for a, b in itertools.pairwise([first, *frames]):
        assert not np.array_equal(a, b)
    assert domain.execute(2, render=False).shape == (0, *domain.frame_shape)


@pytest.mark.parametrize("seed", range(12))
def test_objects_are_hidden_from_hub_and_tunnels(
    domain: RoomsDomain, seed: int
) -> None:
    layout = reset(domain, seed)
    for node in nodes(layout, depths=(0, 1)):
        domain.place(node)
        assert not any(domain.segment_objects().values()), node


@pytest.mark.parametrize("seed", range(12))
def test_objects_are_large_where_they_are_found(domain: RoomsDomain, seed: int) -> None:
    layout = reset(domain, seed)
    for branch in layout.branches:
        assert domain.found_nodes(branch.name) == {branch.view_node}
        domain.place(branch.view_node)
        assert domain.segment_objects()[branch.name] > 80
        assert domain.found(branch.name)
        domain.place(branch.view_node._replace(heading=branch.sector))
        assert not domain.found(branch.name)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_tour_shows_every_object_and_ends_in_the_hub(
    domain: RoomsDomain, seed: int
) -> None:
    layout = reset(domain, seed)
    found = {name for name in domain.objects if domain.found(name)}
    assert len(found) == 1
    assert domain.node == layout.home
    visited = [domain.node]
    for action in domain.tour():
        domain.execute(action, render=False)
        visited.append(domain.node)
        found |= {name for name in domain.objects if domain.found(name)}
    assert found == set(domain.objects)
    assert visited[-1].sector == HUB
    assert len(domain.start_nodes(visited)) == 5 * 6
    assert 22 <= len(domain.tour()) <= 28


def test_the_same_seed_gives_the_same_episode() -> None:
    def episode() -> np.ndarray:
        domain = RoomsDomain()
        reset(domain, 5)
        frames = np.concatenate([domain.execute(a) for a in domain.tour()[:4]])
        domain.close()
        return frames

    assert np.array_equal(episode(), episode())


def test_an_episode_does_not_depend_on_those_before_it(domain: RoomsDomain) -> None:
    reset(domain, 1)
    first = np.concatenate([domain.execute(a) for a in (2, 0, 1)])
    reset(domain, 2)
    domain.execute(0)
    reset(domain, 1)
    again = np.concatenate([domain.execute(a) for a in (2, 0, 1)])
    assert np.array_equal(first, again)


def test_a_state_continues_exactly_after_another_layout(domain: RoomsDomain) -> None:
    reset(domain, 4)
    domain.execute(0)  # bumps into the object in front
    state, view = domain.get_state(), domain.render()
    after = np.concatenate([domain.execute(a) for a in (0, 3, 1)])
    reset(domain, 5)
    domain.set_state(state)
    assert np.array_equal(domain.render(), view)
    again = np.concatenate([domain.execute(a) for a in (0, 3, 1)])
    assert np.array_equal(after, again)


@pytest.mark.parametrize("seed", range(6))
def test_no_two_views_of_an_episode_look_alike(domain: RoomsDomain, seed: int) -> None:
    views = []
    for node in nodes(reset(domain, seed)):
        domain.place(node)
        views.append(domain.render().astype(np.float32).ravel())
    difference = [np.abs(a - b).mean() for a, b in itertools.combinations(views, 2)]
    assert min(difference) > 5.0


def test_hub_and_tunnels_do_not_show_which_object_is_where(
    domain: RoomsDomain,
) -> None:
    layout = reset(domain, 6)
    state = domain.get_state()
    names = [branch.colour for branch in layout.branches]
    swapped = dataclasses.replace(
        layout,
        branches=tuple(
            dataclasses.replace(branch, colour=name)
            for branch, name in zip(layout.branches, names[1:] + names[:1], strict=True)
        ),
    )
    for node in nodes(layout, depths=(0, 1)):
        domain.set_state(state)
        domain.place(node)
        view = domain.render()
        domain.set_state(dataclasses.replace(domain.get_state(), layout=swapped))
        assert np.array_equal(domain.render(), view), node


def test_colours_do_not_tell_which_object_a_chamber_holds() -> None:
    rng = np.random.default_rng(0)
    tables: dict[str, list[tuple[float, ...]]] = {}
    for _ in range(400):
        layout = draw_layout(rng)
        for branch in layout.branches:
            surfaces = ("hub_wall", "door", "chamber_floor")
            colours = [layout.colours[f"{branch.sector}/{name}"] for name in surfaces]
            tables.setdefault(branch.colour, []).append(tuple(np.ravel(colours)))
    means = np.array([np.mean(rows, axis=0) for rows in tables.values()])
    assert np.ptp(means, axis=0).max() < 0.08  # noise of a mean of 270: about 0.03


def test_objects_of_a_layout_have_distinct_colours_and_known_names() -> None:
    for seed in range(50):
        branches = draw_layout(np.random.default_rng(seed)).branches
        assert len({b.colour for b in branches}) == len(branches) == 4
        assert {b.name for b in branches} <= set(RoomsDomain.vocabulary)
        assert len({b.sector for b in branches}) == 4


def test_depth_and_camera_pose_agree_with_the_geometry(domain: RoomsDomain) -> None:
    layout = reset(domain, 0)
    blank = next(s for s in range(6) if s not in layout.sectors)
    domain.place(RoomNode(HUB, 0, blank))
    depth = domain.depth()
    position, rotation = domain.camera_pose()
    assert depth.shape == domain.frame_shape[:2]
    assert depth.dtype == np.float32
    assert depth[30:34, 30:34] == pytest.approx(0.59, abs=0.02)
    assert position == pytest.approx([0.0, 0.0, 0.35], abs=0.01)
    assert -rotation[:, 2] == pytest.approx(
        [math.cos(math.pi / 3 * blank), math.sin(math.pi / 3 * blank), 0.0], abs=0.02
    )
    assert domain.focal_length_px == pytest.approx(32.0)


def test_is_at_and_distance(domain: RoomsDomain) -> None:
    home = reset(domain, 0).home
    assert domain.is_at(home)
    assert not domain.is_at(home._replace(heading=(home.heading + 1) % 6))
    assert not domain.is_at(home._replace(depth=1))
    assert domain.distance(home, RoomNode(HUB, 0, 0)) == pytest.approx(1.5)


def test_a_missing_backend_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    from envs import gl

    def fail(*args: object, **kwargs: object) -> None:
        raise ImportError("no EGL device")

    monkeypatch.setattr(gl.mujoco, "Renderer", fail)
    domain = RoomsDomain()
    with pytest.raises(RuntimeError, match="MUJOCO_GL=.*libosmesa6"):
        domain.render()


def test_a_backend_that_was_chosen_too_late_is_told(monkeypatch) -> None:
    from envs import gl

    def fail(*args: object, **kwargs: object) -> None:
        raise ImportError("no display")

    monkeypatch.setattr(gl.mujoco, "Renderer", fail)
    taken = type("GLContext", (), {"__module__": "mujoco.glfw"})
    monkeypatch.setattr(gl.mujoco, "GLContext", taken)
    monkeypatch.setenv("MUJOCO_GL", "egl")
    rule = "'egl' must be set before mujoco is imported, which took mujoco.glfw .no dis"
    with pytest.raises(RuntimeError, match=rule):
        RoomsDomain().render()


def test_a_script_that_closes_nothing_ends_in_silence() -> None:
    code = "import gymnasium, envs\nenv = gymnasium.make('SlowFast/RoomsFindSeen-v0')\n"
    command = [sys.executable, "-c", f"{code}env.reset(seed=0)"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
