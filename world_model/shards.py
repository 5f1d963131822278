"""Recorded episodes on disk: the format that collection writes and training reads.

A data set is a folder of `shard-00000.npz` files plus `meta.json`. Arrays of a
shard with E episodes of T actions and F frames per action:

| array | shape | meaning |
|---|---|---|
| frames | (E, 1 + T*F, H, W, C) uint8 | first frame, then F per action |
| actions | (E, T) int16 | index into the phrases of `meta.json` |
| or actions | (E, T, A) float32 | vectors within the bounds of `meta.json` |
| moved | (E, T) bool | False where an action was blocked |
| visible | (E, T + 1, O) int32 | pixels of each nameable object, at chunk ends |
| found | (E, T + 1, O) bool | the success test of "go to <object>", at chunk ends |
| positions | (E, T + 1, n, 3) float32 | objects and hand of `tabletop`, `arm` [m] |
| beside | (E, T + 1, H, W, C) uint8 | chunk ends seen from beside, if asked for |

`moved`, `visible` and `found` are labels that only a simulator knows. `meta.json`
lists those that the shards hold (`labels`): data of others (`python -m envs.convert`)
has none.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Collection, Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from world_model.whole_file import write_text, write_whole

Bounds = tuple[tuple[float, float], ...]
"""Least and largest value of every number of an action that is a vector."""
LABELS = ("moved", "visible", "found")
"""All labels that shards may hold."""


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
        labels: Which of `LABELS` every shard holds.
        bounds: Of actions that are vectors, which have no phrases; else None.
    """

    domain: str
    chunk_length: int
    phrases: tuple[str, ...]
    inverses: tuple[int | None, ...]
    objects: tuple[str, ...]
    provenance: dict[str, Any]
    motions: tuple[tuple[float, float, float], ...] | None = None
    labels: tuple[str, ...] = LABELS
    bounds: Bounds | None = None


def write_shard(folder: Path, index: int, arrays: dict[str, np.ndarray]) -> None:
    """Stores shard number `index`."""
    write_whole(shard_path(folder, index), partial(_save_arrays, arrays))


def _save_arrays(arrays: dict[str, np.ndarray], file: BinaryIO) -> None:
    # The annotation of `savez` takes every keyword for its option `allow_pickle`.
    np.savez(file, **arrays)  # type: ignore[arg-type]


def write_meta(folder: Path, meta: ShardMeta) -> None:
    """Stores `meta.json`."""
    write_text(folder / "meta.json", json.dumps(asdict(meta), indent=2))


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
        return meta_of(json.loads(path.read_text()))
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path} does not describe a data set of this version ({error!r}): "
            "collect it again with `python -m envs.collect`."
        ) from error


def meta_of(fields: dict[str, Any]) -> ShardMeta:
    """A `ShardMeta` from its plain JSON values, as `dataclasses.asdict` gives them.

    Raises:
        TypeError: If a field is missing, unknown or of another type.
        KeyError: If one that must be there is missing.
    """
    lists = {n: tuple(fields[n]) for n in ("phrases", "inverses", "objects")}
    if "labels" in fields:  # data sets of old hold all
        lists["labels"] = tuple(fields["labels"])
    for name in ("motions", "bounds"):
        if fields.get(name):
            lists[name] = tuple(map(tuple, fields[name]))
    return ShardMeta(**fields | lists)


def require_labels(
    folder: Path, meta: ShardMeta, asker: str, labels: Iterable[str]
) -> None:
    """Refuses a data set without labels that are needed.

    Args:
        folder: The data set, for the error.
        meta: What it says of itself.
        asker: Who needs them, e.g. "stage=classifier".
        labels: Some of `LABELS`.

    Raises:
        ValueError: If one of them is missing.
    """
    missing = [name for name in labels if name not in meta.labels]
    if missing:
        raise ValueError(
            f"`{asker}` needs what only a simulator knows ({', '.join(labels)}), got "
            f"{folder} without {', '.join(missing)}: use a data set of `python -m "
            "envs.collect`, or leave that stage out."
        )


def read_shards(
    folder: Path, only: Collection[str] | None = None
) -> Iterator[dict[str, np.ndarray]]:
    """Yields the arrays of every shard, in order.

    Args:
        folder: The data set.
        only: Names of the arrays to read, of those that are there; None for all.

    Raises:
        ValueError: If a shard cannot be read.
    """
    for path in sorted(Path(folder).glob("shard-*.npz")):
        try:
            # Opened here: `np.load` forgets to close a file that is no archive.
            with path.open("rb") as file, np.load(file) as shard:
                yield {k: shard[k] for k in shard.files if only is None or k in only}
        except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise ValueError(
                f"Shard {path} is damaged ({error}): delete it and run "
                "`python -m envs.collect` again, which fills the gap."
            ) from error
