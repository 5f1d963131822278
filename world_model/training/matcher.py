"""Trains the place matcher on training episodes, labelled by dead reckoning.

Where a data set also holds views taken beside the path (`envs.collect beside=true`),
half of all views are of these: who comes back never stands quite where he stood.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from world_model.diffusion.autoencoder import FrameAutoencoder
from world_model.fingerprint import encoder_fingerprint
from world_model.phrase_space import Motion
from world_model.place_matcher import ELSEWHERE, PlaceMatcher, relations
from world_model.shards import ShardMeta, read_meta, require_labels
from world_model.training.episodes import LatentEpisodes, split
from world_model.training.fit import FitConfig, fit, seeded
from world_model.training.latents import encode_dataset, has_mirror, with_noise
from world_model.training.progress import Log


@dataclass(frozen=True, kw_only=True)
class MatcherConfig(FitConfig):
    """Hyper-parameters, beside those of every small net.

    Attributes:
        batch_size: Episodes per step, every pair of views of each.
        learning_rate: Peak rate of AdamW, one cycle.
        width: Channels.
        mirror: Also train on mirror images.
    """

    batch_size: int = 12
    learning_rate: float = 2e-3
    latent_noise: float = 0.2
    width: int = 64
    mirror: bool | None = None


@dataclass(frozen=True)
class Walks:
    """Views of episodes and where they were taken.

    Attributes:
        views: Latents at chunk ends, (E, T + 1, c, h, w) half precision.
        poses: Dead-reckoned, (E, T + 1, 3): x [m], y [m], heading [degrees].
        beside: The same views taken from a little beside, or None.
    """

    views: Tensor
    poses: Tensor
    beside: Tensor | None = None


def train_matcher(
    autoencoder: FrameAutoencoder, data: Path, output: Path, config: MatcherConfig
) -> PlaceMatcher:
    """Trains on `data` and saves to output/matcher; prints held-out accuracy.

    Raises:
        ValueError: If the data set does not say how its actions move, or which of
            them were blocked.
    """
    meta = read_meta(data)
    motions = check_motions(data, meta)
    device = torch.device("cpu")
    train, held_out = split(
        encode_dataset(data, autoencoder, device, beside=True), config.held_out
    )
    sets = [walks(train, motions)]
    mirror = has_mirror(meta.phrases) if config.mirror is None else config.mirror
    if mirror:
        mirrored = encode_dataset(data, autoencoder, device, mirrored=True, beside=True)
        sets.append(walks(split(mirrored, config.held_out)[0], motions))
    with seeded(config.seed):
        matcher = PlaceMatcher(
            motions=motions,
            encoder=encoder_fingerprint(autoencoder),
            latent_channels=train.latents.shape[-3],
            latent_size=train.latents.shape[-1],
            width=config.width,
        )
    log = Log(output / "matcher.csv")
    fit_matcher(matcher, sets, walks(held_out, motions), config, log)
    matcher.eval().save_pretrained(output / "matcher")
    return matcher


def check_motions(data: Path, meta: ShardMeta) -> Sequence[Motion]:
    """How each action moves.

    Raises:
        ValueError: If the data set does not say that, or which were blocked.
    """
    require_labels(data, meta, "stage=matcher", ["moved"])
    if meta.motions is None:
        raise ValueError(
            f"`stage=matcher` needs actions that say how they move, got {data} "
            "without: give the domain's `PhraseSpace` its motions and collect again."
        )
    return meta.motions


def walks(episodes: LatentEpisodes, motions: Sequence[Motion]) -> Walks:
    """The episodes' chunk ends with their dead-reckoned poses."""
    assert episodes.moved is not None
    steps = np.asarray(motions)[episodes.actions] * episodes.moved[..., None]
    headings = np.cumsum(steps[..., 2], axis=1)
    before = np.radians(headings - steps[..., 2])
    c, s = np.cos(before), np.sin(before)
    forward, left = steps[..., 0], steps[..., 1]
    x = np.cumsum(c * forward - s * left, axis=1)
    y = np.cumsum(s * forward + c * left, axis=1)
    poses = np.stack([x, y, headings], axis=-1)
    poses = np.concatenate([np.zeros_like(poses[:, :1]), poses], axis=1)
    return Walks(episodes.ends, torch.from_numpy(poses).float(), episodes.beside)


def fit_matcher(
    matcher: PlaceMatcher,
    sets: Sequence[Walks],
    held_out: Walks,
    config: MatcherConfig,
    log: Log,
) -> None:
    """Minimises cross-entropy over all pairs; writes held-out figures to `log`."""
    rng = np.random.default_rng([config.seed, 6])

    def loss() -> Tensor:
        data = sets[int(rng.integers(len(sets)))]
        rows = torch.from_numpy(rng.integers(len(data.views), size=config.batch_size))
        first, second = _noisy_views(data, rows, config, rng)
        poses = data.poses[rows]
        wanted = relations(poses, poses, matcher.config["motions"])
        logits = matcher(first, second)
        return functional.cross_entropy(logits.flatten(0, 2), wanted.flatten())

    fit(
        matcher,
        loss,
        lambda: scores(matcher, held_out),
        config,
        log,
        label="place matcher",
        one_cycle=0.05,
    )


def _noisy_views(
    data: Walks, rows: Tensor, config: MatcherConfig, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Views (M, T + 1, c, h, w) to be compared with others of the same row.

    Where there are views from beside, every second one of the first is such, and the
    others of the second: no view meets itself.
    """
    views = with_noise(data.views[rows].float(), config.latent_noise, rng)
    if data.beside is None:
        return views, views
    beside = with_noise(data.beside[rows].float(), config.latent_noise, rng)
    mask = torch.from_numpy(rng.random((*views.shape[:2], 1, 1, 1)) < 0.5)
    return torch.where(mask, beside, views), torch.where(mask, views, beside)


@torch.no_grad()
def scores(matcher: PlaceMatcher, data: Walks) -> dict[str, float]:
    """Shares of pairs judged rightly, no view with itself.

    Returns:
        `same_view`: pairs of one place and heading; `turned`: of one place and
        another heading; `elsewhere`: of different places. The same with `beside_`
        for views beside the path against those on it, where the data holds any; these
        include each with its own.
    """
    found = _judged(matcher, data.views, data, with_itself=False)
    if data.beside is not None:
        beside = _judged(matcher, data.beside, data, with_itself=True)
        found |= {f"beside_{name}": share for name, share in beside.items()}
    return found


def _judged(
    matcher: PlaceMatcher, first: Tensor, data: Walks, *, with_itself: bool
) -> dict[str, float]:
    wanted = relations(data.poses, data.poses, matcher.config["motions"])
    parts = zip(first.split(64), data.views.split(64), strict=True)
    found = torch.cat([matcher(a.float(), b.float()).argmax(dim=-1) for a, b in parts])
    counted = ~torch.eye(wanted.shape[1], dtype=torch.bool).expand_as(wanted)
    counted = counted | with_itself
    kinds = {
        "same_view": wanted == ELSEWHERE + 1,
        "turned": wanted > ELSEWHERE + 1,
        "elsewhere": wanted == ELSEWHERE,
    }
    right = found == wanted
    return {k: float(right[counted & v].float().mean()) for k, v in kinds.items()}
