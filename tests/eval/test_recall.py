"""`suite=recall`: its summary, and whole runs with a random model."""

from __future__ import annotations

from pathlib import Path

import hydra
import numpy as np
import pandas as pd
import pytest

from envs.domains import make_domain
from envs.memory_task_env import MemoryTaskEnv
from eval import recall
from eval.recall import run_recall
from eval.recall_paths import lengthen, nodes_within, stroll
from eval.recall_queries import EXACT, JITTERED, NEW_VIEW, draw_queries, nearest_delay
from eval.recall_summary import costs, summarise

CONFIGS = Path(__file__).parents[2] / "configs"
OVERRIDES = [
    "recall.paths=2",
    "recall.queries=2",
    "recall.legs=[3,2]",
    "recall.horizons=[1,2]",
    "recall.memories=[none,retrieval]",
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
                "lpips": value,
                "psnr": 20.0,
                "ssim": 0.5,
                "src": 0.5,
                "bytes": 10.0 if row == "memory" else None,
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
    spent = costs(lines([0, 1])).set_index("row")
    assert list(spent.index) == ["memory"]
    assert spent.loc["memory"].to_dict() == {
        "write_seconds": 0.1,
        "bytes": 10.0,
        "lpips_revisit": 0.2,
        "lpips_new_view": 0.2,
    }


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
        names = ["ceiling", "frozen", "none", "retrieval"]
        assert sorted(table["row"].unique()) == names
        # Episodes x (two controls, two rows in both modes) x queries x horizons.
        assert len(table) == 2 * (2 + 2 * 2) * 2 * 2
        whole = pd.read_csv(folder / "recall.csv").drop(columns="write_seconds")
        # Killed after the first of two batches.
        first = table[table["seed"] == 0]
        first.to_csv(folder / "recall.csv", index=False)
        asked, run_batch = [], recall._run_batch
        monkeypatch.setattr(
            recall,
            "_run_batch",
            lambda *rest: asked.append(rest[-1]) or run_batch(*rest),
        )
        assert run_recall(cfg, overrides) == folder
    assert asked == [[1]]
    again = pd.read_csv(folder / "recall.csv").drop(columns="write_seconds")
    pd.testing.assert_frame_equal(again, whole)
