"""`Budget`: what one decision may spend."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

CALLS: Final = "calls"
SECONDS: Final = "seconds"


class BudgetSpent(Exception):
    """What a planner asks for costs more than is left to it."""


class NoPlanError(ValueError):
    """A planner had no plan when its budget was spent."""


@dataclass(frozen=True)
class Budget:
    """What planning one decision of one episode may spend.

    Attributes:
        kind: "calls" (denoiser calls) or "seconds".
        amount: How many.
        calls_per_second: What a second is worth: a prediction that is expected to end
            after the time is not begun. Only for seconds.
    """

    kind: Literal["calls", "seconds"]
    amount: float
    calls_per_second: float = 0.0

    @property
    def calls(self) -> int:
        """Denoiser calls that it pays for, in seconds about."""
        if self.kind == CALLS:
            return int(self.amount)
        return int(self.amount * self.calls_per_second)

    def __str__(self) -> str:
        return f"{self.amount:g} {self.kind}"
