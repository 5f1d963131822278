"""A random layout of `rooms`: branches, objects and colours."""

from __future__ import annotations

import colorsys
import math
from dataclasses import dataclass

import numpy as np

from envs.rooms.lattice import (
    BACKWARD,
    CHAMBER_DEPTH,
    FORWARD,
    NUM_SECTORS,
    RoomNode,
    to_world,
    turns,
)

Colour = tuple[float, float, float]

NUM_BRANCHES = 4
OBJECT_COLOURS: dict[str, Colour] = {
    "red": (0.90, 0.08, 0.08),
    "green": (0.05, 0.65, 0.10),
    "blue": (0.08, 0.15, 0.95),
    "yellow": (1.00, 0.88, 0.00),
    "magenta": (0.95, 0.05, 0.80),
    "cyan": (0.00, 0.85, 0.90),
}
SHAPES = ("box", "cylinder", "sphere")
VOCABULARY = tuple(f"{c} {s}" for c in OBJECT_COLOURS for s in SHAPES)
SYMBOLS = ("square", "diamond", "bar", "post")

NICHE = (1.90, 0.84)
"""Where an object stands in its sector's frame, before the side is chosen [m]."""
JITTER = 0.03
"""Largest shift of an object from its niche, per axis [m]."""

OUTER_WALLS = ("hub_wall", "tunnel_left", "tunnel_right", "curtain")
OUTER_SIGNS = ("door", "plug")
INNER_WALLS = ("chamber_floor", "inner", "gate", "left", "right", "outer")
INNER_SIGNS = ("sign_left", "sign_right", "sign_outer", "board")
"""Signs have a dark panel and a light symbol, so that they stand out."""

# (saturation, value): pale enough that only objects are saturated.
_TONES = {"light": (0.30, 0.95), "mid": (0.45, 0.68), "dark": (0.55, 0.36)}
_NUM_HUES = 24


@dataclass(frozen=True)
class Branch:
    """One chamber and its object.

    Attributes:
        sector: 0..5.
        side: Niche left (+1) or right (-1) of the sector's axis.
        colour: Key of `OBJECT_COLOURS`.
        shape: One of `SHAPES`.
        position: Centre of the object in the world (x, y) [m].
        yaw: Orientation of the object [rad].
    """

    sector: int
    side: int
    colour: str
    shape: str
    position: tuple[float, float]
    yaw: float

    @property
    def name(self) -> str:
        """What a task calls the object, e.g. "yellow cylinder"."""
        return f"{self.colour} {self.shape}"

    @property
    def view_node(self) -> RoomNode:
        """The chamber pose that faces the object."""
        return RoomNode(
            self.sector, CHAMBER_DEPTH, (self.sector + self.side) % NUM_SECTORS
        )


@dataclass(frozen=True)
class Layout:
    """Everything random of an episode.

    Attributes:
        branches: In the order of the tour, home first.
        colours: Surface -> colour; a surface is "<sector>/<name>" or "floor".
        symbols: Sign ("<sector>/<name>") -> one of `SYMBOLS`.
    """

    branches: tuple[Branch, ...]
    colours: dict[str, Colour]
    symbols: dict[str, str]

    @property
    def sectors(self) -> tuple[int, ...]:
        """The sectors that are branches."""
        return tuple(branch.sector for branch in self.branches)

    @property
    def home(self) -> RoomNode:
        """Where the tour begins."""
        return self.branches[0].view_node

    def branch(self, name: str) -> Branch:
        """The branch whose object has this name.

        Raises:
            ValueError: If the layout has no such object.
        """
        for branch in self.branches:
            if branch.name == name:
                return branch
        names = [branch.name for branch in self.branches]
        raise ValueError(
            f"`name` must be an object of the layout, {names}, got {name}."
        )


def draw_layout(rng: np.random.Generator) -> Layout:
    """Draws a layout; colours, objects and branches are independent of each other."""
    sectors = _tour_order(rng)
    object_colours = rng.permutation(list(OBJECT_COLOURS))[:NUM_BRANCHES]
    branches = tuple(
        _draw_branch(rng, sector, str(colour))
        for sector, colour in zip(sectors, object_colours, strict=True)
    )
    signs = [
        f"{k}/{name}" for k in range(NUM_SECTORS) for name in OUTER_SIGNS + INNER_SIGNS
    ]
    symbols = {sign: SYMBOLS[rng.integers(len(SYMBOLS))] for sign in signs}
    return Layout(branches, _draw_colours(rng), symbols)


def tour(layout: Layout) -> tuple[int, ...]:
    """Actions that show every chamber, from home to the hub."""
    home, *others = layout.branches
    actions = turns(layout.home.heading, home.sector) + [BACKWARD] * CHAMBER_DEPTH
    heading = home.sector
    for branch in others:
        to_niche = turns(branch.sector, branch.view_node.heading)
        back = turns(branch.view_node.heading, branch.sector)
        actions += turns(heading, branch.sector) + [FORWARD] * CHAMBER_DEPTH
        actions += to_niche + back + [BACKWARD] * CHAMBER_DEPTH
        heading = branch.sector
    return tuple(actions)


def _tour_order(rng: np.random.Generator) -> list[int]:
    """Branch sectors in angular order, from a random home, either way round."""
    chosen = sorted(rng.permutation(NUM_SECTORS)[:NUM_BRANCHES].tolist())
    home = int(rng.integers(NUM_BRANCHES))
    order = chosen[home:] + chosen[:home]
    return order if rng.random() < 0.5 else order[:1] + order[:0:-1]


def _draw_branch(rng: np.random.Generator, sector: int, colour: str) -> Branch:
    side = 1 if rng.random() < 0.5 else -1
    x, y = rng.uniform(-JITTER, JITTER, size=2)
    return Branch(
        sector=sector,
        side=side,
        colour=colour,
        shape=SHAPES[rng.integers(len(SHAPES))],
        position=to_world(sector, NICHE[0] + x, side * (NICHE[1] + y)),
        yaw=float(rng.uniform(0, math.pi / 2)),
    )


def _draw_colours(rng: np.random.Generator) -> dict[str, Colour]:
    """A colour per surface; chambers are drawn apart from what the hub shows."""
    colours = {"floor": _tone(int(rng.integers(_NUM_HUES)), "light")}
    wall_hues = rng.permutation(_NUM_HUES)
    for sector in range(NUM_SECTORS):
        # All outer walls of a layout differ: they tell the branches apart.
        own = wall_hues[len(OUTER_WALLS) * sector :][: len(OUTER_WALLS)]
        others = np.setdiff1d(np.arange(_NUM_HUES), own)
        hues = [*own, *rng.permutation(others)]
        outside = _paint(rng, hues, OUTER_WALLS, OUTER_SIGNS)
        outside["plug_wall"] = outside["hub_wall"]
        hues = [*rng.permutation(_NUM_HUES)]
        inside = _paint(rng, hues, INNER_WALLS, INNER_SIGNS)
        for name, colour in (outside | inside).items():
            colours[f"{sector}/{name}"] = colour
    return colours


def _paint(
    rng: np.random.Generator,
    hues: list[int],
    walls: tuple[str, ...],
    signs: tuple[str, ...],
) -> dict[str, Colour]:
    """Pale walls, dark signs with light symbols; no hue comes twice."""
    colours = {}
    for wall, hue in zip(walls, hues, strict=False):
        colours[wall] = _tone(hue, "light" if rng.random() < 0.5 else "mid")
    for sign, hue in zip(signs, hues[len(walls) :], strict=False):
        colours[sign] = _tone(hue, "dark")
        symbol_hue = (hue + _NUM_HUES // 3) % _NUM_HUES
        colours[f"{sign}_symbol"] = _tone(symbol_hue, "light")
    return colours


def _tone(hue: int, tone: str) -> Colour:
    return colorsys.hsv_to_rgb(hue / _NUM_HUES, *_TONES[tone])
