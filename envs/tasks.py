"""What an episode asks for: the tasks, the same on every domain."""

from __future__ import annotations

import abc
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import ClassVar

import numpy as np

from envs.api import Domain, Node
from world_model.errors import unknown_name

GOALS = ("language", "given_image")
"""How a goal may be told: in words, or also by the view at it."""
MIN_SHOWN_FRAMES = 4
"""Frames of the tour in which what a task asks for must have been large."""


@dataclass(frozen=True)
class Tour:
    """What was shown before the test.

    Attributes:
        nodes: Lattice poses at the start and after every action.
        first_image: The first view (H, W, C).
        num_shown: Per object name, the number of frames that showed it large.
        unseen_for: Per object name, the number of actions at the end of the tour
            without a single frame that shows any of it.
    """

    nodes: tuple[Node, ...]
    first_image: np.ndarray
    num_shown: dict[str, int]
    unseen_for: dict[str, int]


class Challenge(abc.ABC):
    """One concrete goal in one layout.

    Attributes:
        instruction: The goal in words.
        image: A goal image (H, W, C) that every row is shown, or None.
    """

    instruction: str
    image: np.ndarray | None = None

    @abc.abstractmethod
    def goal_nodes(self, domain: Domain) -> Collection[Node]:
        """Lattice poses that satisfy the goal."""

    @abc.abstractmethod
    def rivals(self, domain: Domain) -> Sequence[Collection[Node]]:
        """Goals that who has not seen the tour must hold possible, the true one too."""

    @abc.abstractmethod
    def solved(self, domain: Domain) -> bool:
        """Simulator truth, now."""

    @abc.abstractmethod
    def hidden(self, domain: Domain) -> bool:
        """True if the present view does not show what is looked for."""


class Task(abc.ABC):
    """A family of challenges, one per episode.

    Attributes:
        name: Short name, e.g. "find_seen".
        shows_image: True if its challenges have a goal image.
    """

    name: str
    shows_image: ClassVar[bool] = False

    @abc.abstractmethod
    def candidates(
        self, domain: Domain, tour: Tour, rng: np.random.Generator
    ) -> Sequence[Challenge]:
        """Challenges this layout and tour allow, in random order."""


class FindSeen(Task):
    """Asks for an object seen on the tour: "go to the yellow cylinder"."""

    name = "find_seen"

    def candidates(
        self, domain: Domain, tour: Tour, rng: np.random.Generator
    ) -> Sequence[Challenge]:
        names = [
            name
            for name in domain.objects
            if tour.num_shown[name] >= MIN_SHOWN_FRAMES and tour.unseen_for[name] >= 1
        ]
        return [_Find(names[i]) for i in rng.permutation(len(names))]


class ReturnHome(Task):
    """Come back to where the tour began; everyone is shown the tour's first image."""

    name = "return_home"
    shows_image = True

    def candidates(
        self, domain: Domain, tour: Tour, rng: np.random.Generator
    ) -> Sequence[Challenge]:
        return [_Return(tour.nodes[0], tour.first_image)]


class _Find(Challenge):
    def __init__(self, target: str) -> None:
        self.target = target
        self.instruction = f"go to the {target}"

    def goal_nodes(self, domain: Domain) -> Collection[Node]:
        return domain.found_nodes(self.target)

    def rivals(self, domain: Domain) -> Sequence[Collection[Node]]:
        return [domain.found_nodes(name) for name in domain.objects]

    def solved(self, domain: Domain) -> bool:
        return domain.found(self.target)

    def hidden(self, domain: Domain) -> bool:
        return domain.segment_objects()[self.target] == 0


class _Return(Challenge):
    def __init__(self, home: Node, image: np.ndarray) -> None:
        self.home = home
        self.image = image
        self.instruction = "return to where the tour began"

    def goal_nodes(self, domain: Domain) -> Collection[Node]:
        return frozenset([self.home])

    def rivals(self, domain: Domain) -> Sequence[Collection[Node]]:
        return [[node] for node in domain.home_nodes()]

    def solved(self, domain: Domain) -> bool:
        return domain.is_at(self.home)

    def hidden(self, domain: Domain) -> bool:
        return domain.node != self.home


TASKS: dict[str, Task] = {t.name: t for t in (FindSeen(), ReturnHome())}


def find_task(name: str) -> Task:
    """The task of that name.

    Args:
        name: One of `TASKS`, or where a `Task` of one's own is, "package.module.Class".

    Raises:
        ValueError: If there is none.
    """
    if name in TASKS:
        return TASKS[name]
    if "." not in name:
        raise unknown_name("task", name, TASKS)
    module, _, attribute = name.rpartition(".")
    try:
        task = getattr(import_module(module), attribute)()
    except Exception as error:  # whatever a plug-in's module may raise
        found = f"{type(error).__name__}: {error}"
        raise _no_task(name, found) from error
    if not isinstance(task, Task):
        raise _no_task(name, f"a {type(task).__name__}")
    return task


def _no_task(name: str, found: str) -> ValueError:
    return ValueError(
        f"`task.kind={name}` must be the path of a class that derives from "
        f"`envs.tasks.Task` and is made without arguments, got {found}: correct the "
        "task's YAML file or install its package again."
    )
