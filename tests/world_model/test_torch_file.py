"""Files that torch has saved, whole and torn."""

import pytest
import torch

from world_model.torch_file import load_kept


def test_what_was_kept_comes_back(tmp_path):
    torch.save(torch.arange(3), tmp_path / "x.pt")
    found = load_kept(tmp_path / "x.pt", what="numbers", remedy="delete it")
    assert found.tolist() == [0, 1, 2]


@pytest.mark.parametrize("size", [0, 40, 300])
def test_a_torn_file_is_named_with_what_to_do(tmp_path, size):
    torch.save(torch.arange(3), tmp_path / "x.pt")
    whole = (tmp_path / "x.pt").read_bytes()
    (tmp_path / "x.pt").write_bytes(whole[:size])
    rule = r"x.pt must hold numbers, but is damaged \((.|\n)*\): delete it."
    with pytest.raises(ValueError, match=rule):
        load_kept(tmp_path / "x.pt", what="numbers", remedy="delete it")


def test_what_cannot_be_read_is_not_called_damaged(tmp_path):
    with pytest.raises(OSError, match="folder.pt"):
        load_kept(tmp_path / "folder.pt", what="numbers", remedy="delete it")


def test_a_machine_that_is_too_small_is_not_a_damaged_file(tmp_path, monkeypatch):
    def load(*_, **__):
        raise MemoryError

    monkeypatch.setattr(torch, "load", load)
    with pytest.raises(MemoryError):
        load_kept(tmp_path / "x.pt", what="numbers", remedy="delete it")
