"""What the tasks of `tabletop` ask for, judged on the simulator's state."""

from __future__ import annotations

import abc
import math
from collections.abc import Collection, Mapping, Sequence

import numpy as np

from envs.api import Domain, Node
from envs.tabletop.arrangement import Spot
from envs.tabletop.domain import TabletopDomain
from envs.tabletop.grid import (
    CELLS,
    CUBE_SIZE,
    CUBES,
    CUPS,
    NUM_CUPS,
    OBJECTS,
    TOLERANCE,
    Cell,
    Point,
    cell_place,
    nearest_cell,
    nearest_slot,
)
from envs.tabletop.layout import START_CELLS
from envs.tabletop.vocabulary import Primitive, action
from envs.tasks import Challenge

_LYING = 0.75 * CUBE_SIZE
"""Above this height of its middle a cube does not lie on the table [m]."""

Places = Mapping[str, Point]


class TableChallenge(Challenge):
    """A goal on the table; its shortest path is planned, not searched."""

    def path(self, domain: Domain, start: Node) -> list[int] | None:
        """Fewest primitives from the present state; `start` must be the present."""
        return [action(primitive) for primitive in self.plan(table(domain))]

    @abc.abstractmethod
    def plan(self, domain: TabletopDomain) -> list[Primitive]:
        """Fewest primitives from the present state, by the simulator's truth."""

    def view(self, domain: Domain, start: Node) -> np.ndarray:
        """See `Challenge.view`: the way is really gone, then taken back."""
        state = domain.get_state()
        for index in self.path(domain, start) or []:
            domain.execute(index, render=False)
        image = domain.render()
        domain.set_state(state)
        return image


class RearrangeChallenge(TableChallenge):
    """Cubes have to lie where they belong."""

    @abc.abstractmethod
    def goals(self, domain: TabletopDomain) -> Places:
        """Where each cube belongs at the end (x, y) [m]."""

    def plan(self, domain: TabletopDomain) -> list[Primitive]:
        """See `TableChallenge.plan`."""
        return moves_to(now(domain), self.goals(domain), domain.held)

    def goal_nodes(self, domain: Domain) -> Collection[Node]:
        """See `Challenge.goal_nodes`."""
        spots = dict(table(domain).node)
        for name, place in self.goals(table(domain)).items():
            spots[name] = Spot("cell", CELLS.index(nearest_cell(place)))
        return [tuple(sorted(spots.items()))]

    def rivals(self, domain: Domain) -> Sequence[Collection[Node]]:
        """See `Challenge.rivals`: the first cube on any start cell that is free."""
        goals = self.goals(table(domain))
        first, *others = goals
        spots = dict(table(domain).node)
        for name in others:
            spots[name] = Spot("cell", CELLS.index(nearest_cell(goals[name])))
        options = [Spot("cell", CELLS.index(cell)) for cell in START_CELLS]
        free = [spot for spot in options if spot not in map(spots.get, others)]
        return [[tuple(sorted((spots | {first: spot}).items()))] for spot in free]

    def count_rivals(self, domain: Domain, start: Node, optima: range) -> int:
        """As many as there are cells a cube may have come from."""
        return len(self.rivals(domain))

    def distances(self, domain: Domain) -> dict[str, float]:
        """See `Challenge.distances`."""
        places = now(table(domain))
        goals = self.goals(table(domain))
        return {name: math.dist(places[name], goal) for name, goal in goals.items()}

    def distance(self, domain: Domain) -> float:
        """Mean distance of the cubes from where they belong [m]."""
        return float(np.mean(list(self.distances(domain).values())))

    def hidden(self, domain: Domain) -> bool:
        """True if no cube lies where it belongs."""
        return min(self.distances(domain).values()) > TOLERANCE


class Uncover(TableChallenge):
    """Lift the cup that hides a cube.

    Args:
        target: The cube.
    """

    def __init__(self, target: str) -> None:
        self.target = target
        self.instruction = f"lift the cup that hides the {target}"

    def plan(self, domain: TabletopDomain) -> list[Primitive]:
        """See `TableChallenge.plan`."""
        lower = [Primitive("lower")] if domain.held else []
        slot = nearest_slot(now(domain)[self.target])
        return [*lower, Primitive("lift", cups=(slot,))]

    def goal_nodes(self, domain: Domain) -> Collection[Node]:
        """See `Challenge.goal_nodes`."""
        node, domain = domain.node, table(domain)
        lift = self.plan(domain)[-1]
        return [domain.successor(node, action(lift))]

    def rivals(self, domain: Domain) -> Sequence[Collection[Node]]:
        """See `Challenge.rivals`: each cup lifted."""
        lifts = [action(Primitive("lift", cups=(i,))) for i in range(NUM_CUPS)]
        return [[domain.successor(domain.node, lift)] for lift in lifts]

    def count_rivals(self, domain: Domain, start: Node, optima: range) -> int:
        """The cups."""
        return NUM_CUPS

    def solved(self, domain: Domain) -> bool:
        """See `Challenge.solved`: a cup is held up, and the cube lies below it."""
        domain = table(domain)
        held = domain.held
        if held not in CUPS or domain.covering(self.target):
            return False
        lifted = domain.position(str(held))
        return lifted[2] > CUBE_SIZE and self.distance(domain) <= TOLERANCE

    def hidden(self, domain: Domain) -> bool:
        """See `Challenge.hidden`."""
        return domain.segment_objects()[self.target] == 0

    def distance(self, domain: Domain) -> float:
        """Distance across the table from the hand to the cube [m]."""
        return math.dist(table(domain).hand[:2], now(table(domain))[self.target])


class RestoreFirst(RearrangeChallenge):
    """Put every cube back to where it lay at first."""

    instruction = "put every cube back to where it was at first"

    def goals(self, domain: TabletopDomain) -> Places:
        """See `RearrangeChallenge.goals`."""
        return {name: domain.layout.starts[name][0] for name in domain.layout.roles}

    def solved(self, domain: Domain) -> bool:
        """See `Challenge.solved`."""
        return all(self.subgoals(domain))

    def subgoals(self, domain: Domain) -> tuple[bool, ...]:
        """Which cubes are back."""
        domain = table(domain)
        goals = self.goals(domain)
        return tuple(lies_at(domain.history[-1], *goal) for goal in goals.items())


class RestoreThenMove(RearrangeChallenge):
    """The paper's steps 3 to 5: both cubes back, then one to the other's former place.

    Args:
        moved: The cube that is moved at the end.
        former: The cube whose place in the green area it gets.
    """

    def __init__(self, moved: str, former: str) -> None:
        self.moved, self.former = moved, former
        self.instruction = (
            "return both cubes to where they started then put the "
            f"{moved} where the {former} had been in the green area"
        )

    def goals(self, domain: TabletopDomain) -> Places:
        """See `RearrangeChallenge.goals`; before both are back, their first places."""
        places = {n: domain.layout.starts[n][0] for n in (self.former, self.moved)}
        if all(self._returned(domain)):
            places[self.moved] = self._former_place(domain)
        return places

    def plan(self, domain: TabletopDomain) -> list[Primitive]:
        """See `TableChallenge.plan`."""
        first = super().plan(domain)
        if all(self._returned(domain)):
            return first
        last = nearest_cell(self._former_place(domain))
        return [*first, Primitive("pick", cube=self.moved), _to(last)]

    def solved(self, domain: Domain) -> bool:
        """See `Challenge.solved`."""
        return all(self.subgoals(domain))

    def subgoals(self, domain: Domain) -> tuple[bool, ...]:
        """The first cube was back, then both were, then the second is moved."""
        domain = table(domain)
        one, both = self._returned(domain)
        goals = {**self.goals(domain), self.moved: self._former_place(domain)}
        there = (lies_at(domain.history[-1], *goal) for goal in goals.items())
        return one, both, both and all(there)

    def _returned(self, domain: TabletopDomain) -> tuple[bool, bool]:
        """Whether one cube, and whether both, lay where they started in the test."""
        test = domain.history[len(domain.layout.tour) :]
        starts = {n: domain.layout.starts[n][0] for n in (self.former, self.moved)}
        back = [[lies_at(seen, *goal) for goal in starts.items()] for seen in test]
        return any(map(any, back)), any(map(all, back))

    def _former_place(self, domain: TabletopDomain) -> Point:
        """Where the other cube lay when the tour ended."""
        shown = domain.history[len(domain.layout.tour)]
        x, y, _ = shown[OBJECTS.index(self.former)].tolist()
        return x, y


def table(domain: Domain) -> TabletopDomain:
    """The domain itself: tasks of the table run in no other (`check_fits`)."""
    assert isinstance(domain, TabletopDomain)
    return domain


def now(domain: TabletopDomain) -> Places:
    """Where the cubes are now (x, y) [m]."""
    places = {name: domain.position(name).tolist() for name in domain.objects}
    return {name: (x, y) for name, (x, y, _) in places.items()}


def lies_at(positions: np.ndarray, name: str, place: Point) -> bool:
    """Whether a cube lies on the table near a place.

    Args:
        positions: Of all `OBJECTS` (n, 3) [m].
        name: The cube.
        place: Where (x, y) [m].
    """
    x, y, height = positions[OBJECTS.index(name)].tolist()
    return height < _LYING and math.dist((x, y), place) <= TOLERANCE


def moves_to(places: Places, goals: Places, held: str | None) -> list[Primitive]:
    """Fewest picks and places that bring cubes to their goals.

    A cube whose goal is taken waits; if all wait for each other one is put aside.

    Args:
        places: Where all cubes are now (x, y) [m].
        goals: Where some of them belong.
        held: The cube in the hand.
    """
    cells = {name: nearest_cell(place) for name, place in places.items()}
    wanted = {name: nearest_cell(place) for name, place in goals.items()}
    open_ = [
        name
        for name, goal in goals.items()
        if name == held or math.dist(places[name], goal) > TOLERANCE
    ]
    plan: list[Primitive] = []
    if held in CUBES:
        cells.pop(str(held))
        free = wanted.get(str(held))
        target = free if free and free not in cells.values() else None
        plan.append(_to(target or _aside(cells, wanted)))
        cells[str(held)] = plan[-1].cell or CELLS[0]
        if target:
            open_.remove(str(held))
    while open_:
        ready = [n for n in open_ if _free(wanted[n], cells, but=n)]
        name = ready[0] if ready else open_[0]
        target = wanted[name] if ready else _aside(cells, wanted)
        plan += [Primitive("pick", cube=name), _to(target)]
        cells[name] = target
        if ready:
            open_.remove(name)
    return plan


def _free(cell: Cell, cells: Mapping[str, Cell], but: str) -> bool:
    return all(cell != other for name, other in cells.items() if name != but)


def _aside(cells: Mapping[str, Cell], wanted: Mapping[str, Cell]) -> Cell:
    """A cell that is free and that nobody wants, away from the others."""
    taken = {*cells.values(), *wanted.values()}
    places = [cell_place(cell) for cell in taken]
    options = [cell for cell in CELLS if cell not in taken]
    return max(
        options, key=lambda c: min(math.dist(cell_place(c), place) for place in places)
    )


def _to(cell: Cell) -> Primitive:
    return Primitive("place", cell=cell)
