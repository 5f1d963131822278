"""`PhraseCode`: actions that are phrases, and goals in words beside them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from world_model.text.encoder import embed_phrases
from world_model.text.phrases import vocabulary_of
from world_model.text.vocabulary import Vocabulary


class PhraseCode:
    """Looks up what texts are embedded as, by their numbers.

    The first numbers are those of the phrases; more texts are taken in as they come.

    Args:
        phrases: What each action is called.
        device: Where codes are wanted.
        vocabulary: How texts are embedded; None for that of the phrases.
    """

    def __init__(
        self,
        phrases: Sequence[str],
        device: torch.device,
        vocabulary: Vocabulary | None = None,
    ) -> None:
        self._numbers = {text: number for number, text in enumerate(phrases)}
        self.vocabulary = vocabulary or vocabulary_of(phrases)
        self._table = embed_phrases(phrases, self.vocabulary).to(device)

    def __call__(self, numbers: Tensor) -> Tensor:
        """Codes (..., E) of texts (...)."""
        return self._table[numbers]

    def numbers(self, texts: Sequence[str]) -> Tensor:
        """Numbers (M,) of texts, new ones where they are new."""
        new = [text for text in dict.fromkeys(texts) if text not in self._numbers]
        if new:
            codes = embed_phrases(new, self.vocabulary).to(self._table)
            self._numbers |= {t: len(self._table) + i for i, t in enumerate(new)}
            self._table = torch.cat([self._table, codes])
        return torch.tensor([self._numbers[text] for text in texts])
