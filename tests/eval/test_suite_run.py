"""Folders of suites: what may be continued, and what must not be mixed."""

import json
from pathlib import Path

import hydra
import pytest

from eval.record import RUN_FILE
from eval.suite_run import open_folder, row_config

CONFIGS = Path(__file__).parents[2] / "configs"


def opened(tmp_path, *words, memory="none"):
    words = ["task=scroll_find_seen", f"outputs={tmp_path}", *words]
    with hydra.initialize_config_dir(str(CONFIGS), version_base="1.3"):
        cfg = hydra.compose("eval", words)
        rows = [row_config(words, memory)]
    return open_folder(cfg, words, rows, "cpu", "recall", "scroll", "val")


def test_a_memory_that_is_none_is_told_the_nearest_one(tmp_path):
    with pytest.raises(ValueError, match="Unknown memory 'anchr'. Did you mean 'anch"):
        opened(tmp_path, memory="anchr memory.x=1")


def test_the_same_words_continue_in_the_same_folder(tmp_path):
    assert opened(tmp_path) == opened(tmp_path)
    assert opened(tmp_path) != opened(tmp_path, "episodes=5")


def test_a_run_on_another_device_is_not_continued(tmp_path):
    folder = opened(tmp_path)
    run = json.loads((folder / RUN_FILE).read_text())
    run["provenance"]["device"] = "cuda (H200)"
    (folder / RUN_FILE).write_text(json.dumps(run))
    rule = "holds the record of another run: provenance.device is .cuda"
    with pytest.raises(ValueError, match=rule):
        opened(tmp_path)


def test_rows_that_name_others_code_have_a_folder_of_their_own(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    file = tmp_path / "a_strangers_memory.py"
    row = "none memory._target_=a_strangers_memory.Memory"
    folders = set()
    for text in ("x = 1", "x = 2"):
        file.write_text(text)
        folders.add(opened(tmp_path, memory=row))
    assert len(folders) == 2
