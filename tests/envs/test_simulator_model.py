"""The true simulator as a world model."""

from __future__ import annotations

import copy

import joblib
import numpy as np
import pytest
import torch

from envs.domains import make_domain
from envs.lattice import path_to
from envs.simulator_model import SimulatorModel
from envs.tabletop.arrangement import Spot
from envs.tabletop.grid import CELLS, Cell, cell_place
from envs.tabletop.layout import Layout, draw_restore_cubes
from envs.tabletop.vocabulary import GOALS, Primitive, action
from world_model.core import Context
from world_model.frames import to_model

LOWER, LIFT = action(Primitive("lower")), action(Primitive("lift", cups=(0,)))


@pytest.mark.sim
def test_what_an_action_does_in_a_state_is_simulated_once_where_it_is_slow():
    domain = make_domain("tabletop")
    layout = draw_restore_cubes(np.random.default_rng(0))
    domain.start(layout)
    state = domain.get_state()
    before = copy.deepcopy(state)
    view = to_model(domain.render())
    context = Context(torch.zeros(1, 0).long(), view[None, None], state=(state,))
    model, executed = SimulatorModel("tabletop"), []
    execute = model.simulator.execute

    def counted(index, **options):
        executed.append(index)
        return execute(index, **options)

    model.simulator.execute = counted
    # Two ways to the same state: there is no cup to lower or to lift.
    pick = action(Primitive("pick", cube=layout.roles[0]))
    actions = torch.tensor([[[LOWER, pick], [LIFT, pick]]])
    noise = [torch.Generator()]
    first = model.rollout(context, actions, generator=noise)
    again = model.rollout(context, actions, generator=noise)
    assert sorted(executed) == sorted([LOWER, LIFT, pick])
    fresh = SimulatorModel("tabletop").rollout(context, actions[:, 1:], generator=noise)
    assert torch.equal(first.latents, again.latents)
    assert torch.equal(first.latents[:, 1:], fresh.latents)
    assert joblib.hash(state) == joblib.hash(before)
    domain.close()


@pytest.mark.sim
def test_told_a_goal_it_picks_the_cube_up_and_places_it_then_rests():
    domain = make_domain("tabletop")
    layout = draw_restore_cubes(np.random.default_rng(0))
    domain.start(layout)
    view, state = to_model(domain.render()), domain.get_state()
    frames = view[None, None].expand(2, -1, -1, -1, -1)
    context = Context(torch.zeros(2, 0).long(), frames, state=(state, state))
    model = SimulatorModel("tabletop")
    said = [f"put the {cube} at row 1, column 1" for cube in layout.roles]
    # Told one after the other; numbers stay what they are.
    nonsense, first = model.goal_numbers(["the cube belongs at my place", said[0]])
    first, second = model.goal_numbers(said).tolist()
    rows = [
        [[goal] * 3, [*GOALS[words], goal], [int(nonsense)] * 3]
        for goal, words in zip((first, second), said, strict=True)
    ]
    found = model.rollout(
        context, torch.tensor(rows), generator=[torch.Generator()] * 2, all_frames=True
    )
    assert found.latents.shape[3] == domain.chunk_length
    for (told, done, rested), states, cube in zip(
        found.latents, found.states, layout.roles, strict=True
    ):
        assert torch.equal(told, done)
        assert torch.equal(told[1, -1], told[2, -1])
        assert not torch.equal(told[0, -1], told[1, -1])
        assert torch.equal(rested, view.expand_as(rested))
        domain.set_state(states[0])
        assert dict(domain.node)[cube] == Spot("cell", CELLS.index(Cell(1, 1)))
    domain.close()


@pytest.mark.sim
def test_the_table_goes_to_goals_that_can_be_reached_until_they_are():
    domain = make_domain("tabletop")
    said = "put the red cube at row 1, column 1"
    pick, place = GOALS[said]
    x, y = cell_place(Cell(1, 1))
    domain.start(Layout({"red cube": ((x + 0.03, y), 0.0)}))
    assert domain.toward(said) == pick  # its node is the cell, but it lies beside it
    domain.start(Layout({"red cube": ((x + 0.01, y), 0.0)}))
    assert domain.toward(said) is None
    starts = {"red cube": ((0.0, 0.0), 0.0), "blue cube": ((x, y), 0.0)}
    domain.start(Layout(starts))
    assert domain.toward(said) is None  # the cell is taken
    assert domain.toward("put the yellow cube at row 4, column 1") is None
    domain.execute(GOALS["put the blue cube at row 1, column 1"][0])
    assert domain.toward(said) is None  # the hand is full
    assert domain.toward("put the blue cube at row 1, column 1") == place
    domain.close()


def test_a_domain_goes_the_shortest_way_to_an_object_that_words_name():
    domain = make_domain("scroll")
    domain.reset(np.random.default_rng(0))
    name = domain.objects[-1]
    goals = domain.found_nodes(name)
    way = path_to(domain, domain.node, goals)
    assert way
    for left in range(len(way), 0, -1):
        assert len(path_to(domain, domain.node, goals)) == left
        domain.execute(domain.toward(f"go to the {name}"))
    assert domain.found(name)
    assert domain.toward(f"go to the {name}") is None
    assert domain.toward("go to the exit") is None


def test_vectors_reach_no_goal_in_words():
    text = "`goal_numbers` needs actions that are phrases, got Box"
    with pytest.raises(ValueError, match=text):
        SimulatorModel("point").goal_numbers(["go there"])
