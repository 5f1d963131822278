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

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from world_model.diffusion import adapters
from world_model.diffusion.denoiser import VideoDenoiser
from world_model.diffusion.model import ADAPTED_LAYERS
from world_model.fingerprint import digest_of
from world_model.training.action_codes import ActionCodes
from world_model.training.episodes import LatentEpisodes, split
from world_model.training.loop import Batch, TrainingLoop
from world_model.training.queries import Queries
from world_model.training.question_batch import SlowFastConfig, question_batch
from world_model.training.slow import evaluate, with_actions
from world_model.training.snapshots import MakeMemory, Snapshots

JUDGED_STRENGTH = 0.15
"""Noise level of starts from recalled frames, as planning has it."""


def train_slow_fast(
    denoiser: VideoDenoiser,
    make_memory: MakeMemory,
    data: LatentEpisodes,
    codes: ActionCodes,
    output: Path,
    config: SlowFastConfig,
    *,
    origin: Mapping[str, object],
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
        origin: Names the memory and the data, as JSON; goes with the snapshots.

    Raises:
        ValueError: If `output` holds snapshots of another origin, episodes are too few
            or too short, or the memory's answers cannot be trained with.
    """
    check_snapshots(config, data.actions.shape[1])
    train, held_out = split(data, config.held_out)
    check_wrong_episodes(config, len(train.actions))
    folder = output / "snapshots"
    origin = {**origin, "slow_weights": digest_of(denoiser.state_dict())}
    source = Snapshots(make_memory, train, folder, config, origin=origin)
    judged = source.held_out(denoiser, held_out)
    _check(judged)
    # Goals that are not rehearsed are forgotten.
    denoiser.register_to_config(
        told_goals=denoiser.config["told_goals"] and bool(config.mix.goal)
    )
    if judged.adapter:
        adapters.attach(denoiser, ADAPTED_LAYERS)
    loop = TrainingLoop(denoiser, output, config)

    def batch(step: int) -> Batch:
        rng = np.random.default_rng([config.seed, 8, step])
        clips, adapter = source.batch(step, loop.network, rng)
        return with_actions(clips, codes, rng, config.text_noise), adapter

    def judge(network: VideoDenoiser) -> dict[str, float]:
        skills = evaluate(network, held_out, codes)
        return skills | evaluate_memory(network, judged, codes, config)

    return loop.run(batch, judge, log="slow_fast.csv", label="slow-fast learning")


def check_snapshots(config: SlowFastConfig, num_actions: int) -> None:
    """Refuses snapshots that are taken after the end.

    Raises:
        ValueError: If episodes have fewer actions.
    """
    if max(config.snapshots) > num_actions:
        raise ValueError(
            f"`slow_fast.snapshots` must be at most {num_actions}, the actions of an "
            f"episode, got {list(config.snapshots)}: name others."
        )


def check_wrong_episodes(config: SlowFastConfig, num_episodes: int) -> None:
    """Refuses to ask for a wrong episode's answer where there is no other episode.

    Raises:
        ValueError: If there is none.
    """
    asks = config.wrong > 0 or config.reading == "wrong_episode"
    if asks and config.reading != "shuffled" and min(config.parallel, num_episodes) < 2:
        raise ValueError(
            "A wrong episode's answer needs another episode beside it, got "
            f"slow_fast.parallel={config.parallel} and {num_episodes} training "
            "episodes: give more, or slow_fast.wrong=0."
        )


def _check(queries: Queries) -> None:
    """Refuses memories that the loop cannot train with.

    Raises:
        ValueError: If one answers nothing, or with frames and weights at once.
    """
    if not queries.adapter and not queries.known.any():
        raise ValueError(
            "`memory` must recall where an action leads or give weights, got one that "
            "answers none of the held-out questions: choose another memory."
        )
    if queries.adapter and queries.known.any():
        raise ValueError(
            "`memory` must recall frames or give weights, got a pair that does both: "
            "train with one of them."
        )


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
