import json
from dataclasses import replace

import pytest
import torch

from world_model.api import WorldModel
from world_model.core import Reading
from world_model.diffusion.autoencoder import FrameAutoencoder
from world_model.diffusion.denoiser import VideoDenoiser
from world_model.diffusion.model import ModelConfig, VideoDiffusionWorldModel
from world_model.memory.paper_rule import PaperRule
from world_model.memory.temp_lora import TempLoraMemory
from world_model.testing import random_chunks
from world_model.text.arm_phrases import ARM
from world_model.text.encoder import embed_phrases
from world_model.toy import DotWorldModel


class Says:
    """A memory that always hands over the same reading."""

    def __init__(self, reading):
        self.reading = reading

    def read(self, context, actions):
        return self.reading


def imagine(model: WorldModel, reading=None, num_candidates=3):
    context = random_chunks(model, num_episodes=2)[-1].context
    actions = torch.arange(num_candidates).expand(2, -1)[..., None]  # all different
    noise = [torch.Generator().manual_seed(i) for i in range(2)]
    return model.rollout(
        context, actions, memory=Says(reading), generator=noise
    ).latents


def adapter_of(model, num_slots=2):
    rng = torch.Generator().manual_seed(1)
    adapter = {}
    for name, (num_in, num_out) in model.attach_adapter().items():
        adapter[f"{name}.A"] = torch.randn(num_slots, 2, num_in, generator=rng)
        adapter[f"{name}.B"] = torch.randn(num_slots, num_out, 2, generator=rng)
    return adapter


@pytest.mark.parametrize("attached", [False, True])
def test_a_saved_model_predicts_the_same_to_the_bit(make_tiny, tmp_path, attached):
    model = make_tiny()
    if attached:
        model.attach_adapter()
    model.save_pretrained(tmp_path)
    loaded = VideoDiffusionWorldModel.from_pretrained(tmp_path)
    assert loaded.config == model.config
    assert torch.equal(imagine(loaded), imagine(model))


def test_options_reach_a_loaded_model(tiny, tmp_path):
    tiny.save_pretrained(tmp_path)
    loaded = VideoDiffusionWorldModel.from_pretrained(tmp_path, num_sampling_steps=7)
    assert loaded.num_sampling_steps == 7


def test_a_folder_without_a_model_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="folder with world_model.json, got .*"):
        VideoDiffusionWorldModel.from_pretrained(tmp_path / "nowhere")


def remove_weights(folder):
    (folder / "denoiser" / "diffusion_pytorch_model.safetensors").unlink()


def remove_network(folder):
    for path in (folder / "denoiser").iterdir():
        path.unlink()
    (folder / "denoiser").rmdir()


def truncate_weights(folder):
    path = folder / "denoiser" / "diffusion_pytorch_model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])


def change_width(folder):
    change(folder / "denoiser" / "config.json", width=64)


def add_layers(folder):
    change(folder / "denoiser" / "config.json", num_layers=2)


def damage_vocabulary(folder):
    (folder / "world_model.json").write_text("{")


def change(path, **values):
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


@pytest.mark.parametrize(
    "damage",
    [
        remove_weights,
        remove_network,
        truncate_weights,
        change_width,
        add_layers,
        damage_vocabulary,
    ],
)
def test_damaged_weights_give_one_clear_error(tiny, tmp_path, damage):
    tiny.save_pretrained(tmp_path)
    damage(tmp_path)
    text = "missing, damaged or do not fit their configuration.*restore the folder"
    with pytest.raises(ValueError, match=f"(?s){text}") as error:
        VideoDiffusionWorldModel.from_pretrained(tmp_path)
    assert str(tmp_path) in str(error.value)


def test_other_words_are_embedded_as_those_it_has_learned(tiny):
    words = [p for p in ARM.paraphrases if p.startswith("pick up")][:2]
    config = replace(tiny.config, phrases=tuple(words), inverses=(None, None))
    model = VideoDiffusionWorldModel(tiny.autoencoder, tiny.denoiser, config)
    told = model.with_phrases([ARM.unseen[p][0] for p in words])
    numbers = torch.arange(2)
    widths = [x._code(numbers).shape[1] for x in (model, told)]
    assert widths[0] == widths[1] == ARM.num_directions


def test_other_words_for_the_same_actions(tiny):
    renamed = tiny.with_phrases(("north", "down", "left", "right"))
    assert renamed.action_space.phrases[0] == "north"
    assert renamed.denoiser is tiny.denoiser
    assert renamed.action_space.inverses == tiny.action_space.inverses
    same = tiny.with_phrases(tiny.config.phrases)
    assert torch.equal(imagine(same), imagine(tiny))


def test_other_words_are_read(tiny):
    swapped = tiny.with_phrases(("down", "up", "left", "right"))
    assert not torch.equal(imagine(swapped), imagine(tiny))


def test_guidance_extrapolates_from_what_is_said_without_the_adapter(make_tiny):
    model = make_tiny(num_sampling_steps=1)
    adapter = adapter_of(model)
    off = imagine(model)
    on = imagine(model, Reading(adapter=adapter))
    assert not torch.allclose(on, off, atol=1e-3)
    zero = imagine(model, Reading(adapter=adapter, guidance=0.0))
    assert torch.equal(zero, on)
    guided = imagine(model, Reading(adapter=adapter, guidance=0.5))
    torch.testing.assert_close(guided, on + 0.5 * (on - off), atol=1e-4, rtol=1e-4)


def test_an_adapter_for_another_number_of_episodes_is_refused(tiny):
    with pytest.raises(ValueError, match="equally many clips of every adapter, got 2"):
        imagine(tiny, Reading(adapter=adapter_of(tiny, 3)), num_candidates=1)


def test_empty_extra_slots_say_nothing(tiny):
    size = (2, 3, 1, 3, 8, 8)
    nothing = torch.zeros(2, 3, dtype=torch.bool)
    a, b = (
        imagine(tiny, Reading(frames=torch.full(size, x), frames_valid=nothing))
        for x in (0.3, float("nan"))
    )
    assert torch.equal(a, b)
    one = nothing.clone()
    one[1, 2] = True
    said = imagine(tiny, Reading(frames=torch.full(size, 0.3), frames_valid=one))
    changed = (said != a).flatten(2).any(dim=-1)
    assert torch.equal(changed, one)
    every = Reading(frames=torch.full(size, 0.3), frames_valid=~nothing)
    without_mask = Reading(frames=every.frames)
    assert torch.equal(imagine(tiny, every), imagine(tiny, without_mask))


@pytest.mark.parametrize("max_batch", [1, 4, 5])
def test_split_batches_give_the_same(make_tiny, max_batch):
    whole, split = make_tiny(), make_tiny(max_batch=max_batch)
    reading = Reading(
        frames=torch.randn(2, 3, 1, 3, 8, 8, generator=torch.Generator()),
        adapter=adapter_of(whole),
    )
    adapter_of(split)
    a, b = (imagine(model, reading) for model in (whole, split))
    torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    "name", ["num_context_frames", "num_sampling_steps", "max_batch"]
)
def test_impossible_options_are_refused(make_tiny, name):
    with pytest.raises(ValueError, match=f"`{name}` must be at least 1, got 0"):
        make_tiny(**{name: 0})


def test_temp_lora_needs_weights_to_write_into(tiny):
    with pytest.raises(
        ValueError, match="DotWorldModel has none to adapt: use memory="
    ):
        TempLoraMemory(DotWorldModel(), PaperRule(tiny))


def test_denoising_starts_from_what_is_recalled(make_tiny):
    size = (2, 3, 1, 3, 8, 8)
    valid = torch.tensor([[True, False, True], [False, True, False]])
    readings = [
        Reading(torch.full(size, x), frames_valid=valid, frames_recalled=True)
        for x in (0.3, 0.9)
    ]
    close = make_tiny(recall_strength=0.01, num_sampling_steps=1)
    low, high = (imagine(close, reading) for reading in readings)
    # Where something is recalled it comes out, elsewhere nothing changes.
    assert (low[valid] - 0.3).abs().max() < 0.1
    assert (high[valid] - 0.9).abs().max() < 0.1
    assert torch.equal(low[~valid], high[~valid])
    whole = imagine(make_tiny(recall_strength=1.0, num_sampling_steps=1), readings[0])
    assert (whole[valid] - 0.3).abs().max() > 0.1


@pytest.mark.parametrize("strength", [0.0, 1.1])
def test_an_impossible_recall_strength_is_refused(make_tiny, strength):
    with pytest.raises(ValueError, match=r"`recall_strength` must be in \(0, 1\], got"):
        make_tiny(recall_strength=strength)


PLANE = ((-1.0, 1.0), (0.0, 2.0))


def imagine_vectors(model, vectors):
    context = random_chunks(model, num_episodes=2)[-1].context
    actions = vectors.expand(2, -1, -1)[:, :, None]  # (B, N, T=1, A)
    noise = [torch.Generator().manual_seed(i) for i in range(2)]
    return model.rollout(context, actions, generator=noise).latents


def test_actions_that_are_vectors_are_obeyed_and_clipped(make_tiny):
    model = make_tiny(bounds=PLANE)
    assert (model.action_space.low == [-1, 0]).all()
    assert (model.action_space.high == [1, 2]).all()
    vectors = torch.tensor([[0.0, 0.0], [0.5, 1.0], [1.0, 2.0], [7.0, 9.0]])
    latents = imagine_vectors(model, vectors)
    assert latents.shape[:3] == (2, 4, 1)
    first, second, third, beyond = latents.unbind(dim=1)
    assert (first - second).abs().max() > 1e-4
    assert (second - third).abs().max() > 1e-4
    torch.testing.assert_close(third, beyond)


def test_a_saved_model_of_vectors_is_the_same(make_tiny, tmp_path):
    model = make_tiny(bounds=PLANE)
    model.save_pretrained(tmp_path)
    loaded = VideoDiffusionWorldModel.from_pretrained(tmp_path)
    assert loaded.config.bounds == PLANE
    vectors = torch.tensor([[0.3, 0.4]])
    assert torch.equal(
        imagine_vectors(loaded, vectors), imagine_vectors(model, vectors)
    )


def test_vectors_have_no_other_words(make_tiny):
    with pytest.raises(ValueError, match="`with_phrases` needs actions that are phras"):
        make_tiny(bounds=PLANE).with_phrases(["up"])


def test_a_goal_in_words_is_told_like_an_action(make_tiny):
    model = make_tiny(told_goals=True)
    here, there = model.goal_numbers(["go to the red box", "go to the blue box"])
    assert (int(here), int(there)) == (4, 5)
    assert model.goal_numbers(["go to the blue box", "up"]).tolist() == [5, 0]
    told = torch.tensor([0, here, there]).expand(2, -1)[..., None]
    context = random_chunks(model, num_episodes=2)[-1].context
    noise = [torch.Generator().manual_seed(i) for i in range(2)]
    up, red, blue = model.rollout(context, told, generator=noise).latents.unbind(dim=1)
    assert (up - red).abs().max() > 1e-4
    assert (red - blue).abs().max() > 1e-4


def test_weights_that_were_never_told_goals_refuse_them(tiny):
    with pytest.raises(ValueError, match=r"were told goals, got others \(domain toy\)"):
        tiny.goal_numbers([])


def test_words_of_several_pools_reach_the_denoiser():
    phrases = tuple(ARM.paraphrases)[:4]
    size = embed_phrases(phrases, ARM).shape[1]
    with torch.random.fork_rng():
        torch.default_generator.manual_seed(0)
        denoiser = VideoDenoiser(
            latent_channels=3, width=32, num_layers=1, text_dim=size, coordinates=True
        )
    model = VideoDiffusionWorldModel(
        FrameAutoencoder(kind="identity", latent_channels=3),
        denoiser,
        ModelConfig(phrases, (None,) * 4, chunk_length=2, domain="table"),
    )
    one, two, three = imagine(model)[0, :, -1, -1]
    assert not torch.equal(one, two)
    assert not torch.equal(two, three)
