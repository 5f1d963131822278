"""The result of a scene revisit comparison."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RevisitScore:
    """Scene revisit consistency over N revisits; higher is better.

    Attributes:
        name: "src_<extractor>".
        value: Mean cosine of first visit and generated revisit, in [-1, 1].
        floor: Mean cosine of first visit and a random other place.
        ceiling: Mean cosine of first visit and true revisit; None if not given.
        num_revisits: N.
    """

    name: str
    value: float
    floor: float
    ceiling: float | None
    num_revisits: int

    @property
    def normalised(self) -> float | None:
        """0 at the floor, 1 at the ceiling; None if they do not span a scale."""
        if self.ceiling is None or self.ceiling <= self.floor:
            return None
        return (self.value - self.floor) / (self.ceiling - self.floor)
