"""What the small nets that read latents have in common when they are trained."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from rich.progress import track
from torch import Tensor, nn

from world_model.errors import at_least, positive, within
from world_model.training.progress import Log


@dataclass(frozen=True, kw_only=True)
class FitConfig:
    """Hyper-parameters of every small net.

    Attributes:
        num_steps: Optimiser steps.
        batch_size: Examples per step.
        learning_rate: Rate of AdamW.
        latent_noise: Largest standard deviation of noise on real latents: imagined
            ones are never exact.
        held_out: Share of episodes kept for validation.
        evaluate_every: Steps between validations.
        seed: Seeds weights and batches.
    """

    num_steps: int = 3000
    batch_size: int = 256
    learning_rate: float = 1e-3
    latent_noise: float = 0.3
    held_out: float = 0.05
    evaluate_every: int = 500
    seed: int = 0

    def __post_init__(self) -> None:
        at_least(1, num_steps=self.num_steps, batch_size=self.batch_size)
        at_least(1, evaluate_every=self.evaluate_every)
        positive(learning_rate=self.learning_rate)
        within(0, math.inf, latent_noise=self.latent_noise)
        within(0, 1, held_out=self.held_out)


def fit(
    net: nn.Module,
    loss: Callable[[], Tensor],
    judge: Callable[[], Mapping[str, float]],
    config: FitConfig,
    log: Log,
    *,
    label: str,
    one_cycle: float | None = None,
) -> None:
    """Minimises `loss` and writes it and what `judge` says of held-out data to `log`.

    Args:
        net: Trained in place.
        loss: Of a new batch, a scalar.
        judge: Held-out figures by name.
        config: Hyper-parameters.
        log: Gets a row at each validation.
        label: Of the progress bar.
        one_cycle: Share of steps in which the rate rises before it falls (Smith and
            Topin 2018); None keeps it constant.
    """
    rate = config.learning_rate
    optimizer = torch.optim.AdamW(net.parameters(), lr=rate)
    schedule = None
    if one_cycle is not None:
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer,
            rate,
            total_steps=config.num_steps,
            # Of a rise that is one step long torch takes the slope over none.
            pct_start=one_cycle + 1e-6 * (one_cycle * config.num_steps == 1),
        )
    for done in track(range(1, config.num_steps + 1), description=label):
        value = loss()
        value.backward()
        optimizer.step()
        if schedule:
            schedule.step()
        optimizer.zero_grad()
        if done % config.evaluate_every == 0 or done == config.num_steps:
            log.write(step=done, loss=value.item(), **judge())


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Weights made inside follow from the seed alone; nobody else's draws change."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield
