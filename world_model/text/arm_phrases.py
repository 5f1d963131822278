"""Phrases that tell an arm what to do with cubes and cups: `tabletop`."""

from __future__ import annotations

from itertools import combinations, product

from world_model.text.vocabulary import Vocabulary

_CUBES = ("red cube", "blue cube", "yellow cube")
_ROWS, _COLUMNS = range(1, 5), range(1, 6)
_ORDINALS = ("first", "second", "third", "fourth")

_PICK = (
    "pick up the {}",
    "grasp the {}",
    "take the {}",
    "grab the {}",
    "raise the {}",
    "get hold of the {}",
    "fetch the {}",
    "pick the {} up from the table",
    "take the {} into the hand",
    "collect the {}",
    "seize the {}",
    "grip the {}",
)
_PLACE = (
    "place it at row {}, column {}",
    "put it at row {}, column {}",
    "set it down at row {}, column {}",
    "put it down in row {}, column {}",
    "lay it on row {}, column {}",
    "place the cube at row {}, column {}",
    "release it at row {}, column {}",
    "drop it off at row {}, column {}",
    "move it to row {}, column {}",
    "put the cube in row {} and column {}",
    "row {}, column {}: put it there",
    "bring it to row {}, column {}",
)
_COVER = (
    "cover the {}",
    "put a cup over the {}",
    "hide the {} under a cup",
    "place a cup on the {}",
    "conceal the {}",
    "cap the {} with a cup",
    "put the {} under a cup",
    "set a cup over the {}",
    "lower a cup onto the {}",
    "cover up the {}",
    "hide the {}",
    "mask the {} with a cup",
)
_SWAP = (
    "swap the {} and {} cups",
    "exchange the {} and {} cups",
    "switch the {} and {} cups",
    "trade the places of the {} and {} cups",
    "let the {} and {} cups change places",
    "interchange the {} and {} cups",
    "swap the {} cup with the {} cup",
    "swap the positions of the {} and {} cups",
    "make the {} and {} cups trade places",
    "exchange the {} cup for the {} cup",
    "shuffle the {} and {} cups",
    "switch the {} cup with the {} cup",
)
_LIFT = (
    "lift the {} cup",
    "raise the {} cup",
    "pick up the {} cup",
    "hold up the {} cup",
    "uncover what is below the {} cup",
    "look under the {} cup",
    "take the {} cup up",
    "hoist the {} cup",
    "elevate the {} cup",
    "lift up the {} cup",
    "remove the {} cup",
    "show what the {} cup hides",
)
_LOWER = (
    "lower the cup",
    "put the cup down",
    "set the cup down",
    "let the cup down",
    "bring the cup down",
    "drop the cup gently",
    "place the cup on the table",
    "rest the cup on the table",
    "put down the cup",
    "set down the cup",
    "let go of the cup",
    "lay the cup down",
)
_GOAL = (
    "put the {} at row {}, column {}",
    "move the {} to row {}, column {}",
    "bring the {} to row {}, column {}",
    "carry the {} to row {}, column {}",
    "set the {} on row {}, column {}",
    "the {} belongs at row {}, column {}",
)
_UNSEEN_PICK = (
    "clasp the {}",
    "get the {}",
    "pick the {} up",
    "grab hold of the {}",
    "take up the {}",
)
_UNSEEN_PLACE = (
    "deposit it at row {}, column {}",
    "set it on row {}, column {}",
    "put the cube down at row {}, column {}",
    "leave it at row {}, column {}",
    "place it in row {} and column {}",
)
_UNSEEN_COVER = (
    "put the cup on top of the {}",
    "cover the {} with a cup",
    "place the cup over the {}",
    "hide the {} with a cup",
    "drop a cup over the {}",
)
_UNSEEN_SWAP = (
    "swap the places of the {} and {} cups",
    "exchange the positions of the {} and {} cups",
    "let the {} and {} cups swap places",
    "switch the places of the {} and {} cups",
    "exchange the {} cup with the {} cup",
)
_UNSEEN_LIFT = (
    "take up the {} cup",
    "raise up the {} cup",
    "see what is under the {} cup",
    "lift off the {} cup",
    "pick the {} cup up",
)
_UNSEEN_LOWER = (
    "put the cup on the table",
    "lower it, the cup",
    "move the cup down",
    "set the cup on the table",
    "let the cup sink",
)


def _wordings(
    pick: tuple[str, ...],
    place: tuple[str, ...],
    cover: tuple[str, ...],
    swap: tuple[str, ...],
    lift: tuple[str, ...],
    lower: tuple[str, ...],
) -> list[tuple[str, ...]]:
    """Wordings of every primitive, in the order of the arm's actions."""
    cubes = [(cube,) for cube in _CUBES]
    kinds = (
        (pick, cubes),
        (place, list(product(_ROWS, _COLUMNS))),
        (cover, cubes),
        (swap, list(combinations(_ORDINALS, 2))),
        (lift, [(name,) for name in _ORDINALS]),
        (lower, [()]),
    )
    return [
        tuple(text.format(*named) for text in texts)
        for texts, names in kinds
        for named in names
    ]


def _mirror() -> dict[str, str]:
    """Columns count from the other side in a mirror, and so do cups."""
    place, lift, swap = _PLACE[0], _LIFT[0], _SWAP[0]
    cells = {
        place.format(row, column): place.format(row, _COLUMNS[-column])
        for row, column in product(_ROWS, _COLUMNS)
    }
    seen = dict(zip(_ORDINALS, reversed(_ORDINALS), strict=True))
    cups = {lift.format(cup): lift.format(seen[cup]) for cup in _ORDINALS}
    pairs = {
        swap.format(a, b): swap.format(seen[b], seen[a])
        for a, b in combinations(_ORDINALS, 2)
    }
    return cells | cups | pairs


def _goals() -> dict[tuple[str, ...], tuple[str, ...]]:
    """A cube that is picked up and placed is at that cell."""
    named = product(_CUBES, _ROWS, _COLUMNS)
    return {
        (_PICK[0].format(cube), _PLACE[0].format(row, column)): tuple(
            goal.format(cube, row, column) for goal in _GOAL
        )
        for cube, row, column in named
    }


_SEEN = _wordings(_PICK, _PLACE, _COVER, _SWAP, _LIFT, _LOWER)
_UNSEEN = _wordings(
    _UNSEEN_PICK,
    _UNSEEN_PLACE,
    _UNSEEN_COVER,
    _UNSEEN_SWAP,
    _UNSEEN_LIFT,
    _UNSEEN_LOWER,
)

ARM = Vocabulary(
    "arm",
    {group[0]: group for group in _SEEN},
    unseen={a[0]: b for a, b in zip(_SEEN, _UNSEEN, strict=True)},
    mirror=_mirror(),
    goals=_goals(),
    num_directions=20,
    num_pools=4,
)
