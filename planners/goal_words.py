"""`GoalWords`: what an arrangement still lacks, in words that a model was told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from planners.arrangement import Arrangement
from world_model.core import Goal

GoalPlace = tuple[str, int, tuple[float, float, float]]
"""A goal in words, which object it moves, and where that comes to lie [m]."""


class GoalWords:
    """Turns "put every cube where it is in the image" into "put the red cube at ...".

    A model that makes videos knows goals as it was told them in training, by the names
    of places, not by images. For the first object that is not where it belongs, the
    goal is said whose place is nearest to that; objects whose place is taken wait, for
    one that is in the hand. What cannot be seen takes no place. Where nothing is known
    or lacking, the words stay as they are.

    Args:
        objective: Says where objects are and belong.
        goals: What the world model was told, with the places that were meant.
        clearance: Another object nearer than this to a place takes it [m].
        lifted: An object higher than this is in the hand [m].
    """

    def __init__(
        self,
        objective: Arrangement,
        goals: Sequence[GoalPlace],
        *,
        clearance: float = 0.04,
        lifted: float = 0.08,
    ) -> None:
        self.objective = objective
        self.goals = tuple(goals)
        self.clearance = clearance
        self.lifted = lifted

    @torch.no_grad()
    def __call__(self, latents: Tensor, goal: Goal) -> list[str]:
        """One goal per episode.

        Args:
            latents: Present views (B, c, h, w).
            goal: Subgoals with their images, see `Arrangement`.
        """
        places, logits = self.objective.read(latents)
        # The reader has learned nothing of where unseen objects are.
        places = places.masked_fill((logits <= 0)[..., None], torch.inf)
        images = self.objective.images(goal)
        asked = zip(goal.instructions, images, places, strict=True)
        return [self._say(words, image, at) for words, image, at in asked]

    def _say(self, words: str, image: Tensor | None, at: Tensor) -> str:
        """In words what the first object that can be moved lacks, of objects (n, 3)."""
        wanted = dict(self.objective.wanted(words, image))
        lacking = self._lacking(wanted, at)
        for index in lacking:
            place, known = wanted.get(index), self._told(index)
            if place is not None and known and self._is_free(place, at, but=index):
                return _nearest(known, place)
        taken = torch.stack([*at, *wanted.values()])
        for index in lacking:
            if known := self._told(index):
                aside = [x for x in known if self._is_free(torch.tensor(x[2]), taken)]
                return _nearest(aside or known, wanted.get(index, at[index]))
        return words

    def _lacking(self, wanted: Mapping[int, Tensor], at: Tensor) -> list[int]:
        """Which objects belong elsewhere; only the one in the hand, if one is."""
        heights = at[:, 2].tolist()
        held = [i for i, z in enumerate(heights) if self.lifted < z < torch.inf]
        if held and wanted:
            return held[:1]
        tolerance = self.objective.tolerance
        return [i for i, x in wanted.items() if (at[i] - x).norm() > tolerance]

    def _told(self, index: int) -> list[GoalPlace]:
        """The goals that move an object."""
        return [goal for goal in self.goals if goal[1] == index]

    def _is_free(self, place: Tensor, at: Tensor, *, but: int | None = None) -> bool:
        """Whether no place of `at` (n, 3) is near, that of object `but` apart."""
        gaps = (at - place).norm(dim=-1)
        return all(g > self.clearance for i, g in enumerate(gaps.tolist()) if i != but)


def _nearest(goals: Sequence[GoalPlace], place: Tensor) -> str:
    """The words of the goal whose place is nearest."""
    return min(goals, key=lambda goal: float((torch.tensor(goal[2]) - place).norm()))[0]
