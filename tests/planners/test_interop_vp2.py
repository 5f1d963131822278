"""vp2's models as ours and ours as theirs, by the calls of its optimisers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from planners.cem import CEMPlanner
from planners.interop.as_vp2_model import AsVP2Model
from planners.interop.vp2_world_model import VP2WorldModel
from world_model.api import with_latents
from world_model.core import Chunk, Context, Goal
from world_model.policy_api import Objective
from world_model.testing import check_world_model
from world_model.toy import DotWorldModel, PointWorldModel, dot_position, draw_dot


class ShiftModel:
    """Theirs: brightness of red and green follows the action; a little global noise."""

    base_prediction_modality = "rgb"
    num_context = 2

    def __init__(self, noise=0.0) -> None:
        self.noise = noise
        self.batches = []

    def __call__(self, batch, grad_enabled=False):
        video, actions = batch["video"], batch["actions"]
        assert isinstance(video, np.ndarray)
        assert video.shape[1] == self.num_context
        assert actions.shape[:2] == (len(video), self.num_context - 1 + 1)
        assert 0 <= video.min() <= video.max() <= 1
        self.batches.append(batch)
        step = np.zeros((len(video), 1, 1, 3), np.float32)
        step[..., :2] = 0.1 * actions[:, -1, None, None]
        noise = self.noise * torch.randn(1).numpy()
        frame = np.clip(video[:, -1] + step + noise, 0, 1)
        return {"rgb": np.concatenate([video[:, 1:], frame[:, None]], axis=1)}


class RedAndGreen(Objective):
    """How far the colour of the first pixel is from that of the goal image."""

    def __call__(self, rollout, goal):
        error = (
            rollout.latents[:, :, :, -1, :2, 0, 0]
            - goal.images[:, None, None, :2, 0, 0]
        )
        return error.abs().amax(dim=-1)


def image(red, green):
    x = torch.zeros(3, 4, 4)
    x[0], x[1] = red, green
    return x


def start(*colours):
    frames = torch.stack([image(*c) for c in colours])[:, None]
    return Context(torch.zeros(len(colours), 0, 2), frames=frames)


def test_our_planner_reaches_the_goal_in_their_model():
    model = VP2WorldModel(ShiftModel(), 2)
    planner = CEMPlanner(model, RedAndGreen(), horizon=3, population=64)
    goal = Goal(("paint",) * 2, torch.stack([image(0.4, 0.2), image(-0.2, 0.0)]))
    source = [torch.Generator().manual_seed(i) for i in range(2)]
    plan = planner.plan(start((0, 0), (0, 0)), goal, generator=source, horizon=3)
    assert plan.lengths.tolist() == [2, 1]  # 0.2 of [-1, 1] per action
    assert (plan.costs < torch.tensor([0.07, 0.05])).all()


def test_their_model_keeps_our_laws():
    model = VP2WorldModel(ShiftModel(noise=0.05), 2)
    rng = np.random.default_rng(0)

    def chunk() -> Chunk:
        def frames(count: int) -> Tensor:
            x = rng.uniform(-0.9, 0.9, (2, count, 3, 4, 4))
            return torch.from_numpy(x).float()

        actions = torch.from_numpy(rng.uniform(-1, 1, (2, 2, 2))).float()
        context = Context(actions[:, :1], frames=frames(2))
        return Chunk(context, actions[:, 1], frames(1), torch.ones(2, dtype=torch.bool))

    check_world_model(model, [chunk() for _ in range(3)])


def test_what_is_missing_at_the_start_is_the_first_frame_and_no_action():
    theirs = ShiftModel()
    model = VP2WorldModel(theirs, 2)
    actions = torch.tensor([[[[0.5, 0.0], [1.0, 0.0]]]])
    model.rollout(start((0, 0)), actions, generator=[torch.Generator()])
    first, second = theirs.batches
    assert np.array_equal(first["video"][0, 0], first["video"][0, 1])
    assert first["actions"].tolist() == [[[0.0, 0.0], [0.5, 0.0]]]
    assert second["actions"].tolist() == [[[0.5, 0.0], [1.0, 0.0]]]
    assert np.allclose(second["video"][0, :, 0, 0, 0], [0.5, 0.55])


def test_models_that_do_not_fit_are_refused():
    theirs = ShiftModel()
    theirs.base_prediction_modality = "depth"
    with pytest.raises(
        ValueError, match="`model` must predict 'rgb', got 'depth': choo"
    ):
        VP2WorldModel(theirs, 2)

    class Wrong(ShiftModel):
        def __call__(self, batch, grad_enabled=False):
            return {"rgb": np.moveaxis(super().__call__(batch)["rgb"], -1, 2)}

    model = VP2WorldModel(Wrong(), 2)
    with pytest.raises(
        ValueError, match=r"shape \(B, T, H, W, C\) like the video, got"
    ):
        model.rollout(
            start((0, 0)), torch.zeros(1, 1, 1, 2), generator=[torch.Generator()]
        )


def cem(model, video, past, goal, rng, *, samples=64, horizon=3, rounds=6):
    """vp2's CEMOptimizer in short: what it hands to a model, and reads from it."""
    context = model.num_context
    mean, std = np.zeros((horizon, model.a_dim)), np.ones((horizon, model.a_dim))
    for _ in range(rounds):
        new = rng.normal(mean, std, (samples, horizon, model.a_dim)).clip(-1, 1)
        done = np.tile(past[-(context - 1) :][None], (samples, 1, 1))
        batch = {
            "video": np.tile(video[-context:][None], (samples, 1, 1, 1, 1)),
            "actions": np.concatenate([done, new], axis=1),
            "state_obs": [],
        }
        predictions = model(batch, grad_enabled=False)
        assert isinstance(predictions[model.base_prediction_modality], np.ndarray)
        rewards = -np.square(predictions["rgb"][:, -1] - goal).mean(axis=(1, 2, 3))
        best = np.argsort(-rewards)[:8]
        mean, std = new[best].mean(axis=0), new[best].std(axis=0)
    return new[best[0]]


def channels_last(frames: Tensor) -> np.ndarray:
    return ((frames + 1) / 2).movedim(-3, -1).numpy()


def test_their_optimiser_reaches_the_goal_in_our_model():
    model = AsVP2Model(DotWorldModel())
    assert (model.num_context, model.a_dim, model.device) == (2, 4, "cpu")
    video = channels_last(draw_dot(torch.tensor([[4, 4], [4, 4]])))
    goal = channels_last(draw_dot(torch.tensor([3, 6])))
    rng = np.random.default_rng(0)
    plan = cem(model, video, np.zeros((1, 4)), goal, rng)
    assert sorted(plan.argmax(axis=1)) == [0, 3, 3]
    model.close()


def test_context_comes_before_what_is_imagined():
    model = AsVP2Model(DotWorldModel())
    places = torch.tensor([[4, 4], [4, 5]])
    right = np.eye(4)[[3, 3, 3]]
    batch = {"video": channels_last(draw_dot(places))[None], "actions": right[None]}
    rgb = model(batch)["rgb"]
    assert rgb.shape == (1, 3, 8, 8, 3)
    found = dot_position(torch.from_numpy(rgb[0]).movedim(-1, -3))
    assert found.tolist() == [[4, 5], [4, 6], [4, 7]]
    with pytest.raises(
        ValueError, match="must go beyond the 1 of the context, got 1: a"
    ):
        model({**batch, "actions": right[None, :1]})


def test_predictions_can_be_differentiated():
    ours = PointWorldModel()
    model = AsVP2Model(ours)
    video = np.full((3, 2, 1, 1, 2), 0.5, np.float32)
    actions = torch.zeros(3, 3, 2, requires_grad=True)
    rgb = model({"video": video, "actions": actions}, grad_enabled=True)["rgb"]
    rgb[:, -1].sum().backward()
    # Half of 0.25 a step in [0, 1]; the action between the context's frames is past.
    expected = torch.full((3, 3, 2), 0.125)
    expected[:, 0] = 0
    assert torch.allclose(actions.grad, expected)


def test_their_view_of_our_model_of_their_model_is_theirs():
    theirs = ShiftModel()
    model = AsVP2Model(VP2WorldModel(theirs, 2))
    rng = np.random.default_rng(0)
    video = rng.uniform(0.2, 0.8, (4, 2, 4, 4, 3)).astype(np.float32)
    actions = rng.uniform(-1, 1, (4, 2, 2)).astype(np.float32)
    batch = {"video": video, "actions": actions}
    assert np.allclose(model(batch)["rgb"], theirs(batch)["rgb"], atol=1e-6)


def test_latents_are_frames():
    model = VP2WorldModel(ShiftModel(), 2)
    context = start((0.25, 0.5))
    assert with_latents(model, context).latents is context.frames
    assert torch.equal(
        model.decode(3 * context.frames), (3 * context.frames).clamp(-1, 1)
    )
