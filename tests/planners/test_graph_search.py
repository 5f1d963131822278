"""Search over dead-reckoned poses: complete, cheap, and honest about blocking."""

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.rooms.lattice import HUB, NUM_SECTORS, RoomNode, node_pose, successor
from envs.rooms.lattice import MOTIONS as MOTIONS_OF_ROOMS
from planners.graph_search import GraphSearchPlanner
from world_model.core import Context, Goal, Reading
from world_model.memory.none import NoMemory
from world_model.odometry import Odometry
from world_model.phrase_space import PhraseSpace
from world_model.policy_api import Objective
from world_model.toy import DotWorldModel, dot_distance, draw_dot

# Forward is up: the dot never turns.
MOTIONS = ((1.0, 0.0, 0.0), (-1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, -1.0, 0.0))
DEPTH = 6
cells = st.tuples(st.integers(0, 7), st.integers(0, 7))


class Reached(Objective):
    """0 at the goal image, 1 elsewhere: nothing to climb."""

    def __call__(self, rollout, goal):
        views = rollout.latents[:, :, :, -1]
        far = dot_distance(views, goal.images[:, None, None]) > 0
        return far.float()


class Counting(DotWorldModel):
    """A dot that says how it moves, and notes what it was asked to imagine."""

    def __init__(self):
        super().__init__()
        space = self.action_space
        self.action_space = PhraseSpace(space.phrases, space.inverses, motions=MOTIONS)
        self.calls = 0

    def predict(self, context, actions, **options):
        self.calls += actions.numel()
        return super().predict(context, actions, **options)


def plan(starts, goals, **options):
    model = Counting()
    options = {"min_change": 1e-3, "depth": DEPTH, **options}
    planner = GraphSearchPlanner(model, Reached(), **options)
    frames = draw_dot(torch.tensor(starts))[:, None]
    context = Context(torch.zeros(len(starts), 0, dtype=torch.long), frames=frames)
    goal = Goal(("",) * len(goals), draw_dot(torch.tensor(goals)))
    generator = [torch.Generator() for _ in starts]
    return model, planner.plan(context, goal, generator=generator, horizon=9)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(cells, cells), min_size=1, max_size=3))
def test_the_shortest_way_is_found_in_every_episode(pairs):
    starts, goals = zip(*pairs, strict=True)
    _, found = plan(starts, goals)
    images = draw_dot(torch.tensor(starts)), draw_dot(torch.tensor(goals))
    for b, distance in enumerate(dot_distance(*images).tolist()):
        if not 0 < distance <= DEPTH:
            continue
        assert int(found.lengths[b]) == distance
        position = torch.tensor(starts[b])
        for action in found.actions[b, :distance].tolist():
            position = position + DotWorldModel.STEPS[action]
        assert tuple(position.tolist()) == goals[b]
        assert float(found.costs[b]) == pytest.approx(0.02 * distance)


def test_every_place_within_reach_is_imagined_about_once():
    # A corner: 6 actions reach 27 other cells, 4^6 sequences do so.
    model, _ = plan([(0, 0)], [(7, 7)])
    assert 27 <= model.calls <= 4 * 28


def test_blocked_actions_end_their_branch_and_the_width_bounds_the_rest():
    # Believed to have moved, every step over the border would be another place.
    model, _ = plan([(0, 0)], [(7, 7)])
    believing, _ = plan([(0, 0)], [(7, 7)], min_change=-1.0)
    narrow, _ = plan([(0, 0)], [(7, 7)], width=1)
    assert narrow.calls <= 3 * DEPTH + 1 < model.calls < believing.calls


class Knowing(NoMemory):
    """Claims to know the way to the right, two dots of which are alike to it."""

    def read(self, context, actions):
        return Reading(
            frames=context.latents[:, :, -1:],
            frames_valid=actions == 3,
            frames_recalled=True,
        )


class Twice(Reached):
    """0 at the goal image and as much at its mirror image."""

    def __call__(self, rollout, goal):
        mirrored = replace(goal, images=goal.images.flip(-1))
        here, there = (
            super().__call__(rollout, goal),
            super().__call__(rollout, mirrored),
        )
        return torch.minimum(here, there)


@pytest.mark.parametrize(("unknown_cost", "first"), [(0.0, 2), (0.5, 3)])
def test_a_plan_that_ends_in_what_is_known_is_preferred(unknown_cost, first):
    model = Counting()
    planner = GraphSearchPlanner(
        model, Twice(), min_change=1e-3, unknown_cost=unknown_cost
    )
    # The goal is 2 to the right; its mirror image, as good, 1 to the left.
    context = Context(
        torch.zeros(1, 0).long(), frames=draw_dot(torch.tensor([[[4, 3]]]))
    )
    goal = Goal(("",), draw_dot(torch.tensor([[4, 5]])))
    found = planner.plan(
        context, goal, memory=Knowing(), generator=[torch.Generator()], horizon=9
    )
    assert int(found.actions[0, 0]) == first


@given(st.lists(st.integers(0, 3), max_size=8))
def test_turning_in_hexagons_comes_back_to_the_same_place(actions):
    motions = ((0.75, 0, 0), (-0.75, 0, 0), (0, 0, 60), (0, 0, -60))
    undo = [1, 0, 3, 2]
    pose = Odometry()
    for action in [*actions, *(undo[a] for a in reversed(actions))]:
        pose = pose.after(motions[action])
    assert pose.place == Odometry().place
    for _ in range(6):
        pose = pose.after(motions[0]).after(motions[2])
    assert pose.place == Odometry().place
    assert math.hypot(pose.x, pose.y) < 1e-9


@given(st.integers(0, 5), st.integers(0, 2), st.integers(0, 5), st.integers(0, 3))
def test_the_motions_of_rooms_are_those_of_its_lattice(sector, depth, heading, action):
    node = RoomNode(sector if depth else HUB, depth, heading)
    after = successor(node, action, branches=range(NUM_SECTORS))
    if after == node:
        return  # blocked
    poses = [node_pose(n) for n in (node, after)]
    here, there = (Odometry(p.x, p.y, math.degrees(p.yaw)) for p in poses)
    assert here.after(MOTIONS_OF_ROOMS[action]).place == there.place


def test_actions_without_motions_are_refused():
    with pytest.raises(ValueError, match="needs actions that say how they move, got"):
        GraphSearchPlanner(DotWorldModel(), Reached())


def test_many_phrases_are_not_all_told():
    model = DotWorldModel()
    model.action_space = PhraseSpace([f"pick {i}" for i in range(37)])
    with pytest.raises(ValueError, match="got 37 phrases like 'pick 0': use planner"):
        GraphSearchPlanner(model, Reached())
