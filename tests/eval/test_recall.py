"""The summary of `suite=recall`."""

from __future__ import annotations

import pandas as pd
import pytest

from eval.recall import summarise


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
