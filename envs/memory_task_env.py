"""An episode as a gymnasium environment: a tour that memory may watch, then a test."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from envs.action_cache import ActionCache
from envs.api import Domain, Node, Transition
from envs.domains import domain_class
from envs.task_env import Measures, TaskEnv
from envs.tasks import GOALS, Challenge, Tour, check_fits, find_task
from world_model.errors import unknown_name

MIN_RIVALS = 3
"""Goals, the true one too, that must be equally possible where a test starts."""


class MemoryTaskEnv(TaskEnv):
    """A task on a domain.

    `reset` draws a layout, drives the scripted tour (kept in `tour`), moves the
    robot with the camera off to another pose of the tour's route and opens the test.
    The budget is the optimum plus two actions. It must not be shown to policies, for
    it tells how far the goal is: they are given `steps_left`.

    Observations and `info` are those of `TaskEnv`.

    Args:
        domain: Name of the domain.
        task: Name of the task, see `envs.tasks.find_task`.
        split: "train", "val" or "test"; their seeds are disjoint.
        goal: "language"; or "given_image", which shows the view at the nearest goal
            pose and makes another, easier question of the task.
        render_mode: "rgb_array" or None.
        kept: Folder of an `ActionCache`; None executes every action anew.
    """

    domain: Domain

    def __init__(
        self,
        domain: str = "rooms",
        task: str = "find_seen",
        split: str = "val",
        goal: str = "language",
        render_mode: str | None = None,
        kept: Path | None = None,
    ) -> None:
        if goal not in GOALS:
            raise unknown_name("goal", goal, GOALS)
        made = domain_class(domain)
        self.task = find_task(task)
        check_fits(self.task, made)
        self.goal = goal
        self._actions = ActionCache(kept)
        shows_goal = self.task.shows_image or goal == "given_image"
        super().__init__(made(), split, shows_goal=shows_goal, render_mode=render_mode)

    def execute(self, action: int | np.int64) -> np.ndarray:
        """See `TaskEnv.execute`."""
        return self._actions.execute(self.domain, int(action)).frames

    def drive_on(self, actions: Sequence[int]) -> None:
        """Makes the tour longer: the robot goes on where the tour ended."""
        self.domain.place(self._nodes[-1])
        for action in actions:
            done = self._actions.execute(self.domain, action, segment=True)
            assert done.seen is not None
            self.tour += (Transition(action, done.frames),)
            self.tour_states += (done.state,)
            self._nodes += (self.domain.node,)
            self._seen.append(done.seen)
        self.tour_summary = self._summarise()

    @property
    def budget(self) -> int:
        """See `TaskEnv.budget`."""
        return self._optimum + self.task.extra_steps

    @property
    def steps_left(self) -> int:
        """What policies are told: the rest of the largest budget of any episode."""
        return self.task.optima[-1] + self.task.extra_steps - self._steps

    def measure(self) -> Measures:
        """Simulator truth for evaluation."""
        target = getattr(self.challenge, "target", None)
        return Measures(
            optimum=self._optimum,
            distance=self.challenge.distance(self.domain),
            success=self._solved(),
            delay=None if target is None else self.tour_summary.unseen_for[target],
            distances=self.challenge.distances(self.domain),
            subgoals=self.challenge.subgoals(self.domain),
        )

    def path(self) -> list[int]:
        """See `TaskEnv.path`; fewest actions on the lattice."""
        path = self.challenge.path(self.domain, self.domain.node)
        assert path is not None  # the test was accepted because there is one
        return path

    def _begin(self, rng: np.random.Generator) -> bool:
        """Draws a layout, drives its tour and opens a test, if it allows one."""
        tour = self.task.begin(self.domain, rng)
        self._begin_tour()
        self.drive_on(tour)
        return self._open_test(rng)

    def _begin_tour(self) -> None:
        self.tour: tuple[Transition, ...] = ()
        self.tour_states: tuple[Any, ...] = ()
        self.first_image = self.domain.render()
        self._nodes: tuple[Node, ...] = (self.domain.node,)
        self._seen = [[self.domain.segment_objects()]]

    def _summarise(self) -> Tour:
        large = self.domain.min_visible_pixels
        shown, unseen = {}, {}
        for name in self.domain.objects:
            pixels = [[frame[name] for frame in chunk] for chunk in self._seen]
            shown[name] = sum(n >= large for chunk in pixels for n in chunk)
            unseen[name] = _trailing_zeros([max(chunk) for chunk in pixels])
        return Tour(self._nodes, self.first_image, shown, unseen)

    def _open_test(self, rng: np.random.Generator) -> bool:
        starts = self.domain.start_nodes(self.tour_summary.nodes)
        challenges = self.task.candidates(self.domain, self.tour_summary, rng)
        # Judged where the tour ends, before a start is tried.
        hidden = [c for c in challenges if c.hidden(self.domain)]
        for challenge in hidden:
            for i in rng.permutation(len(starts)):
                if self._start_here(challenge, starts[i]):
                    return True
        return False

    def _start_here(self, challenge: Challenge, start: Node) -> bool:
        domain, optima = self.domain, self.task.optima
        optimum = len(challenge.path(domain, start) or [])
        if optimum not in optima:
            return False
        if challenge.count_rivals(domain, start, optima) < MIN_RIVALS:
            return False
        domain.place(start)
        if not challenge.hidden(domain) or challenge.solved(domain):
            return False
        self.challenge, self._optimum, self._steps = challenge, optimum, 0
        self._goal_image = challenge.image
        if self.goal == "given_image" and challenge.image is None:
            self._goal_image = challenge.view(domain, start)
        return True

    def _observe(self) -> dict[str, Any]:
        words = self.challenge.instruction
        obs = {"image": self.domain.render(), "instruction": words}
        if self._goal_image is not None:
            obs["goal_image"] = self._goal_image.copy()
        return obs

    def _solved(self) -> bool:
        return self.challenge.solved(self.domain)


def _trailing_zeros(counts: Sequence[int]) -> int:
    return next((i for i, n in enumerate(reversed(counts)) if n), len(counts))


def tour_arrays(tour: Sequence[Transition]) -> tuple[np.ndarray, np.ndarray]:
    """Actions (T,) and frames (T, F, H, W, C) of a tour."""
    return np.array([t.action for t in tour]), np.stack([t.frames for t in tour])
