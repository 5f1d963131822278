"""Adapters, denoiser and sampler, each against what can be computed by hand."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from world_model.diffusion import adapters
from world_model.diffusion.adapters import SlotLinear
from world_model.diffusion.denoiser import (
    Clip,
    VideoDenoiser,
    add_noise,
    denoising_loss,
    with_coordinates,
)
from world_model.diffusion.sampler import sample_future


@pytest.fixture
def rng():
    return torch.Generator().manual_seed(0)


def make_clip(rng, *, level=None, num_past=2, num_future=1):
    """A random clip; clean past, or one noise level for all frames."""
    length = num_past + num_future
    levels = torch.zeros(4, length)
    levels[:, num_past:] = 1.0
    if level is not None:
        levels[:] = level
    return Clip(
        latents=torch.randn(4, length, 3, 8, 8, generator=rng),
        noise_levels=levels,
        actions=torch.randn(4, length, 384, generator=rng),
        times=torch.zeros(4, length),
        num_extra=0,
        num_past=num_past,
    )


def random_adapter(shapes, num_slots, rng, rank=2):
    adapter = {}
    for name, (num_in, num_out) in shapes.items():
        adapter[f"{name}.A"] = torch.randn(num_slots, rank, num_in, generator=rng)
        adapter[f"{name}.B"] = torch.randn(num_slots, num_out, rank, generator=rng)
    return adapter


class TwoLayers(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(5, 4)
        self.second = nn.Linear(4, 3)

    def forward(self, x):
        return self.second(self.first(x))


def test_slots_have_their_own_lora(rng):
    network = TwoLayers()
    x = torch.randn(6, 7, 5, generator=rng)
    first, second = network.first, network.second
    adapters.attach(network, ["first", "second"])
    adapter = random_adapter(adapters.layer_shapes(network), 3, rng)
    with adapters.using(network, adapter):
        out = network(x)

    def by_hand(name, layer, rows, slot):
        low = adapter[f"{name}.B"][slot] @ adapter[f"{name}.A"][slot]
        return layer(rows) + rows @ low.T

    for slot in range(3):
        rows = x[2 * slot : 2 * slot + 2]
        hidden = by_hand("first", first, rows, slot)
        expected = by_hand("second", second, hidden, slot)
        torch.testing.assert_close(out[2 * slot : 2 * slot + 2], expected)


def test_an_adapter_with_zero_b_is_exactly_inert(tiny, rng):
    clip = make_clip(rng)
    with torch.no_grad():
        plain = tiny.denoiser(clip)
        shapes = tiny.attach_adapter()
        assert torch.equal(tiny.denoiser(clip), plain)
        adapter = random_adapter(shapes, 2, rng)
        adapter |= {k: 0 * v for k, v in adapter.items() if k.endswith(".B")}
        with adapters.using(tiny.denoiser, adapter):
            assert torch.equal(tiny.denoiser(clip), plain)


def test_an_adapter_works_inside_the_block_only_even_after_an_error(tiny, rng):
    clip = make_clip(rng)
    adapter = random_adapter(tiny.attach_adapter(), 2, rng)
    with torch.no_grad():
        plain = tiny.denoiser(clip)
        with adapters.using(tiny.denoiser, adapter):
            assert not torch.equal(tiny.denoiser(clip), plain)
        assert torch.equal(tiny.denoiser(clip), plain)
        with pytest.raises(ZeroDivisionError), adapters.using(tiny.denoiser, adapter):
            _ = 1 / 0
        assert torch.equal(tiny.denoiser(clip), plain)


def test_an_incomplete_adapter_leaves_nothing_behind(tiny, rng):
    adapter = random_adapter(tiny.attach_adapter(), 2, rng)
    adapter.popitem()
    clip = make_clip(rng)
    with torch.no_grad():
        plain = tiny.denoiser(clip)
        with pytest.raises(KeyError), adapters.using(tiny.denoiser, adapter):
            pass
        assert torch.equal(tiny.denoiser(clip), plain)


def test_slots_must_divide_the_batch():
    layer = SlotLinear()
    layer.weight = torch.zeros(2, 1, 4)
    with pytest.raises(ValueError, match="3 clips for 2 adapters: reset the memory"):
        layer(torch.zeros(3, 2, 4))


def test_attaching_is_done_once_and_changes_no_names_and_no_flags(make_tiny):
    plain, attached = make_tiny().denoiser, make_tiny()
    flags = [p.requires_grad for p in plain.parameters()]
    attached.denoiser.requires_grad_(True)
    plain.requires_grad_(True)
    shapes = attached.attach_adapter()
    assert attached.attach_adapter() == shapes
    assert len(shapes) == 10
    assert not any(flags)
    assert all(p.requires_grad for p in attached.denoiser.parameters())
    state = attached.denoiser.state_dict()
    assert set(state) == set(plain.state_dict())
    plain.load_state_dict(state)
    attached.denoiser.load_state_dict(plain.state_dict())


class Stub:
    """A network that answers with given tensors."""

    flow = VideoDenoiser.flow

    def __init__(self, target, answer):
        self.config = _Config(target=target)
        self.answer = answer

    def __call__(self, clip):
        return self.answer


class _Config(dict):
    __getattr__ = dict.__getitem__


def test_the_loss_of_the_exact_target_is_zero(rng):
    clip = make_clip(rng, level=0.4)
    clean, noise = torch.randn(2, *clip.latents.shape, generator=rng)
    for target, answer in (("flow", noise - clean), ("epsilon", noise)):
        loss = denoising_loss(Stub(target, answer), clip, clean, noise)
        assert loss.shape == (4, 3)
        assert torch.equal(loss, torch.zeros(4, 3))
    wrong = denoising_loss(Stub("flow", noise - clean + 2), clip, clean, noise)
    torch.testing.assert_close(wrong, torch.full((4, 3), 4.0))


@pytest.mark.parametrize("level", [0.0, 0.3, 0.9])
def test_a_perfect_epsilon_gives_the_exact_flow(rng, level):
    clip = make_clip(rng, level=level)
    clean, noise = torch.randn(2, *clip.latents.shape, generator=rng)
    noisy = SimpleNamespace(
        latents=add_noise(clean, noise, clip.noise_levels),
        noise_levels=clip.noise_levels,
    )
    flow = Stub("epsilon", noise).flow(noisy)
    torch.testing.assert_close(flow, noise - clean, atol=1e-5, rtol=1e-4)
    assert torch.equal(Stub("flow", noise).flow(noisy), noise)


def test_an_epsilon_network_is_bounded_where_it_knows_nothing(rng):
    clip = make_clip(rng, level=1.0)
    assert Stub("epsilon", clip.latents + 1).flow(clip).abs().max() <= 50.1


def test_noise_levels_are_the_ends_of_a_straight_path(rng):
    clean, noise = torch.randn(2, 4, 3, 3, 8, 8, generator=rng)
    assert torch.equal(add_noise(clean, noise, torch.zeros(4, 3)), clean)
    assert torch.equal(add_noise(clean, noise, torch.ones(4, 3)), noise)


@pytest.mark.parametrize("num_steps", [1, 2, 5])
def test_the_exact_flow_is_followed_to_its_target(rng, num_steps):
    clip = make_clip(rng, num_future=2)
    target = torch.randn(4, 2, 3, 8, 8, generator=rng)
    noise, levels = clip.latents[:, 2:], []

    def flow(noisy):
        assert torch.equal(noisy.latents[:, :2], clip.latents[:, :2])
        assert not noisy.noise_levels[:, :2].any()
        levels.append(float(noisy.noise_levels[0, -1]))
        return torch.cat([clip.latents[:, :2], noise - target], dim=1)

    out = sample_future(flow, clip, num_steps=num_steps)
    torch.testing.assert_close(out, target, atol=1e-5, rtol=0)
    assert levels == pytest.approx([1 - i / num_steps for i in range(num_steps)])


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"width": 33}, "`width` must be a multiple of 32, got 33"),
        ({"target": "v"}, "`target` must be 'flow' or 'epsilon', got 'v'"),
    ],
)
def test_impossible_networks_are_refused(options, text):
    with pytest.raises(ValueError, match=text):
        VideoDenoiser(**options)


def test_planes_of_coordinates_change_nothing_until_they_are_trained():
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        plain = VideoDenoiser(latent_channels=3, width=32, num_layers=1, text_dim=8)
        clip = Clip(
            latents=torch.randn(2, 3, 3, 8, 8),
            noise_levels=torch.rand(2, 3),
            actions=torch.randn(2, 3, 8),
            times=torch.rand(2, 3),
            num_extra=0,
            num_past=2,
        )
    wider = with_coordinates(plain.eval()).eval()
    assert wider.config["coordinates"]
    with torch.no_grad():
        assert torch.equal(plain(clip), wider(clip))
    wider(clip).square().mean().backward()
    gradient = wider.backbone.patch_embedding.weight.grad[:, -2:]
    assert gradient.abs().min() > 0
