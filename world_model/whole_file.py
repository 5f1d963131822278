"""Files that are seen either whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file to write that takes its name when it is complete and on disk.

    Each writer has a temporary file of its own: of two at once the last one stands.

    Raises:
        OSError: If the disk refuses; like after any other failure, nothing is left.
    """
    handle, name = tempfile.mkstemp(prefix=".", suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)  # mkstemp makes files private
        os.replace(name, path)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(name)
        raise


def write_whole(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Calls `write(file)` on a temporary file and renames it: whole or absent.

    Raises:
        OSError: With the rule and the remedy; nothing half-written is left.
    """
    with clear_errors(path), whole_file(path) as file:
        write(file)


def write_text(path: Path, text: str) -> None:
    """Writes a file, and its folder, that is seen either complete or not at all.

    Raises:
        OSError: With the rule and the remedy; nothing half-written is left.
    """
    with clear_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as file:
            file.write(text.encode())


def replace_folder(target: Path, files: Iterable[Path]) -> None:
    """Makes a folder of copies of files, in the place of what was there.

    See `swap_in`.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".", dir=target.parent) as name:
        fresh = Path(name) / "fresh"
        fresh.mkdir()
        for file in files:
            shutil.copyfile(file, fresh / file.name)
        swap_in(fresh, target)


def swap_in(fresh: Path, target: Path) -> None:
    """Renames a folder to where another one may be, which is then deleted.

    The target is seen either as it was or as it is to be; if the process is killed
    between the two, what was there is in a hidden folder beside.
    """
    with tempfile.TemporaryDirectory(prefix=".", dir=target.parent) as name:
        stale = Path(name) / "stale"
        try:
            if target.exists():
                target.rename(stale)
            fresh.rename(target)
        except BaseException:
            if stale.exists():
                stale.rename(target)
            raise


@contextmanager
def clear_errors(path: Path) -> Iterator[None]:
    """What a disk refuses inside says which file it was, and what to do."""
    try:
        yield
    except OSError as error:
        told = (
            f"{path} must be writable, got: {error.strerror or error}. Free disk space "
            "or choose another folder, then run the same command again: what is "
            "finished is kept."
        )
        # Libraries raise some without a number.
        raise (OSError(error.errno, told) if error.errno else OSError(told)) from error
