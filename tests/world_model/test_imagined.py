"""Imagined training latents: what they are, and whose labels they get."""

import numpy as np
import torch

from world_model.training.action_codes import ActionCodes
from world_model.training.classifier import ClassifierConfig, Labelled, _batch
from world_model.training.episodes import LatentEpisodes
from world_model.training.imagined import imagine

LENGTH, EPISODES, ACTIONS = 3, 4, 8


class Walker:
    """A perfect denoiser of a world in which action a adds a + 1 to every number."""

    def flow(self, clip):
        truth = clip.latents[:, -2:-1] + clip.actions[:, -1:, :, None, None]
        return clip.latents - truth


def episodes():
    rng = np.random.default_rng(0)
    actions = rng.integers(4, size=(EPISODES, ACTIONS))
    values = np.cumsum(actions + 1, axis=1) + 100 * np.arange(EPISODES)[:, None]
    values = np.concatenate([100 * np.arange(EPISODES)[:, None], values], axis=1)
    frames = values.repeat(LENGTH, axis=1)[:, LENGTH - 1 :]
    latents = torch.from_numpy(frames)[..., None, None, None].half()
    moved = np.ones(actions.shape, bool)
    return LatentEpisodes(
        latents.expand(-1, -1, 1, 4, 4), actions, moved, LENGTH, np.full(4, -1)
    )


def test_a_perfect_model_imagines_what_was_really_there():
    data = episodes()
    words = [torch.full((1, 1), a + 1.0) for a in range(4)]
    codes = ActionCodes.of_wordings(words)
    made = imagine(
        Walker(),
        data,
        codes,
        count=300,
        depth=3,
        num_steps=1,
        rng=np.random.default_rng(1),
    )
    assert made.latents.shape == (300, 1, 4, 4)
    assert set(made.ends) == set(range(2, ACTIONS + 1))
    assert set(made.episodes) == set(range(EPISODES))
    truth = data.latents[:, ::LENGTH][made.episodes, made.ends].float()
    torch.testing.assert_close(made.latents, truth, atol=0.2, rtol=0)


def labelled(value, size, *, goal_every):
    found = torch.arange(size)[:, None] % goal_every == 0
    latents = torch.full((size, 1, 4, 4), float(value))
    return Labelled(latents, found.float(), found)


def test_half_of_the_real_views_are_goals_and_imagined_ones_come_as_they_are():
    parts = {
        "real": labelled(0, 1000, goal_every=100),
        "imagined": labelled(9, 1000, goal_every=100),
    }
    config = ClassifierConfig(batch_size=400, imagined=1, imagined_share=0.5)
    batch = _batch(parts, config, np.random.default_rng(0))
    imagined = batch.latents[:, 0, 0, 0] == 9
    assert int(imagined.sum()) == 200
    assert 100 <= int(batch.found[~imagined].sum()) < 110
    assert int(batch.found[imagined].sum()) < 12
    noisy = batch.latents[~imagined].std(dim=(1, 2, 3))
    assert 0 <= float(noisy.min()) < float(noisy.max()) < 1
    only = _batch({"real": parts["real"]}, config, np.random.default_rng(0))
    assert len(only.latents) == 400
