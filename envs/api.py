"""The contract of a domain: a simulated world whose robot moves on a lattice.

A domain knows how its world looks and moves. What is asked of the robot (tasks)
and how an episode runs (tour, then test) is the same for all domains and lives in
`envs.tasks` and `envs.memory_task_env`.

Units: metres [m], degrees [deg]. Images are uint8 (H, W, C).
"""

from __future__ import annotations

import abc
import contextlib
from collections.abc import Collection, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from envs.lattice import path_to
from world_model.phrase_space import Motion, PhraseSpace

Node = Hashable
"""A pose of the lattice (place and heading), or an arrangement of objects where the
robot stays at its place; compares by value."""


@dataclass(frozen=True)
class Transition:
    """One executed action and the frames (F, H, W, C) uint8 it produced."""

    action: int | list[float]
    frames: np.ndarray


class Domain(abc.ABC):
    """One simulated world, one episode at a time.

    Attributes:
        id: Name of the domain, as in `domain=rooms`.
        action_space: What each action is called.
        chunk_length: F, frames per action.
        frame_shape: (H, W, C) of every image.
        vocabulary: Names of all objects that layouts may hold.
        min_visible_pixels: From how many pixels on an object counts as shown.
        travels: Whether the robot moves through the world, so that it can go to
            objects and come home.
        slow: Whether an action is so much physics that runs keep what it did.
        look_offset: Shifts every image by (forward [m], left [m], turn [degrees])
            from the robot's pose; None in domains whose views cannot be shifted.
    """

    id: ClassVar[str]
    action_space: ClassVar[PhraseSpace]
    chunk_length: ClassVar[int]
    frame_shape: ClassVar[tuple[int, int, int]]
    vocabulary: ClassVar[tuple[str, ...]]
    min_visible_pixels: ClassVar[int]
    travels: ClassVar[bool] = True
    slow: ClassVar[bool] = False
    look_offset: Motion | None = None

    @abc.abstractmethod
    def reset(self, rng: np.random.Generator) -> None:
        """Draws a new layout and puts the robot where the tour begins."""

    @abc.abstractmethod
    def execute(self, action: int, *, render: bool = True) -> np.ndarray:
        """Carries an action out closed-loop, in the simulator's own dynamics.

        A blocked move ends where it began.

        Returns:
            The frames of the chunk (F, H, W, C), the last one taken at rest;
            of shape (0, H, W, C) if `render` is False.
        """

    @abc.abstractmethod
    def render(self) -> np.ndarray:
        """The robot's present view (H, W, C)."""

    @contextlib.contextmanager
    def looking_from_beside(self, offset: Motion) -> Iterator[None]:
        """Shifts all images by `look_offset` for a while."""
        before, self.look_offset = self.look_offset, offset
        try:
            yield
        finally:
            self.look_offset = before

    @abc.abstractmethod
    def tour(self) -> tuple[int, ...]:
        """The scripted actions that show the whole layout, from the reset pose."""

    @property
    @abc.abstractmethod
    def node(self) -> Node:
        """The lattice pose nearest to the robot's real pose."""

    @abc.abstractmethod
    def place(self, node: Node) -> None:
        """Puts the robot at rest on a lattice pose, with the camera off."""

    @abc.abstractmethod
    def successor(self, node: Node, action: int) -> Node:
        """Where an action leads on the lattice; the node itself if blocked."""

    @abc.abstractmethod
    def start_nodes(self, visited: Collection[Node]) -> Sequence[Node]:
        """Poses a test may start from: on the tour's route, any heading."""

    @abc.abstractmethod
    def home_nodes(self) -> Sequence[Node]:
        """Poses a tour of this layout could have begun at."""

    @property
    @abc.abstractmethod
    def objects(self) -> tuple[str, ...]:
        """Names of the objects a task may ask for, e.g. "yellow cylinder"."""

    @abc.abstractmethod
    def found_nodes(self, name: str) -> frozenset[Node]:
        """Lattice poses at which `found(name)` holds."""

    @abc.abstractmethod
    def found(self, name: str) -> bool:
        """Simulator truth: the robot is close to the object and faces it."""

    @abc.abstractmethod
    def segment_objects(self) -> dict[str, int]:
        """Pixels of every object of the layout in the present view, by name."""

    @abc.abstractmethod
    def segment_chunk(self) -> list[dict[str, int]]:
        """`segment_objects` for each frame of the last `execute` that rendered."""

    @abc.abstractmethod
    def segment_parts(self) -> dict[Hashable, int]:
        """Pixels of every surface in the present view that only one place has."""

    @abc.abstractmethod
    def is_at(self, node: Node) -> bool:
        """Simulator truth: the robot's real pose agrees with a lattice pose."""

    @abc.abstractmethod
    def distance(self, a: Node, b: Node) -> float:
        """Straight distance between the places of two nodes [m]."""

    @abc.abstractmethod
    def get_state(self) -> Any:
        """Everything needed to continue from here (layout included), copied."""

    @abc.abstractmethod
    def set_state(self, state: Any) -> None:
        """Returns exactly to a state made by `get_state`."""

    def errand(self, rng: np.random.Generator) -> list[int]:
        """A few actions that make sense now; where nothing travels, to collect data.

        Raises:
            NotImplementedError: If the robot travels: its errands are paths.
        """
        raise NotImplementedError(f"The robot of `{self.id}` travels: plan a path.")

    def toward(self, goal: str) -> int | None:
        """The next action on the shortest way to a goal in words.

        Args:
            goal: "go to the <object>".

        Returns:
            None if the goal is reached, or if the words name none.
        """
        asked = (name for name in self.objects if goal == f"go to the {name}")
        ways = (path_to(self, self.node, self.found_nodes(name)) for name in asked)
        return next((way[0] for way in ways if way), None)

    def uncovers(self, action: int) -> bool:
        """Whether an action may show again what has been covered, where it stands."""
        return False

    def positions(self) -> np.ndarray | None:
        """Where objects and hand are (n, 3) float32 [m], if anything can be moved."""
        return None

    def close(self) -> None:  # noqa: B027 - most domains hold nothing
        """Releases renderers."""
