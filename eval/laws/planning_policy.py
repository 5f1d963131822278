"""The laws of policies around planners, tried on the toy world."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from omegaconf import DictConfig

from eval.build import planning_policy
from eval.build_planner import build_planner
from eval.checked_policy import check_actions
from eval.laws.example import Example
from eval.laws.planner import scene_for
from eval.laws.toy import ToyScene
from eval.laws.watched_memory import WatchedMemory
from eval.meter import MeteredWorldModel
from world_model.api import Memory, generators
from world_model.core import Chunk, Context, Goal
from world_model.frames import to_env
from world_model.policy_api import Observation, Policy
from world_model.testing import require

_NUM_STEPS = 3


@dataclass(frozen=True)
class Episodes:
    """A policy and the episodes it acts in: one chunk of a tour, three decisions.

    Attributes:
        make: Makes the policy around a memory.
        scene: Where.
        rows: Which episodes of the scene.
    """

    make: Callable[[Memory], Policy]
    scene: ToyScene
    rows: tuple[int, ...]

    def play(
        self, policy: Policy, *, goal_seed: int = 1, told: list[Chunk] | None = None
    ) -> list[list[Any]]:
        """The actions of every episode; chunks that happened are added to `told`."""
        count, rows = max(self.rows) + 1, list(self.rows)
        start = self.scene.context(count).rows(rows)
        goal = self.scene.goal(count, seed=goal_seed).rows(rows)
        policy.reset(to_env(_views(start)), rows)
        happened = [] if told is None else told
        # The first action, or no motion: sums of no actions.
        happened.append(self._step(start, start.actions.sum(dim=1)))
        policy.observe(happened[-1])
        policy.relocate(to_env(_views(start)))
        context, done = start, []
        for left in range(_NUM_STEPS, 0, -1):
            actions = policy.act(self._seen(context, goal, left))
            self._check(actions)
            done.append(actions.tolist())
            happened.append(self._step(context, torch.from_numpy(actions)))
            policy.observe(happened[-1])
            context = Context(start.actions, happened[-1].frames[:, -1:])
        return [list(of_row) for of_row in zip(*done, strict=True)]

    def _seen(self, context: Context, goal: Goal, left: int) -> Observation:
        count = len(self.rows)
        active, budget = np.ones(count, bool), np.full(count, left)
        return Observation(to_env(_views(context)), goal, active, budget)

    def _step(self, context: Context, actions: torch.Tensor) -> Chunk:
        """What really happens."""
        count = len(self.rows)
        rollout = self.scene.model().rollout(
            context,
            actions[:, None, None],
            generator=generators(range(count)),
            all_frames=True,
        )
        active = torch.ones(count, dtype=torch.bool)
        return Chunk(context, actions, rollout.frames[:, 0, 0], active)

    def _check(self, actions: Any) -> None:
        """Refuses what is no action of the space for every episode."""
        active = np.ones(len(self.rows), bool)
        check_actions(actions, active, self.scene.model().action_space)


def examples(cfg: DictConfig) -> list[Example]:
    """One episode, then three, for the policy of `cfg.planner`."""
    make_planner = partial(build_planner, cfg)
    scene = scene_for(make_planner)

    def make(memory: Memory) -> Policy:
        model, objective = MeteredWorldModel(scene.model()), scene.objective()
        planner = make_planner(model, objective)
        return planning_policy(cfg, model, memory, planner, objective)

    make(WatchedMemory())
    return [
        Example(f"episodes {rows} of the {scene.name}", (Episodes(make, scene, rows),))
        for rows in ((0,), (0, 1, 2))
    ]


def real_chunks_are_written_once(episodes: Episodes) -> None:
    """Memory is reset once and written once for every chunk that really happened."""
    memory = WatchedMemory()
    told: list[Chunk] = []
    episodes.play(episodes.make(memory), told=told)
    law = "memory is reset once, then written once for every real chunk"
    require(memory.changes == ["reset", *["write"] * len(told)], law, memory.changes)
    pairs = zip(memory.written, told, strict=True)
    same = all(torch.equal(a.frames, b.frames) for a, b in pairs)
    require(same, "memory is told what really happened", "other frames")


def reset_forgets(episodes: Episodes) -> None:
    """The same episodes get the same actions, whatever came before."""
    used = episodes.make(WatchedMemory())
    episodes.play(used, goal_seed=2)
    first, again = episodes.play(used), episodes.play(used)
    fresh = episodes.play(episodes.make(WatchedMemory()))
    require(first == fresh, "`reset` forgets", f"{first}, and {fresh} if fresh")
    require(first == again, "`reset` forgets", f"{first}, then {again}")


def episodes_are_independent(episodes: Episodes) -> None:
    """An episode's actions do not depend on the other episodes of the batch."""
    together = _play(episodes, episodes.rows)
    for row, among in zip(episodes.rows, together, strict=True):
        (alone,) = _play(episodes, [row])
        law = "episodes of a batch are independent"
        require(alone == among, law, f"{alone} alone and {among} among others")


LAWS = (real_chunks_are_written_once, reset_forgets, episodes_are_independent)


def _play(episodes: Episodes, rows: Sequence[int]) -> list[list[Any]]:
    """The actions of some of the episodes, by a fresh policy."""
    some = Episodes(episodes.make, episodes.scene, tuple(rows))
    return some.play(some.make(WatchedMemory()))


def _views(context: Context) -> torch.Tensor:
    """What is seen now (B, C, H, W)."""
    assert context.frames is not None
    return context.frames[:, -1]
