"""Files that are seen either whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
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
        OSError: If the disk refuses; like after any other failure, nothing is left.
    """
    try:
        with whole_file(path) as file:
            write(file)
    except OSError as error:
        raise OSError(
            f"Could not write {path} ({error.strerror or error}): nothing was left "
            "behind; free space or choose another folder."
        ) from error
