"""Trains the predictive state on images and actions alone, nothing is labelled.

Where an action uncovers something is where its ends differ most from one time to the
other (`places`). The code of what is seen there and the net that completes the end
view are fitted as an autoencoder of single actions: it may look at the end. Then
transitions and gates are fitted so that what was seen earlier in the episode, carried
along, foretells that code, through whole episodes. Actions lose their slot whose end a
glimpse of it does not mend, then those whose end the past does not foretell, and all is
fitted once more, until none is left to lose it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.progress import track
from torch import Tensor

from world_model.diffusion.autoencoder import FrameAutoencoder
from world_model.errors import at_least, positive, within
from world_model.fingerprint import encoder_fingerprint
from world_model.frames import to_model
from world_model.predictive_state import (
    PredictiveStateNet,
    cells_of,
    own_rows,
    patches,
)
from world_model.shards import ShardMeta, read_meta, read_shards
from world_model.training.episodes import split
from world_model.training.fit import seeded
from world_model.training.latents import encode_dataset
from world_model.training.progress import Log


@dataclass(frozen=True)
class PredictiveStateConfig:
    """Hyper-parameters.

    Attributes:
        num_steps: Steps of the codes and end views.
        num_carry_steps: Steps of transitions and gates.
        batch_size: Actions per step of the former.
        num_episodes: Episodes per step of the latter.
        learning_rate: Peak rate of AdamW, one cycle; transitions take 20 times it.
        code_size: d.
        width: Channels.
        silent: Share of actions that are shown without a code.
        min_gain: Share of the error of an action's end view that what was seen earlier
            must take off for the action to have a slot.
        min_count: Times an action must have been done to be considered.
        held_out: Share of episodes kept for validation.
        seed: Seeds weights and batches.
    """

    num_steps: int = 600
    num_carry_steps: int = 600
    batch_size: int = 128
    num_episodes: int = 64
    learning_rate: float = 3e-3
    code_size: int = 8
    width: int = 64
    silent: float = 0.3
    min_gain: float = 0.25
    min_count: int = 20
    held_out: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        at_least(1, num_steps=self.num_steps, num_carry_steps=self.num_carry_steps)
        at_least(1, batch_size=self.batch_size, num_episodes=self.num_episodes)
        at_least(1, code_size=self.code_size, width=self.width)
        at_least(2, min_count=self.min_count)  # what was done once does not vary
        positive(learning_rate=self.learning_rate)
        shares = {"silent": self.silent, "held_out": self.held_out}
        within(0, 1, min_gain=self.min_gain, **shares)


@dataclass(frozen=True)
class Sights:
    """Chunk ends of episodes.

    Attributes:
        cells: Mean colours (E, T + 1, C, GRID, GRID).
        latents: (E, T + 1, c, h, w).
        actions: (E, T) int64.
    """

    cells: Tensor
    latents: Tensor
    actions: Tensor

    def part(self, rows: slice) -> Sights:
        """Some of the episodes."""
        return Sights(self.cells[rows], self.latents[rows], self.actions[rows])


def train_predictive_state(
    autoencoder: FrameAutoencoder,
    data: Path,
    output: Path,
    config: PredictiveStateConfig,
) -> PredictiveStateNet:
    """Trains on `data` and saves to output/predictive_state; prints held-out gains.

    Raises:
        ValueError: If actions are vectors, or none of them uncovers what was seen.
    """
    meta = read_meta(data)
    check_phrases(data, meta)
    sights = _load(data, meta, autoencoder)
    options = {"encoder": encoder_fingerprint(autoencoder), "phrases": meta.phrases}
    net = fit_predictive_state(sights, options, config, output)
    net.eval().save_pretrained(output / "predictive_state")
    return net


def check_phrases(data: Path, meta: ShardMeta) -> None:
    """Refuses data of vectors.

    Raises:
        ValueError: If actions are no phrases.
    """
    if meta.bounds is not None:
        raise ValueError(
            "`stage=predictive_state` needs actions that are phrases, got "
            f"{data} of vectors: leave the stage out."
        )


def fit_predictive_state(
    sights: Sights, options: dict[str, Any], config: PredictiveStateConfig, output: Path
) -> PredictiveStateNet:
    """Fits all actions that were done often enough, then only those that gain by it.

    Args:
        sights: What was seen.
        options: Of the net, those that the sights do not tell.
        config: Hyper-parameters.
        output: Where `predictive_state.csv` goes.

    Raises:
        ValueError: If no action gains.
    """
    train, held_out = split(sights, config.held_out)
    log = Log(output / "predictive_state.csv")

    def fit(tests: dict[int, int]) -> PredictiveStateNet:
        net = _make_net(sights, tests, options, config)
        _fit_ends(net, train, config)
        return net

    tests = places(train, len(options["phrases"]), config.min_count)
    net = fit(tests)
    found = gains(net, held_out, glimpsed(net, _seen(net, held_out)))
    left = _gaining(tests, found, config.min_gain, log)
    while True:
        tests, net = left, fit(left)
        _fit_moves(net, train, config)
        told = foretold(net, _seen(net, held_out), held_out.actions)
        found = gains(net, held_out, told[..., :-1])
        left = _gaining(tests, found, config.min_gain, log)
        if left == tests:
            return net


def _gaining(
    tests: dict[int, int], found: dict[int, float], min_gain: float, log: Log
) -> dict[int, int]:
    """Those tests that gain enough."""
    left = {a: c for a, c in tests.items() if found[a] >= min_gain}
    if not left:
        best = max(found.values())
        raise ValueError(
            "`stage=predictive_state` needs actions that uncover what was seen "
            f"earlier, got none: the best gains {best:.2f} of its error, below "
            f"predictive_state.min_gain={min_gain}; leave the stage out."
        )
    mean = float(np.mean([found[a] for a in left]))
    log.write(tests=len(tests), kept=len(left), gain=mean)
    return left


def places(sights: Sights, num_actions: int, min_count: int) -> dict[int, int]:
    """The cell in which each action's changes differ most among the times it was done.

    What an action always does alike varies nowhere; where it uncovers something, the
    image hangs on what that is.

    Returns:
        Action -> row * GRID + column, of actions done at least `min_count` times.

    Raises:
        ValueError: If there are none.
    """
    changes = sights.cells[:, 1:] - sights.cells[:, :-1]
    found = {}
    for action in range(num_actions):
        done = changes[sights.actions == action]
        if len(done) >= min_count:
            found[action] = int(done.var(dim=0).sum(dim=0).argmax())
    if not found:
        raise ValueError(
            "`stage=predictive_state` needs actions that were done at least "
            f"predictive_state.min_count={min_count} times, got none in "
            f"{len(sights.actions)} episodes: collect more."
        )
    return found


@torch.no_grad()
def gains(net: PredictiveStateNet, sights: Sights, told: Tensor) -> dict[int, float]:
    """By which share being told codes (E, T, n, d) mends each test's end view.

    Returns:
        Action -> 1 - error / error without a code; 0 where it was never done.
    """
    found = {}
    for action in net.config["tests"]:
        e, t = (sights.actions == action).nonzero(as_tuple=True)
        slots = net.slots[sights.actions[e, t]]
        codes = told[e, t, slots]
        mended = _error(net, sights, (e, t), codes)
        blind = _error(net, sights, (e, t), torch.zeros_like(codes))
        found[action] = 1 - float(mended / blind) if len(e) else 0.0
    return found


@torch.no_grad()
def glimpsed(net: PredictiveStateNet, seen: Tensor) -> Tensor:
    """Codes of what each action's end shows at all places, (E, T, n, d)."""
    return net.code(seen[:, 1:])


def foretold(net: PredictiveStateNet, seen: Tensor, actions: Tensor) -> Tensor:
    """States (E, T, n, d + 1) before each action (E, T)."""
    state = net.see(net.blank().expand(len(seen), -1, -1), seen[:, 0])
    states = [state]
    for t in range(actions.shape[1] - 1):
        state = net.see(net.carry(state, actions[:, t]), seen[:, t + 1])
        states.append(state)
    return torch.stack(states, dim=1)


def _load(data: Path, meta: ShardMeta, autoencoder: FrameAutoencoder) -> Sights:
    episodes = encode_dataset(data, autoencoder, torch.device("cpu"))
    parts = [
        _cells(shard["frames"][:, :: meta.chunk_length])
        for shard in read_shards(data, only=("frames",))
    ]
    actions = torch.from_numpy(episodes.actions)
    return Sights(torch.cat(parts), episodes.ends.float(), actions)


def _cells(frames: np.ndarray) -> Tensor:
    flat = cells_of(to_model(frames.reshape(-1, *frames.shape[2:])))
    return flat.unflatten(0, frames.shape[:2])


def _make_net(
    sights: Sights,
    tests: dict[int, int],
    options: dict[str, Any],
    config: PredictiveStateConfig,
) -> PredictiveStateNet:
    with seeded(config.seed):
        return PredictiveStateNet(
            tests=list(tests),
            cells=list(tests.values()),
            frame_channels=sights.cells.shape[2],
            latent_channels=sights.latents.shape[2],
            latent_size=sights.latents.shape[-1],
            code_size=config.code_size,
            width=config.width,
            **options,
        )


def _fit_ends(
    net: PredictiveStateNet, sights: Sights, config: PredictiveStateConfig
) -> None:
    """Codes and end views: every test as often as any other, the end is looked at."""
    seen, slots = _seen(net, sights), net.slots[sights.actions]
    e, t = (slots >= 0).nonzero(as_tuple=True)
    weights = (1 / torch.bincount(slots[e, t]).float())[slots[e, t]]
    optimizer = torch.optim.AdamW(
        [p for n, p in net.named_parameters() if n != "moves" and "gate" not in n],
        lr=config.learning_rate,
        weight_decay=1e-3,
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, config.learning_rate, total_steps=config.num_steps
    )
    generator = torch.Generator().manual_seed(config.seed)
    for _ in track(range(config.num_steps), description="end views"):
        rows = weights.multinomial(config.batch_size, True, generator=generator)
        done = e[rows], t[rows]
        codes = net.code(seen[e[rows], t[rows] + 1, slots[done]])
        told = torch.rand(len(rows), 1, generator=generator) >= config.silent
        _error(net, sights, done, codes * told).backward()
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()


def _fit_moves(
    net: PredictiveStateNet, sights: Sights, config: PredictiveStateConfig
) -> None:
    """Transitions and gates: the past foretells the codes of what tests uncover."""
    seen, slots = _seen(net, sights), net.slots[sights.actions]
    wanted = own_rows(glimpsed(net, seen), slots)
    weights = _evened(wanted, slots)
    rates = [20 * config.learning_rate, 3 * config.learning_rate]
    optimizer = torch.optim.AdamW(
        [{"params": [net.moves]}, {"params": list(net.gate.parameters())}],
        weight_decay=0.0,
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, rates, total_steps=config.num_carry_steps
    )
    rng = np.random.default_rng([config.seed, 7])
    size = min(config.num_episodes, len(seen))
    for _ in track(range(config.num_carry_steps), description="transitions"):
        rows = torch.from_numpy(rng.choice(len(seen), size, replace=False))
        told = own_rows(foretold(net, seen[rows], sights.actions[rows]), slots[rows])
        errors = (told[..., :-1] - wanted[rows]).square().mean(dim=-1) * weights[rows]
        errors.sum(dim=1).mean().backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()


def _evened(codes: Tensor, slots: Tensor) -> Tensor:
    """Weights (E, T) by which tests count alike, each in its own spread of codes."""
    weights = torch.zeros(slots.shape)
    for slot in slots[slots >= 0].unique():
        done = slots == slot
        weights[done] = 1 / (codes[done].var(dim=0).mean() * done.sum()).clamp(min=1e-6)
    return weights * len(slots)


def _seen(net: PredictiveStateNet, sights: Sights) -> Tensor:
    """What chunk ends show at the place of each test, (E, T + 1, n, 9 C)."""
    flat = patches(sights.cells.flatten(0, 1), net.config["cells"])
    return flat.unflatten(0, sights.cells.shape[:2])


def _error(
    net: PredictiveStateNet, sights: Sights, done: tuple[Tensor, Tensor], codes: Tensor
) -> Tensor:
    """Mean squared error of the end views of M actions, told codes (M, d).

    Args:
        net: Imagines them.
        sights: What was seen.
        done: Episode and step of each action.
        codes: What they uncover.
    """
    row, step = done
    slots = net.slots[sights.actions[row, step]]
    ends = net.end(sights.latents[row, step], slots, codes)
    return (ends - sights.latents[row, step + 1]).square().mean()
