"""`TrainingLoop`: optimiser steps with checkpoints, validations and an average."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate import Accelerator
from diffusers.optimization import get_cosine_schedule_with_warmup
from diffusers.training_utils import EMAModel
from rich.progress import track
from torch import Tensor

from world_model import precision
from world_model.diffusion import adapters
from world_model.diffusion.denoiser import VideoDenoiser, denoising_loss
from world_model.errors import at_least, positive, within
from world_model.training.clips import TrainingBatch
from world_model.training.progress import Log

Batch = tuple[TrainingBatch, Mapping[str, Tensor]]
"""Clips and the frozen fast weights they are read with; empty for none."""


@dataclass(frozen=True, kw_only=True)
class LoopConfig:
    """Hyper-parameters of every training of a denoiser.

    Attributes:
        num_steps: Optimiser steps; the length of the cosine schedule.
        learning_rate: Peak rate of AdamW.
        warmup: Steps of linear warm-up before the cosine.
        ema_decay: Decay of the exponential moving average that is shipped.
        mixed_precision: "no", "bf16", or None: bf16 where the hardware has it.
        evaluate_every: Steps between validations.
        checkpoint_every: Steps between checkpoints (optimiser included); None: one
            after each validation.
    """

    num_steps: int
    learning_rate: float
    warmup: int
    ema_decay: float
    mixed_precision: str | None = None
    evaluate_every: int
    checkpoint_every: int | None = None

    def __post_init__(self) -> None:
        at_least(1, num_steps=self.num_steps, evaluate_every=self.evaluate_every)
        at_least(0, warmup=self.warmup)
        if self.checkpoint_every is not None:
            at_least(1, checkpoint_every=self.checkpoint_every)
        positive(learning_rate=self.learning_rate)
        within(0, 1, ema_decay=self.ema_decay)
        precision.mixed_precision(self.mixed_precision)


class TrainingLoop:
    """A denoiser, what trains it, and the moving average that is shipped.

    Args:
        denoiser: The network.
        output: Folder of checkpoints and of the averaged weights.
        config: Hyper-parameters.
    """

    def __init__(
        self, denoiser: VideoDenoiser, output: Path, config: LoopConfig
    ) -> None:
        self.output = output
        self._config = config
        self._accelerator = Accelerator(
            mixed_precision=precision.mixed_precision(config.mixed_precision)
        )
        optimizer = torch.optim.AdamW(
            denoiser.parameters(), lr=config.learning_rate, weight_decay=0.01
        )
        schedule = get_cosine_schedule_with_warmup(
            optimizer, config.warmup, config.num_steps
        )
        self.network, self._optimizer, self._schedule = self._accelerator.prepare(
            denoiser, optimizer, schedule
        )
        self._ema = EMAModel(
            self.network.parameters(),
            decay=config.ema_decay,
            use_ema_warmup=True,
            power=0.75,
        )
        self._accelerator.register_for_checkpointing(self._ema)

    def run(
        self,
        batch: Callable[[int], Batch],
        judge: Callable[[VideoDenoiser], Mapping[str, float]],
        *,
        log: str,
        label: str,
    ) -> VideoDenoiser:
        """Trains from the newest checkpoint to the end.

        Args:
            batch: What a step trains on; follows from the step alone.
            judge: Scores of the averaged network, for the log.
            log: Name of the table in `output` that each validation adds a row to.
            label: Of the progress bar.

        Returns:
            The network with its average as weights, also in `output`/denoiser.

        Raises:
            ValueError: If the newest checkpoint does not fit, see `resume`.
        """
        first, config = self.resume(), self._config
        table = Log(self.output / log, after=first)
        saved_every = config.checkpoint_every or config.evaluate_every
        for step in track(range(first, config.num_steps), label):
            loss = self.step(*batch(step))
            done = step + 1
            if done % config.evaluate_every == 0 or done == config.num_steps:
                with self.averaged() as network:
                    scores = judge(network)
                    network.save_pretrained(self.output / "denoiser")
                table.write(step=done, loss=loss, **scores)
            # Last: a checkpoint says that all before it has been written.
            if done % saved_every == 0 or done == config.num_steps:
                self.save(done)
        return self.finish()

    def step(self, batch: TrainingBatch, adapter: Mapping[str, Tensor]) -> float:
        """One optimiser step with frozen fast weights; returns the loss."""
        device = self._accelerator.device
        fast = {name: x.to(device) for name, x in adapter.items()}
        with self._accelerator.autocast(), adapters.using(self.network, fast):
            loss = weighted_loss(self.network, batch, self._accelerator.device)
        self._accelerator.backward(loss)
        self._accelerator.clip_grad_norm_(self.network.parameters(), 1.0)
        self._optimizer.step()
        self._schedule.step()
        self._optimizer.zero_grad()
        self._ema.step(self.network.parameters())
        return loss.item()

    @contextmanager
    def averaged(self) -> Iterator[VideoDenoiser]:
        """The network with its average as weights, inside the block."""
        self._ema.store(self.network.parameters())
        self._ema.copy_to(self.network.parameters())
        yield self.network
        self._ema.restore(self.network.parameters())

    def finish(self) -> VideoDenoiser:
        """The network with its average as weights, for good."""
        self._ema.copy_to(self.network.parameters())
        return self.network.eval()

    def save(self, step: int) -> None:
        """Writes a checkpoint under a new name, then drops the older ones."""
        folder = self.output / f"checkpoint-{step:07d}"
        shutil.rmtree(folder.with_suffix(".tmp"), ignore_errors=True)  # of a kill
        self._accelerator.save_state(str(folder.with_suffix(".tmp")))
        folder.with_suffix(".tmp").rename(folder)
        for old in checkpoints(self.output)[:-1]:
            shutil.rmtree(old)

    def resume(self) -> int:
        """Loads the newest checkpoint, if any, and returns the step to go on from.

        Raises:
            ValueError: If it was made with another learning rate, which it restores,
                or has more steps behind it.
        """
        found = checkpoints(self.output)
        if not found:
            return 0
        self._accelerator.load_state(str(found[-1]))
        # accelerate reads them onto the CPU.
        self._ema.to(self._accelerator.device)
        (rate,) = self._schedule.scheduler.base_lrs
        if rate != self._config.learning_rate:
            raise ValueError(
                f"`learning_rate` must be that of {found[-1]}, {rate}, got "
                f"{self._config.learning_rate}: name it, or choose another output=."
            )
        done = int(found[-1].name.split("-")[1])
        if done > self._config.num_steps:
            raise ValueError(
                f"`num_steps` must be at least {done}, which {found[-1]} has behind "
                f"it, got {self._config.num_steps}: name more, or choose another "
                "output=."
            )
        return done


def checkpoints(output: Path) -> list[Path]:
    """Whole checkpoints in a folder, the newest one last."""
    paths = output.glob("checkpoint-*")
    return sorted(path for path in paths if path.suffix != ".tmp")


def weighted_loss(
    network: VideoDenoiser, batch: TrainingBatch, device: torch.device
) -> Tensor:
    """Mean loss over the frames that count."""
    clip = batch.clip.to(device)
    loss = denoising_loss(network, clip, batch.clean.to(device), batch.noise.to(device))
    weights = batch.loss_frames.to(device)
    return (loss * weights).sum() / weights.sum()
