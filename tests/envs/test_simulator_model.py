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
from envs.tabletop.grid import CELLS, Cell
from envs.tabletop.layout import draw_restore_cubes
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
    view, cube = to_model(domain.render()), layout.roles[0]
    state = domain.get_state()
    context = Context(torch.zeros(1, 0).long(), view[None, None], state=(state,))
    model = SimulatorModel("tabletop")
    said = [f"put the {cube} at row 1, column 1", f"the {cube} belongs at my place"]
    goal, nonsense = model.goal_numbers(said).tolist()
    pick, place = GOALS[said[0]]
    actions = torch.tensor([[[goal] * 3, [pick, place, goal], [nonsense] * 3]])
    found = model.rollout(context, actions, generator=[torch.Generator()])
    told, done, rested = found.latents[0, :, :, -1]
    assert torch.equal(told, done)
    assert torch.equal(told[1], told[2])
    assert not torch.equal(told[0], told[1])
    assert torch.equal(rested, view.expand_as(rested))
    domain.set_state(found.states[0][0])
    assert dict(domain.node)[cube] == Spot("cell", CELLS.index(Cell(1, 1)))
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
