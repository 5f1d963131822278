"""Trains the position probe on real latents, and judges imagined ones by it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from world_model.diffusion.autoencoder import FrameAutoencoder
from world_model.diffusion.denoiser import VideoDenoiser
from world_model.errors import at_least, within
from world_model.fingerprint import encoder_fingerprint
from world_model.position_probe import UNIT, PositionProbe
from world_model.shards import ShardMeta, read_meta, read_shards, require_labels
from world_model.text.phrases import goals_of
from world_model.training.action_codes import ActionCodes
from world_model.training.episodes import LatentEpisodes, split
from world_model.training.fit import FitConfig, fit, seeded
from world_model.training.imagined import imagine
from world_model.training.latents import encode_dataset, with_noise
from world_model.training.progress import Log

MOVED = 0.02
"""An object that an action moved farther has been moved [m]."""


@dataclass(frozen=True, kw_only=True)
class PositionProbeConfig(FitConfig):
    """Hyper-parameters, beside those of every small net.

    Attributes:
        width: Channels.
        imagined: Held-out chunk ends that the denoiser imagines, to be judged.
        sampling_steps: Euler steps of these, as in planning.
        slow_held_out: Share of episodes that slow learning has not seen.
    """

    width: int = 64
    imagined: int = 2000
    sampling_steps: int = 1
    slow_held_out: float = 0.03

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(1, width=self.width, imagined=self.imagined)
        at_least(1, sampling_steps=self.sampling_steps)
        within(0, 1, slow_held_out=self.slow_held_out)


@dataclass(frozen=True)
class Placed:
    """Views and where their objects are.

    Attributes:
        latents: (M, c, h, w).
        positions: (M, n, 3) [m].
        visible: (M, n) bool; of objects that nobody can see nothing is asked.
        shifts: (M, n), how far the last action moved them [m].
    """

    latents: Tensor
    positions: Tensor
    visible: Tensor
    shifts: Tensor


def train_position_probe(
    autoencoder: FrameAutoencoder,
    denoiser: VideoDenoiser,
    data: Path,
    output: Path,
    config: PositionProbeConfig,
) -> PositionProbe:
    """Trains on `data`, saves to output/position_probe, logs held-out errors.

    position_probe.csv holds mean distances [cm] of what is read from where the objects
    are, visible ones only: `real_cm` and, after one imagined chunk, `imagined_cm`; the
    same with `_moved` for objects that the action has moved, with their medians, and
    `shift_moved_cm`, how far that was: the error of a model that thinks nothing moves.
    `_visible_error` is the share of wrong answers to which objects can be seen.

    Raises:
        ValueError: If the data set does not say where its objects are.
    """
    meta = read_meta(data)
    check_positions(data, meta)
    episodes = encode_dataset(data, autoencoder, torch.device("cpu"))
    labels = _labels(data, len(meta.objects))
    train, held_out = split(episodes, config.held_out)
    count = len(train.actions)
    known = _placed(train, [x[:count] for x in labels])
    real = _placed(held_out, [x[count:] for x in labels])
    codes = ActionCodes.of(meta, episodes.vectors)
    judged = {
        "real": real,
        "imagined": _imagined(episodes, labels, denoiser, codes, config),
    }
    with seeded(config.seed):
        probe = PositionProbe(
            objects=meta.objects,
            goals=goal_places(goals_of(meta.phrases), episodes, *labels[::2]),
            encoder=encoder_fingerprint(autoencoder),
            latent_channels=episodes.latents.shape[-3],
            latent_size=episodes.latents.shape[-1],
            width=config.width,
        )
    log = Log(output / "position_probe.csv")
    fit_position_probe(probe, known, judged, config, log)
    probe.eval().save_pretrained(output / "position_probe")
    return probe


def check_positions(data: Path, meta: ShardMeta) -> None:
    """Refuses data that do not say where objects are.

    Raises:
        ValueError: If labels or positions are missing.
    """
    require_labels(data, meta, "stage=position_probe", ["visible"])
    if "positions" not in next(read_shards(data, only=("positions",))):
        raise ValueError(
            "`stage=position_probe` needs data that say where objects are, got "
            f"{data}: collect domain=tabletop."
        )


def fit_position_probe(
    probe: PositionProbe,
    train: Placed,
    judged: dict[str, Placed],
    config: PositionProbeConfig,
    log: Log,
) -> None:
    """Huber loss on where visible objects are, cross entropy on which are visible."""
    rng = np.random.default_rng([config.seed, 6])

    def loss() -> Tensor:
        size = config.batch_size
        rows = torch.from_numpy(rng.integers(len(train.latents), size=size))
        x = with_noise(train.latents[rows].float(), config.latent_noise, rng)
        seen = train.visible[rows]
        places, logits = probe(x)
        return functional.smooth_l1_loss(
            places[seen] / UNIT, train.positions[rows][seen] / UNIT, beta=0.1
        ) + functional.binary_cross_entropy_with_logits(logits, seen.float())

    fit(
        probe,
        loss,
        lambda: errors(probe, judged),
        config,
        log,
        label="position probe",
    )


def errors(probe: PositionProbe, judged: dict[str, Placed]) -> dict[str, float]:
    """How far visible objects are from where they are read [cm], by part.

    And how often it is wrong about which objects are visible, in [0, 1].
    """
    found = {}
    for name, part in judged.items():
        gaps, wrong = probe.judge(part.latents, part.positions, part.visible)
        moved = part.visible & (part.shifts > MOVED)
        found[f"{name}_visible_error"] = float(wrong.float().mean())
        found[f"{name}_cm"] = float(100 * gaps[part.visible].mean())
        found[f"{name}_moved_cm"] = float(100 * gaps[moved].mean())
        found[f"{name}_moved_median_cm"] = float(100 * gaps[moved].median())
    found["shift_moved_cm"] = float(100 * part.shifts[moved].mean())
    return found


def goal_places(
    goals: Mapping[tuple[str, ...], Sequence[str]],
    episodes: LatentEpisodes,
    positions: Tensor,
    shifts: Tensor,
) -> list[tuple[str, int, tuple[float, ...]]]:
    """Goals in words, the object that each moves, and where it lies on average.

    Measured where goals are reached: the object is the one that is moved farthest.

    Args:
        goals: See `world_model.text.phrases.goals_of`.
        episodes: Say when which goal is reached.
        positions: Of objects (E, T + 1, n, 3) [m].
        shifts: How far the last action moved them (E, T + 1, n) [m].
    """
    places = []
    for number, words in enumerate(goals.values()):
        assert episodes.found is not None
        when = np.nonzero(episodes.found[..., number])
        if len(when[0]):
            moved = int(shifts[when].argmax(dim=-1).mode().values)
            place = positions[when][:, moved].mean(dim=0).tolist()
            places.append((words[0], moved, tuple(round(x, 4) for x in place)))
    return places


def _labels(data: Path, num_objects: int) -> list[Tensor]:
    """Positions (E, T + 1, n, 3), visible, shifts (E, T + 1, n) of nameable objects."""
    shards = list(read_shards(data, only=("positions", "visible")))
    # The nameable objects come first (`world_model.shards`).
    places = np.concatenate([s["positions"] for s in shards])[:, :, :num_objects]
    visible = np.concatenate([s["visible"] for s in shards]) > 0
    shifts = np.linalg.norm(np.diff(places, axis=1, prepend=places[:, :1]), axis=-1)
    return [torch.from_numpy(x) for x in (places, visible, shifts)]


def _placed(episodes: LatentEpisodes, labels: list[Tensor]) -> Placed:
    return Placed(episodes.ends.flatten(0, 1), *(x.flatten(0, 1) for x in labels))


def _imagined(
    episodes: LatentEpisodes,
    labels: list[Tensor],
    denoiser: VideoDenoiser,
    codes: ActionCodes,
    config: PositionProbeConfig,
) -> Placed:
    """What is imagined one chunk after real views that slow learning never saw."""
    share = min(config.held_out, config.slow_held_out)
    rest, unseen = split(episodes, share)
    labels = [x[len(rest.actions) :] for x in labels]
    made = imagine(
        denoiser,
        unseen,
        codes,
        count=config.imagined,
        depth=1,
        num_steps=config.sampling_steps,
        rng=np.random.default_rng([config.seed, 5]),
    )
    return Placed(made.latents, *(x[made.episodes, made.ends] for x in labels))
