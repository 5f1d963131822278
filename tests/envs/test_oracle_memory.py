"""The oracle hands over the truth about visited places, and nothing else."""

import numpy as np
import pytest
import torch

from envs.domains import make_domain
from envs.memory_task_env import MemoryTaskEnv
from envs.oracle_memory import OracleMemory
from envs.simulator_model import SimulatorModel
from world_model.core import Chunk, Context
from world_model.frames import to_model


def test_it_knows_every_place_of_the_tour_and_no_other():
    env = MemoryTaskEnv("scroll", "find_seen", "val")
    env.reset(seed=0)
    memory = OracleMemory(SimulatorModel("scroll"), domain="scroll")
    memory.reset(1, seeds=(0,))
    before = env.tour_summary.first_image
    for step, state in zip(env.tour, env.tour_states, strict=True):
        memory.write(
            Chunk(
                context=Context(torch.zeros(1, 0).long(), to_model(before)[None, None]),
                actions=torch.tensor([step.action]),
                frames=to_model(step.frames)[None],
                active=torch.tensor([True]),
                state=(state,),
            )
        )
        before = step.frames[-1]
    domain, visited = env.domain, set(env.tour_summary.nodes)
    actions = torch.arange(int(domain.action_space.n))[None]
    asked = set()
    for node in visited:
        domain.place(node)
        context = Context(
            torch.zeros(1, 4, 0).long(),
            latents=to_model(domain.render()).expand(1, 4, 1, -1, -1, -1),
            imagined=torch.zeros(1, 4, 0).long(),
            state=(domain.get_state(),),
        )
        reading = memory.read(context, actions)
        assert reading.frames_recalled
        for action in range(4):
            end = domain.successor(node, action)
            assert bool(reading.frames_valid[0, action]) == (end in visited)
            if end in visited:
                domain.place(end)
                truth = to_model(domain.render())
                assert torch.equal(reading.frames[0, action, 0], truth)
                asked.add(end)
    assert env.tour_summary.nodes[0] in asked


@pytest.mark.sim
def test_a_blocked_move_tells_of_no_other_place():
    domain = make_domain("rooms")
    memory = OracleMemory(SimulatorModel("rooms"), domain="rooms")
    domain.reset(np.random.default_rng(0))
    node, first = domain.node, domain.render()
    action = next(a for a in range(2) if domain.successor(node, a) == node)
    memory.reset(1, seeds=(0,))
    memory.write(
        Chunk(
            context=Context(torch.zeros(1, 0).long(), to_model(first)[None, None]),
            actions=torch.tensor([action]),
            frames=to_model(domain.execute(action))[None],
            active=torch.tensor([True]),
            state=(domain.get_state(),),
        )
    )
    assert set(memory._visited[0]) == {node}
    domain.close()
