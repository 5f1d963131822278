"""`CheckedObjective`: a plug-in's objective whose every cost is checked."""

from __future__ import annotations

from torch import Tensor

from eval.make_part import Naming
from world_model.core import Goal, Rollout
from world_model.policy_api import Objective
from world_model.testing import require


class CheckedObjective(Objective):
    """Passes everything on; a cost that cannot be compared is an error at once.

    Args:
        inner: The objective that does the work.
        naming: Gives errors the plug-in's name.
    """

    def __init__(self, inner: Objective, naming: Naming) -> None:
        self.inner = inner
        self.naming = naming

    def __call__(self, rollout: Rollout, goal: Goal) -> Tensor:
        """See `Objective.__call__`.

        Raises:
            ValueError: With the plug-in's name, whatever went wrong.
        """
        with self.naming():
            costs = self.inner(rollout, goal)
            check_costs(costs, rollout)
        return costs

    def success_probability(self, rollout: Rollout, goal: Goal) -> Tensor | None:
        """See `Objective.success_probability`.

        Raises:
            ValueError: With the plug-in's name, whatever went wrong.
        """
        with self.naming():
            likely = self.inner.success_probability(rollout, goal)
            if likely is not None:
                check_probabilities(likely, rollout)
        return likely


def check_costs(costs: Tensor, rollout: Rollout) -> None:
    """Checks that every imagined chunk has one finite cost.

    Raises:
        AssertionError: With the broken promise and what was found.
    """
    _check_shape("costs", costs, rollout)
    require(costs.is_floating_point(), "costs are floating-point", costs.dtype)
    bad = costs[~costs.isfinite()].tolist()
    require(not bad, "costs are finite", bad[:3])


def check_probabilities(likely: Tensor, rollout: Rollout) -> None:
    """Checks that every imagined chunk has one probability.

    Raises:
        AssertionError: With the broken promise and what was found.
    """
    _check_shape("probabilities", likely, rollout)
    bad = likely[~((likely >= 0) & (likely <= 1))].tolist()
    require(not bad, "probabilities are in [0, 1]", bad[:3])


def _check_shape(name: str, values: Tensor, rollout: Rollout) -> None:
    law = f"{name} are a tensor (B, N, T)"
    require(isinstance(values, Tensor), law, type(values).__name__)
    wanted, shape = tuple(rollout.actions.shape[:3]), tuple(values.shape)
    require(shape == wanted, f"{name} have shape (B, N, T) = {wanted}", shape)
