"""`suite=recall`: its summary, and whole runs with a random model."""

from __future__ import annotations

from pathlib import Path

import hydra
import numpy as np
import pandas as pd
import pytest
import torch
from rich.console import Console

from envs.domains import make_domain
from envs.memory_task_env import MemoryTaskEnv
from eval.image_scores import MAX_PSNR, ImageScores, revisit_similarity
from eval.recall import suite
from eval.recall.pairs import pairs
from eval.recall.paths import lengthen, nodes_within, stroll
from eval.recall.queries import EXACT, JITTERED, NEW_VIEW, draw_queries, nearest_delay
from eval.recall.suite import run_recall
from eval.recall.summary import costs, summarise
from eval.recall.table import print_recall
from eval.suite_run import row_config
from eval.video.images import psnr
from eval.video.lpips import Lpips

CONFIGS = Path(__file__).parents[2] / "configs"
OVERRIDES = [
    "recall.paths=2",
    "recall.queries=2",
    "recall.legs=[3,2]",
    "recall.horizons=[1,2]",
    'recall.memories=[none,"retrieval memory.max_distance=0.4"]',
    "num_envs=1",
]


def lines(seeds: list[int]) -> pd.DataFrame:
    lpips = {"none": 0.6, "ceiling": 0.1, "memory": 0.2}
    return pd.DataFrame(
        [
            {
                "row": row,
                "mode": "open_loop",
                "seed": seed,
                "kind": kind,
                "poses": "exact",
                "horizon": 1,
                "delay": 5 if kind == "known" else None,
                "query": 0,
                "lpips": value,
                "mse": value**2,
                "psnr": 20.0,
                "ssim": 0.5,
                "src": 0.5,
                "bytes": 10.0 if row == "memory" else None,
                "episode_bytes": 40.0 if row == "memory" else None,
                "write_seconds": 0.1 if row == "memory" else None,
            }
            for row, value in lpips.items()
            for kind in ("known", "new_view")
            for seed in seeds
        ]
    )


def test_the_gap_closed_is_the_share_of_the_way_from_none_to_the_ceiling() -> None:
    summary = summarise(lines([0, 1, 2]))
    groups = set(zip(summary["kind"], summary["delay"], strict=True))
    assert groups == {
        ("known", "all"),
        ("new_view", "all"),
        ("revisit", "all"),
        ("revisit", 4),
    }
    for _, group in summary.groupby(["kind", "delay"]):
        rows = group.set_index("row")
        assert rows.loc["memory", "gap_closed"] == pytest.approx(0.8)
        assert rows.loc["none", "gap_closed"] == 0
        assert rows.loc["ceiling", "gap_closed"] == 1
        assert rows.loc["memory", "lpips_low"] == pytest.approx(0.2)


def test_gaps_of_toys_are_measured_in_mean_squared_error() -> None:
    """LPIPS of images of 8 px says nothing."""
    toys = lines([0, 1]).assign(lpips=None, ssim=None, src=None)
    summary = summarise(toys).set_index("row")
    expected = (0.36 - 0.04) / (0.36 - 0.01)
    assert summary.loc["memory", "gap_closed"].tolist() == [
        pytest.approx(expected, abs=1e-3)
    ] * len(summary.loc["memory"])
    assert "lpips" not in summary
    assert "mse_low" in summary
    assert "mse_revisit" in costs(toys)
    assert pairs(toys)["gap_closed"].iloc[0] == pytest.approx(expected, abs=1e-3)


def wrong_episode(table: pd.DataFrame) -> pd.DataFrame:
    wrong = table[table["row"] == "memory"].assign(row="memory, wrong_episode")
    return pd.concat([table, wrong.assign(lpips=0.7, psnr=17.0)])


def test_a_memory_is_paired_with_no_memory_and_with_a_wrong_episodes() -> None:
    found = pairs(wrong_episode(lines([0, 1, 2])))
    assert set(found["row"]) == {"memory"}
    for against, gain, db in (("none", 0.4, 0.0), ("wrong_episode", 0.5, 3.0)):
        rows = found[found["against"] == against]
        assert set(rows["kind"]) == {"known", "new_view", "revisit"}
        for column, value in (("lpips_gain", gain), ("psnr_gain", db)):
            for bound in ("", "_low", "_high"):
                assert rows[column + bound].to_numpy() == pytest.approx(value)
    closed = found[found["against"] == "none"]["gap_closed"]
    assert closed.to_numpy() == pytest.approx(0.8)


def test_any_row_can_be_what_the_others_are_compared_with() -> None:
    table = lines([0, 1, 2])
    better = table[table["row"] == "memory"].assign(row="better")
    better["lpips"] -= 0.05
    found = pairs(pd.concat([table, better]), against="memory")
    against = found[found["against"] == "memory"]
    assert set(against["row"]) == {"better"}
    assert against["lpips_gain"].to_numpy() == pytest.approx(0.05)
    assert against["lpips_gain_low"].to_numpy() == pytest.approx(0.05)


def test_a_row_to_compare_with_must_be_one_of_the_rows(tmp_path: Path) -> None:
    words = ["suite=recall", "recall.memories=[none,anchor]", "recall.against=anchr"]
    with hydra.initialize_config_dir(str(CONFIGS), version_base="1.3"):
        cfg = hydra.compose("eval", [*words, f"outputs={tmp_path}"])
        with pytest.raises(ValueError, match="Unknown row 'anchr'. Did you mean 'anc"):
            run_recall(cfg, words)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["recall.paths=0"], "`recall.paths` must be at least 1, got 0"),
        (
            ["recall.queries=201"],
            "`recall.queries` must be at most 200, got 201",
        ),
        (
            ["recall.paths=9", "num_envs=4"],
            "must leave no path alone in the last batch of `num_envs`.* got 9 and 4",
        ),
        (["recall.memories=[none]"], "must hold none, .* and one more, got ..none.."),
        (["recall.memories=[anchor,ridge]"], "must hold none, to which the others"),
        (["recall.horizons=[0,2]"], "`recall.horizons` must hold .* got .0, 2."),
        (["recall.horizons=[1,1]"], "each once and at least 1, got .1, 1."),
        (["recall.horizons=4"], "`recall.horizons` must be a list of .*, got 4"),
        (["recall.legs=24"], "`recall.legs` must be a list of .*, got 24"),
        (["recall.legs=[24,2.5]"], "`recall.legs` must be a list of whole numb"),
        (["recall.horizons=[]"], "each once and at least 1, got ..: correct it"),
        (["planner=random"], "needs a planner that imagines, got planner=random"),
        (["memory=anchor"], "those of `recall.memories`, got memory=anchor, which"),
        (["task=tabletop_shell_game"], "needs a robot that travels, got tabletop_she"),
        (["task=point_reach"], "`suite=recall` needs a task with a tour, got point"),
        (["memory.rank=4"], "got memory.rank=4, which none of them would heed: say"),
    ],
)
def test_what_could_not_be_reported_is_refused(tmp_path, words, text):
    words = ["suite=recall", "task=scroll_find_seen", *words, f"outputs={tmp_path}"]
    with hydra.initialize_config_dir(str(CONFIGS), version_base="1.3"):
        cfg = hydra.compose("eval", words)
        with pytest.raises(ValueError, match=text):
            run_recall(cfg, words)


def test_the_printed_table_says_what_is_won_what_is_lost_and_what_it_costs() -> None:
    table = lines([0, 1, 2])
    worse = (table["row"] == "memory") & (table["kind"] == "new_view")
    table.loc[worse, "psnr"] -= 1.5
    console = Console(width=90, record=True)
    print_recall(pairs(table), costs(table), console)
    row = next(
        x for x in console.export_text().splitlines() if x.startswith("│ memory")
    )
    cells = [cell.strip() for cell in row.strip("│").split("│")]
    assert cells == [
        "memory",
        "0.80 [0.80, 0.80]",
        "",  # no jittered questions
        "-1.50 [-1.50, -1.50]",
        "0.100",
        "0",
        "0.25",
    ]


def test_answers_are_paired_by_question_whatever_their_order() -> None:
    table = lines([0, 1, 2])
    table["lpips"] += table["seed"] * 0.1  # harder episodes, the same gain
    found = pairs(table.sample(frac=1, random_state=0))
    assert found["lpips_gain_low"].to_numpy() == pytest.approx(0.4)
    assert found["lpips_gain_high"].to_numpy() == pytest.approx(0.4)


def test_a_row_may_override_what_it_likes() -> None:
    row = "retrieval memory.max_distance=0.4 world_model.num_sampling_steps=3"
    with hydra.initialize_config_dir(str(CONFIGS), version_base="1.3"):
        cfg = row_config(["memory=temp_lora", "memory.rank=4"], row)
    assert (cfg.memory.name, cfg.memory.max_distance) == ("retrieval", 0.4)
    assert cfg.world_model.num_sampling_steps == 3


def test_one_episode_has_no_interval() -> None:
    summary = summarise(lines([0]))
    assert summary["lpips_low"].isna().all()
    assert summary["lpips"].notna().all()


def test_controls_stand_beside_every_mode() -> None:
    forced = lines([0, 1]).query("row != 'ceiling'").assign(mode="teacher_forced")
    summary = summarise(pd.concat([lines([0, 1]), forced]))
    ceilings = summary[summary["row"] == "ceiling"]
    assert set(ceilings["mode"]) == {"open_loop", "teacher_forced"}


def test_costs_name_what_a_memory_takes_and_gives() -> None:
    control = lines([0, 1]).replace({"row": {"memory": "memory, wrong_episode"}})
    spent = costs(pd.concat([lines([0, 1]), control])).set_index("row")
    assert list(spent.index) == ["memory"]
    assert spent.loc["memory"].to_dict() == {
        "write_seconds": 0.1,
        "bytes": 10.0,
        "share": 0.25,
        "lpips_revisit": 0.2,
        "lpips_new_view": 0.2,
    }


def test_an_arm_whose_weights_lie_in_wrong_episode_is_no_control() -> None:
    arm = "temp_lora world_model.weights=arms/wrong_episode-0/weights"
    spent = costs(lines([0, 1]).replace({"row": {"memory": arm}}))
    assert list(spent["row"]) == [arm]


@pytest.mark.parametrize(
    ("delay", "near"), [(0, 4), (5, 4), (6, 8), (11, 8), (12, 16), (23, 32), (90, 64)]
)
def test_revisits_count_for_the_nearest_delay(delay: int, near: int) -> None:
    assert nearest_delay(delay) == near


def test_a_stroll_stays_near_and_turns_back_only_if_it_must() -> None:
    domain = make_domain("scroll")
    domain.reset(np.random.default_rng(0))
    centre = node = domain.node
    actions = stroll(domain, centre, 60, np.random.default_rng(1))
    near, inverses = nodes_within(domain, centre, 3), domain.action_space.inverses
    assert len(near) == 1 + 4 + 8 + 12  # a diamond on the torus
    for previous, action in zip([None, *actions], actions, strict=False):
        ways = {a for a in range(4) if domain.successor(node, a) in near}
        if previous is not None and inverses[previous] == action:
            assert ways == {action}  # a tip of the diamond
        node = domain.successor(node, action)
        assert node in near


@pytest.mark.sim
def test_a_lengthened_path_asks_about_every_delay_and_both_kinds_of_poses() -> None:
    env = MemoryTaskEnv("rooms", "find_seen")
    try:
        env.reset(seed=0)
        before = env.tour
        lengthen(env, [24, 24], np.random.default_rng(0))
        assert env.tour[: len(before)] == before
        assert len(env.tour) >= len(before) + 48
        assert len(env.tour_summary.nodes) == len(env.tour) + 1
        queries = draw_queries(env, 24, 4, np.random.default_rng(0))
        ends = {
            nearest_delay(q.delays[-1])
            for q in queries
            if q.kinds[-1] != NEW_VIEW and q.delays[-1] is not None
        }
        assert {4, 64} <= ends
        assert [q.poses for q in queries] == [EXACT, JITTERED] * 12
        exact, jittered = queries[0], queries[1]
        for query, shifted in ((exact, False), (jittered, True)):
            env.domain.set_state(query.states[0])
            again = env.domain.render()
            assert bool((again != query.start_image).any()) == shifted
    finally:
        env.close()


@pytest.mark.sim
def test_a_killed_run_continues_after_its_last_batch(
    rooms_weights, tmp_path, monkeypatch
):
    overrides = [
        *OVERRIDES,
        f"world_model.weights={rooms_weights}",
        f"outputs={tmp_path}",
    ]
    with hydra.initialize_config_dir(str(CONFIGS), version_base="1.3"):
        cfg = hydra.compose("eval", overrides)
        folder = run_recall(cfg, overrides)
        table = pd.read_csv(folder / "recall.csv", keep_default_na=False)
        names = ["ceiling", "frozen", "none", "retrieval memory.max_distance=0.4"]
        assert sorted(table["row"].unique()) == names
        # Episodes x (two controls, two rows in both modes) x queries x horizons.
        assert len(table) == 2 * (2 + 2 * 2) * 2 * 2
        whole = pd.read_csv(folder / "recall.csv").drop(columns="write_seconds")
        # Killed after the first of two batches.
        first = table[table["seed"] == 0]
        first.to_csv(folder / "recall.csv", index=False)
        asked, run_batch = [], suite._run_batch
        monkeypatch.setattr(
            suite,
            "_run_batch",
            lambda *rest: asked.append(rest[-1]) or run_batch(*rest),
        )
        assert run_recall(cfg, overrides) == folder
    assert asked == [[1]]
    again = pd.read_csv(folder / "recall.csv").drop(columns="write_seconds")
    pd.testing.assert_frame_equal(again, whole)


def test_one_look_at_an_image_gives_what_lpips_and_src_give_alone() -> None:
    rng = torch.Generator().manual_seed(0)
    truth, images = torch.rand(2, 3, 3, 64, 64, generator=rng) * 2 - 1
    scores = ImageScores(truth)
    for shown in (images, truth):
        found = scores(shown)
        torch.testing.assert_close(found["lpips"], Lpips("vgg")(shown, truth))
        torch.testing.assert_close(found["src"], revisit_similarity(truth, shown))
        torch.testing.assert_close(found["mse"], 4 * 10 ** (-psnr(shown, truth) / 10))
    assert (found["psnr"] == MAX_PSNR).all()


def test_of_toys_only_pixels_are_compared() -> None:
    truth = torch.zeros(2, 3, 8, 8)
    found = ImageScores(truth)(truth + torch.tensor([0.1, 0.2])[:, None, None, None])
    assert found["mse"].tolist() == pytest.approx([0.01, 0.04])
    assert all(found[name].isnan().all() for name in ("lpips", "ssim", "src"))
