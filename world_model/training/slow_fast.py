"""Stage slow_fast: slow weights learn to use what fast weights hold.

SlowFast-VGen section 3.3 and Algorithm 1b: an inner loop writes fast weights along
training episodes, an outer loop trains the slow weights with the written ones frozen.
Where we differ: questions are about any chunk of the episode, half of them about what
was written long before, not only about the next one; some meet no memory or that of a
wrong episode, so that the slow weights learn when not to believe it; ordinary clips
of slow learning are rehearsed; the memory may recall frames instead of weights; and
where a data set holds views from beside the path (`envs.collect beside=true`) half of
the questions are asked from there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from rich.progress import track
from torch import Tensor

from world_model.api import Memory
from world_model.diffusion import adapters
from world_model.diffusion.denoiser import VideoDenoiser
from world_model.diffusion.model import ADAPTED_LAYERS
from world_model.shards import write_atomically
from world_model.training.action_codes import ActionCodes
from world_model.training.clips import LatentEpisodes, TrainingBatch, sample_batch
from world_model.training.loop import TrainingLoop
from world_model.training.progress import Log
from world_model.training.queries import Queries, ask
from world_model.training.question_batch import SlowFastConfig, question_batch
from world_model.training.slow import evaluate, split, with_actions

JUDGED_STRENGTH = 0.15
"""Noise level of starts from recalled frames, as planning has it."""

MakeMemory = Callable[[VideoDenoiser], Memory]


def train_slow_fast(
    denoiser: VideoDenoiser,
    make_memory: MakeMemory,
    data: LatentEpisodes,
    codes: ActionCodes,
    output: Path,
    config: SlowFastConfig,
) -> VideoDenoiser:
    """Runs both loops and returns the denoiser's moving average.

    Args:
        denoiser: Slow weights to start from.
        make_memory: A memory of a world model with these slow weights, whose images
            are latents.
        data: Encoded episodes.
        codes: What it reads of every action.
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
        batch, adapter = source.batch(step, loop.network, rng)
        batch = with_actions(batch, codes, rng, config.text_noise)
        loss = loop.step(batch, adapter)
        done = step + 1
        if done % config.evaluate_every == 0 or done == config.num_steps:
            loop.save(done)
            with loop.averaged() as network:
                skills = evaluate(network, held_out, codes)
                skills |= evaluate_memory(network, judged, codes, config)
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
    """Batches of the outer loop; its questions are stored, or made when needed."""

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

    def batch(
        self, step: int, network: VideoDenoiser, rng: np.random.Generator
    ) -> tuple[TrainingBatch, dict[str, Tensor]]:
        """Ordinary clips, or questions and the fast weights they are read with."""
        config = self._config
        if rng.random() < config.rehearsal:
            return sample_batch(self._train, config.mix, config.batch_size, rng), {}
        return question_batch(self._at(step, network, rng), config, rng)

    def _at(
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


@torch.no_grad()
def evaluate_memory(
    network: VideoDenoiser,
    queries: Queries,
    codes: ActionCodes,
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
        strengths=(JUDGED_STRENGTH, JUDGED_STRENGTH),
        mix=replace(config.mix, pure_noise=1.0),
    )
    rng = np.random.default_rng(0)
    errors, known = [], []
    device = next(network.parameters()).device
    for _ in range(4):
        batch, adapter = question_batch(queries, config, rng)
        batch = with_actions(batch, codes.first_only, rng)
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
