import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from world_model.api import is_adaptable, with_latents
from world_model.core import Context
from world_model.phrase_space import PhraseSpace
from world_model.testing import random_actions, random_chunks
from world_model.toy import DotWorldModel, dot_distance, dot_position, draw_dot


class CountingModel(DotWorldModel):
    """The toy world, which counts how many chunks it imagines."""

    num_predicted = 0

    def predict(self, context, actions, **options):
        self.num_predicted += actions.numel()
        return super().predict(context, actions, **options)


def generators(count):
    return [torch.Generator().manual_seed(i) for i in range(count)]


def observed(positions):
    """A context of one frame per episode, the dot at `positions` (B, 2)."""
    frames = draw_dot(positions)[:, None]
    return Context(
        actions=torch.zeros(len(positions), 0, dtype=torch.long), frames=frames
    )


def naive(model, context, actions, **options):
    """Every sequence on its own, chunk by chunk."""
    columns = []
    for n in range(actions.shape[1]):
        out, noise = model.start(context), generators(len(actions))
        for t in range(actions.shape[2]):
            out = model.extend(
                out, actions[:, n : n + 1, t], generator=noise, **options
            )
        columns.append(out)
    return torch.cat([x.latents for x in columns], dim=1)


@given(
    actions=st.tuples(st.integers(1, 3), st.integers(1, 6), st.integers(1, 4)).flatmap(
        lambda shape: st.integers(0, 2**32 - 1).map(
            lambda seed: torch.randint(
                2, shape, generator=torch.Generator().manual_seed(seed)
            )
        )
    ),
    all_frames=st.booleans(),
)
def test_a_rollout_equals_imagining_every_sequence_alone(actions, all_frames):
    model = CountingModel()
    context = observed(torch.tensor([[4, 4], [0, 7], [7, 1]])[: len(actions)])
    out = model.rollout(
        context, actions, generator=generators(3)[: len(actions)], all_frames=all_frames
    )
    assert torch.equal(out.actions, actions)
    distinct = [
        max(len({tuple(s[: t + 1]) for s in row}) for row in actions.tolist())
        for t in range(actions.shape[2])
    ]
    assert model.num_predicted == sum(distinct) * len(actions)
    expected = naive(DotWorldModel(), context, actions, all_frames=all_frames)
    assert torch.equal(out.latents, expected)


def test_a_rollout_of_the_diffusion_model_equals_the_naive_one(tiny):
    context = random_chunks(tiny, num_episodes=2)[-1].context
    actions = random_actions(tiny, 2, 5, 3)
    out = tiny.rollout(context, actions, generator=generators(2))
    expected = naive(tiny, context, actions)
    torch.testing.assert_close(out.latents, expected, atol=1e-4, rtol=0)


def test_a_rollout_of_no_steps_has_all_its_candidates():
    actions = torch.zeros(1, 3, 0, dtype=torch.long)
    out = DotWorldModel().rollout(
        observed(torch.tensor([[1, 1]])), actions, generator=generators(1)
    )
    assert out.latents.shape[:3] == (1, 3, 0)
    assert out.actions.shape == (1, 3, 0)


class StatefulModel(DotWorldModel):
    """A privileged model whose state is the history of actions."""

    privileged = True

    def predict(self, context, actions, **options):
        out = super().predict(context, actions, **options)
        states = tuple(
            tuple((*state, int(a)) for state, a in zip(row, aa, strict=True))
            for row, aa in zip(context.state, actions, strict=True)
        )
        return type(out)(out.latents, states)


def test_states_follow_their_candidates():
    context = observed(torch.tensor([[4, 4], [2, 2]]))
    context = Context(actions=context.actions, frames=context.frames, state=((), ()))
    actions = torch.tensor([[[0, 1], [0, 2], [0, 1]], [[3, 3], [1, 0], [2, 2]]])
    out = StatefulModel().rollout(context, actions, generator=generators(2))
    assert out.states == tuple(
        tuple(tuple(sequence) for sequence in row) for row in actions.tolist()
    )
    picked = out.select(torch.tensor([[2, 1], [0, 0]]))
    assert picked.states == (((0, 1), (0, 2)), ((3, 3), (3, 3)))
    assert torch.equal(picked.actions[0], actions[0, [2, 1]])
    assert torch.equal(picked.latents[1, 0], out.latents[1, 0])
    assert picked.num_steps == 2


def test_the_optimum_of_the_toy_world_is_reached_and_not_beaten():
    model = DotWorldModel()
    context, goal = observed(torch.tensor([[1, 1]])), draw_dot(torch.tensor([2, 3]))
    sequences = torch.cartesian_prod(*[torch.arange(4)] * 3)[None]
    out = model.rollout(context, sequences, generator=generators(1))
    distances = dot_distance(out.latents[:, :, :, -1], goal)
    assert dot_distance(context.frames[0, 0], goal) == 3
    assert (distances[..., -1] == 0).any()
    assert (distances[..., :-1] > 0).all()


def test_the_dot_stops_at_the_border():
    out = DotWorldModel().rollout(
        observed(torch.tensor([[0, 5]])),
        torch.zeros(1, 1, 2, dtype=torch.long),
        generator=generators(1),
    )
    assert dot_position(out.frames[0, 0, -1, -1]).tolist() == [0, 5]


def test_actions_need_all_their_axes():
    context = observed(torch.tensor([[1, 1]]))
    with pytest.raises(
        ValueError, match=r"\(B, N, T\).* got \(1, 2\): add the missing"
    ):
        DotWorldModel().rollout(
            context, torch.zeros(1, 2, dtype=torch.long), generator=generators(1)
        )


def test_every_episode_needs_its_source_of_noise():
    context = observed(torch.tensor([[1, 1]]))
    with pytest.raises(
        ValueError, match="one source of noise per episode, got 2 for 1"
    ):
        DotWorldModel().rollout(
            context, torch.zeros(1, 1, 1, dtype=torch.long), generator=generators(2)
        )


def test_a_context_needs_images():
    context = Context(actions=torch.zeros(1, 0, dtype=torch.long))
    for use in (
        lambda: with_latents(DotWorldModel(), context),
        lambda: context.last(1),
    ):
        with pytest.raises(
            ValueError, match="`frames` or `latents`, got neither: pass"
        ):
            use()


def test_a_phrase_space_needs_phrases_and_as_many_inverses():
    with pytest.raises(ValueError, match="must name an action, got none: add one"):
        PhraseSpace(())
    with pytest.raises(ValueError, match="per phrase, got 1 for 2 phrases"):
        PhraseSpace(("left", "right"), (1,))
    with pytest.raises(ValueError, match="`motions` must say how each phrase moves"):
        PhraseSpace(("left", "right"), motions=((0, 1, 0),))
    assert PhraseSpace(("left",)) == PhraseSpace(["left"])
    assert PhraseSpace(("left",)) != PhraseSpace(("right",))


def test_a_wrapped_model_is_as_adaptable_as_what_it_wraps(tiny):
    class Wrapper:
        def __init__(self, inner):
            self.inner = inner

        def __getattr__(self, name):
            return getattr(self.inner, name)

    assert is_adaptable(Wrapper(tiny))
    assert not is_adaptable(Wrapper(DotWorldModel()))
