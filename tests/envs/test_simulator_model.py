"""The true simulator as a world model."""

from __future__ import annotations

import copy

import joblib
import numpy as np
import pytest
import torch

from envs.domains import make_domain
from envs.simulator_model import SimulatorModel
from envs.tabletop.layout import draw_restore_cubes
from envs.tabletop.vocabulary import Primitive, action
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
