"""`Categorical`: a proposal over phrases."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from planners.phrases import may_follow
from planners.proposal import Proposal
from world_model.api import Generators
from world_model.phrase_space import PhraseSpace

_Choice = Callable[[Tensor], Tensor]
"""Probabilities (M, n) -> actions (M,)."""
_EXPLORATION = 0.1
"""Share of the uniform distribution after a refit: no phrase is ever ruled out."""
_TRUST = 0.5
"""Probability given to the actions of a sequence that a proposal is moved to."""


@dataclass(frozen=True)
class Categorical(Proposal):
    """Probabilities of phrases per step; no action directly undoes the one before.

    Refit to the weighted frequencies of the actions: the cross-entropy method for
    categorical variables (De Boer et al. 2005, "A tutorial on the cross-entropy
    method"), smoothed with what it was, as there, and with the uniform distribution.

    Attributes:
        probabilities: (B, T, n), each step sums to 1.
        table: Which action may follow which, (n, n) bool.
    """

    probabilities: Tensor
    table: Tensor

    @classmethod
    def uniform(
        cls, space: PhraseSpace, num_episodes: int, num_steps: int
    ) -> Categorical:
        """All phrases alike at every step."""
        size = len(space.phrases)
        probabilities = torch.full((num_episodes, num_steps, size), 1 / size)
        return cls(probabilities, may_follow(space))

    def sample(self, count: int, generator: Generators) -> Tensor:
        """See `Proposal.sample`; step by step, from what may follow the last one."""

        def draw(source: torch.Generator) -> _Choice:
            return lambda p: torch.multinomial(p, 1, generator=source)[:, 0]

        rows = [
            self._walk(p.expand(count, -1, -1), draw(source))
            for p, source in zip(self.probabilities, generator, strict=True)
        ]
        return torch.stack(rows)

    def centre(self) -> Tensor:
        """See `Proposal.centre`; the likeliest action that may follow the last one."""
        return self._walk(self.probabilities, lambda p: p.argmax(dim=-1))

    def around(self, actions: Tensor, known: Tensor) -> Categorical:
        """See `Proposal.around`; the given actions are as likely as all together."""
        given = self._one_hot(actions)
        mixed = (1 - _TRUST) * self.probabilities + _TRUST * given
        return self._with(torch.where(known[..., None], mixed, self.probabilities))

    def refit(self, actions: Tensor, weights: Tensor, momentum: float) -> Categorical:
        """See `Proposal.refit`."""
        mass = weights.sum(dim=1)[..., None]
        counts = (weights[..., None] * self._one_hot(actions)).sum(dim=1)
        frequencies = torch.where(mass > 0, counts / mass, self.probabilities)
        explored = (1 - _EXPLORATION) * frequencies + _EXPLORATION / len(self.table)
        return self._with(momentum * self.probabilities + (1 - momentum) * explored)

    def _walk(self, probabilities: Tensor, choose: _Choice) -> Tensor:
        """Sequences (M, T), chosen step by step from probabilities (M, T, n)."""
        actions = [choose(probabilities[:, 0])]
        for p in probabilities.unbind(dim=1)[1:]:
            actions.append(choose(p * self.table[actions[-1]]))
        return torch.stack(actions, dim=1)

    def _one_hot(self, actions: Tensor) -> Tensor:
        return nn.functional.one_hot(actions, len(self.table)).float()

    def _with(self, probabilities: Tensor) -> Categorical:
        return replace(self, probabilities=probabilities)
