"""Questions with a memory's answers -> training clips of the outer loop."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from world_model.diffusion.denoiser import Clip, add_noise
from world_model.errors import at_least, unknown_name, within
from world_model.training.clips import ClipMix, TrainingBatch
from world_model.training.loop import LoopConfig
from world_model.training.queries import MIN_DELAY, NUM_PAST, Queries

READINGS = ("memory", "none", "shuffled", "wrong_episode")


@dataclass(frozen=True, kw_only=True)
class SlowFastConfig(LoopConfig):
    """Hyper-parameters of the outer loop, beside those of every loop.

    Attributes:
        reading: What the outer loop reads: the "memory"; or a control on the same
            data and steps: "none", "shuffled" (another question's answer from the
            same shard) or "wrong_episode".
        rounds: Times that snapshots are taken anew, under the slow weights so far.
        episodes: Training episodes of a round, drawn anew for every shard.
        parallel: Episodes written side by side; one shard of snapshots.
        snapshots: After how many chunks the memory is asked.
        per_snapshot: Questions each time.
        stored: Snapshots of a round are stored first, as in the paper. Else every
            shard is made when it is needed, used `shard_steps` times and dropped.
        shard_steps: Steps on one shard before the next, without stored snapshots.
        batch_size: Clips per step.
        groups: Episodes' fast weights per step, for memories that write weights.
        rehearsal: Share of steps on ordinary clips of slow learning.
        dropped: Share of questions that meet no memory.
        wrong: Share of questions that meet a wrong episode's.
        from_recalled: Share of known answers at which denoising starts from the
            recalled frame, as the sampler does, and not from the noised truth.
        strengths: Range of noise levels of such starts.
        held_out: Share of episodes kept for validation.
        text_noise: Standard deviation of noise on phrase embeddings.
        seed: Seeds everything.
        mix: Kinds of rehearsed clips.
    """

    reading: str = "memory"
    rounds: int = 1
    episodes: int = 512
    parallel: int = 16
    snapshots: tuple[int, ...] = (12, 20, 28)
    per_snapshot: int = 8
    stored: bool = True
    shard_steps: int = 5
    num_steps: int = 1000
    learning_rate: float = 3e-4
    warmup: int = 50
    ema_decay: float = 0.998
    evaluate_every: int = 250
    batch_size: int = 96
    groups: int = 8
    rehearsal: float = 0.4
    dropped: float = 0.15
    wrong: float = 0.1
    from_recalled: float = 0.5
    strengths: tuple[float, float] = (0.1, 0.6)
    held_out: float = 0.03
    text_noise: float = 0.2
    seed: int = 0
    mix: ClipMix = field(default_factory=ClipMix)

    def __post_init__(self) -> None:
        super().__post_init__()
        counts = ("rounds", "episodes", "parallel", "per_snapshot", "batch_size")
        at_least(1, **{name: getattr(self, name) for name in (*counts, "groups")})
        at_least(1, shard_steps=self.shard_steps)
        # Earlier there is nothing old enough to be asked about.
        at_least(MIN_DELAY + 1, snapshots=min(self.snapshots, default=0))
        shares = ("rehearsal", "dropped", "wrong", "from_recalled", "held_out")
        within(0, 1, **{name: getattr(self, name) for name in shares})
        within(0, math.inf, text_noise=self.text_noise)
        low, high = self.strengths
        if not 0 < low <= high <= 1:
            raise ValueError(
                "`strengths` must be noise levels 0 < low <= high <= 1, got "
                f"{low} and {high}."
            )
        if self.reading not in READINGS:
            raise unknown_name("reading", self.reading, READINGS)
        saved = "checkpoint_every" if self.checkpoint_every else "evaluate_every"
        if not self.stored and getattr(self, saved) % self.shard_steps:
            raise ValueError(
                f"`{saved}` must be a multiple of `shard_steps`={self.shard_steps} "
                f"without stored snapshots, got {getattr(self, saved)}: a training "
                "that goes on from its checkpoint would ask a shard again."
            )
        if self.batch_size % self.groups:
            raise ValueError(
                f"`batch_size` must be a multiple of `groups`={self.groups}, got "
                f"{self.batch_size}."
            )

    def fixed(self) -> dict[str, Any]:
        """What must not change where a training goes on, as JSON values."""
        free = ("num_steps", "evaluate_every", "checkpoint_every", "mixed_precision")
        options = {k: v for k, v in vars(self).items() if k not in free}
        return options | {"mix": vars(self.mix)}


def question_batch(
    queries: Queries, config: SlowFastConfig, rng: np.random.Generator
) -> tuple[TrainingBatch, dict[str, Tensor]]:
    """Clips [recalled | past | target] and the fast weights they are read with."""
    rows = _rows(queries, config, rng)
    read = _read_rows(queries, rows, config, rng)
    size = len(rows)
    known = queries.known[read].numpy() & (rng.random(size) >= config.dropped)
    if config.reading == "none":
        known[:] = False
    past, target = queries.past[rows].float(), queries.target[rows].float()
    recalled = queries.recalled[read].float()
    clean = torch.cat([recalled[:, None], past, target[:, None]], dim=1)
    noise = torch.from_numpy(rng.standard_normal(clean.shape, dtype=np.float32))
    levels = _levels(known, config, rng)
    starts = known & (rng.random(size) < config.from_recalled)
    levels[starts, -1] = rng.uniform(*config.strengths, size=starts.sum())
    t = torch.from_numpy(levels.astype(np.float32))
    # What is added to the truth at this level so that the recalled frame results.
    drift = (recalled - target) * ((1 - t[:, -1]) / t[:, -1])[:, None, None, None]
    noise[:, -1] += drift * torch.from_numpy(starts)[:, None, None, None]
    ids = queries.actions[rows]
    missing = torch.full((size, 2), -1)
    times = torch.zeros(size, 2 + NUM_PAST)
    times[:, [0, -1]] = 1.0
    weights = torch.zeros(size, 2 + NUM_PAST)
    weights[:, -1] = 1.0
    clip = Clip(
        latents=add_noise(clean, noise, t),
        noise_levels=t,
        actions=torch.empty(0),
        times=times,
        num_extra=1,
        num_past=NUM_PAST,
    )
    batch = TrainingBatch(clip, torch.cat([missing, ids], dim=1), clean, noise, weights)
    if queries.adapter:
        batch = _without_slot(batch)
    return batch, _adapter(queries, read, config, rng)


def _without_slot(batch: TrainingBatch) -> TrainingBatch:
    """The batch as it is where a memory recalls no frames."""
    clip = batch.clip
    cut = replace(
        clip,
        latents=clip.latents[:, 1:],
        noise_levels=clip.noise_levels[:, 1:],
        times=clip.times[:, 1:],
        num_extra=0,
    )
    columns = (batch.action_ids, batch.clean, batch.noise, batch.loss_frames)
    return TrainingBatch(cut, *(x[:, 1:] for x in columns))


def _rows(
    queries: Queries, config: SlowFastConfig, rng: np.random.Generator
) -> np.ndarray:
    """Questions of a batch; with fast weights, equally many per snapshot, in order."""
    if not queries.adapter:
        return rng.integers(len(queries), size=config.batch_size)
    snapshots = queries.snapshot.unique().numpy()
    picked = rng.choice(snapshots, size=config.groups)
    each = config.batch_size // config.groups
    found = [np.nonzero(queries.snapshot.numpy() == s)[0] for s in picked]
    return np.concatenate([rng.choice(rows, size=each) for rows in found])


def _read_rows(
    queries: Queries,
    rows: np.ndarray,
    config: SlowFastConfig,
    rng: np.random.Generator,
) -> np.ndarray:
    """Whose answer each question meets."""
    unit = config.batch_size // config.groups if queries.adapter else 1
    others = rng.integers(len(queries), size=len(rows) // unit)
    wrong = rng.random(len(others)) < config.wrong
    if config.reading in ("shuffled", "wrong_episode"):
        wrong[:] = True
    if config.reading != "shuffled":
        own = queries.episode.numpy()[rows[::unit]]
        while (same := wrong & (queries.episode.numpy()[others] == own)).any():
            others[same] = rng.integers(len(queries), size=same.sum())
    return np.where(np.repeat(wrong, unit), np.repeat(others, unit), rows)


def _levels(
    known: np.ndarray, config: SlowFastConfig, rng: np.random.Generator
) -> np.ndarray:
    """Noise levels (M, 4) of the slot, the past and the target."""
    size = len(known)
    levels = np.zeros((size, 2 + NUM_PAST))
    levels[:, 0] = np.where(known, 0.0, 1.0)
    # Slightly wrong pasts, told as such, as in slow learning.
    told = rng.uniform(0, 0.3, size) * (rng.random(size) < 0.5)
    levels[:, 1 : 1 + NUM_PAST] = told[:, None]
    drawn = rng.uniform(0.001, 1.0, size)
    levels[:, -1] = np.where(rng.random(size) < config.mix.pure_noise, 1.0, drawn)
    return levels


def _adapter(
    queries: Queries,
    read: np.ndarray,
    config: SlowFastConfig,
    rng: np.random.Generator,
) -> dict[str, Tensor]:
    """The fast weights of the batch's groups, (groups, ...); zeros where dropped."""
    if not queries.adapter or config.reading == "none":
        return {}
    unit = config.batch_size // config.groups
    snapshots = queries.snapshot[read[::unit]]
    kept = torch.from_numpy(rng.random(len(snapshots)) >= config.dropped).float()
    return {
        name: x[snapshots].float() * kept[:, None, None]
        for name, x in queries.adapter.items()
    }
