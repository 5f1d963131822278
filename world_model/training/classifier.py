"""Trains the goal classifier on encoded real frames and on imagined ones."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from world_model.classifier import GoalClassifier
from world_model.diffusion.autoencoder import FrameAutoencoder
from world_model.diffusion.denoiser import VideoDenoiser
from world_model.errors import at_least, positive, within
from world_model.shards import read_meta, read_shards, require_labels
from world_model.training.action_codes import ActionCodes
from world_model.training.episodes import LatentEpisodes, split
from world_model.training.fit import FitConfig, fit, seeded
from world_model.training.imagined import imagine
from world_model.training.latents import encode_dataset, with_noise
from world_model.training.progress import Log


@dataclass(frozen=True, kw_only=True)
class ClassifierConfig(FitConfig):
    """Hyper-parameters, beside those of every small net.

    Attributes:
        imagined: Latents that the denoiser imagines, to learn from them how much to
            believe in what is blurred or invented; 0 for none.
        imagined_depth: Chunks imagined in a row.
        imagined_share: Their share of every batch.
        sampling_steps: Euler steps of what is imagined, as in planning.
        full_size: Share of the image's pixels at which a target counts as fully
            visible.
        slow_held_out: Share of episodes that slow learning has not seen.
    """

    latent_noise: float = 0.5
    imagined: int = 0
    imagined_depth: int = 3
    imagined_share: float = 0.5
    sampling_steps: int = 1
    full_size: float = 0.06
    slow_held_out: float = 0.03

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(0, imagined=self.imagined)
        at_least(1, sampling_steps=self.sampling_steps, depth=self.imagined_depth)
        positive(full_size=self.full_size)
        within(0, 1, imagined_share=self.imagined_share)
        within(0, 1, slow_held_out=self.slow_held_out)


@dataclass(frozen=True)
class Labelled:
    """Views and what holds in them.

    Attributes:
        latents: (M, c, h, w).
        visible: (M, O) in [0, 1].
        found: (M, O) bool.
    """

    latents: Tensor
    visible: Tensor
    found: Tensor


def train_classifier(
    autoencoder: FrameAutoencoder,
    data: Path,
    output: Path,
    config: ClassifierConfig,
    denoiser: VideoDenoiser | None = None,
) -> GoalClassifier:
    """Trains on chunk ends of `data`, and imagined ones, and saves the classifier.

    Args:
        autoencoder: Frames -> latents.
        data: Folder of a data set.
        output: Written to output/classifier, with a log beside it.
        config: Hyper-parameters.
        denoiser: Imagines; needed if `config.imagined`.

    Raises:
        ValueError: If the data set does not say what is visible and found.
    """
    meta = read_meta(data)
    require_labels(data, meta, "stage=classifier", ["visible", "found"])
    parts = _parts(autoencoder, data, config, denoiser)
    with seeded(config.seed):
        model = GoalClassifier(
            objects=meta.objects,
            latent_channels=parts["real"].latents.shape[1],
            latent_size=parts["real"].latents.shape[-1],
        )
    rng = np.random.default_rng([config.seed, 4])
    if not parts["real"].found.any():
        raise ValueError(
            f"`stage=classifier` needs a view in which an object is found, got none in "
            f"{data}: collect more episodes."
        )

    def loss() -> Tensor:
        batch = _batch(parts, config, rng)
        out = model(batch.latents)
        return functional.binary_cross_entropy_with_logits(
            out[:, 0], batch.found.float()
        ) + functional.binary_cross_entropy_with_logits(out[:, 1], batch.visible)

    log = Log(output / "classifier.csv")
    fit(model, loss, lambda: _judged(model, parts), config, log, label="classifier")
    model.eval().save_pretrained(output / "classifier")
    return model


def _parts(
    autoencoder: FrameAutoencoder,
    data: Path,
    config: ClassifierConfig,
    denoiser: VideoDenoiser | None,
) -> dict[str, Labelled]:
    """Views by what they are for: "real" and "imagined" to train on, and held out."""
    episodes = encode_dataset(data, autoencoder, torch.device("cpu"))
    visible, found = _labels(data, config)
    train, held_out = split(episodes, config.held_out)
    count = len(train.actions)
    parts = {
        "real": _real(train, visible[:count], found[:count]),
        "real_held_out": _real(held_out, visible[count:], found[count:]),
    }
    if not config.imagined:
        return parts
    assert denoiser is not None
    codes = ActionCodes.of(read_meta(data), episodes.vectors)
    # What is judged, slow learning has never seen either.
    rest, unseen = split(episodes, min(config.held_out, config.slow_held_out))
    judged_from = len(rest.actions)
    for name, source, first, size in (
        ("imagined", train, 0, config.imagined),
        ("imagined_held_out", unseen, judged_from, config.imagined // 10),
    ):
        made = imagine(
            denoiser,
            source,
            codes,
            count=size,
            depth=config.imagined_depth,
            num_steps=config.sampling_steps,
            rng=np.random.default_rng([config.seed, 5, first]),
        )
        rows = first + made.episodes, made.ends
        parts[name] = Labelled(made.latents, visible[rows], found[rows])
    return parts


def _real(episodes: LatentEpisodes, visible: Tensor, found: Tensor) -> Labelled:
    ends = episodes.ends
    return Labelled(ends.flatten(0, 1), visible.flatten(0, 1), found.flatten(0, 1))


def _labels(data: Path, config: ClassifierConfig) -> tuple[Tensor, Tensor]:
    """Visibility in [0, 1] and whether found, (E, T + 1, O) each."""
    shards = list(read_shards(data, only=("visible", "found")))
    pixels = np.concatenate([s["visible"] for s in shards])
    found = np.concatenate([s["found"] for s in shards])
    height, width = next(read_shards(data, only=("frames",)))["frames"].shape[2:4]
    share = pixels / (height * width * config.full_size)
    visible = torch.from_numpy(np.minimum(share, 1.0).astype(np.float32))
    return visible, torch.from_numpy(found)


def _batch(
    parts: dict[str, Labelled], config: ClassifierConfig, rng: np.random.Generator
) -> Labelled:
    """Noised real views, half of them goals, and imagined ones as they come.

    Goals are rare among random views; the imagined keep their true share of goals,
    from which the classifier learns what blur is worth.
    """
    imagined = parts.get("imagined")
    size = 0 if imagined is None else int(config.imagined_share * config.batch_size)
    real = parts["real"]
    goals = torch.nonzero(real.found.any(dim=1))[:, 0]
    half = (config.batch_size - size) // 2
    rows = torch.cat(
        [
            torch.from_numpy(rng.integers(len(real.latents), size=half)),
            goals[torch.from_numpy(rng.integers(len(goals), size=half))],
        ]
    )
    x = with_noise(real.latents[rows].float(), config.latent_noise, rng)
    batch = Labelled(x, real.visible[rows], real.found[rows])
    if imagined is None:
        return batch
    picks = torch.from_numpy(rng.integers(len(imagined.latents), size=size))
    return Labelled(
        torch.cat([batch.latents, imagined.latents[picks]]),
        torch.cat([batch.visible, imagined.visible[picks]]),
        torch.cat([batch.found, imagined.found[picks]]),
    )


def _judged(model: GoalClassifier, parts: dict[str, Labelled]) -> dict[str, float]:
    """AUROC on what is held out: real and, if any, imagined."""
    columns = {"real_held_out": "auroc", "imagined_held_out": "auroc_imagined"}
    return {
        column: auroc(model, parts[name].latents, parts[name].found)
        for name, column in columns.items()
        if name in parts
    }


@torch.no_grad()
def auroc(model: GoalClassifier, latents: Tensor, found: Tensor) -> float:
    """Area under the ROC curve of "found" over all (view, object) pairs.

    The probability that a view that shows a goal reached scores above one that does
    not (Mann-Whitney).
    """
    scores, labels = model(latents.float())[:, 0].numpy(), found.numpy()
    return float(placements(scores[labels], scores[~labels]).mean())


def placements(positives: np.ndarray, negatives: np.ndarray) -> np.ndarray:
    """For each positive the share of negatives that score lower, ties counted half.

    Their mean is the area under the ROC curve (Mann-Whitney), so that its interval
    can resample whole episodes.
    """
    if not len(negatives):
        return np.full(len(positives), np.nan)
    ordered = np.sort(negatives)
    lower = np.searchsorted(ordered, positives, side="left")
    not_higher = np.searchsorted(ordered, positives, side="right")
    return (lower + not_higher) / (2 * len(negatives))
