"""The language of the arm: what each primitive is called.

A phrase names what is visible when it is said, or a cell of the table. None refers
to the past.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations, product
from typing import Literal

from envs.tabletop.grid import CELLS, CUBES, NUM_CUPS, ORDINALS, Cell
from world_model.phrase_space import PhraseSpace

Verb = Literal["pick", "place", "cover", "swap", "lift", "lower"]


@dataclass(frozen=True)
class Primitive:
    """One action of the arm.

    Attributes:
        verb: What is done.
        cube: The cube that is picked up or covered.
        cell: Where what is held is placed.
        cups: Cups on the table, counted from the left from 0.
    """

    verb: Verb
    cube: str = ""
    cell: Cell | None = None
    cups: tuple[int, ...] = ()

    @property
    def phrase(self) -> str:
        """What the primitive is called."""
        names = [ORDINALS[cup] for cup in self.cups]
        return {
            "pick": f"pick up the {self.cube}",
            "place": self.cell
            and f"place it at row {self.cell.row}, column {self.cell.column}",
            "cover": f"cover the {self.cube}",
            "swap": f"swap the {' and '.join(names)} cups",
            "lift": f"lift the {' '.join(names)} cup",
            "lower": "lower the cup",
        }[self.verb] or ""


PRIMITIVES: tuple[Primitive, ...] = (
    *(Primitive("pick", cube=cube) for cube in CUBES),
    *(Primitive("place", cell=cell) for cell in CELLS),
    *(Primitive("cover", cube=cube) for cube in CUBES),
    *(Primitive("swap", cups=pair) for pair in combinations(range(NUM_CUPS), 2)),
    *(Primitive("lift", cups=(cup,)) for cup in range(NUM_CUPS)),
    Primitive("lower"),
)
_INDEX = {primitive: i for i, primitive in enumerate(PRIMITIVES)}


def action(primitive: Primitive) -> int:
    """The index of a primitive in the action space."""
    return _INDEX[primitive]


def _inverse(primitive: Primitive) -> int | None:
    """What undoes a primitive wherever it was executed."""
    if primitive.verb == "swap":
        return action(primitive)
    return action(Primitive("lower")) if primitive.verb == "lift" else None


ACTION_SPACE = PhraseSpace(
    [primitive.phrase for primitive in PRIMITIVES],
    [_inverse(primitive) for primitive in PRIMITIVES],
)


GOALS: dict[str, tuple[int, int]] = {
    f"put the {cube} at row {cell.row}, column {cell.column}": (
        action(Primitive("pick", cube=cube)),
        action(Primitive("place", cell=cell)),
    )
    for cube, cell in product(CUBES, CELLS)
}
"""Goals in words, and the pick and the place that reach them."""
