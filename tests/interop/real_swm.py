"""Runs stable-worldmodel's own solvers, policy, world and model with ours.

Not part of the tests: the package needs torchvision and Lance (410 MB). In a virtual
environment that also sees this project's packages:

    pip install --no-deps stable-worldmodel==0.1.1 loguru tabulate einops
    pip install lancedb==0.40.0 pylance==14.0.2
    python tests/interop/real_swm.py

What it printed is in docs/interop.md.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import inspect
import io
import re
import sys
import warnings
from functools import partial
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [
    str(ROOT),
    str(ROOT / "tests/interop/stub"),
    str(ROOT / "tests/planners"),
]
warnings.simplefilter("ignore")

import conftest as scenes  # noqa: E402
import gymnasium  # noqa: E402
import numpy as np  # noqa: E402
import stable_worldmodel as swm  # noqa: E402
import torch  # noqa: E402
from hydra.utils import instantiate  # noqa: E402
from omegaconf import OmegaConf  # noqa: E402
from stable_worldmodel import solver as solvers  # noqa: E402
from stable_worldmodel.policy import PlanConfig, WorldModelPolicy  # noqa: E402
from stable_worldmodel.wm.lewm import LeWM  # noqa: E402
from stable_worldmodel.wm.lewm.module import Embedder, Predictor  # noqa: E402

import envs  # noqa: E402, F401
from envs.goal_info import GoalInfo  # noqa: E402
from envs.memory_task_env import MemoryTaskEnv  # noqa: E402
from envs.phrase_scores import PhraseScores  # noqa: E402
from envs.simulator_model import SimulatorModel  # noqa: E402
from eval.evaluate import run_episodes  # noqa: E402
from planners.cem import CEMPlanner  # noqa: E402
from planners.interop.action_log_model import ActionLogModel  # noqa: E402
from planners.interop.cost_objective import CostObjective, default_info  # noqa: E402
from planners.interop.episode_slots import EpisodeSlots  # noqa: E402
from planners.interop.remembering_policy import RememberingPolicy  # noqa: E402
from planners.interop.solver_cost import SolverCost  # noqa: E402
from planners.interop.solver_planner import SolverPlanner  # noqa: E402
from planners.mpc import MPCPolicy  # noqa: E402
from planners.objectives import GoalImage  # noqa: E402
from world_model.core import Context, Goal  # noqa: E402
from world_model.frames import to_env  # noqa: E402
from world_model.memory.none import NoMemory  # noqa: E402
from world_model.toy import DotWorldModel, dot_distance, draw_dot  # noqa: E402

SOLVERS = {
    "CEMSolver": {"num_samples": 64, "n_steps": 8, "topk": 8},
    "ICEMSolver": {"num_samples": 64, "n_steps": 8, "topk": 8},
    "MPPISolver": {"num_samples": 64, "n_steps": 8},
    "PredictiveSamplingSolver": {"num_samples": 256},
    "CategoricalCEMSolver": {"num_samples": 64, "n_steps": 8, "topk": 8},
    "GradientSolver": {"n_steps": 20, "num_samples": 8},
    "LagrangianSolver": {"n_steps": 20, "num_samples": 8},
    "PGDSolver": {"n_steps": 5, "num_samples": 8},
}
DOT = scenes.Scene(
    scenes.MovingDot, draw_dot, scenes.Distance(lambda a, b: dot_distance(a, b) / 14)
)
POINT = scenes.Scene(
    scenes.PointWorldModel,
    lambda place: place.float()[:, None, None],
    scenes.Distance(lambda a, b: (a - b).abs().amax(dim=(-3, -2, -1))),
)
TASKS = {
    "phrases": (DOT, [[1, 1], [6, 2]], [[3, 2], [4, 2]], [3, 2]),
    "vectors": (POINT, [[-0.5, 0.0], [0.5, 0.5]], [[0.0, 0.25], [0.25, -0.25]], [2, 3]),
}


@contextlib.contextmanager
def quiet():
    with contextlib.redirect_stdout(io.StringIO()):
        yield


class DotEnv(gymnasium.Env):
    """The toy world as an environment: reach the place of the goal image."""

    metadata = {"render_modes": ["rgb_array"]}
    observation_space = gymnasium.spaces.Dict(
        {"goal_image": gymnasium.spaces.Box(0, 255, (8, 8, 3), np.uint8)}
    )
    action_space = DotWorldModel().action_space

    def __init__(self, render_mode=None):
        self.render_mode = render_mode

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.at, self.to = torch.from_numpy(self.np_random.integers(8, size=(2, 2)))
        return {"goal_image": to_env(draw_dot(self.to))}, {"success": False}

    def step(self, action):
        self.at = (self.at + DotWorldModel.STEPS[action]).clamp(0, 7)
        done = bool((self.at == self.to).all())
        goal = {"goal_image": to_env(draw_dot(self.to))}
        return goal, float(done), done, False, {"success": done}

    def render(self):
        return to_env(draw_dot(self.at))


class CountingMemory:
    """Counts what it is told."""

    def __init__(self):
        self.count = 0

    def reset(self, num_episodes, *, seeds):
        self.count = 0

    def write(self, chunk):
        self.count += int(chunk.active.sum())

    def read(self, context, actions):
        return None


def their_solvers_as_our_planners():
    for name, options in SOLVERS.items():
        for kind, (scene, starts, goals, best) in TASKS.items():
            make = partial(getattr(solvers, name), **options)
            model = scene.world_model()
            planner = SolverPlanner(model, scene.objective, solver=make, horizon=4)
            try:
                with quiet():
                    plan = scene.ask(planner, starts, goals, horizon=4)
                    again = scene.ask(planner, starts, goals, horizon=4)
                assert torch.equal(plan.actions, again.actions)
                ideal = [0.02 * n for n in best]
                gap = (plan.costs - torch.tensor(ideal)).tolist()
                print(f"{name:25} {kind}: above the optimum by", np.round(gap, 3))
            except ValueError as error:
                print(f"{name:25} {kind}: refused: {error}")


def make(name, cost, **options):
    cls = getattr(solvers, name)
    key = "cost" if "cost" in inspect.signature(cls).parameters else "model"
    return cls(**{key: cost}, **options)


def our_model_under_their_policy():
    gymnasium.register("Toy/Dot-v0", entry_point=DotEnv)
    world = swm.World(
        "Toy/Dot-v0",
        num_envs=4,
        image_shape=(8, 8),
        max_episode_steps=15,
        pre_wrappers=[GoalInfo, PhraseScores],
    )
    model = DotWorldModel()
    for name in ("CEMSolver", "ICEMSolver"):
        slots = EpisodeSlots(CountingMemory(), 12 + world.num_envs)
        cost = SolverCost(model, DOT.objective, slots=slots)
        solver = make(name, cost, num_samples=64, n_steps=4, topk=8)
        policy = WorldModelPolicy(solver, PlanConfig(horizon=8, receding_horizon=4))
        remembering = RememberingPolicy(policy, slots, model.action_space)
        world.set_policy(remembering)
        with quiet():
            result = world.evaluate(episodes=12, seed=0)
        print(
            f"World, toy task, 12 episodes, WorldModelPolicy({name}): success "
            f"{result['success_rate']:.0f} %, memory told of {slots.memory.count} steps"
        )


def their_solver_on_our_task():
    """The YAML file of docs/interop.md, on the true simulator as world model."""
    text = (ROOT / "docs/interop.md").read_text()
    yaml = re.search(r"```yaml\n(.*?SolverPlanner.*?)```", text, re.DOTALL).group(1)
    model = SimulatorModel("scroll")
    objective = GoalImage(model, temperature=0.05)
    planner = instantiate(OmegaConf.create(yaml).planner, model, objective)
    policy = MPCPolicy(model, NoMemory(), planner)
    tasks = [MemoryTaskEnv("scroll", "return_home") for _ in range(4)]
    with quiet():
        episodes = run_episodes(policy, tasks, range(4))
    solved = [episode.measures.success for episode in episodes]
    print("scroll_return_home, true simulator, planner/optimizer=swm: solved", solved)


def our_task_under_their_world():
    world = swm.World(
        "SlowFast/ScrollReturnHome-v0",
        num_envs=3,
        image_shape=(8, 8),
        max_episode_steps=10,
        pre_wrappers=[GoalInfo, PhraseScores],
    )
    world.set_policy(swm.policy.RandomPolicy(seed=0))
    result = world.evaluate(episodes=6, seed=0)
    print(f"World, SlowFast/ScrollReturnHome-v0, random: {result['success_rate']} %")
    print("info keys:", ", ".join(sorted(world.infos)))


class Encoder(torch.nn.Module):
    """Stands for their ViT: `last_hidden_state` (M, 1, D)."""

    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(3 * 64, 16)

    def forward(self, pixels, interpolate_pos_encoding):
        state = self.linear(pixels.flatten(1))[:, None]
        return type("Output", (), {"last_hidden_state": state})


def their_model_under_our_planner():
    torch.default_generator.manual_seed(0)
    predictor = Predictor(
        num_frames=3,
        depth=1,
        heads=2,
        mlp_dim=32,
        input_dim=16,
        hidden_dim=16,
        dim_head=8,
        dropout=0.0,
        emb_dropout=0.0,
    )
    lewm = LeWM(Encoder(), predictor, Embedder(input_dim=2, emb_dim=16)).eval()
    for weights in lewm.parameters():  # as made, actions have no effect
        torch.nn.init.normal_(weights, std=0.3)
    space = gymnasium.spaces.Box(-1, 1, (2,))
    model, objective = ActionLogModel(space), CostObjective(lewm, space)
    images = torch.rand(2, 2, 3, 8, 8) * 2 - 1
    context = Context(torch.zeros(2, 0, 2), frames=images[0][:, None])
    goal = Goal(("reach it",) * 2, images[1])
    source = [torch.Generator().manual_seed(i) for i in range(2)]
    plans = {}
    for population in (8, 128):
        planner = CEMPlanner(model, objective, population=population, action_cost=0)
        plan = planner.plan(context, goal, generator=source, horizon=5)
        plans[population] = plan
        costs = [
            float(lewm.get_cost(info(context, goal, row), actions[None, None])[0, 0])
            for row, actions in enumerate(planned(plan))
        ]
        assert np.allclose(costs, plan.costs, atol=1e-4)
        print(
            f"LeWM of random weights, our CEM of {population}: costs",
            np.round(costs, 3),
        )
    assert (plans[128].costs <= plans[8].costs).all()


def planned(plan):
    return [a[:n] for a, n in zip(plan.actions, plan.lengths, strict=True)]


def info(context, goal, row):
    values = default_info(context.rows([row]), goal.rows([row]))
    return {name: value[:, None] for name, value in values.items()}


if __name__ == "__main__":
    print("stable-worldmodel", importlib.metadata.version("stable-worldmodel"))
    their_solvers_as_our_planners()
    their_solver_on_our_task()
    our_model_under_their_policy()
    our_task_under_their_world()
    their_model_under_our_planner()
