"""The only writer of records: `run.json` and `episodes.csv` of one run.

`run.json` says what was run (`RunSpec`) and with what (`provenance`);
`episodes.csv` holds one line per finished episode. A run that is killed at any
instant continues where it stopped: a line counts only with its line break, which
is written last, and JSON files appear under their name only when complete.
"""

from __future__ import annotations

import csv
import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from eval.metric import METRICS
from eval.run_spec import RunSpec
from world_model.whole_file import clear_errors, write_text

RUN_FILE = "run.json"
EPISODES_FILE = "episodes.csv"
COLUMNS = ("seed", *METRICS)
VIDEO_FILE = "video.json"
VIDEO_COLUMNS = ("video_n", "fvd", "kvd", "kvd_low", "kvd_high")
"""Of `video.json`: distances between sets of clips, not means over episodes."""
_OF_A_RUN = ("seeds", "task", "planner", "memory", "world_model", "split", "config")
Row = dict[str, float | None]


class RunRecord:
    """The record of one run in `directory`, e.g. outputs/<run-id>.

    Reading never changes a file. Several processes may share a directory: lines
    are appended under a lock.
    """

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self.directory = Path(directory)
        self.run_path = self.directory / RUN_FILE
        self.episodes_path = self.directory / EPISODES_FILE

    def start(
        self,
        spec: RunSpec,
        provenance: Mapping[str, Any],
        *,
        stores_frames: bool,
    ) -> None:
        """Begins the record, or continues one made by the same run.

        Args:
            spec: What is run.
            provenance: What it is run with. Episodes of another revision, library
                or device do not belong into the same record.
            stores_frames: `Memory.stores_frames` of the run's memory.

        Raises:
            ValueError: If the directory holds a record that differs.
            OSError: If it cannot be written.
        """
        run = {
            **spec.to_dict(),
            "provenance": dict(provenance),
            "stores_frames": stores_frames,
        }
        if self.run_path.exists():
            require_same(self.directory, self.run(), json.loads(json.dumps(run)))
        else:
            write_text(self.run_path, json.dumps(run, indent=2) + "\n")
        if not self.episodes_path.exists():
            write_text(self.episodes_path, ",".join(self.columns) + "\n")
        self.rows()  # A damaged file is reported now, not after hours of work.

    def append(self, row: Mapping[str, Any]) -> None:
        """Adds one finished episode; afterwards it is safely on disk.

        One that is recorded already, by another process say, is left as it is.

        Args:
            row: `seed` and metrics by name; what is missing stays empty.

        Raises:
            ValueError: If the row does not fit or its seed is not part of the run.
            OSError: If it cannot be written; the record is then as before.
        """
        line = _format_row(row, self.columns)
        with clear_errors(self.episodes_path), _locked(self.episodes_path) as file:
            os.ftruncate(file, len(self._whole_lines()))
            if row["seed"] not in self.run()["seeds"]:
                raise ValueError(
                    f"Seed {row['seed']} is not part of the run in {self.directory}: "
                    "run only `remaining_seeds()`."
                )
            if row["seed"] in self.remaining_seeds():
                _append_whole(file, line.encode())

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of episodes.csv: `COLUMNS`, then the run's plug-in metrics."""
        return (*COLUMNS, *self.run()["config"].get("metric", {}))

    def run(self) -> dict[str, Any]:
        """The content of run.json.

        Raises:
            ValueError: If there is no readable one.
        """
        try:
            run = json.loads(self.run_path.read_text())
        except (OSError, ValueError) as error:
            raise ValueError(
                f"{self.directory} must hold the record of a run, but {RUN_FILE} "
                f"cannot be read ({error}): name a directory below outputs/."
            ) from error
        if not isinstance(run, dict) or not run.keys() >= set(_OF_A_RUN):
            raise ValueError(
                f"{self.directory} must hold the record of suite=tasks, but its "
                f"{RUN_FILE} is of something else: name another directory."
            )
        return run

    def rows(self) -> list[Row]:
        """The recorded episodes in the order in which they finished.

        Raises:
            ValueError: If a line is damaged or the columns are not today's.
        """
        lines = list(csv.reader(self._whole_lines().decode().splitlines()))
        columns = self.columns
        if lines and tuple(lines[0]) != columns:
            raise ValueError(
                f"{self.episodes_path} must have the columns {','.join(columns)}, "
                f"got {','.join(lines[0])}: it was made by another version."
            )
        return [
            self._parse(number, cells, columns)
            for number, cells in enumerate(lines[1:], start=2)
        ]

    def video(self) -> dict[str, Any]:
        """The content of video.json; empty if nothing was measured."""
        path = self.directory / VIDEO_FILE
        if not path.exists():
            return {}
        try:
            return dict(json.loads(path.read_text()))
        except ValueError as error:
            raise ValueError(
                f"{path} must be readable, got: {error}. Delete it: it is measured "
                "again."
            ) from error

    def batches(self) -> list[int]:
        """Which of the run's episodes ran in lockstep, a number each, by seed."""
        run = self.run()
        size = run["config"].get("num_envs", 1)
        return [i // size for i in range(len(run["seeds"]))]

    def done_seeds(self) -> tuple[int, ...]:
        """Seeds of the recorded episodes, in the order in which they finished."""
        return tuple(int(row["seed"] or 0) for row in self.rows())

    def remaining_seeds(self) -> tuple[int, ...]:
        """Seeds that are still to be run, in the run's order."""
        done = set(self.done_seeds())
        return tuple(seed for seed in self.run()["seeds"] if seed not in done)

    def copy_first(self, count: int, directory: Path) -> RunRecord:
        """The record that a run of only the first `count` seeds would have left.

        Up to rounding, where they cut a batch that ran in lockstep. Distances between
        sets of videos are of all of them, and left behind.

        Args:
            count: How many seeds, in the run's order.
            directory: Where to put it; empty or not there.

        Raises:
            ValueError: If the run has fewer seeds.
        """
        run = self.run()
        if not 0 < count <= len(run["seeds"]):
            raise ValueError(
                f"`first` must lie between 1 and the run's {len(run['seeds'])} "
                f"episodes, got {count} for {self.directory}."
            )
        command = f"{run['provenance']['command']} # its first {count} episodes"
        run["seeds"] = run["seeds"][:count]
        run["config"] = {**run["config"], "episodes": count}
        run["provenance"] = {**run["provenance"], "command": command}
        write_text(directory / RUN_FILE, json.dumps(run, indent=2) + "\n")
        kept = (row for row in self.rows() if row["seed"] in run["seeds"])
        lines = [
            _format_row(row | {"seed": int(row["seed"] or 0)}, self.columns)
            for row in kept
        ]
        text = ",".join(self.columns) + "\n" + "".join(lines)
        write_text(directory / EPISODES_FILE, text)
        return RunRecord(directory)

    def _whole_lines(self) -> bytes:
        """The file without a last line that was torn by a kill."""
        if not self.episodes_path.exists():
            return b""
        content = self.episodes_path.read_bytes()
        return content[: content.rfind(b"\n") + 1]

    def _parse(self, line: int, cells: list[str], columns: tuple[str, ...]) -> Row:
        try:
            int(cells[0])
            values = [float(cell) if cell else None for cell in cells]
            return dict(zip(columns, values, strict=True))
        except (ValueError, IndexError):
            raise ValueError(
                f"Line {line} of {self.episodes_path} must hold "
                f"{len(columns)} numbers, got {','.join(cells)!r}: delete that line; "
                "its episode is then run again."
            ) from None


def require_same(directory: Path, here: Mapping[str, Any], run: Any) -> None:
    """Refuses to mix what two different runs have found.

    Args:
        directory: Holds the one.
        here: Its run.json.
        run: What the other would write there.

    Raises:
        ValueError: If they differ, with the first differences.
    """
    # The same configuration can be asked for by different words.
    one, other = (
        {**x, "provenance": {**x["provenance"], "command": None}} for x in (here, run)
    )
    found = differences(one, other)
    if found:
        remedy = "Choose another directory or move this one away."
        if len(found) == 1 and found[0].startswith("provenance.threads"):
            remedy = f"Give as many `workers` as when it was begun. {remedy}"
        raise ValueError(
            f"{directory} holds the record of another run: "
            f"{'; '.join(found[:8])}. {remedy}"
        )


def _format_row(row: Mapping[str, Any], columns: tuple[str, ...]) -> str:
    unknown = sorted(set(row) - set(columns))
    if unknown or isinstance(row.get("seed"), float | None):
        raise ValueError(
            "A row must hold a whole `seed` and otherwise only metrics, got "
            f"seed={row.get('seed')} and unknown {unknown}: known are "
            f"{', '.join(columns)}."
        )
    for name, metric in METRICS.items():
        metric.check(row.get(name))
    return ",".join(_format_cell(row.get(name)) for name in columns) + "\n"


def _format_cell(value: Any) -> str:
    """The shortest text that reads back as the same number; empty for None."""
    if value is None:
        return ""
    number = float(value)
    return str(int(number)) if number.is_integer() else repr(number)


def _append_whole(file: int, line: bytes) -> None:
    """Appends all of `line` and waits until it is on disk, or appends nothing."""
    size = os.fstat(file).st_size
    try:
        written = 0
        while written < len(line):
            written += os.write(file, line[written:])
        os.fsync(file)
    except OSError:
        os.ftruncate(file, size)
        raise


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    """The file, open for appending by this process alone."""
    file = os.open(path, os.O_RDWR | os.O_APPEND)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file
    finally:
        os.close(file)  # also gives up the lock


def differences(here: Any, there: Any, name: str = "") -> list[str]:
    """The keys in which two JSON values differ, with both: the one is "there"."""
    if here == there:
        return []
    if not (isinstance(here, dict) and isinstance(there, dict)):
        return [f"{name} is {_short(here)} there, {_short(there)} here"]
    found = []
    for key in sorted({*here, *there}):
        label = f"{name}.{key}" if name else key
        found += differences(here.get(key), there.get(key), label)
    return found


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."
