"""`BudgetedPlanner`: stops a planner when its budget is spent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from eval.planner_suite.budget import BudgetSpent, NoPlanError
from eval.planner_suite.budgeted_model import BudgetedWorldModel
from planners.search_planner import SearchPlanner
from world_model.core import Context, Goal
from world_model.policy_api import Plan, Planner


class BudgetedPlanner(Planner):
    """Takes a search's best plan at the moment when its budget is spent.

    A planner that is no `SearchPlanner` shows its plan only when it is done, and must
    come out with what it is given.

    Args:
        inner: The planner; made with `model`.
        model: Knows the budget, and what of it is spent.
    """

    def __init__(self, inner: Planner, model: BudgetedWorldModel) -> None:
        self.inner = inner
        self.model = model
        # Others may count on getting back all sequences that they asked for.
        model.may_cut = isinstance(inner, SearchPlanner)

    def plan(self, context: Context, goal: Goal, **options: Any) -> Plan:
        """See `Planner.plan`.

        Raises:
            NoPlanError: If there is no plan when the budget is spent.
        """
        self.model.open()
        best: Plan | None = None
        try:
            for plan in self._plans(context, goal, **options):
                best = plan
                if self.model.is_spent:
                    break
        except BudgetSpent:
            pass
        if best is None:
            raise NoPlanError(
                f"A planner must have a plan within its budget of {self.model.budget}, "
                "got none: give it more, let it imagine less, or derive it from "
                "`planners.search_planner.SearchPlanner` and yield plans from `search`."
            )
        return best

    def _plans(self, context: Context, goal: Goal, **options: Any) -> Iterator[Plan]:
        if isinstance(self.inner, SearchPlanner):
            yield from self.inner.search(context, goal, **options)
        else:
            yield self.inner.plan(context, goal, **options)
