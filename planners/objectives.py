"""What a good imagined future is: success on a language goal, or a goal image."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from world_model.api import WorldModel
from world_model.core import Goal, Rollout
from world_model.errors import positive
from world_model.policy_api import Objective

Classifier = Callable[[Tensor, Sequence[str]], tuple[Tensor, Tensor]]
"""(latents (M, c, h, w), M instructions) -> logits that the goal holds and visibility
of what is asked for in [0, 1], both (M,)."""


class SuccessClassifier(Objective):
    """Cost of a language goal: 1 - P(success) - bonus for seeing the target.

    Args:
        classifier: Trained on real frames (`world_model.training.classifier`).
        visibility_weight: Worth of a target that is in view but not reached.
    """

    def __init__(
        self, classifier: Classifier, *, visibility_weight: float = 0.2
    ) -> None:
        self.classifier = classifier
        self.visibility_weight = visibility_weight

    def __call__(self, rollout: Rollout, goal: Goal) -> Tensor:
        """See `Objective.__call__`."""
        logits, visible = self._classify(rollout, goal)
        return 1 - logits.sigmoid() - self.visibility_weight * visible

    def success_probability(self, rollout: Rollout, goal: Goal) -> Tensor:
        """See `Objective.success_probability`."""
        return self._classify(rollout, goal)[0].sigmoid()

    def _classify(self, rollout: Rollout, goal: Goal) -> tuple[Tensor, Tensor]:
        latents = rollout.latents[:, :, :, -1]  # (B, N, T, c, h, w)
        _, num_candidates, num_steps = latents.shape[:3]
        words = [
            w for w in goal.instructions for _ in range(num_candidates * num_steps)
        ]
        logits, visible = self.classifier(latents.flatten(0, 2), words)
        return logits.view(latents.shape[:3]), visible.view(latents.shape[:3])


def goal_latents(world_model: WorldModel, goal: Goal) -> Sequence[Tensor | None]:
    """Latents (c, h, w) of each episode's goal image: recalled, shown, or None."""
    if goal.recalled:
        return goal.recalled
    if goal.images is None:
        return [None] * len(goal.instructions)
    return list(world_model.encode(goal.images))


class GoalImage(Objective):
    """Distance of the latents to those of a goal image, in [0, 1].

    Cost = 1 - exp(-mse / temperature): flat far away, where pixel distances say
    nothing, and steep at the goal. Goal images come from the memory (`Goal.recalled`)
    or from the task; where a memory does not know, every future costs 1.

    Args:
        world_model: Encodes the goal image.
        temperature: Mean squared latent error at which the cost is 1 - 1/e.
    """

    def __init__(self, world_model: WorldModel, *, temperature: float = 0.3) -> None:
        positive(temperature=temperature)
        self.world_model = world_model
        self.temperature = temperature

    def __call__(self, rollout: Rollout, goal: Goal) -> Tensor:
        """See `Objective.__call__`.

        Raises:
            ValueError: If the task shows no goal image and memory was not asked.
        """
        return 1 - self.success_probability(rollout, goal)

    def success_probability(self, rollout: Rollout, goal: Goal) -> Tensor:
        """The likeness exp(-mse / temperature), not calibrated."""
        if goal.images is None and not goal.recalled:
            raise ValueError(
                "`objective=goal_image` needs a task that shows a goal image, got "
                f"{goal.instructions[0]!r}: use objective=success_classifier."
            )
        views = rollout.latents[:, :, :, -1]
        # Nothing is like an image that is not known.
        targets = [
            torch.full_like(view[0, 0], torch.inf) if image is None else image.to(view)
            for view, image in zip(
                views, goal_latents(self.world_model, goal), strict=True
            )
        ]
        error = (views - torch.stack(targets)[:, None, None]).square().mean((3, 4, 5))
        return torch.exp(-error / self.temperature)
