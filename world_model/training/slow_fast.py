"""Stage slow_fast: slow weights learn to use what fast weights hold.

SlowFast-VGen section 3.3 and Algorithm 1b: an inner loop writes fast weights along
training episodes, an outer loop trains the slow weights with the written ones frozen.
Where we differ: questions are about any chunk of the episode, half of them about what
was written long before, not only about the next one; some meet no memory or that of a
wrong episode, so that the slow weights learn when not to believe it; ordinary clips
of slow learning are rehearsed; and the memory may recall frames instead of weights.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from rich.progress import track
from torch import Tensor

from world_model.api import Memory
from world_model.diffusion import adapters
from world_model.diffusion.denoiser import Clip, VideoDenoiser, add_noise
from world_model.diffusion.model import ADAPTED_LAYERS
from world_model.errors import unknown_name
from world_model.shards import write_atomically
from world_model.training.clips import (
    ClipMix,
    LatentEpisodes,
    TrainingBatch,
    sample_batch,
)
from world_model.training.loop import TrainingLoop
from world_model.training.progress import Log
from world_model.training.queries import NUM_PAST, Queries, ask
from world_model.training.slow import evaluate, split, with_actions

READINGS = ("memory", "none", "shuffled", "wrong_episode")
MakeMemory = Callable[[VideoDenoiser], Memory]


@dataclass(frozen=True)
class SlowFastConfig:
    """Hyper-parameters.

    Attributes:
        reading: What the outer loop reads: the "memory"; or a control on the same
            data and steps: "none", "shuffled" (another question's answer from the
            same shard) or "wrong_episode".
        rounds: Times that snapshots are taken anew, under the slow weights so far.
        episodes: Training episodes of a round; other ones in every round.
        parallel: Episodes written side by side; one shard of snapshots.
        snapshots: After how many chunks the memory is asked.
        per_snapshot: Questions each time.
        stored: Snapshots of a round are stored first, as in the paper. Else every
            shard is made when it is needed, used `shard_steps` times and dropped.
        shard_steps: Steps on one shard before the next, without stored snapshots.
        num_steps: Optimiser steps of all rounds.
        batch_size: Clips per step.
        groups: Episodes' fast weights per step, for memories that write weights.
        learning_rate: Peak rate of AdamW.
        warmup: Steps of linear warm-up before the cosine.
        ema_decay: Decay of the moving average that is shipped.
        mixed_precision: "no" or "bf16".
        rehearsal: Share of steps on ordinary clips of slow learning.
        dropped: Share of questions that meet no memory.
        wrong: Share of questions that meet a wrong episode's.
        from_recalled: Share of known answers at which denoising starts from the
            recalled frame, as the sampler does, and not from the noised truth.
        strengths: Range of noise levels of such starts.
        held_out: Share of episodes kept for validation.
        evaluate_every: Steps between validations and checkpoints.
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
    shard_steps: int = 4
    num_steps: int = 1000
    batch_size: int = 96
    groups: int = 8
    learning_rate: float = 3e-4
    warmup: int = 50
    ema_decay: float = 0.998
    mixed_precision: str = "bf16"
    rehearsal: float = 0.4
    dropped: float = 0.15
    wrong: float = 0.1
    from_recalled: float = 0.5
    strengths: tuple[float, float] = (0.2, 0.8)
    held_out: float = 0.03
    evaluate_every: int = 250
    text_noise: float = 0.2
    seed: int = 0
    mix: ClipMix = field(default_factory=ClipMix)

    def __post_init__(self) -> None:
        if self.reading not in READINGS:
            raise unknown_name("reading", self.reading, READINGS)
        if self.batch_size % self.groups:
            raise ValueError(
                f"`batch_size` must be a multiple of `groups`={self.groups}, got "
                f"{self.batch_size}."
            )


def train_slow_fast(
    denoiser: VideoDenoiser,
    make_memory: MakeMemory,
    data: LatentEpisodes,
    wordings: list[Tensor],
    output: Path,
    config: SlowFastConfig,
) -> VideoDenoiser:
    """Runs both loops and returns the denoiser's moving average.

    Args:
        denoiser: Slow weights to start from.
        make_memory: A memory of a world model with these slow weights, whose images
            are latents.
        data: Encoded episodes.
        wordings: Embeddings (P, E) of each action's phrase and paraphrases.
        output: Folder for snapshots, checkpoints, log and the final weights.
        config: Hyper-parameters.
    """
    train, held_out = split(data, config.held_out)
    names = ("num_steps", "learning_rate", "warmup", "ema_decay", "mixed_precision")
    judged = _held_out(make_memory, denoiser, held_out, config)
    if judged.adapter:
        adapters.attach(denoiser, ADAPTED_LAYERS)
    loop = TrainingLoop(
        denoiser, output, **{name: getattr(config, name) for name in names}
    )
    log = Log(output / "slow_fast.csv")
    source = _Shards(make_memory, train, output, config)
    for step in track(range(loop.resume(), config.num_steps), "slow-fast learning"):
        rng = np.random.default_rng([config.seed, 8, step])
        if rng.random() < config.rehearsal:
            batch = sample_batch(train, config.mix, config.batch_size, rng)
            adapter: dict[str, Tensor] = {}
        else:
            queries = source.at(step, loop.network, rng)
            batch, adapter = question_batch(queries, config, rng)
        batch = with_actions(batch, wordings, rng, config.text_noise)
        loss = loop.step(batch, adapter)
        done = step + 1
        if done % config.evaluate_every == 0 or done == config.num_steps:
            loop.save(done)
            with loop.averaged() as network:
                skills = evaluate(network, held_out, wordings)
                skills |= evaluate_memory(network, judged, wordings, config)
                network.save_pretrained(output / "denoiser")
            log.write(step=done, loss=loss, **skills)
    return loop.finish()


def _held_out(
    make_memory: MakeMemory,
    denoiser: VideoDenoiser,
    held_out: LatentEpisodes,
    config: SlowFastConfig,
) -> Queries:
    """Questions about held-out episodes, under the first slow weights."""
    return ask(
        make_memory(_copy(denoiser)),
        held_out,
        range(min(config.parallel, len(held_out.actions))),
        snapshots=config.snapshots,
        per_snapshot=config.per_snapshot,
        rng=np.random.default_rng([config.seed, 10]),
    )


class _Shards:
    """Questions of the present round: stored on disk, or made when needed."""

    def __init__(
        self,
        make_memory: MakeMemory,
        train: LatentEpisodes,
        output: Path,
        config: SlowFastConfig,
    ) -> None:
        self._make_memory = make_memory
        self._train = train
        self._folder = output / "snapshots"
        self._config = config
        self._present: tuple[int, Queries] | None = None

    def at(
        self, step: int, network: VideoDenoiser, rng: np.random.Generator
    ) -> Queries:
        """The shard for a step; the same whether or not the training was killed."""
        config = self._config
        if not config.stored:
            number = step // config.shard_steps
            return self._load(number, partial(self._make, number, network))
        per_round = max(1, config.episodes // config.parallel)
        steps = -(-config.num_steps // config.rounds)
        first = (step // steps) * per_round
        for number in range(first, first + per_round):
            if not self._path(number).exists():
                self._store(number, network)
        number = first + int(rng.integers(per_round))
        path = self._path(number)
        return self._load(number, lambda: torch.load(path, weights_only=False))

    def _load(self, number: int, make: Callable[[], Queries]) -> Queries:
        if self._present is None or self._present[0] != number:
            self._present = number, make()
        return self._present[1]

    def _path(self, number: int) -> Path:
        return self._folder / f"snapshots-{number:05d}.pt"

    def _store(self, number: int, network: VideoDenoiser) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        queries = self._make(number, network)
        write_atomically(self._path(number), lambda file: torch.save(queries, file))

    def _make(self, number: int, network: VideoDenoiser) -> Queries:
        """Writes a memory along episodes of its own and asks it."""
        config = self._config
        rng = np.random.default_rng([config.seed, 9, number])
        size = min(config.parallel, len(self._train.actions))
        episodes = rng.choice(len(self._train.actions), size=size, replace=False)
        return ask(
            self._make_memory(_copy(network)),
            self._train,
            episodes.tolist(),
            snapshots=config.snapshots,
            per_snapshot=config.per_snapshot,
            rng=rng,
        )


def _copy(network: VideoDenoiser) -> VideoDenoiser:
    """The same slow weights in a network that a world model may freeze."""
    copy = VideoDenoiser.from_config(network.config)
    copy.load_state_dict(network.state_dict())
    return copy.to(next(network.parameters()).device).eval()


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
    if config.reading == "shuffled":
        wrong[:] = True
    if config.reading == "wrong_episode":
        wrong[:] = True
        own = queries.episode.numpy()[rows[::unit]]
        while (same := queries.episode.numpy()[others] == own).any():
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


@torch.no_grad()
def evaluate_memory(
    network: VideoDenoiser,
    queries: Queries,
    wordings: list[Tensor],
    config: SlowFastConfig,
) -> dict[str, float]:
    """Errors of one-step predictions with the true memory, whatever was trained on.

    Returns:
        `error_known` and `error_unknown`: mean squared latent error of held-out
        questions that the memory answers and of those it does not; NaN if none.
    """
    config = replace(
        config,
        reading="memory",
        dropped=0.0,
        wrong=0.0,
        from_recalled=1.0,
        strengths=(0.5, 0.5),
        mix=replace(config.mix, pure_noise=1.0),
    )
    rng = np.random.default_rng(0)
    errors, known = [], []
    device = next(network.parameters()).device
    for _ in range(4):
        batch, adapter = question_batch(queries, config, rng)
        batch = with_actions(batch, [w[:1] for w in wordings], rng)
        fast = {name: x.to(device) for name, x in adapter.items()}
        with adapters.using(network, fast):
            flow = network.flow(batch.clip.to(device)).cpu()[:, -1]
        level = batch.clip.noise_levels[:, -1, None, None, None]
        predicted = batch.clip.latents[:, -1] - level * flow
        errors.append((predicted - batch.clean[:, -1]).square().mean(dim=(1, 2, 3)))
        is_known = batch.clip.noise_levels[:, -1] < 1
        known.append(is_known | bool(adapter))
    error, answered = torch.cat(errors), torch.cat(known)
    return {
        "error_known": float(error[answered].mean()),
        "error_unknown": float(error[~answered].mean()),
    }
