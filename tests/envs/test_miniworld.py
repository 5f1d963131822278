"""The `miniworld` domain: MiniWorld agrees with the lattice, niches stay hidden."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from importlib.util import find_spec

import numpy as np
import pytest

if find_spec("miniworld") is None:  # importing it here would open a window
    pytest.skip("needs the extra `miniworld`", allow_module_level=True)

from envs.lattice import reachable  # noqa: E402
from envs.miniworld.domain import MiniWorldDomain  # noqa: E402
from envs.miniworld.lattice import (  # noqa: E402
    FORWARD,
    SPACING,
    TURN_LEFT,
    WALLS,
    Cell,
    MazeNode,
    depth_first,
    has_door,
    headings_at,
    node_pose,
    place_distance,
    wrap,
)
from envs.miniworld.maze import COLOURS, NUM_OBJECTS  # noqa: E402

pytestmark = pytest.mark.sim
SEEDS = (0, 1, 2)


@pytest.fixture(scope="module")
def domain() -> Iterator[MiniWorldDomain]:
    domain = MiniWorldDomain()
    yield domain
    domain.close()


def reset(domain: MiniWorldDomain, seed: int) -> list[MazeNode]:
    domain.reset(np.random.default_rng(seed))
    return reachable(domain, domain.node)


def views(domain: MiniWorldDomain, nodes: list[MazeNode]) -> list[np.ndarray]:
    found = []
    for node in nodes:
        domain.place(node)
        found.append(domain.render())
    return found


def errors(domain: MiniWorldDomain, node: MazeNode) -> tuple[float, float]:
    """Distance [m] and turn [rad] between the real pose and a node."""
    real, ideal = domain.pose, node_pose(node)
    return place_distance(real, ideal), abs(wrap(real.direction - ideal.direction))


@pytest.mark.parametrize("seed", SEEDS)
def test_every_maze_is_a_tree_of_nine_cells_and_eight_headings(domain, seed):
    nodes = reset(domain, seed)
    assert len(nodes) == len(set(nodes)) == 9 * 8
    doors = domain.doors
    assert len(doors) == 8
    assert len(depth_first(nodes[0].cell, doors)) == 9


@pytest.mark.parametrize("seed", SEEDS)
def test_miniworld_follows_the_lattice_without_drift(domain, seed):
    reset(domain, seed)
    rng = np.random.default_rng(seed)
    node = domain.node
    for action in rng.integers(4, size=120).tolist():
        node = domain.successor(node, action)
        domain.execute(action, render=False)
        assert domain.node == node
        assert max(errors(domain, node)) < 1e-9


def test_every_move_from_every_node_ends_where_the_lattice_says(domain):
    for node, action in itertools.product(reset(domain, 3), (0, 1)):
        domain.place(node)
        domain.execute(action, render=False)
        assert max(errors(domain, domain.successor(node, action))) < 1e-9, node


def test_a_blocked_move_really_drives_and_collides(domain):
    nodes = reset(domain, 0)
    objects = {domain.found_nodes(name) for name in domain.objects}
    wall = next(
        node
        for node in nodes
        if node.heading in WALLS
        and domain.successor(node, FORWARD) == node
        and frozenset([node]) not in objects
    )
    domain.place(wall)
    frames = domain.execute(FORWARD)
    # The wall is at 1.5 m, the agent's radius 0.4 m: five steps of 0.2 m and back.
    path = domain._maze.drive(SPACING, 0.0)
    reach = max(place_distance(pose, node_pose(wall)) for pose in path)
    assert reach == pytest.approx(5 * SPACING / 16)
    assert domain.node == wall
    assert not np.array_equal(frames[1], frames[3])
    assert np.array_equal(frames[3], domain.render())


@pytest.mark.parametrize("action", [FORWARD, TURN_LEFT])
def test_execute_gives_a_chunk_of_distinct_frames(domain, action):
    nodes = reset(domain, 0)
    domain.place(next(n for n in nodes if domain.successor(n, FORWARD) != n))
    first = domain.render()
    frames = domain.execute(action)
    assert frames.shape == (domain.chunk_length, *domain.frame_shape)
    assert frames.dtype == np.uint8
    assert np.array_equal(frames[-1], domain.render())
    for a, b in itertools.pairwise([first, *frames]):
        assert not np.array_equal(a, b)
    assert domain.execute(action, render=False).shape == (0, *domain.frame_shape)


@pytest.mark.parametrize("seed", SEEDS)
def test_an_object_is_seen_from_where_it_is_found_and_from_nowhere_else(domain, seed):
    nodes = reset(domain, seed)
    goals = {name: domain.found_nodes(name) for name in domain.objects}
    assert len(goals) == NUM_OBJECTS
    for node in nodes:
        domain.place(node)
        for name, pixels in domain.segment_objects().items():
            at_goal = node in goals[name]
            assert domain.found(name) == at_goal
            assert (pixels > 2 * domain.min_visible_pixels) == at_goal, node
            assert (pixels > 0) == at_goal, node


@pytest.mark.parametrize("seed", SEEDS)
def test_the_segmentation_marks_the_pixels_that_an_object_changes(domain, seed):
    """Independent of the codes: the object is taken away and the view drawn again."""
    reset(domain, seed)
    maze = domain._maze
    for name, thing in zip(domain.objects, maze.things, strict=True):
        (node,) = domain.found_nodes(name)
        domain.place(node)
        marked, before = domain.segment_objects()[name], domain.render()
        maze.entities.remove(thing)
        changed = (before != domain.render()).any(-1).sum()
        maze.entities.append(thing)
        # Smoothed edges belong to both; a hue may agree with what is behind it.
        assert marked <= changed <= 1.3 * marked


@pytest.mark.parametrize("seed", SEEDS)
def test_what_the_first_image_shows_is_seen_from_home_only(domain, seed):
    """Else a glimpse would tell the way home without any memory of the tour."""
    nodes = reset(domain, seed)
    for home in domain.home_nodes():
        domain.place(home)
        here = set(domain.segment_parts())
        assert len(here & set(domain.objects)) == 1
        for node in nodes:
            domain.place(node)
            assert node == home or not here & set(domain.segment_parts()), node


@pytest.mark.parametrize("seed", SEEDS)
def test_the_tour_visits_every_cell_and_shows_every_object(domain, seed):
    reset(domain, seed)
    assert domain.node == domain.home_nodes()[0]
    visited, shown = [domain.node], set()
    for action in domain.tour():
        domain.execute(action)
        visited.append(domain.node)
        shown |= {n for n, pixels in domain.segment_objects().items() if pixels}
    assert {node.cell for node in visited} == {
        node.cell for node in reachable(domain, domain.node)
    }
    assert shown >= set(domain.objects) - {
        n for n in domain.objects if visited[0] in domain.found_nodes(n)
    }
    assert not any(domain.segment_chunk()[-1].values())
    assert len(domain.start_nodes(visited)) == 9 * 8
    assert 25 <= len(visited) <= 60


def test_the_same_seed_gives_the_same_episode(domain):
    def episode(domain: MiniWorldDomain) -> np.ndarray:
        reset(domain, 5)
        return np.concatenate([domain.execute(a) for a in domain.tour()[:6]])

    other = MiniWorldDomain()
    first = episode(other)
    other.close()
    reset(domain, 1)
    domain.execute(0)
    assert np.array_equal(first, episode(domain))


def test_two_simulators_of_a_process_do_not_mix_their_walls(domain):
    """MiniWorld keeps the walls of all its worlds in one display list."""
    reset(domain, 1)
    view, pixels = domain.render(), domain.segment_parts()
    other = MiniWorldDomain()
    reset(other, 2)
    theirs = other.render()
    assert np.array_equal(domain.render(), view)
    assert np.array_equal(other.render(), theirs)
    other.close()
    assert np.array_equal(domain.render(), view)
    assert domain.segment_parts() == pixels


def test_a_state_continues_exactly_after_another_layout(domain):
    reset(domain, 4)
    domain.execute(0)  # bumps into the object in front
    state, view = domain.get_state(), domain.render()
    after = np.concatenate([domain.execute(a) for a in (2, 2, 0, 3, 1)])
    reset(domain, 5)
    domain.set_state(state)
    assert np.array_equal(domain.render(), view)
    again = np.concatenate([domain.execute(a) for a in (2, 2, 0, 3, 1)])
    assert np.array_equal(after, again)


@pytest.mark.parametrize("seed", SEEDS)
def test_no_two_views_of_an_episode_look_alike(domain, seed):
    found = [v.astype(np.float32).ravel() for v in views(domain, reset(domain, seed))]
    difference = [np.abs(a - b).mean() for a, b in itertools.combinations(found, 2)]
    assert min(difference) > 4.0


def test_objects_of_a_layout_have_distinct_colours_and_known_names(domain):
    kinds = set()
    for seed in range(10):
        reset(domain, seed)
        colours = [name.split()[0] for name in domain.objects]
        assert len(set(colours)) == len(colours) == NUM_OBJECTS
        assert set(colours) <= set(COLOURS)
        assert set(domain.objects) <= set(domain.vocabulary)
        kinds |= {name.split()[1] for name in domain.objects}
    assert kinds == {"ball", "box", "key"}


@pytest.mark.parametrize(
    ("offset", "direction"),
    [((0.0, 0.0, 45.0), TURN_LEFT), ((SPACING, 0.0, 0.0), FORWARD)],
)
def test_a_shifted_look_shows_what_is_seen_from_there(domain, offset, direction):
    nodes = [n for n in reset(domain, 0) if domain.successor(n, direction) != n]
    for node in nodes[:8]:
        domain.place(domain.successor(node, direction))
        there = domain.render().astype(int)
        domain.place(node)
        domain.look_offset = offset
        looked = domain.render()
        domain.look_offset = (0.0, 0.0, 0.0)
        assert domain.is_at(node)
        assert np.abs(looked - there).mean() < 0.5


def test_a_look_to_the_left_is_taken_from_the_left(domain):
    """Along heading 0, which is MiniWorld's x, left is against its z."""
    reset(domain, 0)
    pose = node_pose(MazeNode(1, 1, 0))
    domain._maze.pose = pose._replace(z=pose.z - 0.5)
    there = domain.render()
    domain._maze.pose = pose
    domain.look_offset = (0.0, 0.5, 0.0)
    looked = domain.render()
    domain.look_offset = (0.0, 0.0, 0.0)
    assert np.array_equal(looked, there)


def test_is_at_and_distance(domain):
    reset(domain, 0)
    home = domain.home_nodes()[0]
    domain.place(home)
    assert domain.is_at(home)
    assert not domain.is_at(home._replace(heading=(home.heading + 1) % 8))
    assert not domain.is_at(home._replace(column=(home.column + 1) % 3))
    a, b = MazeNode(0, 0, 1), MazeNode(2, 2, 3)
    assert domain.distance(a, b) == pytest.approx(2 * SPACING * math.sqrt(2))


def test_objects_stand_where_no_door_looks(domain):
    for seed in range(10):
        reset(domain, seed)
        for home in domain.home_nodes():
            ahead, behind = home.heading, (home.heading + 4) % 8
            assert not has_door(home.cell, ahead, domain.doors)
            assert not has_door(home.cell, behind, domain.doors)


def test_a_foreign_node_and_an_unknown_object_are_refused(domain):
    with pytest.raises(TypeError, match=r"must be a MazeNode, got \(1, 2\)"):
        domain.place((1, 2))
    with pytest.raises(ValueError, match="`name` must be an object of the layout"):
        domain.found("pink elephant")


def test_headings_of_a_cell_face_all_round():
    headings = [node.heading for node in headings_at(Cell(0, 0))]
    assert headings == list(range(8))
