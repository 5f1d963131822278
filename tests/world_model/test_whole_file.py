"""Folders that take the place of others do so as a whole, or not at all."""

from pathlib import Path

import pytest

from world_model.whole_file import swap_in


def folder(path: Path, text: str) -> Path:
    path.mkdir(parents=True)
    (path / "file").write_text(text)
    return path


def test_a_folder_takes_the_place_of_another_or_of_none(tmp_path):
    for text in ("first", "second"):
        fresh, target = folder(tmp_path / "fresh", text), tmp_path / "in" / "target"
        target.parent.mkdir(exist_ok=True)
        swap_in(fresh, target)
        assert (target / "file").read_text() == text
        assert [x.name for x in target.parent.iterdir()] == ["target"]


def test_what_was_there_stays_if_the_other_cannot_come(tmp_path):
    target = folder(tmp_path / "target", "old")
    with pytest.raises(FileNotFoundError):
        swap_in(tmp_path / "missing", target)
    assert (target / "file").read_text() == "old"
    assert [x.name for x in tmp_path.iterdir()] == ["target"]
