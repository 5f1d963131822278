"""The only place where a policy meets an environment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from envs.api import Transition
from envs.task_env import Measures, TaskEnv
from eval.clock import now
from world_model.core import Chunk, Context, Goal
from world_model.frames import to_model
from world_model.policy_api import Observation, Policy


@dataclass
class Episode:
    """One recorded attempt.

    Attributes:
        seed: Which episode.
        instruction: The goal in words.
        measures: Simulator truth at the end.
        steps: Actions executed in the test.
        actions: Those actions, numbers of phrases or vectors.
        frames: Views at the start of the test and after every action, (H, W, C).
        plan_seconds: Time of every decision.
        plan_calls: Denoiser calls of every decision.
        predicted: Predicted success of every decision, None where there is none.
        recall: Columns about the imagined shortest path, if a model imagined it.
        write_seconds: Time spent in `observe`, tour included.
        denoiser_calls: Planning cost.
        memory_bytes: At the end.
    """

    seed: int
    instruction: str
    measures: Measures | None = None
    steps: int = 0
    actions: list[int | list[float]] = field(default_factory=list)
    frames: list[np.ndarray] = field(default_factory=list)
    plan_seconds: list[float] = field(default_factory=list)
    plan_calls: list[float] = field(default_factory=list)
    predicted: list[float | None] = field(default_factory=list)
    recall: dict[str, float | None] = field(default_factory=dict)
    write_seconds: float = 0.0
    denoiser_calls: float = 0.0
    memory_bytes: int = 0

    def row(self) -> dict[str, float | int | None]:
        """The episode as a line of the record."""
        truth = self.measures
        assert truth is not None
        success = int(truth.success)
        decisions = len(self.plan_seconds)
        gaps = [p - success for p in self.predicted if p is not None]
        return {
            "seed": self.seed,
            "success": success,
            **self.recall,
            "delay": truth.delay,
            "spl": success * truth.optimum / max(self.steps, truth.optimum),
            "steps": self.steps,
            "optimum": truth.optimum,
            "distance": truth.distance,
            "optimism_gap": float(np.mean(gaps)) if gaps else None,
            "plan_seconds_p50": _quantile(self.plan_seconds, 0.5),
            "plan_seconds_p95": _quantile(self.plan_seconds, 0.95),
            "denoiser_calls": self.denoiser_calls,
            "decisions": decisions,
            "write_seconds": self.write_seconds,
            "memory_bytes": self.memory_bytes,
        }


Watch = Callable[[Policy, Sequence[TaskEnv], list[Episode], Callable[[], None]], None]
"""Shows tours to a policy, see `watch_tours`."""

Limit = Callable[[int], AbstractContextManager[None]]
"""Surrounds one decision of so many episodes, see `decision_limit`."""


def run_episodes(
    policy: Policy,
    envs: Sequence[TaskEnv],
    seeds: Sequence[int],
    *,
    num_calls: Callable[[], int] = lambda: 0,
    memory_bytes: Callable[[], int] = lambda: 0,
    on_step: Callable[[], None] = lambda: None,
    on_test: Callable[[list[Episode]], None] = lambda episodes: None,
    watch: Watch | None = None,
    limit: Limit = lambda num_episodes: nullcontext(),
) -> list[Episode]:
    """Runs one episode per environment, all in lockstep.

    Args:
        policy: Acts in all of them at once.
        envs: One environment per episode.
        seeds: Their seeds.
        num_calls: Reads the meter of denoiser calls.
        memory_bytes: Reads the memory's size per episode.
        on_step: Called after every tour step and every decision (progress bars).
        on_test: Called once when the tests begin, before the first decision.
        watch: Shows the tours; None for `watch_tours`.
        limit: Surrounds every decision; is told of how many episodes it is.
    """
    starts = [env.reset(seed=seed)[0] for env, seed in zip(envs, seeds, strict=True)]
    goal = _goal(starts)
    episodes = [
        Episode(seed, words)
        for seed, words in zip(seeds, goal.instructions, strict=True)
    ]
    policy.reset(np.stack([e.first_image for e in envs]), seeds)
    (watch or watch_tours)(policy, envs, episodes, on_step)
    policy.relocate(np.stack([s["image"] for s in starts]))
    on_test(episodes)
    _run_tests(policy, envs, starts, goal, episodes, num_calls, on_step, limit)
    for episode in episodes:
        episode.memory_bytes = memory_bytes()
    return episodes


def watch_tours(
    policy: Policy,
    envs: Sequence[TaskEnv],
    episodes: list[Episode],
    on_step: Callable[[], None],
) -> None:
    """Tells the policy of all tours, step by step; shorter ones wait at the end."""
    before = np.stack([e.first_image for e in envs])
    for t in range(max(len(e.tour) for e in envs)):
        steps = [e.tour[t] if t < len(e.tour) else None for e in envs]
        states = None
        if policy.privileged:
            states = tuple(e.tour_states[min(t, len(e.tour) - 1)] for e in envs)
        before = _tell(policy, steps, before, states, episodes)
        on_step()


def _run_tests(
    policy: Policy,
    envs: Sequence[TaskEnv],
    starts: list[dict[str, Any]],
    goal: Goal,
    episodes: list[Episode],
    num_calls: Callable[[], int],
    on_step: Callable[[], None],
    limit: Limit,
) -> None:
    images = np.stack([s["image"] for s in starts])
    for episode, image in zip(episodes, images, strict=True):
        episode.frames.append(image)
    active = np.ones(len(envs), bool)
    while active.any():
        actions = _decide(
            policy, envs, images, goal, active, episodes, num_calls, limit
        )
        steps: list[Transition | None] = []
        for i, env in enumerate(envs):
            if not active[i]:
                steps.append(None)
                continue
            action = actions[i].tolist()
            obs, _, terminated, truncated, info = env.step(actions[i])
            steps.append(Transition(action, info["chunk"]))
            episodes[i].steps += 1
            episodes[i].actions.append(action)
            episodes[i].frames.append(obs["image"])
            if terminated or truncated:
                episodes[i].measures = env.measure()
        states = _states(policy, envs)
        images = _tell(policy, steps, images, states, episodes)
        active = np.array([e.measures is None for e in episodes])
        on_step()


def _decide(
    policy: Policy,
    envs: Sequence[TaskEnv],
    images: np.ndarray,
    goal: Goal,
    active: np.ndarray,
    episodes: list[Episode],
    num_calls: Callable[[], int],
    limit: Limit,
) -> np.ndarray:
    """The next actions; what they cost is charged."""
    left = np.array([env.steps_left for env in envs])
    obs = Observation(images, goal, active, left, _states(policy, envs))
    calls, start = num_calls(), now()
    with limit(int(active.sum())):
        actions = policy.act(obs)
    seconds, spent = now() - start, num_calls() - calls
    _charge(policy, active, episodes, seconds, spent)
    return actions


def _charge(
    policy: Policy,
    active: np.ndarray,
    episodes: list[Episode],
    seconds: float,
    spent: float,
) -> None:
    """Episodes that were decided for share the costs of a step evenly.

    Where none was, all that run pay, on the bill of their last decision: the policy
    says what a decision is, and must not be able to make costs vanish.
    """
    decided = active if policy.decided is None else active & policy.decided
    payers = decided if decided.any() else active
    plan = policy.last_plan
    likely = None if plan is None else plan.predicted_success
    for i in np.flatnonzero(payers):
        episode = episodes[i]
        episode.denoiser_calls += spent / payers.sum()
        if decided[i] or not episode.plan_seconds:
            episode.plan_seconds.append(0.0)
            episode.plan_calls.append(0.0)
            episode.predicted.append(None if likely is None else float(likely[i]))
        episode.plan_seconds[-1] += seconds / payers.sum()
        episode.plan_calls[-1] += spent / payers.sum()


def _tell(
    policy: Policy,
    steps: Sequence[Transition | None],
    before: np.ndarray,
    states: tuple[Any, ...] | None,
    episodes: list[Episode],
) -> np.ndarray:
    """Reports what really happened once, and returns the views afterwards."""
    length = max(len(s.frames) for s in steps if s is not None)
    frames = np.stack(
        [
            np.stack([image] * length) if s is None else s.frames
            for s, image in zip(steps, before, strict=True)
        ]
    )
    actions = _told([None if s is None else s.action for s in steps])
    images = to_model(before)[:, None]
    chunk = Chunk(
        context=Context(
            actions=actions.new_zeros(len(steps), 0, *actions.shape[1:]), frames=images
        ),
        actions=actions,
        frames=to_model(frames),
        active=torch.tensor([s is not None for s in steps]),
        state=states,
    )
    start = now()
    policy.observe(chunk)
    seconds = now() - start
    running = [e for e, s in zip(episodes, steps, strict=True) if s is not None]
    for episode in running:
        episode.write_seconds += seconds / len(running)
    return frames[:, -1]


def _told(actions: Sequence[int | list[float] | None]) -> torch.Tensor:
    """Actions (B,) or (B, A) as models are told them, zeros where there is none."""
    done = torch.tensor([a for a in actions if a is not None])
    told = done.new_zeros(len(actions), *done.shape[1:])
    told[[a is not None for a in actions]] = done
    return told


def _states(policy: Policy, envs: Sequence[TaskEnv]) -> tuple[Any, ...] | None:
    if not policy.privileged:
        return None
    return tuple(env.domain.get_state() for env in envs)


def _goal(starts: Sequence[dict[str, Any]]) -> Goal:
    words = tuple(s["instruction"] for s in starts)
    if "goal_image" not in starts[0]:
        return Goal(words)
    return Goal(words, to_model(np.stack([s["goal_image"] for s in starts])))


def _quantile(values: Sequence[float], q: float) -> float | None:
    return float(np.quantile(values, q)) if values else None
