"""Recorded episodes on disk: the format that collection writes and training reads.

A data set is a folder of `shard-00000.npz` files plus `meta.json`. Arrays of a
shard with E episodes of T actions and F frames per action:

| array | shape | meaning |
|---|---|---|
| frames | (E, 1 + T*F, H, W, C) uint8 | first frame, then F per action |
| actions | (E, T) int16 | index into the phrases of `meta.json` |
| moved | (E, T) bool | False where an action was blocked |
| visible | (E, T + 1, O) int32 | pixels of each nameable object, at chunk ends |
| found | (E, T + 1, O) bool | the success test of "go to <object>", at chunk ends |
"""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np


@dataclass(frozen=True)
class ShardMeta:
    """What a data set is and where it comes from (`meta.json`).

    Attributes:
        domain: Name of the domain.
        chunk_length: F.
        phrases: Canonical phrase of each action.
        inverses: Index of the action that undoes each action, or None.
        objects: Names of the O nameable objects.
        provenance: Code revision, library versions, seeds.
        motions: How each action moves, or None; see `PhraseSpace`.
    """

    domain: str
    chunk_length: int
    phrases: tuple[str, ...]
    inverses: tuple[int | None, ...]
    objects: tuple[str, ...]
    provenance: dict[str, Any]
    motions: tuple[tuple[float, float, float], ...] | None = None


def write_atomically(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Calls `write(file)` on a temporary file and renames it: whole or absent.

    Raises:
        OSError: If the disk refuses; like after any other failure, nothing is left.
    """
    temporary = path.with_suffix(path.suffix + ".tmp")
    try:
        with temporary.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise OSError(
            f"Could not write {path} ({error.strerror or error}): nothing was left "
            "behind; free space or choose another folder."
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def write_shard(folder: Path, index: int, arrays: dict[str, np.ndarray]) -> None:
    """Stores shard number `index`."""
    write_atomically(shard_path(folder, index), partial(_save_arrays, arrays))


def _save_arrays(arrays: dict[str, np.ndarray], file: BinaryIO) -> None:
    # The annotation of `savez` takes every keyword for its option `allow_pickle`.
    np.savez(file, **arrays)  # type: ignore[arg-type]


def write_meta(folder: Path, meta: ShardMeta) -> None:
    """Stores `meta.json`."""
    text = json.dumps(asdict(meta), indent=2).encode()
    write_atomically(folder / "meta.json", lambda f: f.write(text))


def shard_path(folder: Path, index: int) -> Path:
    """File of shard number `index`."""
    return folder / f"shard-{index:05d}.npz"


def read_meta(folder: Path) -> ShardMeta:
    """Reads `meta.json`.

    Raises:
        FileNotFoundError: If `folder` is not a data set.
        ValueError: If the file is damaged or of another version.
    """
    path = Path(folder) / "meta.json"
    if not path.exists():
        raise FileNotFoundError(
            f"`data` must be a folder with meta.json, got {folder}: "
            "run `python -m envs.collect` first."
        )
    try:
        fields = json.loads(path.read_text())
        for name in ("phrases", "inverses", "objects"):
            fields[name] = tuple(fields[name])
        if fields.get("motions"):
            fields["motions"] = tuple(map(tuple, fields["motions"]))
        return ShardMeta(**fields)
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path} does not describe a data set of this version ({error!r}): "
            "collect it again with `python -m envs.collect`."
        ) from error


def read_shards(folder: Path) -> Iterator[dict[str, np.ndarray]]:
    """Yields the arrays of every shard, in order.

    Raises:
        ValueError: If a shard cannot be read.
    """
    for path in sorted(Path(folder).glob("shard-*.npz")):
        try:
            # Opened here: `np.load` forgets to close a file that is no archive.
            with path.open("rb") as file, np.load(file) as shard:
                yield dict(shard)
        except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise ValueError(
                f"Shard {path} is damaged ({error}): delete it and run "
                "`python -m envs.collect` again, which fills the gap."
            ) from error
