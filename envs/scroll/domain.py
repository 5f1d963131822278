"""The `scroll` domain: a window that moves over a coloured torus.

A test bed on the same code path as `rooms`: everything is exact, an episode takes
milliseconds, and the 8x8 images serve as latents without an autoencoder.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from envs.api import Domain, Node
from world_model.phrase_space import PhraseSpace

BLOCKS = 12  # the torus has BLOCKS x BLOCKS blocks of 2 x 2 cells
WINDOW = 8  # cells
STEP = 2  # cells per action: a quarter of the window is new
NUM_BLOBS = 10
_MOVES = ((0, -1), (0, 1), (-1, 0), (1, 0))
_COLOURS = {
    "red": (255, 0, 0),
    "green": (0, 255, 0),
    "blue": (0, 0, 255),
    "yellow": (255, 255, 0),
    "magenta": (255, 0, 255),
    "cyan": (0, 255, 255),
    "white": (255, 255, 255),
    "black": (0, 0, 0),
    "orange": (255, 128, 0),
    "purple": (128, 0, 255),
}
_GROUND = (64, 192)  # range of ground colours: blobs lie outside on some channel


class Cell(NamedTuple):
    """Block coordinates of the window's corner, both in 0..11."""

    x: int
    y: int


@dataclass(frozen=True)
class ScrollState:
    """The map (24, 24, 3) uint8, the blobs' blocks, and the window's corner."""

    image: np.ndarray
    blobs: dict[str, Cell]
    corner: Cell


_MOTIONS = ((1.0, 0.0, 0.0), (-1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, -1.0, 0.0))
"""In blocks instead of metres."""


class ScrollDomain(Domain):
    """A window of 8x8 cells on a torus of 24x24; an action scrolls it by 2 cells."""

    id: ClassVar[str] = "scroll"
    action_space: ClassVar[PhraseSpace] = PhraseSpace(
        ("up", "down", "left", "right"), (1, 0, 3, 2), motions=_MOTIONS
    )
    chunk_length: ClassVar[int] = 2
    frame_shape: ClassVar[tuple[int, int, int]] = (WINDOW, WINDOW, 3)
    vocabulary: ClassVar[tuple[str, ...]] = tuple(f"{c} blob" for c in _COLOURS)
    min_visible_pixels: ClassVar[int] = STEP * STEP

    def __init__(self) -> None:
        self.reset(np.random.default_rng(0))

    def reset(self, rng: np.random.Generator) -> None:
        blocks = rng.integers(*_GROUND, size=(BLOCKS, BLOCKS, 3), dtype=np.uint8)
        places = rng.choice(BLOCKS * BLOCKS, NUM_BLOBS, replace=False)
        blobs = {}
        for name, place in zip(self.vocabulary, places, strict=True):
            blobs[name] = Cell(int(place) % BLOCKS, int(place) // BLOCKS)
            blocks[blobs[name].y, blobs[name].x] = _COLOURS[name.split()[0]]
        corner = Cell(*rng.integers(BLOCKS, size=2).tolist())
        image = blocks.repeat(STEP, 0).repeat(STEP, 1)
        self._state = ScrollState(image, blobs, corner)

    def execute(self, action: int, *, render: bool = True) -> np.ndarray:
        before = self.node
        self.place(self.successor(before, action))
        if not render:
            return np.zeros((0, *self.frame_shape), np.uint8)
        dx, dy = _MOVES[action]
        halfway = (STEP * before.x + dx, STEP * before.y + dy)
        self._chunk = (halfway, self._origin)
        return np.stack([self._window(*origin) for origin in self._chunk])

    def render(self) -> np.ndarray:
        return self._window(*self._origin)

    def tour(self) -> tuple[int, ...]:
        # Three bands of four blocks each cover the torus.
        right, down = (3,) * 8, (1,) * 4
        return right + down + right + down + right

    @property
    def node(self) -> Cell:
        return self._state.corner

    def place(self, node: Node) -> None:
        state = self._state
        self._state = ScrollState(state.image, state.blobs, _checked(node))

    def successor(self, node: Node, action: int) -> Cell:
        x, y = _checked(node)
        dx, dy = _MOVES[action]
        return Cell((x + dx) % BLOCKS, (y + dy) % BLOCKS)

    def start_nodes(self, visited: Collection[Node]) -> list[Cell]:
        return sorted(set(map(_checked, visited)))

    def home_nodes(self) -> list[Cell]:
        return [Cell(x, y) for x in range(BLOCKS) for y in range(BLOCKS)]

    @property
    def objects(self) -> tuple[str, ...]:
        return tuple(self._state.blobs)

    def found_nodes(self, name: str) -> frozenset[Cell]:
        # The middle of the window is its blocks 1 and 2 on both axes.
        blob = self._blob(name)
        return frozenset(
            Cell((blob.x - i) % BLOCKS, (blob.y - j) % BLOCKS)
            for i in (1, 2)
            for j in (1, 2)
        )

    def found(self, name: str) -> bool:
        return self.node in self.found_nodes(name)

    def segment_objects(self) -> dict[str, int]:
        return self._count_objects(self._origin)

    def segment_chunk(self) -> list[dict[str, int]]:
        return [self._count_objects(origin) for origin in self._chunk]

    def segment_parts(self) -> dict[Hashable, int]:
        """Pixels of every block in view."""
        blocks = range(WINDOW // STEP)
        x, y = self.node
        return {
            Cell((x + i) % BLOCKS, (y + j) % BLOCKS): STEP * STEP
            for i in blocks
            for j in blocks
        }

    def is_at(self, node: Node) -> bool:
        return self.node == node

    def distance(self, a: Node, b: Node) -> float:
        deltas = np.abs(np.subtract(_checked(a), _checked(b)))
        return float(np.hypot(*np.minimum(deltas, BLOCKS - deltas)))

    def get_state(self) -> ScrollState:
        return self._state

    def set_state(self, state: ScrollState) -> None:
        self._state = state

    def _blob(self, name: str) -> Cell:
        return self._state.blobs[name]

    @property
    def _origin(self) -> tuple[int, int]:
        """The window's corner (x, y) [cells]."""
        return STEP * self.node.x, STEP * self.node.y

    def _count_objects(self, origin: tuple[int, int]) -> dict[str, int]:
        x, y = origin
        return {
            name: _overlap(blob.x, x) * _overlap(blob.y, y)
            for name, blob in self._state.blobs.items()
        }

    def _window(self, x: int, y: int) -> np.ndarray:
        rows = (np.arange(WINDOW) + y) % (STEP * BLOCKS)
        columns = (np.arange(WINDOW) + x) % (STEP * BLOCKS)
        return self._state.image[rows[:, None], columns].copy()


def _overlap(block: int, origin: int) -> int:
    """How many cells of a block a window from `origin` shows, on one axis."""
    cells = STEP * block + np.arange(STEP)
    return int(((cells - origin) % (STEP * BLOCKS) < WINDOW).sum())


def _checked(node: Node) -> Cell:
    if not isinstance(node, Cell):
        raise TypeError(f"A node of `scroll` must be a Cell, got {node!r}.")
    return node
