"""`Believer`: acts like the expert, on what it believes of the past."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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

    What was seen since then is true. An episode ends when the task is solved: asked
    again when it believes that all is done, it knows that it was wrong.

    Args:
        domain: In the present state whenever `act` is called; left as it was.
        challenge: What is asked for.
        imagined: Layouts with imagined starts, to be believed one after the other.
    """

    def __init__(
        self,
        domain: TabletopDomain,
        challenge: TableChallenge,
        imagined: Iterable[Layout],
    ) -> None:
        self._domain = domain
        self._challenge = challenge
        self._imagined = list(imagined)

    def act(self, node: Node) -> int:
        """The next primitive; a senseless one if all that it believed was wrong."""
        while self._imagined:
            if path := self._path(self._imagined[0], node):
                return path[0]
            self._imagined.pop(0)
        return action(Primitive("lower"))

    def _path(self, imagined: Layout, node: Node) -> list[int] | None:
        state = self._domain.get_state()
        self._domain.set_state(replace(state, layout=imagined))
        path = self._challenge.path(self._domain, node)
        self._domain.set_state(state)
        return path


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


def imagine_swap(domain: TabletopDomain, rng: np.random.Generator) -> list[Layout]:
    """Two cubes lay where the other is now, the third on a cell that is free now.

    That is the rule of `SwapBack`; which cubes changed places is drawn. The layouts
    differ by where the third was: to look there again costs two primitives, as many as
    the budget spares.
    """
    cells = {name: nearest_cell(place) for name, place in now(domain).items()}
    one, two, three = (list(cells)[i] for i in rng.permutation(len(cells)))
    free = [cell for cell in START_CELLS if cell not in cells.values()]
    swapped = {one: cells[two], two: cells[one]}
    return [
        with_starts(domain.layout, {**swapped, three: free[i]})
        for i in rng.permutation(len(free))
    ]


def with_starts(layout: Layout, cells: Mapping[str, Cell]) -> Layout:
    """The layout with cubes that started on other cells."""
    starts = {name: (cell_place(cell), 0.0) for name, cell in cells.items()}
    return replace(layout, starts=layout.starts | starts)
