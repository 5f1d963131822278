"""Episodes of latents -> training clips, with the noise modes that memories use.

Modes (shares are `ClipMix` fields):

* conditional: the past is clean (sometimes slightly noised, and told so), the
  future has one noise level: SlowFast-VGen section 3.1;
* independent: a noise level per frame, after Diffusion Forcing;
* joint: all frames at one noise level and no action: what the paper's Temp-LoRA
  is trained on (section 3.2), which slow weights must therefore know.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from world_model.diffusion.denoiser import Clip, add_noise
from world_model.errors import at_least, within
from world_model.training.episodes import LatentEpisodes

CONDITIONAL, INDEPENDENT, JOINT = range(3)
GOAL_HORIZON = 7
"""Most chunks from where a goal is told to where it is reached."""


@dataclass(frozen=True)
class ClipMix:
    """Shares of the kinds of training clips; each in [0, 1].

    Attributes:
        goal: Share of clips that are told a goal in words which is reached within
            `GOAL_HORIZON` chunks, instead of the action.
        balanced: Share of clips whose action is drawn first, every one that was not
            blocked as often as any other; the rest are drawn as the data are.
        short: Only the chunk's last frame is the future, else all its frames.
        extra: Clips with an extra-frame slot.
        recalled: Of these, the slot holds the noised last frame of the future and
            says so (time 1).
        elsewhere: Of these, it holds another frame of the episode (time 0); the
            rest is empty.
        conditional: Clean past.
        independent: A noise level per frame; the rest is joint.
        pure_noise: Noise levels that are exactly 1.
        reverse: Played backwards where that is possible.
        num_past: Share of each number of past frames.
    """

    goal: float = 0.0
    balanced: float = 0.0
    short: float = 0.7
    extra: float = 0.35
    recalled: float = 0.35
    elsewhere: float = 0.35
    conditional: float = 0.65
    independent: float = 0.15
    pure_noise: float = 0.15
    reverse: float = 0.5
    num_past: dict[int, float] = field(
        default_factory=lambda: {1: 0.15, 2: 0.7, 4: 0.15}
    )

    def __post_init__(self) -> None:
        shares = {name: x for name, x in vars(self).items() if name != "num_past"}
        within(0, 1, **shares)
        at_least(1, num_past=min(self.num_past, default=0))
        parts = self.num_past.values()
        if abs(sum(parts) - 1) > 1e-6 or min(parts) < 0:
            raise ValueError(
                f"`num_past` must hold shares that sum to 1, got {self.num_past}: set "
                "those that you do not want to 0."
            )
        for one, other in (("conditional", "independent"), ("recalled", "elsewhere")):
            if shares[one] + shares[other] > 1 + 1e-6:
                raise ValueError(
                    f"`{one}` and `{other}` are shares of the same clips and must sum "
                    f"to at most 1, got {shares[one]} and {shares[other]}."
                )


@dataclass(frozen=True)
class TrainingBatch:
    """A noised batch and what is needed for its loss.

    Attributes:
        clip: Input of the denoiser; its `actions` are still empty.
        action_ids: (M, L) int64, -1 where a frame has no action.
        clean: (M, L, c, h, w).
        noise: Like `clean`.
        loss_frames: (M, L) float weights in {0, 1}.
    """

    clip: Clip
    action_ids: Tensor
    clean: Tensor
    noise: Tensor
    loss_frames: Tensor


def sample_batch(
    data: LatentEpisodes, mix: ClipMix, batch_size: int, rng: np.random.Generator
) -> TrainingBatch:
    """Draws one batch; all its clips have the same layout of frames."""
    short = rng.random() < mix.short
    sizes = sorted(mix.num_past)
    num_past = int(rng.choice(sizes, p=[mix.num_past[k] for k in sizes]))
    extra = rng.random() < mix.extra
    frames, ids, times, episode = _indices(data, mix, batch_size, num_past, short, rng)
    if mix.goal:
        _tell_goals(data, mix, frames, ids, episode, num_past, rng)
    clean = data.latents[episode[:, None], torch.from_numpy(frames)].float()
    levels, mode = _noise_levels(mix, batch_size, clean.shape[1], num_past, rng)
    ids[mode == JOINT] = -1
    weights = np.ones(levels.shape, np.float32)
    weights[mode == CONDITIONAL, :num_past] = 0
    if extra:
        slot, slot_level, slot_time = _extra_frames(data, mix, frames, episode, rng)
        clean = torch.cat([slot[:, None], clean], dim=1)
        levels = np.concatenate([slot_level[:, None], levels], axis=1)
        ids, times, weights = (
            np.concatenate([column[:, None].astype(x.dtype), x], axis=1)
            for x, column in (
                (ids, np.full(batch_size, -1)),
                (times, slot_time),
                (weights, np.zeros(batch_size)),
            )
        )
    noise = torch.from_numpy(rng.standard_normal(clean.shape, dtype=np.float32))
    t = torch.from_numpy(levels.astype(np.float32))
    clip = Clip(
        latents=add_noise(clean, noise, t),
        noise_levels=t,
        actions=torch.empty(0),
        times=torch.from_numpy(times),
        num_extra=int(extra),
        num_past=num_past,
    )
    weights_tensor = torch.from_numpy(weights)
    return TrainingBatch(clip, torch.from_numpy(ids), clean, noise, weights_tensor)


def _indices(
    data: LatentEpisodes,
    mix: ClipMix,
    batch_size: int,
    num_past: int,
    short: bool,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Frame indices, action ids, times (M, L) and episodes (M,) of a batch."""
    length = data.chunk_length
    episode, start = _starts(data, mix, batch_size, num_past, rng)
    steps = np.arange(num_past)
    # Forward in time: boundaries start-P+1 .. start, then chunk `start`.
    past = (start[:, None] - num_past + 1 + steps) * length
    chunks = start[:, None] - num_past + 1 + steps
    offsets = np.array([length]) if short else np.arange(1, length + 1)
    future = start[:, None] * length + offsets
    ids = data.actions[episode[:, None], chunks].astype(np.int64)
    # Backward: the same boundaries from the other end, with inverse actions.
    back = rng.random(batch_size) < mix.reverse
    back &= (data.inverses[ids] >= 0).all(axis=1)
    back &= _all_moved(data, episode[:, None], chunks)
    back_past = (start[:, None] + 1 - steps) * length
    back_future = (start[:, None] + 1 - num_past + 1) * length - offsets
    back_ids = data.inverses[ids[:, ::-1]]
    frames = np.concatenate(
        [
            np.where(back[:, None], back_past, past),
            np.where(back[:, None], back_future, future),
        ],
        axis=1,
    )
    ids = np.where(back[:, None], back_ids, ids)
    led_to = np.concatenate(
        [
            np.full((batch_size, 1), -1),
            ids[:, :-1],
            ids[:, -1:].repeat(len(offsets), 1),
        ],
        axis=1,
    )
    times = np.zeros(frames.shape, np.float32)
    times[:, num_past:] = offsets / length
    return frames, led_to, times, episode


def _starts(
    data: LatentEpisodes,
    mix: ClipMix,
    size: int,
    num_past: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Episodes and chunks (2, M) whose actions lead into the future of a clip."""
    num_episodes, num_actions = data.actions.shape
    episode = rng.integers(num_episodes, size=size)
    drawn = np.stack([episode, rng.integers(num_past - 1, num_actions, size=size)])
    if not mix.balanced:
        return drawn
    chosen = rng.random(size) < mix.balanced
    return np.where(chosen, _balanced(data, size, num_past, rng), drawn)


def _balanced(
    data: LatentEpisodes, size: int, num_past: int, rng: np.random.Generator
) -> np.ndarray:
    """Episodes and chunks (2, M) whose actions are all equally likely."""
    actions = data.actions[:, num_past - 1 :]
    moved = np.ones(actions.shape, bool)
    if data.moved is not None and data.moved[:, num_past - 1 :].any():
        moved = data.moved[:, num_past - 1 :]
    counts = np.bincount(actions[moved], minlength=int(actions.max()) + 1)
    weights = np.cumsum(moved.flat / np.maximum(counts[actions.flat], 1))
    drawn = np.searchsorted(weights, rng.random(size) * weights[-1], side="right")
    episode, chunk = np.unravel_index(drawn, actions.shape)
    return np.stack([episode, chunk + num_past - 1])


def _tell_goals(
    data: LatentEpisodes,
    mix: ClipMix,
    frames: np.ndarray,
    ids: np.ndarray,
    episode: np.ndarray,
    num_past: int,
    rng: np.random.Generator,
) -> None:
    """Puts numbers of goals where the action that comes next stands in `ids`.

    The goal is the one that is reached first within `GOAL_HORIZON` chunk ends, as
    time runs in the clip, and not yet where the clip's past ends. Goals are numbered
    after the actions.
    """
    assert data.found is not None
    here = frames[:, num_past - 1] // data.chunk_length
    forward = np.where(frames[:, -1] > frames[:, num_past - 1], 1, -1)
    ends = here[:, None] + forward[:, None] * np.arange(GOAL_HORIZON + 1)
    inside = (ends >= 0) & (ends < data.found.shape[1])
    found = data.found[episode[:, None], np.where(inside, ends, 0)] & inside[..., None]
    soon = found.any(axis=1) & ~found[:, 0]
    first = np.where(soon, found.argmax(axis=1), GOAL_HORIZON + 1)
    told = soon.any(axis=1) & (rng.random(len(ids)) < mix.goal)
    numbers = len(data.inverses) + first.argmin(axis=1)
    ids[told, num_past:] = numbers[told, None]


def _all_moved(
    data: LatentEpisodes, episodes: np.ndarray, chunks: np.ndarray
) -> np.ndarray:
    """Where none of the chunks (M, P) was blocked, (M,) bool; nowhere if unknown."""
    if data.moved is None:
        return np.zeros(len(chunks), bool)
    return data.moved[episodes, chunks].all(axis=1)


def _noise_levels(
    mix: ClipMix,
    batch_size: int,
    num_frames: int,
    num_past: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Noise levels (M, L) and the mode of each clip, (M,)."""

    def draw(*shape: int) -> np.ndarray:
        levels = rng.uniform(0.001, 1.0, size=shape)
        return np.where(rng.random(shape) < mix.pure_noise, 1.0, levels)

    one = draw(batch_size)[:, None].repeat(num_frames, 1)
    conditional = one.copy()
    # Slightly wrong pasts, told as such, keep long open-loop rollouts from rotting.
    told = rng.uniform(0, 0.3, (batch_size, 1)) * (rng.random((batch_size, 1)) < 0.5)
    conditional[:, :num_past] = told
    independent = draw(batch_size, num_frames)
    bounds = np.cumsum([mix.conditional, mix.independent])
    mode = np.searchsorted(bounds, rng.random(batch_size), side="right")
    return np.stack([conditional, independent, one])[mode, np.arange(batch_size)], mode


def _extra_frames(
    data: LatentEpisodes,
    mix: ClipMix,
    frames: np.ndarray,
    episode: np.ndarray,
    rng: np.random.Generator,
) -> tuple[Tensor, np.ndarray, np.ndarray]:
    """A frame for the extra slot of each clip, its noise level and its time.

    A recalled frame is the future's last one: its time is 1 and its noise level
    says how much to trust it. One from elsewhere has time 0. An empty slot of
    either time is said by pure noise.
    """
    size = len(episode)
    boundaries = rng.integers(data.actions.shape[1] + 1, size=size) * data.chunk_length
    kind = rng.random(size)
    recalled = kind < mix.recalled
    empty = kind > mix.recalled + mix.elsewhere
    index = np.where(recalled, frames[:, -1], boundaries)
    level = np.where(recalled, rng.uniform(0, 0.5, size), 0.0)
    time = np.where(empty, rng.random(size) < 0.5, recalled)
    latents = data.latents[torch.from_numpy(episode), torch.from_numpy(index)]
    return latents.float(), np.where(empty, 1.0, level), time.astype(float)
