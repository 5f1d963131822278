"""`Believer`: acts like the expert, on what it believes of the past."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from envs.api import Node
from envs.tabletop.challenges import TableChallenge, now
from envs.tabletop.domain import TabletopDomain
from envs.tabletop.grid import NUM_CUPS, Cell, cell_place, nearest_cell
from envs.tabletop.layout import START_CELLS, Layout
from envs.tabletop.vocabulary import Primitive, action


class Believer:
    """The expert with an imagined past: where things lay before the test began.

    What was seen since then is true. It never learns that it is wrong: the tasks
    tell success only at the end.

    Args:
        domain: In the present state whenever `act` is called; left as it was.
        challenge: What is asked for.
        imagined: A layout with imagined starts.
    """

    def __init__(
        self, domain: TabletopDomain, challenge: TableChallenge, imagined: Layout
    ) -> None:
        self._domain = domain
        self._challenge = challenge
        self._imagined = imagined

    def act(self, node: Node) -> int:
        """The next primitive; a senseless one if it believes that all is done."""
        state = self._domain.get_state()
        self._domain.set_state(replace(state, layout=self._imagined))
        path = self._challenge.path(self._domain, node)
        self._domain.set_state(state)
        return path[0] if path else action(Primitive("lower"))


class CupGuesser:
    """Lifts a cup by chance.

    Args:
        rng: Draws it.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        cup = int(rng.integers(NUM_CUPS))
        self._action = action(Primitive("lift", cups=(cup,)))

    def act(self, node: Node) -> int:
        """The cup; budgets allow one."""
        return self._action


def imagine_starts(layout: Layout, rng: np.random.Generator) -> Layout:
    """Each cube lay on some cell of those where cubes may start.

    Args:
        layout: The real one; only what cubes there are and the tour's length is used.
        rng: Draws the cells.
    """
    cells = [START_CELLS[i] for i in rng.permutation(len(START_CELLS))]
    return with_starts(layout, dict(zip(layout.roles, cells, strict=False)))


def imagine_swap(domain: TabletopDomain, rng: np.random.Generator) -> Layout:
    """Two cubes lay where the other is now, the third on a cell that is free now.

    That is the rule of `SwapBack`; which cubes changed places is drawn.
    """
    cells = {name: nearest_cell(place) for name, place in now(domain).items()}
    one, two, three = (list(cells)[i] for i in rng.permutation(len(cells)))
    free = [cell for cell in START_CELLS if cell not in cells.values()]
    starts = {one: cells[two], two: cells[one], three: free[rng.integers(len(free))]}
    return with_starts(domain.layout, starts)


def with_starts(layout: Layout, cells: Mapping[str, Cell]) -> Layout:
    """The layout with cubes that started on other cells."""
    starts = {name: (cell_place(cell), 0.0) for name, cell in cells.items()}
    return replace(layout, starts=layout.starts | starts)
