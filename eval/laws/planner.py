"""The laws of planners, tried on the toy world.

A planner is made from a world model and an objective, asked for plans, and watched.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from omegaconf import DictConfig
from torch import Tensor

from eval.build_planner import build_planner
from eval.checked_planner import check_plan
from eval.errors import USER_ERRORS
from eval.laws.example import Example
from eval.laws.toy import DOTS, POINTS, ToyScene
from eval.laws.watched_memory import WatchedMemory
from eval.meter import MeteredWorldModel
from world_model.api import WorldModel, generators
from world_model.core import Context, Prediction
from world_model.policy_api import Objective, Plan, Planner
from world_model.testing import equal, require

MakePlanner = Callable[[WorldModel, Objective], Planner]


@dataclass(frozen=True)
class Question:
    """A planner and what it is asked for.

    Attributes:
        make: Makes the planner.
        num_episodes: B.
        horizon: Most actions worth planning.
        scene: Where.
    """

    make: MakePlanner
    num_episodes: int
    horizon: int
    scene: ToyScene = DOTS

    def __str__(self) -> str:
        plural = "s" if self.num_episodes > 1 else ""
        where = f"{self.num_episodes} episode{plural} of the {self.scene.name}"
        return f"{where}, horizon {self.horizon}"

    def planner(self, model: WorldModel | None = None) -> Planner:
        """A fresh planner, on a metered toy world by default."""
        model = model or MeteredWorldModel(self.scene.model())
        return self.make(model, self.scene.objective())

    def ask(self, planner: Planner, **options: Any) -> Plan:
        """The planner's answer; the same question every time."""
        given: dict[str, Any] = {
            "context": self.scene.context(self.num_episodes),
            "goal": self.scene.goal(self.num_episodes),
            "memory": WatchedMemory(),
            "generator": generators(range(self.num_episodes)),
            "horizon": self.horizon,
        }
        return planner.plan(**given | options)


def examples(cfg: DictConfig) -> list[Example]:
    """Questions to the planner inside `cfg.planner`."""
    make = partial(build_planner, cfg)
    scene = scene_for(make)
    sizes = ((1, 1), (1, 2), (3, 4))
    questions = [Question(make, b, h, scene) for b, h in sizes]
    return [Example(str(question), (question,)) for question in questions]


def plans_have_the_promised_shapes(question: Question) -> None:
    """A plan has finite costs (B,) and 1 to `horizon` valid actions (B, T)."""
    _check(question.ask(question.planner()), question)


def warm_starts_are_taken(question: Question) -> None:
    """The rest of an earlier plan may be given, and the answer is a plan again."""
    planner = question.planner()
    first = question.ask(planner)
    _check(question.ask(planner, warm_start=first), question)


def same_noise_same_plan(question: Question) -> None:
    """Equal questions with equal generators get equal plans, whatever came before."""
    planner = question.planner()
    question.ask(planner, goal=question.scene.goal(question.num_episodes, seed=2))
    plans = [question.ask(p) for p in (planner, planner, question.planner())]
    law = "same generator, same plan"
    require(equal(plans[0], plans[2]), law, "another plan from a fresh planner")
    require(equal(plans[0], plans[1]), law, "another plan when asked again")


def planning_never_writes(question: Question) -> None:
    """Planning only reads memory."""
    memory = WatchedMemory()
    question.ask(question.planner(), memory=memory)
    calls = ", ".join(f"`memory.{name}`" for name in memory.changes)
    require(not calls, "planning never writes memory", f"calls of {calls}")


def planning_changes_nothing(question: Question) -> None:
    """What a planner is given stays bit-identical."""
    scene, size = question.scene, question.num_episodes
    context, goal = scene.context(size), scene.goal(size)
    before = copy.deepcopy([context, goal])
    question.ask(question.planner(), context=context, goal=goal)
    law = "planning changes neither context nor goal"
    require(equal(before, [context, goal]), law, "other values afterwards")


def episodes_are_independent(question: Question) -> None:
    """An episode's plan does not depend on the other episodes of the batch."""
    together = question.ask(question.planner())
    scene, size = question.scene, question.num_episodes
    for row in range(size):
        alone = question.ask(
            question.planner(),
            context=scene.context(size).rows([row]),
            goal=scene.goal(size).rows([row]),
            generator=generators(range(size))[row : row + 1],
        )
        length = int(alone.lengths[0])
        same = torch.equal(alone.actions[0, :length], together.actions[row, :length])
        require(
            same and length == int(together.lengths[row]),
            "episodes of a batch are independent",
            f"{alone.actions[0].tolist()} alone and {together.actions[row].tolist()} "
            "among others",
        )


def calls_are_counted_around_the_model(question: Question) -> None:
    """All that is imagined goes through the world model that the planner was given."""
    model = question.scene.model()
    made = _tally(model)
    meter = MeteredWorldModel(model)
    question.ask(question.planner(meter))
    require(
        meter.num_calls == sum(made),
        "denoiser calls are counted around the world model, not by the planner",
        f"{meter.num_calls} counted and {sum(made)} made",
    )


LAWS = (
    plans_have_the_promised_shapes,
    warm_starts_are_taken,
    same_noise_same_plan,
    planning_never_writes,
    planning_changes_nothing,
    episodes_are_independent,
    calls_are_counted_around_the_model,
)


def scene_for(make: MakePlanner) -> ToyScene:
    """The toy world of phrases, or that of vectors for planners that want those."""
    try:
        Question(make, 1, 1).planner()
    except USER_ERRORS as error:
        with suppress(*USER_ERRORS):
            Question(make, 1, 1, POINTS).planner()
            return POINTS
        raise error
    return DOTS


def _tally(model: WorldModel) -> list[int]:
    """A list that grows by what a model is really asked for.

    Planners only know the meter around it.
    """
    made: list[int] = []
    predict = model.predict

    def tally(context: Context, actions: Tensor, **options: Any) -> Prediction:
        made.append(actions.shape[0] * actions.shape[1])
        return predict(context, actions, **options)

    model.predict = tally  # type: ignore[method-assign]
    return made


def _check(plan: Plan, question: Question) -> None:
    space = question.scene.model().action_space
    check_plan(plan, question.num_episodes, question.horizon, space)
