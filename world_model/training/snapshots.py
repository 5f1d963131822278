"""`Snapshots`: what a memory knew along many episodes, asked and answered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from world_model.api import Memory
from world_model.diffusion.denoiser import VideoDenoiser
from world_model.torch_file import load_kept
from world_model.training.clips import TrainingBatch, sample_batch
from world_model.training.episodes import LatentEpisodes
from world_model.training.origin import claim
from world_model.training.queries import Queries, ask
from world_model.training.question_batch import SlowFastConfig, question_batch
from world_model.whole_file import write_whole

MakeMemory = Callable[[VideoDenoiser], Memory]
_WRITTEN_BY = ("seed", "parallel", "snapshots", "per_snapshot", "held_out")


class Snapshots:
    """Batches of the outer loop; their questions are stored, or made when needed.

    Stored snapshots of the first slow weights may be copied to another run's folder:
    arms of a comparison then learn from the same ones.

    Args:
        make_memory: A memory of a world model with given slow weights.
        train: Episodes to write.
        folder: Where snapshots are stored.
        config: Hyper-parameters.
        origin: Names the memory, the first slow weights and the data, as JSON.

    Raises:
        ValueError: If the folder holds snapshots of another origin.
    """

    def __init__(
        self,
        make_memory: MakeMemory,
        train: LatentEpisodes,
        folder: Path,
        config: SlowFastConfig,
        *,
        origin: Mapping[str, object],
    ) -> None:
        self._make_memory = make_memory
        self._train = train
        self._folder = folder
        self._config = config
        self._present: tuple[int, Queries] | None = None
        self._claim(origin)

    def held_out(self, network: VideoDenoiser, episodes: LatentEpisodes) -> Queries:
        """Questions about held-out episodes, under the first slow weights."""
        path = self._folder / "held-out.pt"
        if not path.exists():
            rng = np.random.default_rng([self._config.seed, 10])
            numbers = range(min(self._config.parallel, len(episodes.actions)))
            self._store(path, self._ask(network, episodes, list(numbers), rng))
        return _read(path)

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
                self._store(self._path(number), self._make(number, network))
        number = first + int(rng.integers(per_round))
        return self._load(number, partial(_read, self._path(number)))

    def _load(self, number: int, make: Callable[[], Queries]) -> Queries:
        if self._present is None or self._present[0] != number:
            self._present = number, make()
        return self._present[1]

    def _path(self, number: int) -> Path:
        return self._folder / f"snapshots-{number:05d}.pt"

    def _store(self, path: Path, queries: Queries) -> None:
        write_whole(path, lambda file: torch.save(queries, file))

    def _make(self, number: int, network: VideoDenoiser) -> Queries:
        """Writes a memory along episodes of its own and asks it."""
        config = self._config
        rng = np.random.default_rng([config.seed, 9, number])
        size = min(config.parallel, len(self._train.actions))
        episodes = rng.choice(len(self._train.actions), size=size, replace=False)
        return self._ask(network, self._train, episodes.tolist(), rng)

    def _ask(
        self,
        network: VideoDenoiser,
        episodes: LatentEpisodes,
        numbers: list[int],
        rng: np.random.Generator,
    ) -> Queries:
        config = self._config
        memory = self._make_memory(_copy(network))
        return ask(
            memory,
            episodes,
            numbers,
            snapshots=config.snapshots,
            per_snapshot=config.per_snapshot,
            rng=rng,
            device=next(network.parameters()).device,
        )

    def _claim(self, origin: Mapping[str, object]) -> None:
        """Notes in the folder what its snapshots are made with, or compares it."""
        values = {name: getattr(self._config, name) for name in _WRITTEN_BY}
        if self._config.rounds > 1:  # those of later rounds follow from the training
            values |= self._config.fixed() | {"num_steps": self._config.num_steps}
        path = self._folder / "origin.json"
        claim(path, {**origin, **values}, what="snapshots")


def _read(path: Path) -> Queries:
    remedy = "copy it again, or delete it and it is made anew"
    queries: Queries = load_kept(
        path, what="snapshots", remedy=remedy, weights_only=False
    )
    return queries


def _copy(network: VideoDenoiser) -> VideoDenoiser:
    """The same slow weights in a network that a world model may freeze."""
    copy = VideoDenoiser.from_config(network.config)
    copy.load_state_dict(network.state_dict())
    return copy.to(next(network.parameters()).device).eval()
