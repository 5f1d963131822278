"""`SolverConfig`: what stable-worldmodel's solvers want to know of a plan."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SolverConfig:
    """The fields of their `PlanConfig`, of which solvers read two.

    Attributes:
        horizon: Actions of a plan, in blocks.
        action_block: Actions per block.
        receding_horizon: Blocks executed per plan; ours decides that (`MPCPolicy`).
        history_len: Views handed to the cost.
        warm_start: Ours decides that, too.
    """

    horizon: int
    action_block: int = 1
    receding_horizon: int = 1
    history_len: int = 1
    warm_start: bool = True

    @property
    def plan_len(self) -> int:
        """Actions of a plan."""
        return self.horizon * self.action_block
