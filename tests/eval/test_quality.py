"""Parts of `suite=quality` on inputs whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from eval.quality.cases import Cases
from eval.quality.fidelity import fidelity_figures
from eval.quality.figures import Figure, mean_figure, to_csv, verdict
from eval.quality.following import Following
from eval.quality.geometry import SKY, View, co_visible
from eval.quality.open_loop import Films, drift_figures, obedience_figures
from eval.quality.pictures import sheet, spaced
from tests.pixel_dct import PixelDct
from world_model.core import Context
from world_model.text.motion_phrases import MOTIONS
from world_model.text.phrases import UNRELATED

SIZE = 64
FOCAL = 32.0  # a field of view of 90 degrees
SLOPES = (np.arange(SIZE) + 0.5 - SIZE / 2) / FOCAL  # of the columns' rays
PHRASES = ("forward", "backward", "turn left", "turn right")


def flat(depth, position=(0.0, 0.0, 0.0), rotation=None) -> View:
    """A view along -z; a depth per column, or one for all."""
    image = np.broadcast_to(np.float32(depth), (SIZE, SIZE))
    return View(image, np.array(position), np.eye(3) if rotation is None else rotation)


def visible(view, earlier):
    return co_visible(view, earlier, FOCAL, tolerance=0.05)


def test_what_is_seen_twice_from_one_pose_is_co_visible():
    rng = np.random.default_rng(0)
    view = View(rng.uniform(0.5, 3, (SIZE, SIZE)), np.ones(3), np.eye(3))
    assert visible(view, view).all()


def test_everything_seen_after_a_move_ahead_was_in_view():
    assert visible(flat(2.0, (0, 0, -1)), flat(3.0)).all()


def test_after_a_move_back_only_the_middle_was_in_view():
    mask = visible(flat(4.0, (0, 0, 1)), flat(3.0))
    inside = np.abs(SLOPES) * 4 <= 3
    assert np.array_equal(mask, inside[:, None] & inside)


@pytest.mark.parametrize("degrees", [30, -60])
def test_after_a_turn_the_overlap_was_in_view(degrees):
    yaw = np.radians(degrees)  # counter-clockwise about the up axis, y
    c, s = np.cos(yaw), np.sin(yaw)
    rotation = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    depth = 3 / (c + s * SLOPES)  # of a wall at z = -3
    seen = depth > 0  # the rest faces away from the wall
    later = flat(np.where(seen, depth, 2 * SKY), rotation=rotation)
    x = (c * SLOPES - s) * depth / 3
    y = SLOPES[:, None] * depth / 3
    expected = seen & (np.abs(x) <= 1) & (np.abs(y) <= 1)
    assert np.array_equal(visible(later, flat(3.0)), expected)
    assert 0 < expected.mean() < 0.7


def test_what_a_wall_hid_was_not_in_view():
    # A wall at z = -3, and a nearer one at z = -1 that covers x < 0.
    earlier = flat(np.where(SLOPES < 0, 1.0, 3.0))
    later = flat(3.0, (1.0, 0.0, 0.0))  # stands where nothing is hidden
    x = 1 + 3 * SLOPES
    assert np.array_equal(visible(later, earlier)[SIZE // 2], (0 <= x) & (x <= 3))


def test_what_lies_behind_the_earlier_camera_was_not_in_view():
    about_face = np.diag([-1.0, 1.0, -1.0])
    assert not visible(flat(3.0, rotation=about_face), flat(3.0)).any()


def test_distant_floors_are_not_lost_to_their_slant():
    rows = np.arange(SIZE) + 0.5 - SIZE / 2
    depth = np.where(rows > 0, 0.35 * FOCAL / np.maximum(rows, 0.5), 2 * SKY)
    floor = np.broadcast_to(depth[:, None], (SIZE, SIZE))
    later = View(floor, np.array([0.0, 0.0, -0.75]), np.eye(3))
    mask = visible(later, View(floor, np.zeros(3), np.eye(3)))
    near = (depth < SKY) & (depth > 0.35)
    assert mask[near].all()
    assert not mask[depth >= SKY].any()  # the sky has no place


def make_cases(num_cases=8, size=8):
    rng = torch.Generator().manual_seed(0)
    frames = torch.rand(num_cases, 3, 3, size, size, generator=rng) * 2 - 1
    return Cases(
        context=Context(torch.zeros(num_cases, 1, dtype=torch.long), frames[:, :2]),
        actions=torch.arange(num_cases) % 4,
        truth=frames[:, 2],
        visible=torch.ones(num_cases, size, size, dtype=torch.bool),
        found=torch.zeros(num_cases, 1, dtype=torch.bool),
        episodes=np.arange(num_cases) // 2,
    )


def by_name(figures, group="all"):
    return {f.name: f for f in figures if f.group == group}


def test_gain_is_the_psnr_above_repeating_the_last_frame():
    cases = make_cases()
    half = (cases.last + cases.truth) / 2  # half the error: 6.02 dB
    figures = fidelity_figures(
        cases,
        half,
        cases.truth,
        groups={"all": [0, 1, 2, 3], "few": [2]},
        targets={"all": 6.0, "few": 7.0},
        min_pixels=1,
    )
    found = by_name(figures)
    assert found["covisible_gain"].value == pytest.approx(20 * np.log10(2))
    assert found["covisible_gain"].passed
    assert found["covisible_gain"].n == 8
    assert found["covisible_psnr_autoencoder"].value == 60.0
    assert found["psnr"].target is None
    few = by_name(figures, "few")["covisible_gain"]
    assert (few.n, few.passed) == (2, False)


def test_pixels_out_of_view_do_not_count():
    cases = make_cases()
    cases.visible[:, :, 4:] = False
    predicted = cases.truth.clone()
    predicted[..., 4:] = 0
    cases.visible[0] = False  # nothing in view: left out
    found = by_name(
        fidelity_figures(
            cases,
            predicted,
            cases.truth,
            groups={"all": [0, 1, 2, 3]},
            targets={},
            min_pixels=1,
        )
    )
    assert found["covisible_psnr"].value == 60.0
    assert found["covisible_psnr"].n == 7
    assert found["psnr"].value < 20


class Index:
    """Reads the action that is written into the later latent's first number."""

    def read(self, before, after):
        return after[:, 0, 0, 0].long()


def latents_of(actions):
    return actions.float()[:, None, None, None].expand(-1, 2, 4, 4)


def make_following(cases, unreadable=()):
    truth = cases.actions.clone()
    truth[list(unreadable)] = 9
    last = latents_of(cases.actions)
    return Following(Index(), cases, last, latents_of(truth), PHRASES)


TARGETS = {"probe_generated": 0.9, "paraphrase_gap": 0.05, "probe_unrelated": 0.35}


def test_cases_that_the_probe_cannot_read_in_reality_do_not_count():
    cases = make_cases()
    judge = make_following(cases, unreadable=[0, 5])
    assert by_name(judge.real())["probe_real"].value == pytest.approx(6 / 8)
    generated = cases.actions.clone()
    generated[1] = 9
    figure = by_name(judge.generated(latents_of(generated), TARGETS))["probe_generated"]
    assert figure.value == pytest.approx(5 / 6)
    assert (figure.n, figure.passed) == (6, False)


class Obeys:
    """A model that understands some wordings and otherwise always does action 0."""

    def __init__(self, cases, wordings):
        self.cases = cases
        self.wordings = wordings
        self.told = []

    def __call__(self, phrases):
        self.told.append(tuple(phrases))
        meant = [
            next((a for a, p in enumerate(PHRASES) if text in self.wordings[p]), 0)
            for text in phrases
        ]
        return latents_of(torch.tensor(meant)[self.cases.actions])


def test_every_unseen_wording_is_scored_on_its_own_action():
    cases = make_cases()
    deaf = {**MOTIONS.unseen, "turn left": MOTIONS.unseen["turn left"][1:]}
    model = Obeys(cases, deaf)
    figures = make_following(cases).paraphrased(
        latents_of(cases.actions), model, TARGETS
    )
    scores = {f.group: f.value for f in figures if f.name == "probe_paraphrase"}
    assert set(scores) == {"all", *(x for p in PHRASES for x in MOTIONS.unseen[p])}
    assert scores.pop(MOTIONS.unseen["turn left"][0]) == 0.0
    assert scores.pop("all") == pytest.approx(19 / 20)
    assert set(scores.values()) == {1.0}
    gap = by_name(figures)["paraphrase_gap"]
    assert gap.value == pytest.approx(1 / 20)
    assert gap.target == 0.05
    assert not gap.at_least


def test_a_model_deaf_to_unrelated_texts_scores_chance():
    cases = make_cases(9)  # action 0 once more than the others
    model = Obeys(cases, MOTIONS.unseen)
    figure = make_following(cases).unrelated(model, TARGETS)[0]
    assert figure.value == pytest.approx(0.25)
    assert figure.passed
    for action in range(4):
        assert {told[action] for told in model.told} == set(UNRELATED)


def make_films(num_films=6, chunks=4, length=4):
    rng = torch.Generator().manual_seed(0)
    real = torch.rand(num_films, chunks * length, 3, 8, 8, generator=rng) * 2 - 1
    imagined = torch.rand(real.shape, generator=rng) * 2 - 1
    imagined[:, : 2 * length] += 0.3  # brighter
    imagined[:, 2 * length :] += 0.6
    imagined = imagined.clamp(-1, 1)
    actions = torch.arange(num_films * chunks).reshape(num_films, chunks) % 4
    read = torch.cat([actions[:, :1], actions], dim=1)
    ends = read.float()[..., None, None, None].expand(-1, -1, 2, 4, 4).clone()
    wrong = ends.clone()
    wrong[:, 4] = 9
    moved = np.ones((num_films, chunks), bool)
    moved[0, 3] = False
    start = torch.zeros(num_films, 3, 8, 8)
    return Films(real, imagined, ends, wrong, actions, moved, start, length)


def test_obedience_counts_late_chunks_that_were_not_blocked():
    figures = obedience_figures(make_films(), Index(), [3, 4], {"open_loop_probe": 0.8})
    late = by_name(figures, "chunks 3-4")
    assert late["open_loop_probe"].value == pytest.approx(6 / 11)
    assert late["open_loop_probe"].passed is False
    assert late["open_loop_probe_real"].value == 1.0
    chunks = [f.value for f in figures if f.name == "open_loop_probe"][1:]
    assert chunks == [1.0, 1.0, 1.0, 0.0]
    assert by_name(figures, "chunk 4")["open_loop_probe"].n == 5


def drift(films):
    return drift_figures(films, PixelDct(), [1, 2], [3, 4], {"kvd_ratio": 2.0})


def test_drift_compares_late_with_early_distance():
    ratio, early, late, *_ = drift(make_films(12))
    assert (early.group, late.group) == ("chunks 1-2", "chunks 3-4")
    assert late.value > early.value > 0
    assert ratio.value == pytest.approx(late.value / early.value)
    assert ratio.low < ratio.value < ratio.high
    assert not ratio.passed  # these are made to drift


def test_frechet_distances_stand_beside_and_are_named_after_their_features():
    figures = drift(make_films(12))[3:]
    assert [(f.name, f.group) for f in figures] == [
        ("fd_pixel_dct", "chunks 1-2"),
        ("fd_pixel_dct_extrapolated", "chunks 1-2"),
        ("fd_pixel_dct", "chunks 3-4"),
        ("fd_pixel_dct_extrapolated", "chunks 3-4"),
    ]
    early, _, late, _ = (f.value for f in figures)
    assert late > early > 0
    few = drift(make_films(6))[3:]  # too few to extrapolate
    assert [f.name for f in few] == ["fd_pixel_dct"] * 2


def test_there_is_no_ratio_to_clips_that_cannot_be_told_from_real_ones():
    films = make_films(12)
    films.imagined[:, :8] = films.real[:, :8].flip(0)
    ratio, early, *_ = drift(films)
    assert early.value <= 0
    assert ratio.value is ratio.passed is None


def test_a_missed_target_outweighs_an_unmeasured_one():
    def figure(value, target):
        return Figure("x", "all", "", value, None, None, 1, target)

    assert verdict([figure(1.0, 0.5), figure(9.0, None)]) is True
    assert verdict([figure(1.0, 0.5), figure(None, 0.5)]) is None
    assert verdict([figure(0.1, 0.5), figure(None, 0.5)]) is False
    assert verdict([figure(0.1, None)]) is None


def test_nothing_measured_is_empty_and_never_a_number():
    figure = mean_figure("x", "all", "dB", np.array([np.nan]), np.array([0]))
    assert figure.value is figure.passed is None
    assert to_csv([figure]).splitlines()[1] == "x,all,dB,,,,0,,True,"


def test_examples_are_spaced_evenly():
    assert spaced(np.arange(11), 3).tolist() == [0, 5, 10]
    assert spaced(np.arange(2), 5).tolist() == [0, 1]


def test_a_sheet_holds_every_image():
    images = np.full((3, 8, 8, 3), (0, 200, 0), np.uint8)  # labels are grey
    picture = np.asarray(sheet([("row", images), ("other", images)], ["a", "b", "c"]))
    assert (picture == (0, 200, 0)).all(-1).sum() == 6 * 16 * 16
