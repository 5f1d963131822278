"""`GoalWords`: what an arrangement still lacks, in words that a model was told."""

from __future__ import annotations

from collections.abc import Sequence

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
    goal is said whose place is nearest to that; objects whose place is taken wait.
    Where nothing is known or lacking, the words stay as they are.

    Args:
        objective: Says where objects are and belong.
        goals: What the world model was told, with the places that were meant.
        clearance: Another object nearer than this to a place takes it [m].
    """

    def __init__(
        self,
        objective: Arrangement,
        goals: Sequence[GoalPlace],
        *,
        clearance: float = 0.04,
    ) -> None:
        self.objective = objective
        self.goals = tuple(goals)
        self.clearance = clearance

    @torch.no_grad()
    def __call__(self, latents: Tensor, goal: Goal) -> list[str]:
        """One goal per episode.

        Args:
            latents: Present views (B, c, h, w).
            goal: Subgoals with their images, see `Arrangement`.
        """
        places, _ = self.objective.read(latents)
        images = self.objective.images(goal)
        asked = zip(goal.instructions, images, places, strict=True)
        return [self._say(words, image, at) for words, image, at in asked]

    def _say(self, words: str, image: Tensor | None, at: Tensor) -> str:
        """In words what the first object that can be moved lacks, of objects (n, 3)."""
        lacking = [
            (index, place)
            for index, place in self.objective.wanted(words, image)
            if (at[index] - place).norm() > self.objective.tolerance
        ]
        free = [(i, place) for i, place in lacking if self._is_free(place, at, but=i)]
        for index, place in free:
            if known := self._told(index):
                return _nearest(known, place)
        taken = torch.stack([*at, *(place for _, place in lacking)])
        for index, place in lacking:
            if known := self._told(index):
                aside = [x for x in known if self._is_free(torch.tensor(x[2]), taken)]
                return _nearest(aside or known, place)
        return words

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
