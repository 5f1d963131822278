"""Training arms compared over training seeds."""

from itertools import product

import pandas as pd
import pytest

from eval.compare_arms import compare_arms, main

PATTERN = "lora weights={arm}-{seed}"


def lines(gain: dict[int, float], paths: int = 6) -> pd.DataFrame:
    """Two arms, the first better by `gain` of its training seed on every question."""
    table = []
    for arm, (seed, more), path, query in product(
        ("memory", "none"), gain.items(), range(paths), range(3)
    ):
        line = {"row": PATTERN.format(arm=arm, seed=seed), "mode": "open_loop"}
        line |= {"seed": path, "query": query, "horizon": 4, "poses": "exact"}
        line |= {"kind": "known" if query else "new_view", "lpips": None}
        table.append(line | {"psnr": 20 + path + (more if arm == "memory" else 0)})
    return pd.DataFrame(table)


def test_a_gain_that_every_seed_has_on_every_path_has_no_spread():
    found = compare_arms(lines({0: 0.5, 1: 0.5}), PATTERN, ["memory", "none"], [0, 1])
    assert sorted(found["kind"]) == ["new_view", "revisit"]
    assert sorted(found["n"]) == [6, 12]
    for name in ("psnr_gain", "psnr_gain_low", "psnr_gain_high"):
        assert found[name].tolist() == pytest.approx([0.5, 0.5])
    assert set(found["psnr_seeds"]) == {"+0.500 +0.500"}
    assert "lpips_gain" not in found


def test_seeds_that_disagree_widen_the_interval():
    found = compare_arms(lines({0: 1.0, 1: -1.0}), PATTERN, ["memory", "none"], [0, 1])
    assert found["psnr_gain"].tolist() == pytest.approx([0, 0])
    assert (found["psnr_gain_low"] == -1).all()
    assert (found["psnr_gain_high"] == 1).all()


def test_one_seed_has_no_interval():
    found = compare_arms(lines({0: 0.5}), PATTERN, ["memory", "none"], [0])
    assert found["psnr_gain_low"].isna().all()


@pytest.mark.parametrize(
    ("pattern", "arms", "rule"),
    [
        (
            "lora weights={arm}",
            ["memory", "none"],
            "must hold {seed} for several train",
        ),
        (PATTERN, ["memory"], "`--arms` must name two or more, got memory: the first"),
        (PATTERN, ["none", "none"], "`--arms` must name two or more, got none none: t"),
    ],
)
def test_what_compares_nothing_is_refused(pattern, arms, rule):
    with pytest.raises(ValueError, match=rule):
        compare_arms(lines({0: 0.5, 1: 0.5}), pattern, arms, [0, 1])


@pytest.mark.parametrize(
    ("arms", "seeds"),
    [(["memory", "none", "memory"], [0, 1]), (["memory", "none"], [0, 0])],
)
def test_one_row_is_not_taken_for_several(arms, seeds):
    with pytest.raises(ValueError, match="must name each once, got memory none"):
        compare_arms(lines({0: 0.5, 1: 0.5}), PATTERN, arms, seeds)


def test_the_command_prints_the_table_or_the_missing_row(tmp_path, capsys):
    lines({0: 0.5, 1: 0.25}).to_csv(tmp_path / "recall.csv", index=False)
    unfinished = [str(tmp_path), PATTERN, "--seeds", "0", "--arms", "memory", "none"]
    assert main(unfinished) == 1
    assert "must hold recall.csv of a finished suite=recall" in capsys.readouterr().err
    (tmp_path / "recall_pairs.csv").touch()
    words = [str(tmp_path), PATTERN, "--seeds", "0", "1", "--arms", "memory"]
    assert main([*words, "none"]) == 0
    assert "+0.500 +0.250" in capsys.readouterr().out
    assert main([*words, "nine"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: Unknown row 'lora weights=nine-0'")
    assert "lora weights=none-0" in error
    assert main([str(tmp_path), "{arm} {sed}", *words[2:], "none"]) == 1
    rule = "error: `pattern` must hold {arm}, may hold {seed} and nothing else in br"
    assert capsys.readouterr().err.startswith(rule)
    assert main([str(tmp_path / "no"), *words[1:], "none"]) == 1
    assert "must hold recall.csv of a finished suite=recall" in capsys.readouterr().err
