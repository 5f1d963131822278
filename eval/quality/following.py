"""Action following: does an inverse-dynamics probe read back what was asked for?

A probe reads the action from (last real frame, next frame). Cases in which it
cannot read it from the real pair say nothing about the model and are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import numpy as np
from torch import Tensor

from eval.quality.cases import Cases
from eval.quality.figures import Figure, mean_figure
from world_model.text.phrases import UNRELATED, vocabulary_of

Predict = Callable[[Sequence[str]], Tensor]
"""Latents (M, c, h, w) after every case, its actions told in the given words."""


class Probe(Protocol):
    """What is asked of an action probe."""

    def read(self, before: Tensor, after: Tensor) -> Tensor:
        """The action between latents (M, c, h, w) each, (M,) int64."""
        ...


class Following:
    """Scores predictions of the same cases under different wordings.

    Args:
        probe: Reads actions.
        cases: What was to be predicted.
        last: Latents of the last context frames, (M, c, h, w).
        truth: Latents of the true next frames, (M, c, h, w).
        phrases: Canonical phrase of each action.
    """

    def __init__(
        self,
        probe: Probe,
        cases: Cases,
        last: Tensor,
        truth: Tensor,
        phrases: Sequence[str],
    ) -> None:
        self._probe = probe
        self._last = last
        self._actions = cases.actions
        self._episodes = cases.episodes
        self._phrases = tuple(phrases)
        self._readable = self._hits(truth)

    def real(self) -> list[Figure]:
        """How often the probe reads real pairs, per action and in all."""
        return self._by_action("probe_real", self._readable.astype(float))

    def generated(
        self, canonical: Tensor, targets: Mapping[str, float]
    ) -> list[Figure]:
        """How often it reads canonical predictions (M, c, h, w)."""
        scores = self._score(canonical)
        return self._by_action("probe_generated", scores, targets["probe_generated"])

    def paraphrased(
        self, canonical: Tensor, predict: Predict, targets: Mapping[str, float]
    ) -> list[Figure]:
        """The same under wordings that were never trained on.

        Returns:
            A figure per wording, their mean, and by how much it lies below the
            canonical wording on the same cases.
        """
        unseen = vocabulary_of(self._phrases).unseen
        wordings = list(zip(*(unseen[p] for p in self._phrases), strict=True))
        scores = [self._score(predict(words)) for words in wordings]
        figures = []
        for words, values in zip(wordings, scores, strict=True):
            for action, text in enumerate(words):
                rows = self._actions.numpy() == action
                figures.append(self._figure("probe_paraphrase", text, values, rows))
        mean = np.mean(scores, axis=0)
        gap = self._score(canonical) - mean
        limit = targets["paraphrase_gap"]
        return [
            self._figure("probe_paraphrase", "all", mean),
            self._figure("paraphrase_gap", "all", gap, target=limit, at_least=False),
            *figures,
        ]

    def unrelated(self, predict: Predict, targets: Mapping[str, float]) -> list[Figure]:
        """The same under texts that name no action: chance is one in A.

        Every text stands once for every action, and actions weigh alike, so that
        a model that always does the same thing scores exactly chance.
        """
        count = len(self._phrases)
        rotations = [
            [UNRELATED[(j + action) % len(UNRELATED)] for action in range(count)]
            for j in range(len(UNRELATED))
        ]
        scores = [self._score(predict(words)) for words in rotations]
        values = np.mean(scores, axis=0) * self._weights()
        limit = targets["probe_unrelated"]
        figure = self._figure(
            "probe_unrelated", "all", values, target=limit, at_least=False
        )
        return [figure]

    def _weights(self) -> np.ndarray:
        """Per case; their mean is 1 and actions weigh alike among readable cases."""
        actions = self._actions.numpy()
        counts = np.bincount(actions[self._readable], minlength=len(self._phrases))
        present = np.count_nonzero(counts)
        return self._readable.sum() / (max(present, 1) * np.maximum(counts, 1))[actions]

    def _hits(self, after: Tensor) -> np.ndarray:
        """(M,) bool: the probe reads the intended action."""
        return (self._probe.read(self._last, after) == self._actions).numpy()

    def _score(self, after: Tensor) -> np.ndarray:
        """(M,): 1 where the probe reads the intended action, nan if it never could."""
        return np.where(self._readable, self._hits(after).astype(float), np.nan)

    def _by_action(
        self, name: str, values: np.ndarray, target: float | None = None
    ) -> list[Figure]:
        figures = [self._figure(name, "all", values, target=target)]
        for action, phrase in enumerate(self._phrases):
            rows = self._actions.numpy() == action
            figures.append(self._figure(name, phrase, values, rows))
        return figures

    def _figure(
        self,
        name: str,
        group: str,
        values: np.ndarray,
        rows: np.ndarray | slice = slice(None),
        *,
        target: float | None = None,
        at_least: bool = True,
    ) -> Figure:
        return mean_figure(
            name,
            group,
            "share",
            values[rows],
            self._episodes[rows],
            target=target,
            at_least=at_least,
        )
