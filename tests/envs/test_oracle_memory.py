"""The oracle hands over the truth about visited places, and nothing else."""

import torch

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
