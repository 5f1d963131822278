"""`suite=recall`: its summary, and whole runs with a random model."""

from __future__ import annotations

from pathlib import Path

import hydra
import pandas as pd
import pytest

from eval import recall
from eval.recall import run_recall, summarise

CONFIGS = Path(__file__).parents[2] / "configs"
OVERRIDES = [
    "recall.paths=2",
    "recall.queries=3",
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
                "seed": seed,
                "kind": "known",
                "horizon": 1,
                "lpips": value,
                "psnr": 20.0,
            }
            for row, value in lpips.items()
            for seed in seeds
        ]
    )


def test_the_gap_closed_is_the_share_of_the_way_from_none_to_the_ceiling() -> None:
    summary = summarise(lines([0, 1, 2])).set_index("row")
    assert summary.loc["memory", "gap_closed"] == pytest.approx(0.8)
    assert summary.loc["none", "gap_closed"] == 0
    assert summary.loc["ceiling", "gap_closed"] == 1
    assert summary.loc["memory", "lpips_low"] == pytest.approx(0.2)


def test_one_episode_has_no_interval() -> None:
    summary = summarise(lines([0]))
    assert summary["lpips_low"].isna().all()
    assert summary["lpips"].notna().all()


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
        assert len(table) == 2 * 4 * 3 * 2  # episodes x rows x queries x horizons
        whole = (folder / "recall.csv").read_bytes()
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
    assert (folder / "recall.csv").read_bytes() == whole
