"""Arrangements: what lies where on the table, as symbols.

An arrangement is the node of `tabletop`: cubes lie on cells, or on slots if there
are cups; cups stand on slots or behind them; one object may be in the hand.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from envs.tabletop.grid import (
    BACK_LANE,
    CELLS,
    CUBES,
    CUPS,
    NUM_CUPS,
    Point,
    cell_place,
    slot_place,
)
from envs.tabletop.vocabulary import Primitive


class Spot(NamedTuple):
    """Where an object is.

    Attributes:
        kind: "cell", "slot", "behind" a slot, or "hand".
        number: Index in `CELLS`, or of the slot from the left.
    """

    kind: str
    number: int = 0


HAND = Spot("hand")
_ON_CELLS = tuple(Spot("cell", i) for i in range(len(CELLS)))
_ON_SLOTS = tuple(Spot("slot", i) for i in range(NUM_CUPS))
_BEHIND = tuple(Spot("behind", i) for i in range(NUM_CUPS))

Arrangement = tuple[tuple[str, Spot], ...]
"""The spot of every object, sorted by name. A lifted cup is in the hand."""


def spot_place(spot: Spot) -> Point:
    """The middle of a spot.

    Raises:
        ValueError: If the spot is the hand, which may be anywhere.
    """
    if spot.kind == "cell":
        return cell_place(CELLS[spot.number])
    if spot.kind == "slot":
        return slot_place(spot.number)
    if spot.kind == "behind":
        return BACK_LANE, slot_place(spot.number)[1]
    raise ValueError("A spot on the table is needed, got the hand: let go first.")


def arrange(places: Mapping[str, Point], held: str | None) -> Arrangement:
    """The arrangement nearest to real places (x, y) [m]."""
    with_cups = any(cup in places for cup in CUPS)
    spots = {}
    for name, place in places.items():
        if name in CUPS:
            options = _ON_SLOTS + _BEHIND
        else:
            options = _ON_SLOTS if with_cups else _ON_CELLS
        nearest = min(options, key=lambda s: math.dist(spot_place(s), place))
        spots[name] = HAND if name == held else nearest
    return tuple(sorted(spots.items()))


def successor(arrangement: Arrangement, primitive: Primitive) -> Arrangement:
    """Where a primitive leads if nothing slips; nowhere if it is senseless.

    A cup that is lifted reveals what it covered, but `lower` cannot say where it came
    from: that the arrangement does not tell, so it stays.
    """
    spots = dict(arrangement)
    held = next((name for name, spot in spots.items() if spot == HAND), None)
    if primitive.verb == "place":
        return _placed(spots, held, primitive)
    if held is not None:
        return arrangement
    if primitive.verb == "pick":
        return _picked(spots, primitive.cube)
    if primitive.verb == "cover":
        return _covered(spots, primitive.cube)
    if primitive.verb == "swap":
        return _swapped(spots, primitive.cups)
    if primitive.verb == "lift":
        cups = cups_from_left(spots)
        return _sorted(spots | ({cups[primitive.cups[0]]: HAND} if cups else {}))
    return arrangement


def cups_from_left(spots: Mapping[str, Spot]) -> list[str]:
    """The cups on the table, from the left."""
    cups = [name for name in CUPS if name in spots]
    return sorted(cups, key=lambda name: spots[name].number)


def covering(spots: Mapping[str, Spot], cube: str) -> str | None:
    """The cup that stands on a cube's slot."""
    cups = (name for name in CUPS if spots.get(name) == spots[cube])
    return next(cups, None)


def _placed(spots: dict[str, Spot], held: str | None, to: Primitive) -> Arrangement:
    assert to.cell is not None
    target = Spot("cell", CELLS.index(to.cell))
    if held in CUBES and target not in spots.values():
        spots[str(held)] = target
    return _sorted(spots)


def _picked(spots: dict[str, Spot], cube: str) -> Arrangement:
    if cube in spots and covering(spots, cube) is None:
        spots[cube] = HAND
    return _sorted(spots)


def _covered(spots: dict[str, Spot], cube: str) -> Arrangement:
    taken = {covering(spots, other) for other in CUBES if other in spots}
    free = [cup for cup in CUPS if cup in spots and cup not in taken]
    if cube in spots and free and covering(spots, cube) is None:
        behind = min(free, key=lambda cup: abs(spots[cup].number - spots[cube].number))
        spots[behind] = spots[cube]
    return _sorted(spots)


def _swapped(spots: dict[str, Spot], pair: tuple[int, ...]) -> Arrangement:
    cups = cups_from_left(spots)
    if cups:
        left, right = (spots[cups[i]] for i in pair)
        swap = {left: right, right: left}
        spots = {name: swap.get(spot, spot) for name, spot in spots.items()}
    return _sorted(spots)


def _sorted(spots: Mapping[str, Spot]) -> Arrangement:
    return tuple(sorted(spots.items()))
