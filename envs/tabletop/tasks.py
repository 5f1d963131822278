"""The tasks of `tabletop`: what is needed is hidden when it is needed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

import numpy as np

from envs.api import Domain
from envs.tabletop.believer import (
    Believer,
    CupGuesser,
    imagine_starts,
    imagine_swap,
)
from envs.tabletop.challenges import (
    RestoreFirst,
    RestoreThenMove,
    TableChallenge,
    Uncover,
    table,
)
from envs.tabletop.layout import (
    Layout,
    draw_restore_cubes,
    draw_shell_game,
    draw_swap_back,
)
from envs.tasks import MIN_SHOWN_FRAMES, Challenge, Guesser, Task, Tour


class TableTask(Task):
    """A task on the table.

    Attributes:
        draw: Draws its layouts.
        recalls_starts: Whether it asks for where cubes lay at first.
    """

    domains: ClassVar[tuple[str, ...] | None] = ("tabletop",)
    recalls_starts: ClassVar[bool] = True
    # No primitive undoes a pick: the log cannot be played backwards.
    floors: ClassVar[tuple[str, ...]] = (
        "noop",
        "random",
        "mean_start",
        "expert_no_memory",
    )
    ceiling: ClassVar[tuple[str, ...]] = ("planner=mpc_table", "memory=oracle")
    draw: Callable[[np.random.Generator], Layout]

    def begin(self, domain: Domain, rng: np.random.Generator) -> Sequence[int]:
        """See `Task.begin`."""
        table(domain).start(self.draw(rng))
        return domain.tour()

    def candidates(
        self, domain: Domain, tour: Tour, rng: np.random.Generator
    ) -> Sequence[Challenge]:
        """None if something slipped on the tour or a cube was hardly shown."""
        shown = [tour.num_shown[name] >= MIN_SHOWN_FRAMES for name in domain.objects]
        if domain.node != table(domain).layout.shown or not all(shown):
            return []
        return self.challenges(table(domain).layout, rng)

    def challenges(
        self, layout: Layout, rng: np.random.Generator
    ) -> Sequence[TableChallenge]:
        """What may be asked after a tour that went well, in random order."""
        raise NotImplementedError

    def parse(self, instruction: str, layout: Layout) -> TableChallenge:
        """The challenge of an instruction."""
        options = self.challenges(layout, np.random.default_rng(0))
        return next(c for c in options if c.instruction == instruction)


class ShellGame(TableTask):
    """Cubes are covered by cups, the cups are swapped; uncover the asked one."""

    name = "shell_game"
    optima: ClassVar[range] = range(1, 2)
    extra_steps: ClassVar[int] = 0
    recalls_starts: ClassVar[bool] = False
    floors: ClassVar[tuple[str, ...]] = ("noop", "random", "expert_no_memory")
    draw = staticmethod(draw_shell_game)

    def challenges(
        self, layout: Layout, rng: np.random.Generator
    ) -> Sequence[TableChallenge]:
        """See `TableTask.challenges`: any cube."""
        return [Uncover(str(name)) for name in rng.permutation(layout.roles)]

    def guesser(
        self, domain: Domain, instruction: str, rng: np.random.Generator
    ) -> Guesser:
        """See `Task.guesser`: any slot."""
        return CupGuesser(rng)


class RestoreCubes(TableTask):
    """The paper's robot task; steps 1 and 2 are the tour, steps 3 to 5 the test.

    Both cubes are moved to the green area (tour); each goes back to where it started,
    then one goes to where the other had been in the area (Hong et al. 2024,
    section 4.3, "RLBench").
    """

    name = "restore_cubes"
    optima: ClassVar[range] = range(6, 7)
    draw = staticmethod(draw_restore_cubes)

    def challenges(
        self, layout: Layout, rng: np.random.Generator
    ) -> Sequence[TableChallenge]:
        """See `TableTask.challenges`."""
        former, moved = layout.roles
        return [RestoreThenMove(moved, former)]

    def guesser(
        self, domain: Domain, instruction: str, rng: np.random.Generator
    ) -> Guesser:
        """See `Task.guesser`: any start cells."""
        imagined = imagine_starts(table(domain).layout, rng)
        challenge = self.parse(instruction, imagined)
        # Where one was wrong is not told, and to put both back again costs too much.
        return Believer(table(domain), challenge, [imagined])


class SwapBack(TableTask):
    """Two cubes change places, a third goes elsewhere; restore what was at first."""

    name = "swap_back"
    optima: ClassVar[range] = range(8, 9)
    draw = staticmethod(draw_swap_back)

    def challenges(
        self, layout: Layout, rng: np.random.Generator
    ) -> Sequence[TableChallenge]:
        """See `TableTask.challenges`."""
        return [RestoreFirst()]

    def guesser(
        self, domain: Domain, instruction: str, rng: np.random.Generator
    ) -> Guesser:
        """See `Task.guesser`: any two changed places, the third came from anywhere."""
        imagined = imagine_swap(table(domain), rng)
        return Believer(table(domain), RestoreFirst(), imagined)
