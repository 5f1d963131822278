"""Texts per frame -> chunks: where sources say at every frame what is being done."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby


@dataclass(frozen=True)
class Span:
    """Chunks that follow each other without a break.

    Attributes:
        start: Index of the first frame in the source.
        step: Frames of the source per frame that is kept.
        chunk_length: F, frames that are kept per chunk.
        phrases: Of each of the T chunks.
    """

    start: int
    step: int
    chunk_length: int
    phrases: tuple[str, ...]

    @property
    def picks(self) -> range:
        """Indices of the 1 + T*F frames that are kept."""
        count = len(self.phrases) * self.chunk_length
        return range(self.start, self.start + count * self.step + 1, self.step)


def spans_of(texts: Sequence[str], chunk_length: int, step: int = 1) -> list[Span]:
    """Cuts an episode into chunks in which one thing is done.

    Frame i + 1 shows what was done at frame i; the text of the last frame is not used.
    Frames that do not fill a chunk are dropped, and what follows them is a new span.

    Args:
        texts: One per frame.
        chunk_length: F.
        step: Keeps every `step`-th frame.
    """
    size = chunk_length * step
    spans: list[Span] = []
    phrases: list[str] = []
    start = 0
    for first, count, text in _runs(texts[:-1]):
        phrases += [text] * (count // size)
        if count % size:  # the chunks so far end before the next text begins
            spans.append(Span(start, step, chunk_length, tuple(phrases)))
            start, phrases = first + count, []
    spans.append(Span(start, step, chunk_length, tuple(phrases)))
    return [span for span in spans if span.phrases]


def _runs(texts: Sequence[str]) -> Iterator[tuple[int, int, str]]:
    """First index, number and text of equal neighbours."""
    first = 0
    for text, group in groupby(texts):
        count = len(list(group))
        yield first, count, text
        first += count
