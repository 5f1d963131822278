"""Reference policies of `tabletop`: the expert, and the expert of mean starts."""

from __future__ import annotations

from functools import cache

import numpy as np

from envs.domains import make_domain
from envs.reference.base import ReferencePolicy
from envs.splits import episode_rng
from envs.tabletop.believer import Believer, with_starts
from envs.tabletop.challenges import RestoreFirst, TableChallenge, table
from envs.tabletop.grid import Point, cell_place
from envs.tabletop.layout import START_CELLS, Layout
from envs.tabletop.tasks import TableTask
from envs.tasks import check_fits, find_task
from world_model.policy_api import Observation

_NUM_TRAINING_LAYOUTS = 1000


class ExpertPolicy(ReferencePolicy):
    """Knows the simulator's state, past included, and plans the fewest primitives.

    It shows that a task can be solved on real physics; it is no floor.

    Args:
        domain: "tabletop".
        task: One of its tasks.
    """

    privileged: bool = True

    def __init__(self, *, domain: str, task: str) -> None:
        super().__init__(domain=domain, task=task)
        kind = find_task(task)
        self.simulator = make_domain(domain)
        check_fits(kind, type(self.simulator))
        if not isinstance(kind, TableTask):
            raise ValueError(
                f"`{type(self).__name__}` needs a task of the table, got {task}: "
                "choose another planner."
            )
        self.kind = kind

    def act_alone(self, obs: Observation, index: int) -> int:
        """See `ReferencePolicy.act_alone`.

        Raises:
            ValueError: If the states are withheld.
        """
        self.simulator.set_state(self.state_of(obs, index, type(self).__name__))
        layout = self.believe(table(self.simulator).layout)
        challenge = self.challenge(obs.goal.instructions[index], layout)
        believer = Believer(table(self.simulator), challenge, [layout])
        return believer.act(self.simulator.node)

    def believe(self, layout: Layout) -> Layout:
        """What it takes for the layout."""
        return layout

    def challenge(self, instruction: str, layout: Layout) -> TableChallenge:
        """What it tries to do."""
        return self.kind.parse(instruction, layout)


class MeanStartPolicy(ExpertPolicy):
    """The expert that takes the mean start of training episodes for every start.

    It brings cubes there and rests: what comes after would only take them away from
    where they are least far off on average.
    """

    def __init__(self, *, domain: str, task: str) -> None:
        super().__init__(domain=domain, task=task)
        if not self.kind.recalls_starts:
            raise ValueError(
                f"`mean_start` needs a task that asks for former places, got {task}: "
                "leave it out."
            )

    def believe(self, layout: Layout) -> Layout:
        """See `ExpertPolicy.believe`: the free cells nearest to the mean."""
        mean = _mean_start(self.kind)
        near = sorted(
            START_CELLS, key=lambda c: np.hypot(*np.subtract(cell_place(c), mean))
        )
        return with_starts(layout, dict(zip(layout.roles, near, strict=False)))

    def challenge(self, instruction: str, layout: Layout) -> TableChallenge:
        """See `ExpertPolicy.challenge`: every cube back."""
        return RestoreFirst()


@cache
def _mean_start(task: TableTask) -> Point:
    """Where the cubes of training layouts lie at first, on average."""
    layouts = [task.draw(episode_rng("train", i)) for i in range(_NUM_TRAINING_LAYOUTS)]
    places = [layout.starts[name][0] for layout in layouts for name in layout.roles]
    x, y = np.mean(places, axis=0).tolist()
    return x, y
