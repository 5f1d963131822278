"""`SlowFast/WorldModel-v0`, over a world model that is the truth."""

from __future__ import annotations

import warnings
from types import SimpleNamespace
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces
from gymnasium.utils.env_checker import check_env

import envs  # noqa: F401 - registers the environments
from envs.memory_task_env import MemoryTaskEnv
from envs.oracle_memory import OracleMemory
from envs.simulator_model import SimulatorModel
from envs.world_model_env import WorldModelEnv
from world_model.core import Context, Goal
from world_model.frames import to_model
from world_model.policy_api import Objective
from world_model.toy import DotWorldModel, PointWorldModel


class Darkness(Objective):
    """Costs as much as the last frame is dark, in [0, 1]."""

    def __call__(self, rollout, goal):
        return (1 - rollout.latents[:, :, :, -1].mean(dim=(3, 4, 5))) / 2


class NoisyModel(SimulatorModel):
    """The truth, a little blurred by the generator's noise."""

    def predict(self, context, actions, *, generator, **kwargs):
        truth = super().predict(context, actions, generator=generator, **kwargs)
        noise = torch.randn(truth.latents.shape[2:], generator=generator[0])
        return type(truth)(truth.latents + 0.05 * noise, truth.states)


class Dots(DotWorldModel):
    """A model that is not privileged, and so reads its memory."""

    def __init__(self, domain):
        super().__init__()
        self.action_space = SimulatorModel(domain).action_space


class CountingMemory:
    """Counts how often it is read and written."""

    privileged = False

    def __init__(self) -> None:
        self.num_reads = self.num_writes = 0

    def read(self, context, actions):
        self.num_reads += 1

    def write(self, chunk):
        self.num_writes += 1


def make(model: Any = SimulatorModel, **kwargs: Any) -> WorldModelEnv:
    start = MemoryTaskEnv("scroll", "return_home")
    return WorldModelEnv(model("scroll"), Darkness(), start, **kwargs)


def test_gymnasium_has_nothing_to_complain_about():
    env = gymnasium.make(
        "SlowFast/WorldModel-v0",
        world_model=NoisyModel("scroll"),
        objective=Darkness(),
        start=MemoryTaskEnv("scroll", "find_seen"),
        render_mode="rgb_array",
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(env.unwrapped)


def test_the_truth_as_a_world_model_shows_what_really_happens():
    env = make()
    first, _ = env.reset(seed=0)
    real = env._start
    assert np.array_equal(first, real.domain.render())
    for action in (0, 3, 3, 1):
        obs, reward, terminated, truncated, info = env.step(action)
        _, _, _, _, truth = real.step(action)
        assert np.array_equal(info["chunk"], truth["chunk"])
        assert np.array_equal(obs, truth["chunk"][-1])
        assert reward == pytest.approx(obs.mean() / 255 - 1, abs=1e-3)
        assert not terminated
        assert not truncated


@pytest.mark.parametrize("action", [-1, 4, 1.0, "left", [1]])
def test_what_is_no_action_is_refused(action):
    env = make()
    env.reset(seed=0)
    with pytest.raises(ValueError, match="`action` must be one of .*correct the pol"):
        env.step(action)


def test_environments_of_one_model_draw_actions_of_their_own():
    model, start = SimulatorModel("scroll"), MemoryTaskEnv("scroll", "return_home")
    first, second = (WorldModelEnv(model, Darkness(), start) for _ in range(2))
    drawn = []
    for disturbed in (False, True):
        first.action_space.seed(0)
        if disturbed:
            second.action_space.sample()
        drawn.append([first.action_space.sample() for _ in range(8)])
    assert drawn[0] == drawn[1]


def test_a_snapshot_brings_back_the_noise_too():
    env = make(NoisyModel)
    env.reset(seed=0)
    env.step(1)
    state = env.snapshot()
    first = [env.step(a)[0] for a in (0, 3, 2)]
    env.restore(state)
    second = [env.step(a)[0] for a in (0, 3, 2)]
    assert np.array_equal(first, second)


@pytest.mark.parametrize(("model", "reads"), [(Dots, 2), (SimulatorModel, 0)])
def test_memory_is_read_unless_the_model_is_the_truth_and_never_written(model, reads):
    memory = CountingMemory()
    env = make(model, memory=memory)
    env.reset(seed=0)
    env.step(0)
    env.step(0)
    assert (memory.num_reads, memory.num_writes) == (reads, 0)


def test_an_episode_starts_from_a_given_context():
    env = make()
    simulator = env.world_model.simulator
    simulator.reset(np.random.default_rng(5))
    view, state = simulator.render(), simulator.get_state()
    context = Context(
        actions=torch.zeros((1, 0), dtype=torch.int64),
        frames=to_model(view)[None, None],
        state=(state,),
    )
    options = {"context": context, "goal": Goal(("go to the red blob",))}
    assert np.array_equal(env.reset(options=options)[0], view)


def test_vectors_are_imagined_as_their_bounds_allow():
    model = PointWorldModel()

    def imagined(action):
        space = spaces.Dict({"image": spaces.Box(0, 255, (1, 1, 2), np.uint8)})
        start = SimpleNamespace(
            action_space=model.action_space, observation_space=space
        )
        env = WorldModelEnv(model, Darkness(), start)
        context = Context(torch.zeros(1, 0, 2), frames=torch.zeros(1, 1, 2, 1, 1))
        env.reset(options={"context": context, "goal": Goal(("go there",))})
        return env.step(action)[0].ravel().tolist()

    inside = imagined(np.array([1.0, -1.0], np.float32))
    assert inside[0] > inside[1]
    for beyond in ([5, -7], np.array([3.0, -1.5])):
        assert imagined(beyond) == inside


def test_max_steps_ends_the_episode():
    env = make(max_steps=2)
    env.reset(seed=0)
    assert [env.step(0)[3] for _ in range(2)] == [False, True]


def test_half_a_start_is_refused():
    with pytest.raises(ValueError, match=r"both 'context' .* got \['goal'\]: add the"):
        make().reset(options={"goal": Goal(("x",))})


def test_two_episodes_at_once_are_refused():
    context = Context(torch.zeros((2, 0)), frames=torch.zeros((2, 1, 3, 8, 8)))
    options = {"context": context, "goal": Goal(("x", "y"))}
    with pytest.raises(ValueError, match="one episode .* got 2 contexts and 2 goals"):
        make().reset(options=options)


def test_impossible_arguments_are_refused():
    with pytest.raises(ValueError, match="`max_steps` must be at least 1, got 0"):
        make(max_steps=0)
    with pytest.raises(ValueError, match="`start` must have the world model's actions"):
        WorldModelEnv(
            SimulatorModel("scroll"), Darkness(), gymnasium.make("Acrobot-v1")
        )


def test_an_oracle_is_told_where_it_is(monkeypatch):
    oracle = OracleMemory(SimulatorModel("scroll"), domain="scroll")
    read, told = oracle.read, []
    monkeypatch.setattr(
        oracle,
        "read",
        lambda context, a: told.append(context.state) or read(context, a),
    )
    oracle.reset(1, seeds=(0,))
    env = make(Dots, memory=oracle)
    env.reset(seed=0)
    env.step(0)
    assert told
    assert None not in told
