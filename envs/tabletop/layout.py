"""Random starts of episodes: what lies where, and the tour that is shown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from envs.tabletop.arrangement import (
    Arrangement,
    Spot,
    arrange,
    spot_place,
    successor,
)
from envs.tabletop.grid import (
    CELLS,
    CUBES,
    CUPS,
    GREEN_AREA,
    NUM_CUPS,
    Cell,
    Point,
)
from envs.tabletop.vocabulary import PRIMITIVES, Primitive, action

JITTER = 0.004
"""Largest shift of a cube from the middle of its cell, per axis [m]."""
MAX_YAW = 0.12
"""Largest turn of a cube [rad]."""
NUM_SWAPS = 3

START_CELLS = tuple(cell for cell in CELLS if cell not in GREEN_AREA)
"""Where cubes may lie at first."""


@dataclass(frozen=True)
class Layout:
    """Everything random of an episode.

    Attributes:
        starts: Each object's place (x, y) [m] and turn [rad] at first.
        tour: Actions that are shown before the test.
        roles: The cubes of the tour, in the order in which it first moves them.
    """

    starts: dict[str, tuple[Point, float]]
    tour: tuple[int, ...] = ()
    roles: tuple[str, ...] = ()

    @property
    def first(self) -> Arrangement:
        """The arrangement at first."""
        return arrange({name: place for name, (place, _) in self.starts.items()}, None)

    @property
    def shown(self) -> Arrangement:
        """The arrangement that the tour leads to if nothing slips."""
        arrangement = self.first
        for index in self.tour:
            arrangement = successor(arrangement, PRIMITIVES[index])
        return arrangement


def draw_restore_cubes(rng: np.random.Generator) -> Layout:
    """Two cubes, both moved to the green area."""
    names = _some_cubes(rng, 2)
    starts = _cubes_on_cells(rng, names)
    area = [GREEN_AREA[i] for i in rng.permutation(len(GREEN_AREA))[:2]]
    return Layout(starts, _moves(zip(names, area, strict=True)), names)


def draw_swap_back(rng: np.random.Generator) -> Layout:
    """Three cubes: two change places, the third goes elsewhere."""
    one, two, three = _some_cubes(rng, 3)
    cells = [START_CELLS[i] for i in rng.permutation(len(START_CELLS))[:5]]
    first, second, third, buffer, elsewhere = cells
    cubes = {one: first, two: second, three: third}
    moves = [(one, buffer), (two, first), (one, second), (three, elsewhere)]
    return Layout(on_cells(rng, cubes), _moves(moves), (one, two, three))


def draw_shell_game(rng: np.random.Generator) -> Layout:
    """Cubes on three of four slots; they are covered, then the cups are swapped."""
    slots = [int(slot) for slot in rng.permutation(NUM_CUPS)]
    names = _some_cubes(rng, len(CUBES))
    starts = {}
    for name, slot in zip(names, slots, strict=False):
        starts[name] = (spot_place(Spot("slot", slot)), 0.0)
    for cup, slot in zip(rng.permutation(CUPS), range(NUM_CUPS), strict=True):
        kind = "slot" if slot == slots[-1] else "behind"
        starts[str(cup)] = (spot_place(Spot(kind, slot)), 0.0)
    covers = [Primitive("cover", cube=name) for name in names]
    tour = [*covers, *_swaps(rng)]
    return Layout(starts, tuple(map(action, tour)), names)


def _swaps(rng: np.random.Generator) -> list[Primitive]:
    """Swaps of random cups, never the same twice in a row."""
    options = [p for p in PRIMITIVES if p.verb == "swap"]
    chosen: list[Primitive] = []
    while len(chosen) < NUM_SWAPS:
        rest = [p for p in options if p not in chosen[-1:]]
        chosen.append(rest[rng.integers(len(rest))])
    return chosen


def _some_cubes(rng: np.random.Generator, number: int) -> tuple[str, ...]:
    return tuple(str(name) for name in rng.permutation(CUBES)[:number])


def _cubes_on_cells(
    rng: np.random.Generator, names: Sequence[str]
) -> dict[str, tuple[Point, float]]:
    cells = rng.permutation(len(START_CELLS))[: len(names)]
    chosen = {n: START_CELLS[i] for n, i in zip(names, cells, strict=True)}
    return on_cells(rng, chosen)


def on_cells(
    rng: np.random.Generator, cells: dict[str, Cell]
) -> dict[str, tuple[Point, float]]:
    """Places near the middles of cells."""
    starts = {}
    for name, cell in cells.items():
        x, y = spot_place(Spot("cell", CELLS.index(cell)))
        dx, dy = rng.uniform(-JITTER, JITTER, size=2).tolist()
        starts[name] = ((x + dx, y + dy), float(rng.uniform(-MAX_YAW, MAX_YAW)))
    return starts


def _moves(pairs: Iterable[tuple[str, Cell]]) -> tuple[int, ...]:
    actions: list[int] = []
    for name, cell in pairs:
        actions += [
            action(Primitive("pick", cube=name)),
            action(Primitive("place", cell=cell)),
        ]
    return tuple(actions)
