"""The leaderboard: promoted records in, one table out.

    python -m eval.leaderboard promote outputs/<run-id> [...]
    python -m eval.leaderboard build
    python -m eval.leaderboard show

`promote` copies records that deserve a row into results/runs (and reports of other
suites into results/<suite>), `build` computes results/leaderboard.csv from the records
and from nothing else, `show` prints it.
"""

from __future__ import annotations

from slowfast_bench import require_packages

require_packages()

import argparse
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from eval.metric import METRICS
from eval.record import (
    EPISODES_FILE,
    RUN_FILE,
    VIDEO_COLUMNS,
    VIDEO_FILE,
    RunRecord,
    differences,
)
from eval.row_name import is_image_given, marks, row_name, standing
from eval.run_spec import PROJECT_ROOT, PROTOCOL_VERSION, slug
from eval.suite_results import promote_suite, suite_of, unreproducible
from world_model.whole_file import replace_folder, write_text

MIN_EPISODES = 100
_REMEDY = "Run it again in full from a committed tree, with the others' settings."
_IS_THERE = "exists (replace it with --replace)"


def refusals(record: RunRecord, min_episodes: int = MIN_EPISODES) -> list[str]:
    """Why a record deserves no row of the table; empty if it does."""
    run, reasons = record.run(), []
    done, seeds = record.done_seeds(), run["seeds"]
    if len(set(done)) != len(done):
        reasons.append("an episode is recorded twice")
    if set(done) != set(seeds):
        reasons.append(f"it is incomplete: {len(done)} of {len(seeds)} episodes")
    if len(seeds) < min_episodes:
        reasons.append(f"it has {len(seeds)} episodes, fewer than {min_episodes}")
    reasons += unreproducible(run)
    if run["protocol_version"] != PROTOCOL_VERSION:
        reasons.append(
            f"its protocol version is {run['protocol_version']}, "
            f"today's is {PROTOCOL_VERSION}"
        )
    return reasons


def incomparable(run: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Why two rows of one task must not stand in the same table."""
    reasons = [
        f"its {key.replace('_', ' ')} is {run[key]}, theirs {other[key]}"
        for key in ("protocol_version", "split")
        if run[key] != other[key]
    ]
    if set(run["seeds"]) != set(other["seeds"]):
        reasons.append(
            f"its seeds are {format_seeds(run['seeds'])}, "
            f"theirs {format_seeds(other['seeds'])}"
        )
    return reasons


def other_question(run: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Why two rows must not be compared episode by episode.

    A goal image that the task does not show makes an easier question, which a table
    may hold under its own name.
    """
    reasons = []
    if run["task"] != other["task"]:
        reasons.append(f"its task is {run['task']}, theirs {other['task']}")
    if is_image_given(run) != is_image_given(other):
        goals = [x["config"].get("goal") for x in (run, other)]
        reasons.append(f"its goal is {goals[0]}, theirs {goals[1]}")
    return reasons + incomparable(run, other)


def other_settings(run: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """What two rows of one planner in one world model differ in besides their memory.

    Whether that matters (an option of recalled frames means nothing to a memory that
    recalls none) is for people to judge: `promote` says it.
    """
    names = ("planner", "world_model")
    if not all(run[name] == other[name] != "none" for name in names):
        return []
    mine, theirs = _network(run), _network(other)
    known = mine.keys() & theirs.keys()  # records of old do not name weights
    one, two = (
        {n: x["config"].get(n) for n in (*names, "objective")}
        | {"weights": {k: w[k] for k in known}}
        for x, w in ((run, mine), (other, theirs))
    )
    return differences(one, two)


def _network(run: Mapping[str, Any]) -> dict[str, str]:
    """Digests of the parts that imagine; memories and judges have others."""
    digests = run["provenance"].get("weights", {})
    found = {part.split("/")[-1]: digest for part, digest in digests.items()}
    return {part: found[part] for part in ("autoencoder", "denoiser") if part in found}


def promote(
    directory: Path,
    results: Path,
    *,
    min_episodes: int = MIN_EPISODES,
    first: int | None = None,
    replace: bool = False,
) -> Path:
    """Copies a record into results/runs/<task>/<memory>-<planner>-<world_model>.

    What was run on the test split goes into results/runs/<task>-test.

    Args:
        directory: The run, e.g. outputs/<run-id>.
        results: The results directory.
        min_episodes: Fewest episodes that make a row.
        first: Only so many of its episodes; None for all.
        replace: Whether an earlier record of the same combination may go.

    Returns:
        Where the record lies now.

    Raises:
        ValueError: With every reason why it is refused.
    """
    with _first_of(directory, first) as record:
        target = _target(record.run(), results)
        beside = (x for x in promoted(results) if x.directory.parent == target.parent)
        others = [x for x in beside if x.directory != target]
        reasons = refusals(record, min_episodes) + _conflicts(record, others)
        if target.exists() and not replace:
            reasons.append(f"{target} {_IS_THERE}")
        if reasons:
            remedy = "" if reasons == [f"{target} {_IS_THERE}"] else f" {_REMEDY}"
            raise ValueError(f"{directory} is refused: {'; '.join(reasons)}.{remedy}")
        for row in others:
            if found := other_settings(row.run(), record.run()):
                print(f"note: beside {row.directory.name}: {'; '.join(found)}")
        files = (record.directory / x for x in (RUN_FILE, EPISODES_FILE, VIDEO_FILE))
        replace_folder(target, [file for file in files if file.exists()])
    return target


@contextmanager
def _first_of(directory: Path, count: int | None) -> Iterator[RunRecord]:
    """The record, or what a run of its first `count` episodes would have left."""
    record = RunRecord(directory)
    if count is None:
        yield record
        return
    with tempfile.TemporaryDirectory() as name:
        yield record.copy_first(count, Path(name))


def _conflicts(record: RunRecord, others: Sequence[RunRecord]) -> list[str]:
    """Why a record cannot stand in one table with these."""
    run, reasons = record.run(), []
    for other in others[:1]:
        found = incomparable(run, other.run())
        reasons += [f"{reason} ({other.directory.name})" for reason in found]
    for other in others:
        if row_name(other.run()) == row_name(run):
            reasons.append(f"{other.directory.name} is called {row_name(run)}, too")
    return reasons


def promoted(results: Path) -> list[RunRecord]:
    """The records below results/runs, in a fixed order."""
    paths = sorted(results.glob(f"runs/*/*/{RUN_FILE}"))
    return [RunRecord(path.parent) for path in paths]


def build(results: Path) -> pd.DataFrame:
    """The leaderboard, a function of the promoted records alone.

    Raises:
        ValueError: If a record does not belong there, or two are incomparable.
    """
    records = promoted(results)
    first: dict[Path, RunRecord] = {}
    named: dict[tuple[Path, str], RunRecord] = {}
    problems = []
    for record in records:
        run = record.run()
        other = first.setdefault(record.directory.parent, record)
        found = refusals(record, min_episodes=0) + incomparable(run, other.run())
        if _target(run, results) != record.directory:
            found.append("it lies under another combination's name")
        twin = named.setdefault((record.directory.parent, row_name(run)), record)
        if twin is not record:
            found.append(f"its row is called as that of {twin.directory.name}")
        problems += [f"{record.directory}: {reason}" for reason in found]
    if problems:
        raise ValueError(f"Not a leaderboard: {'; '.join(problems)}. {_REMEDY}")
    rows = [summarise(record) for record in records]
    rows.sort(key=_place)
    table = pd.DataFrame(rows)
    return table


def summarise(record: RunRecord) -> dict[str, Any]:
    """One row of the leaderboard: what was run and every metric with bounds."""
    run = record.run()
    # Workers finish in any order; the table is a function of the episodes.
    episodes = sorted(record.rows(), key=lambda episode: int(episode["seed"] or 0))
    batches = record.batches()
    made = run["provenance"]
    row = {"task": run["task"], "row": row_name(run)}
    row |= {key: run[key] for key in ("memory", "planner", "world_model")}
    row["stores_frames"] = "yes" if run["stores_frames"] else "no"
    row |= {"split": run["split"], "n": len(episodes)}
    row |= {"seeds": format_seeds(run["seeds"])}
    for name, metric in METRICS.items():
        estimate = metric.aggregate([x[name] for x in episodes], batches)
        empty = dict.fromkeys((name, f"{name}_low", f"{name}_high"))
        row |= empty if estimate is None else estimate.columns(name, 6)
    video = record.video()
    row |= {column: video.get(column) for column in VIDEO_COLUMNS}
    row |= {"protocol_version": run["protocol_version"], "device": made["device"]}
    return row | {"revision": made["revision"], "command": made["command"]}


def format_seeds(seeds: Sequence[int]) -> str:
    """Seeds as ranges.

    >>> format_seeds([3, 0, 1, 2, 7])
    '0-3 7'
    """
    ranges: list[list[int]] = []
    for seed in sorted(seeds):
        if ranges and seed == ranges[-1][1] + 1:
            ranges[-1][1] = seed
        else:
            ranges.append([seed, seed])
    return " ".join(f"{a}-{b}" if a != b else str(a) for a, b in ranges)


def _place(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """Where a row stands: by task, validation before test, from floor to ceiling."""
    return row["task"], row["split"] != "val", *standing(row["row"])


def _target(run: Mapping[str, Any], results: Path) -> Path:
    names = [run["memory"], run["planner"], run["world_model"]]
    names += marks(run)
    folder = slug(run["task"]) + ("" if run["split"] == "val" else f"-{run['split']}")
    return results / "runs" / folder / "-".join(slug(x) for x in names)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m eval.leaderboard", description="Promote, build, show rows."
    )
    parser.add_argument(
        "--results",
        type=Path,
        default=PROJECT_ROOT / "results",
        help="the results directory (default: this project's)",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    add = commands.add_parser("promote", help="copy complete records into results/")
    add.add_argument("runs", nargs="+", type=Path, metavar="RUN_DIRECTORY")
    add.add_argument("--min-episodes", type=int, default=MIN_EPISODES)
    add.add_argument("--first", type=int, help="only the first so many episodes")
    add.add_argument("--replace", action="store_true", help="replace older rows")
    commands.add_parser("build", help="compute results/leaderboard.csv")
    commands.add_parser("show", help="print results/leaderboard.csv")
    return parser


def _run(arguments: argparse.Namespace) -> None:
    table_path = arguments.results / "leaderboard.csv"
    if arguments.command == "promote":
        for run in arguments.runs:
            print(f"{run} -> {_promote(run, arguments)}")
    elif arguments.command == "build":
        table = build(arguments.results)
        write_text(table_path, table.to_csv(index=False))
        print(f"{len(table)} rows -> {table_path}")
    else:
        from eval.table import print_tables, read_leaderboard

        print_tables(read_leaderboard(table_path))


def _promote(run: Path, arguments: argparse.Namespace) -> Path:
    results, first, replace = arguments.results, arguments.first, arguments.replace
    if not suite_of(run):
        least = arguments.min_episodes
        return promote(run, results, min_episodes=least, first=first, replace=replace)
    if first is not None:
        raise ValueError(
            f"`--first` needs a run of suite=tasks, got {run}: leave it away."
        )
    return promote_suite(run, results, replace=replace)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; returns 1 after printing the reason if it is refused."""
    try:
        _run(_parser().parse_args(argv))
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
