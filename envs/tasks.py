"""What an episode asks for: the tasks, the same on every domain."""

from __future__ import annotations

import abc
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import ClassVar, Protocol

import numpy as np

from envs.api import Domain, Node
from envs.lattice import end_of, path_to
from world_model.errors import unknown_name

GOALS = ("language", "given_image")
"""How a goal may be told: in words, or also by the view at it."""
MIN_SHOWN_FRAMES = 4
"""Frames of the tour in which what a task asks for must have been large."""
OPTIMA = range(4, 8)
"""How many actions a goal may be away when a test begins."""
EXTRA_STEPS = 2
"""Actions that the budget spares beyond the optimum."""


_FLOORS = ("noop", "random", "open_loop", "reverse_log", "expert_no_memory")


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

    def path(self, domain: Domain, start: Node) -> list[int] | None:
        """Fewest actions from `start` to the goal, None if it cannot be reached."""
        return path_to(domain, start, self.goal_nodes(domain))

    def count_rivals(self, domain: Domain, start: Node, optima: range) -> int:
        """How many goals are possible here for who has not seen the tour."""
        paths = (path_to(domain, start, goals) for goals in self.rivals(domain))
        return sum(path is not None and len(path) in optima for path in paths)

    def view(self, domain: Domain, start: Node) -> np.ndarray:
        """What is seen at the end of the shortest way to the goal (H, W, C)."""
        domain.place(end_of(domain, start, self.path(domain, start) or []))
        image = domain.render()
        domain.place(start)
        return image

    def distance(self, domain: Domain) -> float:
        """Straight distance from where the robot is to the nearest goal [m]."""
        goals = self.goal_nodes(domain)
        return min(domain.distance(domain.node, goal) for goal in goals)

    def distances(self, domain: Domain) -> dict[str, float]:
        """How far each object is from where it belongs [m], if the task moves any."""
        return {}

    def subgoals(self, domain: Domain) -> tuple[bool, ...]:
        """Which parts of the goal have been reached, if it has parts."""
        return ()


class Guesser(Protocol):
    """Acts as well as one can without having seen the tour."""

    def act(self, node: Node) -> int:
        """The next action; asked at every step of the test."""


class Task(abc.ABC):
    """A family of challenges, one per episode.

    Attributes:
        name: Short name, e.g. "find_seen".
        shows_image: True if its challenges have a goal image.
        domains: What it is made for; None: every domain whose robot travels.
        optima: How many actions its goals may be away when a test begins.
        extra_steps: Actions that the budget spares beyond the optimum.
        floors: Policies without memory that a certificate compares with; for
            "expert_no_memory" see `guesser`.
        ceiling: Options of the certificate's row of the true simulator: which planner
            searches, and a memory if what the goal refers to must be recalled.
    """

    name: str
    shows_image: ClassVar[bool] = False
    domains: ClassVar[tuple[str, ...] | None] = None
    optima: ClassVar[range] = OPTIMA
    extra_steps: ClassVar[int] = EXTRA_STEPS
    floors: ClassVar[tuple[str, ...]] = ("noop", "random")
    ceiling: ClassVar[tuple[str, ...]] = ("planner=mpc", "memory=none")

    def begin(self, domain: Domain, rng: np.random.Generator) -> Sequence[int]:
        """Draws a layout, opens it, and returns the tour that is to be shown."""
        domain.reset(rng)
        return domain.tour()

    def guesser(
        self, domain: Domain, instruction: str, rng: np.random.Generator
    ) -> Guesser | None:
        """What stands for an expert that has not seen the tour.

        Args:
            domain: Shows the present state; what is hidden may not be used.
            instruction: The goal in words.
            rng: Draws the guesses.

        Returns:
            None if the lattice tells how to search, see `ExpertNoMemoryPolicy`.
        """
        return None

    @abc.abstractmethod
    def candidates(
        self, domain: Domain, tour: Tour, rng: np.random.Generator
    ) -> Sequence[Challenge]:
        """Challenges this layout and tour allow, in random order."""


class FindSeen(Task):
    """Asks for an object seen on the tour: "go to the yellow cylinder"."""

    name = "find_seen"
    floors = _FLOORS

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
    floors = _FLOORS

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
"""The tasks of every domain whose robot travels."""
TABLE_TASKS = {
    "restore_cubes": "envs.tabletop.tasks.RestoreCubes",
    "shell_game": "envs.tabletop.tasks.ShellGame",
    "swap_back": "envs.tabletop.tasks.SwapBack",
}
"""The tasks of `tabletop`; imported when one is made."""


def find_task(name: str) -> Task:
    """The task of that name.

    Args:
        name: One of `TASKS` or `TABLE_TASKS`, or where a `Task` of one's own is,
            "package.module.Class".

    Raises:
        ValueError: If there is none.
    """
    if name in TASKS:
        return TASKS[name]
    name = TABLE_TASKS.get(name, name)
    if "." not in name:
        raise unknown_name("task", name, {**TASKS, **TABLE_TASKS})
    module, _, attribute = name.rpartition(".")
    try:
        task = getattr(import_module(module), attribute)()
    except Exception as error:  # whatever a plug-in's module may raise
        found = f"{type(error).__name__}: {error}"
        raise _no_task(name, found) from error
    if not isinstance(task, Task):
        raise _no_task(name, f"a {type(task).__name__}")
    return task


def check_fits(task: Task, domain: type[Domain]) -> None:
    """Refuses a task in a domain that it makes no sense in.

    Raises:
        ValueError: If it does not.
    """
    fits = domain.travels if task.domains is None else domain.id in task.domains
    if not fits:
        wanted = "a robot that travels" if task.domains is None else task.domains[0]
        raise ValueError(
            f"`task={task.name}` needs {wanted}, got domain={domain.id}: choose "
            "another task or another domain."
        )


def _no_task(name: str, found: str) -> ValueError:
    return ValueError(
        f"`task.kind={name}` must be the path of a class that derives from "
        f"`envs.tasks.Task` and is made without arguments, got {found}: correct the "
        "task's YAML file or install its package again."
    )
