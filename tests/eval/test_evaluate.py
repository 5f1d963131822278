"""The loop in which a policy meets environments, on the scroll domain."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch

from envs.domains import make_domain
from envs.lattice import path_to
from envs.memory_task_env import MemoryTaskEnv
from envs.reference.random_actions import RandomPolicy
from envs.tasks import EXTRA_STEPS, OPTIMA
from eval.evaluate import Episode, run_episodes
from eval.meter import MeteredWorldModel
from planners.beam import BeamPlanner
from planners.mpc import MPCPolicy
from world_model.core import Chunk, Reading
from world_model.frames import to_env
from world_model.memory.none import NoMemory
from world_model.policy_api import Objective, Observation, Policy

NOT_AN_ACTION = 99


class Watcher(Policy):
    """Keeps what it is told; solves the episodes with an even seed.

    For episodes that are over it answers with an action that does not exist.
    """

    privileged = True

    def __init__(self) -> None:
        self.simulator = make_domain("scroll")
        self.events: list[str] = []
        self.chunks: list[Chunk] = []
        self.observations: list[Observation] = []

    def reset(self, first_images: np.ndarray, seeds: Sequence[int]) -> None:
        self.seeds = tuple(seeds)
        self.events.append("reset")

    def observe(self, chunk: Chunk) -> None:
        self.chunks.append(chunk)
        self.events.append("observe")

    def relocate(self, images: np.ndarray) -> None:
        self.events.append("relocate")

    def act(self, obs: Observation) -> np.ndarray:
        self.observations.append(obs)
        self.events.append("act")
        rows = zip(self.seeds, obs.active, range(len(self.seeds)), strict=True)
        actions = [self._act(obs, i, seed) if on else 99 for seed, on, i in rows]
        return np.array(actions)

    def _act(self, obs: Observation, index: int, seed: int) -> int:
        if seed % 2:
            return len(self.observations) % 2  # up and down
        assert obs.states is not None
        self.simulator.set_state(obs.states[index])
        name = obs.goal.instructions[index].removeprefix("go to the ")
        goals = self.simulator.found_nodes(name)
        path = path_to(self.simulator, self.simulator.node, goals)
        assert path
        return path[0]


class Blind(Watcher):
    """The same without privilege: it only goes up and down."""

    privileged = False

    def _act(self, obs: Observation, index: int, seed: int) -> int:
        return len(self.observations) % 2


def evaluate(
    policy: Policy, seeds: Sequence[int], **options
) -> tuple[list[Episode], list[MemoryTaskEnv]]:
    envs = [MemoryTaskEnv("scroll", "find_seen") for _ in seeds]
    return run_episodes(policy, envs, seeds, **options), envs


def told(policy: Watcher, index: int) -> list[Chunk]:
    """The chunks that really happened in one episode."""
    return [chunk for chunk in policy.chunks if chunk.active[index]]


def test_every_real_transition_is_told_once_and_tours_come_first():
    policy = Watcher()
    episodes, envs = evaluate(policy, [0, 1, 2])
    for i, (episode, env) in enumerate(zip(episodes, envs, strict=True)):
        actions = [int(chunk.actions[i]) for chunk in told(policy, i)]
        assert actions == [t.action for t in env.tour] + episode.actions
        views = [to_env(chunk.frames[i, -1]) for chunk in told(policy, i)]
        expected = [t.frames[-1] for t in env.tour] + episode.frames[1:]
        np.testing.assert_array_equal(views, expected)
    num_steps = len(envs[0].tour)
    opening = ["reset", *["observe"] * num_steps, "relocate"]
    assert policy.events[: num_steps + 2] == opening
    assert policy.events[num_steps + 2 :] == ["act", "observe"] * max(
        episode.steps for episode in episodes
    )


def test_only_privileged_policies_get_states():
    seeing, blind = Watcher(), Blind()
    _, envs = evaluate(seeing, [0, 1])
    evaluate(blind, [0, 1])
    tour = seeing.chunks[: len(envs[0].tour)]
    for t, chunk in enumerate(tour):
        assert chunk.state == tuple(env.tour_states[t] for env in envs)
    assert all(len(obs.states or ()) == 2 for obs in seeing.observations)
    assert all(chunk.state is None for chunk in blind.chunks)
    assert all(obs.states is None for obs in blind.observations)


def test_a_finished_episode_is_inactive_and_costs_nothing():
    policy = Watcher()
    (solved, failed), _ = evaluate(policy, [0, 1])
    assert solved.measures is not None
    assert solved.measures.success
    assert solved.steps == solved.measures.optimum
    assert NOT_AN_ACTION not in solved.actions + failed.actions
    assert len(solved.plan_seconds) == solved.steps < failed.steps
    active = [list(obs.active) for obs in policy.observations]
    assert active == [[t < solved.steps, True] for t in range(failed.steps)]
    assert solved.row()["spl"] == 1
    assert failed.row()["spl"] == failed.row()["success"] == 0
    assert failed.row()["optimism_gap"] is None


def test_doing_what_was_decided_before_is_no_decision():
    class EverySecond(Watcher):
        def act(self, obs):
            self.decided = np.full(len(obs.active), len(self.observations) % 2 == 0)
            return super().act(obs)

    (solved, failed), _ = evaluate(EverySecond(), [0, 1])
    for episode in (solved, failed):
        assert len(episode.plan_seconds) == -(-episode.steps // 2)
        assert episode.row()["decisions"] == len(episode.plan_calls)


@pytest.mark.parametrize("claims", [True, False])
def test_no_claim_of_a_policy_makes_calls_vanish(claims):
    made = []

    class Caller(Watcher):
        def act(self, obs):
            self.decided = np.full(len(obs.active), claims and not self.observations)
            made.append(6)
            return super().act(obs)

    (solved, failed), _ = evaluate(Caller(), [0, 1], num_calls=lambda: sum(made))
    assert solved.denoiser_calls + failed.denoiser_calls == pytest.approx(sum(made))
    for episode in (solved, failed):
        # One decision, at the first step: it pays for all that follows.
        assert episode.plan_calls == [pytest.approx(episode.denoiser_calls)]
        assert len(episode.plan_seconds) == 1


def test_policies_never_learn_the_true_budget():
    policy = Watcher()
    evaluate(policy, [0, 1])
    largest = OPTIMA[-1] + EXTRA_STEPS
    for t, obs in enumerate(policy.observations):
        assert (obs.steps_left[obs.active] == largest - t).all()


@pytest.mark.parametrize(
    "make_policy",
    [Watcher, lambda: RandomPolicy(domain="scroll", task="find_seen")],
)
def test_rows_do_not_depend_on_the_batch(make_policy):
    seeds = [3, 4, 5, 6]
    together, _ = evaluate(make_policy(), seeds)
    alone = [evaluate(make_policy(), [seed])[0][0] for seed in seeds]
    assert [e.actions for e in together] == [e.actions for e in alone]
    assert [e.measures for e in together] == [e.measures for e in alone]


class Brightness(Objective):
    """The mean of the last latents: any cost will do."""

    def __call__(self, rollout, goal):
        return rollout.latents[:, :, :, -1].mean(dim=(3, 4, 5))


class Guided(NoMemory):
    """Says nothing but asks for guidance, which doubles the branches."""

    def read(self, context, actions):
        return Reading(guidance=1.0)


@pytest.mark.parametrize(("memory", "num_branches"), [(NoMemory(), 1), (Guided(), 2)])
def test_calls_are_candidates_times_steps_times_branches(
    make_scroll_model, memory, num_branches
):
    num_steps = 3
    model = MeteredWorldModel(make_scroll_model(num_sampling_steps=num_steps))
    planner = BeamPlanner(model, Brightness(), depth=2)
    policy = MPCPolicy(model, memory, planner)
    with torch.no_grad():
        (episode,), _ = evaluate(policy, [0], num_calls=lambda: model.num_calls)
    # Four actions; then each prefix goes on without undoing its last action.
    levels = (4, 4 * 3)
    left = [OPTIMA[-1] + EXTRA_STEPS - t for t in range(episode.steps)]
    candidates = sum(sum(levels[:n]) for n in left)
    assert episode.denoiser_calls == candidates * num_steps * num_branches
    assert model.num_calls == episode.denoiser_calls
