"""`Arrangement`: are the objects where the words and the goal image want them?"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from planners.objectives import goal_latents
from planners.subgoals import ALL_AS_SHOWN, AS_OTHER
from world_model.api import WorldModel
from world_model.core import Goal, Rollout
from world_model.policy_api import Objective

Reader = Callable[[Tensor], tuple[Tensor, Tensor]]
"""Latents (M, c, h, w) -> positions (M, n, 3) [m], logits of visibility (M, n)."""

_UNCOVER = re.compile("lift the cup that hides the (.+)")
_AS_OTHER = re.compile(AS_OTHER.format("(.+)", "(.+)"))


class Arrangement(Objective):
    """Cost of objects that are not where they belong, or not seen, in [0, 1].

    Words it understands (`planners.subgoals`):

    * "lift the cup that hides the <object>": 1 - P(the object can be seen);
    * "put every cube where it is in the image": the mean over the objects that the
      goal image shows of min(1, distance / `reach`), and of 1 for what has not come
      nearer wherever it is read to be: what is in the hand, on another object or
      against it, or cannot be seen;
    * "put the <object> where the <other> is in the image": the same of one object.

    Readers learn from tables where objects lie side by side. Where one stands on
    another they are off by centimetres, but seldom in a way that looks possible: one
    is lost, sunk or floats, or is where another one is.

    Goal images come from the memory (`Goal.recalled`) or from the task; where there is
    none, nothing is known and every future costs the same.

    Args:
        world_model: Encodes goal images that the task shows.
        reader: Says where objects are and which can be seen.
        objects: Names of the objects, in the reader's order.
        reach: Distance from where it belongs at which an object costs most [m].
        tolerance: Distance up to which it is taken to be there [m].
        off_table: Difference in height from which it does not stand on the table [m].
        touching: Distance below which two touch [m].
    """

    def __init__(
        self,
        world_model: WorldModel,
        reader: Reader,
        objects: Sequence[str],
        *,
        reach: float = 0.3,
        tolerance: float = 0.03,
        off_table: float = 0.015,
        touching: float = 0.05,
    ) -> None:
        if not 0 < tolerance < reach:
            raise ValueError(
                "`tolerance` must lie between 0 and `reach`, got "
                f"{tolerance} and {reach} [m]."
            )
        self.world_model = world_model
        self.reader = reader
        self.objects = tuple(objects)
        self.reach = reach
        self.tolerance = tolerance
        self.off_table = off_table
        self.touching = touching

    @torch.no_grad()
    def __call__(self, rollout: Rollout, goal: Goal) -> Tensor:
        """See `Objective.__call__`.

        Raises:
            ValueError: If it does not understand an instruction.
        """
        return torch.stack([cost for cost, _ in self._judged(rollout, goal)])

    @torch.no_grad()
    def success_probability(self, rollout: Rollout, goal: Goal) -> Tensor:
        """Of what can be seen its probability; of places 1 within the tolerance."""
        return torch.stack([likely for _, likely in self._judged(rollout, goal)])

    def read(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        """Where objects are (M, n, 3) [m] in views, and logits that they can be seen.

        On the CPU, wherever the latents (M, c, h, w) are.
        """
        places, logits = self.reader(latents)
        return places.cpu(), logits.cpu()

    def images(self, goal: Goal) -> Sequence[Tensor | None]:
        """Latents of each episode's goal image, if there is one."""
        return goal_latents(self.world_model, goal)

    def wanted(self, words: str, image: Tensor | None) -> list[tuple[int, Tensor]]:
        """Which objects belong where (3,) [m]; none if words or image do not say.

        Raises:
            ValueError: If it does not understand the words.
        """
        other = _AS_OTHER.fullmatch(words)
        if not other and words != ALL_AS_SHOWN and not _UNCOVER.fullmatch(words):
            raise ValueError(
                f"`objective=arrangement` must be told {ALL_AS_SHOWN!r}, "
                f"{AS_OTHER.format('<object>', '<other>')!r} or what a cup hides, got "
                f"{words!r}: choose a task of `tabletop` and planner=mpc_table."
            )
        if image is None or _UNCOVER.fullmatch(words):
            return []
        places, logits = (x[0] for x in self.read(image[None]))
        if other:
            moved, former = (self._index(name) for name in other.groups())
            return [(moved, places[former])] if logits[former] > 0 else []
        return [(i, places[i]) for i in (logits > 0).nonzero()[:, 0].tolist()]

    def _judged(self, rollout: Rollout, goal: Goal) -> list[tuple[Tensor, Tensor]]:
        """Cost and probability (N, T) of every episode."""
        latents = rollout.latents[:, :, :, -1]
        places, logits = self.read(latents.flatten(0, 2))
        places, logits = (x.unflatten(0, latents.shape[:3]) for x in (places, logits))
        return [
            self._judge(words, image, at, seen)
            for words, image, at, seen in zip(
                goal.instructions, self.images(goal), places, logits, strict=True
            )
        ]

    def _judge(
        self, words: str, image: Tensor | None, at: Tensor, logits: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Of objects at (N, T, n, 3), seen with logits (N, T, n)."""
        uncover = _UNCOVER.fullmatch(words)
        if uncover:
            likely = logits[..., self._index(uncover[1])].sigmoid()
            return 1 - likely, likely
        wanted = self.wanted(words, image)
        if not wanted:
            return torch.zeros_like(at[..., 0, 0]), torch.zeros_like(at[..., 0, 0])
        moved, goals = zip(*wanted, strict=True)
        away = at[..., list(moved), :] - torch.stack(goals)
        gaps = away.norm(dim=-1)
        there = (gaps <= self.tolerance).all(dim=-1)
        lost = self._lost(at, logits)[..., list(moved)]
        lost |= away[..., 2].abs() > self.off_table
        costs = (gaps / self.reach).clamp(max=1).masked_fill(lost, 1.0)
        return costs.mean(dim=-1), there.to(gaps)

    def _lost(self, at: Tensor, logits: Tensor) -> Tensor:
        """Which objects (N, T, n) cannot be seen, or touch one that can."""
        seen = logits > 0
        touch = (torch.cdist(at, at) < self.touching) & seen[..., None, :]
        others = ~torch.eye(at.shape[-2], dtype=torch.bool)
        return ~seen | (touch & others).any(dim=-1)

    def _index(self, name: str) -> int:
        if name not in self.objects:
            raise ValueError(
                f"`objective=arrangement` must know the object, got {name!r}: it knows "
                f"{', '.join(self.objects)}."
            )
        return self.objects.index(name)
