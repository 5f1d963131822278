"""Open loop: what is left after ten imagined chunks without a look at the world?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from rich.progress import track
from torch import Tensor

from eval.quality.cases import decode, encode
from eval.quality.figures import Figure, mean_figure
from eval.quality.following import Probe
from eval.quality.walks import Walks
from eval.video.feature_set import extract
from eval.video.features import VideoFeatures
from eval.video.frechet import MIN_EXTRAPOLATED, extrapolated_fvd, frechet_distance
from eval.video.fvd import metric_name
from eval.video.kernel import KernelDistance, kernel_distance
from world_model.api import WorldModel, generators
from world_model.core import Context
from world_model.frames import to_model

Span = Sequence[int]
"""First and last of some chunks, counted from 1, both included."""


@dataclass(frozen=True)
class Films:
    """N walks continued by the simulator and by the model, T chunks long.

    Attributes:
        real: (N, T*F, C, H, W) in [-1, 1].
        imagined: Like `real`.
        real_ends: Latents before the first and after every chunk, (N, T+1, c, h, w).
        imagined_ends: The same imagined; the first is real.
        actions: (N, T) int64.
        moved: (N, T) bool; False where the real action was blocked.
        start: The last real frame, (N, C, H, W).
        chunk_length: F.
    """

    real: Tensor
    imagined: Tensor
    real_ends: Tensor
    imagined_ends: Tensor
    actions: Tensor
    moved: np.ndarray
    start: Tensor
    chunk_length: int

    def clips(self, frames: Tensor, span: Span) -> Tensor:
        """The frames of some chunks, (N, chunks * F, C, H, W)."""
        first, last = span
        return frames[:, (first - 1) * self.chunk_length : last * self.chunk_length]


def imagine_films(
    model: WorldModel, walks: Walks, *, clips: int, chunks: int, batch_size: int
) -> Films:
    """Imagines the first `clips` walks from their first K key frames on.

    Args:
        model: The world model.
        walks: Real walks of at least K - 1 + `chunks` actions.
        clips: N.
        chunks: T.
        batch_size: Walks imagined at once.
    """
    length, start = walks.chunk_length, model.num_context_frames - 1
    stop = start + chunks
    past = to_model(walks.key_frames[:clips, : start + 1])
    actions = torch.from_numpy(walks.actions[:clips, :stop].astype(np.int64))
    real = to_model(walks.frames[:clips, start * length + 1 : stop * length + 1])
    latents = _imagine(model, Context(actions[:, :start], past), actions, batch_size)
    first = encode(model, past[:, -1])[:, None]
    ends = encode(model, real[:, length - 1 :: length].flatten(0, 1))
    return Films(
        real=real,
        imagined=_unflat(decode(model, latents.flatten(0, 2)), clips),
        real_ends=torch.cat([first, _unflat(ends, clips)], dim=1),
        imagined_ends=torch.cat([first, latents[:, :, -1]], dim=1),
        actions=actions[:, start:],
        moved=walks.moved[:clips, start:stop],
        start=past[:, -1],
        chunk_length=length,
    )


def _imagine(
    model: WorldModel, context: Context, actions: Tensor, batch_size: int
) -> Tensor:
    """Latents (N, T, F, c, h, w); `actions` (N, K-1 + T) begin with the context's."""
    assert context.frames is not None
    parts = []
    batches = torch.arange(len(actions)).split(batch_size)
    for rows in track(batches, description="open loop"):
        rollout = model.rollout(
            Context(actions=context.actions[rows], frames=context.frames[rows]),
            actions[rows, None, context.num_frames - 1 :],
            generator=generators(rows.tolist()),
            all_frames=True,
        )
        parts.append(rollout.latents[:, 0].cpu())
    return torch.cat(parts)


def obedience_figures(
    films: Films, probe: Probe, late: Span, targets: Mapping[str, float]
) -> list[Figure]:
    """How often the probe reads the action of each imagined chunk, and of late ones.

    All chunks count whose real action was not blocked, also those that the probe
    misreads in reality: the figure beside says how many it reads there.
    """
    figures = []
    for name, ends in (
        ("open_loop_probe", films.imagined_ends),
        ("open_loop_probe_real", films.real_ends),
    ):
        scores = _scores(films, probe, ends)
        target = targets["open_loop_probe"] if name == "open_loop_probe" else None
        spans = [late, *([t, t] for t in range(1, scores.shape[1] + 1))]
        for index, span in enumerate(spans):
            goal = target if index == 0 else None
            figures.append(_obedience(name, scores, span, goal))
    return figures


def _scores(films: Films, probe: Probe, ends: Tensor) -> np.ndarray:
    """(N, T): 1 where the probe reads the action, nan where it was blocked."""
    read = probe.read(ends[:, :-1].flatten(0, 1), ends[:, 1:].flatten(0, 1))
    hits = read.reshape(films.actions.shape) == films.actions
    return np.where(films.moved, hits.numpy().astype(float), np.nan)


def _obedience(
    name: str, scores: np.ndarray, span: Span, target: float | None
) -> Figure:
    part = scores[:, span[0] - 1 : span[1]]
    episodes = np.repeat(np.arange(len(part)), part.shape[1])
    return mean_figure(
        name, chunk_label(span), "share", part.ravel(), episodes, target=target
    )


def drift_figures(
    films: Films,
    features: VideoFeatures,
    early: Span,
    late: Span,
    targets: Mapping[str, float],
) -> list[Figure]:
    """Video distances of early and late clips to real ones of the same chunks.

    The ratio of KVD late / early, both KVD, then the Frechet distances ("fvd" if the
    features are I3D logits): biased upwards by about 1/N, and extrapolated.

    Args:
        films: What was imagined.
        features: The extractor; slow, so that a bar shows how far it is.
        early: First and last early chunk.
        late: First and last late chunk.
        targets: `kvd_ratio`, the largest late / early.
    """
    pairs = [
        (
            _features(films.clips(films.real, span), features, f"real {span}"),
            _features(films.clips(films.imagined, span), features, f"imagined {span}"),
        )
        for span in (early, late)
    ]
    rng = np.random.default_rng(0)
    distances = [kernel_distance(x, y, rng=rng) for x, y in pairs]
    count = len(films.real)
    return [
        _ratio(distances, pairs, targets["kvd_ratio"]),
        _distance(distances[0], early, count),
        _distance(distances[1], late, count),
        *_frechet(features.name, pairs[0], early),
        *_frechet(features.name, pairs[1], late),
    ]


def _features(clips: Tensor, features: VideoFeatures, what: str) -> np.ndarray:
    """Features (N, d) of clips (N, T, C, H, W), a few clips at a time."""
    parts = track(clips.split(4), description=f"{features.name}, {what}")
    return np.concatenate([extract(part, features).values for part in parts])


def _distance(distance: KernelDistance, span: Span, count: int) -> Figure:
    bounds = distance.value, distance.low, distance.high
    return Figure("kvd", chunk_label(span), "", *bounds, count)


def _frechet(
    extractor: str, pair: tuple[np.ndarray, np.ndarray], span: Span
) -> list[Figure]:
    name, group, count = metric_name(extractor), chunk_label(span), len(pair[0])
    figures = [Figure(name, group, "", frechet_distance(*pair), None, None, count)]
    if count >= MIN_EXTRAPOLATED:
        endless = extrapolated_fvd(*pair, rng=np.random.default_rng(0)).value
        figures.append(
            Figure(f"{name}_extrapolated", group, "", endless, None, None, count)
        )
    return figures


def _ratio(
    distances: list[KernelDistance],
    pairs: list[tuple[np.ndarray, np.ndarray]],
    target: float,
) -> Figure:
    """Late / early, with a delete-one jackknife over walks.

    The unbiased distance may come out at or below 0 where imagined clips cannot be
    told from real ones; then there is no ratio to speak of.
    """
    early, late = (d.value for d in distances)
    count = len(pairs[0][0])
    if early <= 0:
        return Figure("kvd_ratio", "", "", None, None, None, count, target, False)
    # Without one of two walks no pair of walks is left.
    spread = 1.96 * _jackknife_error(pairs) if count > 2 else None
    ratio = late / early
    low = None if spread is None else ratio - spread
    high = None if spread is None else ratio + spread
    return Figure("kvd_ratio", "", "", ratio, low, high, count, target, False)


def _jackknife_error(pairs: list[tuple[np.ndarray, np.ndarray]]) -> float:
    """Standard error of late / early; every walk is left out once, on all sides."""
    count = len(pairs[0][0])
    values = []
    for left_out in range(count):
        rows = np.arange(count) != left_out
        rng = np.random.default_rng(0)
        early, late = (
            kernel_distance(x[rows], y[rows], rng=rng).value for x, y in pairs
        )
        values.append(late / early)
    return float(np.sqrt((count - 1) * np.var(values)))


def chunk_label(span: Span) -> str:
    """E.g. "chunks 8-10" or "chunk 3"."""
    first, last = span
    return f"chunk {first}" if first == last else f"chunks {first}-{last}"


def _unflat(x: Tensor, count: int) -> Tensor:
    """(N*T, ...) -> (N, T, ...)."""
    return x.unflatten(0, (count, -1))
