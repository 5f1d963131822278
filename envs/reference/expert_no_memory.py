"""`ExpertNoMemoryPolicy`: the best one can do without memory of the tour."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

from envs.api import Node
from envs.domains import make_domain
from envs.lattice import reachable
from envs.reference.base import ReferencePolicy
from envs.reference.exploration import Explorer, Hypothesis
from envs.tasks import FindSeen, Guesser, find_task
from world_model.frames import to_env
from world_model.policy_api import Observation


class ExpertNoMemoryPolicy(ReferencePolicy):
    """Explores in the way that finds the goal in time most often.

    What it knows, which is more than an honest policy without memory can:

    - its pose, and the map: which ways are open (`Domain.successor`);
    - `find_seen`: where objects stand, not which object stands where. An object
      in view is recognised, however few pixels show it;
    - `return_home`: the first image, as every row, and where a tour of this layout
      could have begun. Home is recognised from afar, by any part of the first image
      that covers `Domain.min_visible_pixels` of the present view;
    - what it saw since the test began;
    - how far away goals can be at the start, and that the budget is two more.

    Where the robot does not travel the task says what is best, see `Task.guesser`.

    It keeps nothing of the tour. Simulator states serve to compute what is in view.

    Args:
        domain: Name of the domain.
        task: Name of the task.
    """

    privileged: bool = True

    def __init__(self, *, domain: str, task: str) -> None:
        super().__init__(domain=domain, task=task)
        self._kind = task
        self.simulator = make_domain(domain)

    def reset(self, first_images: np.ndarray, seeds: Sequence[int]) -> None:
        """See `Policy.reset`."""
        super().reset(first_images, seeds)
        self._rngs = [np.random.default_rng(seed) for seed in seeds]
        self._explorers: dict[int, Guesser] = {}

    def act_alone(self, obs: Observation, index: int) -> int:
        """See `ReferencePolicy.act_alone`.

        Raises:
            ValueError: If the states are withheld, or the task says too little.
        """
        self.simulator.set_state(self.state_of(obs, index, "expert_no_memory"))
        node = self.simulator.node
        if index not in self._explorers:
            self._explorers[index] = self._open(obs, index, node)
        return self._explorers[index].act(node)

    def _open(self, obs: Observation, index: int, node: Node) -> Guesser:
        words, rng = obs.goal.instructions[index], self._rngs[index]
        guesser = find_task(self._kind).guesser(self.simulator, words, rng)
        return guesser or self._explorer(obs, index, node)

    def _explorer(self, obs: Observation, index: int, node: Node) -> Explorer:
        nodes = reachable(self.simulator, node)
        task = find_task(self._kind)
        if isinstance(task, FindSeen):
            hypotheses, truth = self._objects(nodes, obs.goal.instructions[index])
        elif obs.goal.images is not None:
            image = to_env(obs.goal.images[index])
            hypotheses, truth = self._homes(nodes, image)
        else:
            raise ValueError(
                "`expert_no_memory` must know what can be looked for, got "
                f"task={task.name}, which is no FindSeen and shows no image: give the "
                "task a `guesser`, or leave this row out."
            )
        return Explorer(
            self.simulator,
            node,
            hypotheses,
            truth,
            distances=task.optima,
            extra_steps=task.extra_steps,
        )

    def _objects(
        self, nodes: list[Node], instruction: str
    ) -> tuple[list[Hypothesis], int]:
        """The target stands where one of the objects stands."""
        views = {node: self._pixels(node) for node in nodes}
        names = self.simulator.objects
        hypotheses = [
            Hypothesis(
                self.simulator.found_nodes(name),
                frozenset(node for node in nodes if views[node][name]),
            )
            for name in names
        ]
        return hypotheses, names.index(instruction.removeprefix("go to the "))

    def _homes(
        self, nodes: list[Node], image: np.ndarray
    ) -> tuple[list[Hypothesis], int]:
        """The tour began at one of the places where tours begin."""
        parts = {node: self._parts(node) for node in nodes}
        homes = self.simulator.home_nodes()
        hypotheses = [
            Hypothesis(
                frozenset([home]),
                frozenset(node for node in nodes if self._shows(parts, node, home)),
            )
            for home in homes
        ]
        errors = [np.abs(self._image(home).astype(int) - image).sum() for home in homes]
        return hypotheses, int(np.argmin(errors))

    def _pixels(self, node: Node) -> dict[str, int]:
        self.simulator.place(node)
        return self.simulator.segment_objects()

    def _parts(self, node: Node) -> dict[Hashable, int]:
        self.simulator.place(node)
        return self.simulator.segment_parts()

    def _shows(
        self, parts: dict[Node, dict[Hashable, int]], node: Node, home: Node
    ) -> bool:
        """Whether the view from `node` shows part of the view from `home`."""
        enough = self.simulator.min_visible_pixels
        common = parts[node].keys() & parts[home].keys()
        return any(parts[node][part] >= enough for part in common)

    def _image(self, node: Node) -> np.ndarray:
        self.simulator.place(node)
        return self.simulator.render()
