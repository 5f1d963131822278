import pandas as pd
import pytest

from eval.metric import METRICS
from eval.readme import BEGIN, END, NO_ROWS, main, render, replace_table, summary
from eval.record import VIDEO_COLUMNS


def rows() -> pd.DataFrame:
    common = {
        "task": "rooms_find_seen",
        "memory": "oracle",
        "stores_frames": "no",
        "split": "val",
        "n": 100,
        "seeds": "0-99",
        "revision": "0123456789abcdef",
        "command": "python -m eval.run memory=none",
    }
    empty = {f"{m}{end}": None for m in METRICS for end in ("", "_low", "_high")}
    empty |= dict.fromkeys(VIDEO_COLUMNS)
    success = {"success": 0.25, "success_low": 0.175, "success_high": 0.343}
    return pd.DataFrame([{**empty, **common, **success, "row": "none"}])


def test_rows_become_a_table():
    text = render(rows())
    assert "**rooms_find_seen, n=100, seeds 0-99, split val, revision 0123456789**" in (
        text
    )
    assert "| row | stores frames | success % [95 %] |" in text
    assert "| none | no | 25.0 [17.5, 34.3] |  |  |" in text
    assert "Last row: `python -m eval.run memory=none`" in text
    assert "nan" not in text


def test_without_rows_it_says_so():
    assert render(pd.DataFrame()) == NO_ROWS
    assert summary(pd.DataFrame()) == NO_ROWS


def test_the_summary_has_a_column_per_task_and_split_with_an_oracle():
    given = [rows() for _ in range(4)]
    given[1]["row"] = "oracle"
    given[1]["stores_frames"] = "yes"
    given[2][["task", "memory"]] = ["fetch_reach", "none"]  # compares no memories
    given[3][["row", "split", "success"]] = ["oracle", "test", 0.9]
    given[3]["stores_frames"] = "yes"
    assert summary(pd.concat(given)).splitlines() == [
        "| success % | rooms_find_seen | rooms_find_seen, test |",
        "| --- | ---: | ---: |",
        "| none | 25 [18, 34] |  |",
        "| oracle † | 25 [18, 34] | 90 [18, 34] |",
    ]


def test_cells_are_marked_where_a_row_stores_frames_in_some_tasks_only():
    given = [rows() for _ in range(3)]
    for one in given:
        one["row"] = one["memory"] = "oracle"
    given[1]["task"] = "tabletop_shell_game"
    given[2][["task", "row"]] = ["tabletop_shell_game", "simulator"]
    given[1]["stores_frames"] = given[2]["stores_frames"] = "yes"
    assert summary(pd.concat(given)).splitlines()[2:] == [
        "| oracle | 25 [18, 34] | 25 [18, 34] † |",
        "| simulator † |  | 25 [18, 34] |",
    ]


@pytest.mark.parametrize("text", ["", f"{END}{BEGIN}", f"{BEGIN}{END}{BEGIN}{END}"])
def test_the_markers_must_be_there_once(text):
    with pytest.raises(ValueError, match="A page must hold .*, once each, got"):
        replace_table(text, "table")


def test_the_command_writes_and_checks(tmp_path, capsys, monkeypatch):
    readme, tables = tmp_path / "README.md", tmp_path / "results.md"
    leaderboard = tmp_path / "leaderboard.csv"
    monkeypatch.setattr("eval.readme.LEADERBOARD", leaderboard)  # may be missing
    for page in (readme, tables):
        page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    options = ["--readme", str(readme), "--tables", str(tables)]
    options += ["--leaderboard", str(leaderboard)]
    assert main([*options, "--check"]) == 1
    assert "run `python -m eval.readme` and commit" in capsys.readouterr().err
    assert main(options) == 0
    assert readme.read_text() == f"before\n{BEGIN}\n{NO_ROWS}\n{END}\nafter\n"
    assert main([*options, "--check"]) == 0
    rows().assign(row="oracle").to_csv(leaderboard, index=False)
    assert main([*options, "--check"]) == 1
    assert main(options) == 0
    assert "| oracle | 25 [18, 34] |" in readme.read_text()
    assert "| oracle | no | 25.0" in tables.read_text()
    tables.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    assert main([*options, "--check"]) == 1


def test_a_leaderboard_that_is_not_there_empties_no_page(tmp_path, capsys):
    page = tmp_path / "page.md"
    page.write_text(text := f"{BEGIN}\nrows\n{END}\n")
    words = ["--readme", str(page), "--tables", str(page)]
    assert main([*words, "--leaderboard", str(tmp_path / "leaderbord.csv")]) == 1
    assert "leaderbord.csv must hold promoted rows" in capsys.readouterr().err
    assert page.read_text() == text


def test_the_committed_pages_show_the_committed_rows():
    assert main(["--check"]) == 0
