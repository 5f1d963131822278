from pathlib import Path

import pandas as pd
import pytest

from eval.metric import METRICS
from eval.readme import BEGIN, END, NO_ROWS, main, render, replace_table
from eval.record import VIDEO_COLUMNS
from eval.run_spec import PROJECT_ROOT


def rows() -> pd.DataFrame:
    common = {
        "task": "rooms_find_seen",
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


@pytest.mark.parametrize("text", ["", f"{END}{BEGIN}", f"{BEGIN}{END}{BEGIN}{END}"])
def test_the_markers_must_be_there_once(text):
    with pytest.raises(ValueError, match="The README must hold .*, once each, got"):
        replace_table(text, "table")


def test_the_command_writes_and_checks(tmp_path, capsys):
    readme, leaderboard = tmp_path / "README.md", tmp_path / "leaderboard.csv"
    readme.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    options = ["--readme", str(readme), "--leaderboard", str(leaderboard)]
    assert main([*options, "--check"]) == 1
    assert "run `python -m eval.readme` and commit" in capsys.readouterr().err
    assert main(options) == 0
    assert readme.read_text() == f"before\n{BEGIN}\n{NO_ROWS}\n{END}\nafter\n"
    assert main([*options, "--check"]) == 0
    rows().to_csv(leaderboard, index=False)
    assert main([*options, "--check"]) == 1
    assert main(options) == 0
    assert "| none | no | 25.0" in readme.read_text()


def test_the_committed_readme_shows_the_committed_rows():
    assert main(["--check"]) == 0


def test_links_of_the_readme_and_docs_lead_somewhere():
    import re

    for page in [PROJECT_ROOT / "README.md", *(PROJECT_ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
            if not target.startswith(("http", "docs/media")):
                assert (page.parent / Path(target)).exists(), f"{page.name}: {target}"
