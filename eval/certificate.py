"""States whether a task needs memory: `python -m eval.certificate task=...`.

Policies that remember nothing of the tour run on the true environments. The task is
certified if each of them solves at least 60 points less than the same planner does
with the true simulator as world model, which itself solves at least 95 %. Every row
is a record like those of `python -m eval.run`: a killed run continues.
"""

from __future__ import annotations

from slowfast_bench import require_packages

require_packages()

import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from eval.errors import USER_ERRORS
from eval.intervals import (
    Estimate,
    paired_proportion_difference,
    wilson_interval,
)
from eval.leaderboard import format_seeds, other_question, refusals
from eval.record import RunRecord
from eval.run_spec import PROJECT_ROOT
from world_model.errors import one_line
from world_model.names import check_group_names
from world_model.plugins import register_configs
from world_model.whole_file import write_text

MARGIN = 0.60
"""By how much the simulator row must be ahead of each of them."""
CEILING = 0.95
"""What the simulator row must solve."""
MIN_EPISODES = 200


@hydra.main(config_path="../configs", config_name="certificate", version_base="1.3")
def main(cfg: DictConfig) -> None:
    """Runs the rows, prints and writes the certificate; fails if it does not hold."""
    try:
        found = _certify(cfg)
        split = "" if cfg.split == "val" else f"-{cfg.split}"
        path = _path(cfg, found.pop("reasons")) / f"{cfg.task.name}{split}.json"
        write_text(path, json.dumps(found, indent=2) + "\n")
    except USER_ERRORS as error:
        sys.exit(f"error: {one_line(error)}")
    print_certificate(found)
    print(f"results: {path}")
    sys.exit(0 if found["holds"] else 1)


def certificate(records: dict[str, RunRecord]) -> dict[str, Any]:
    """The verdict over finished records.

    Args:
        records: By row name; the row "simulator" is what the others are compared to.

    Returns:
        Plain JSON values: the rows with Wilson intervals, their distance to the
        simulator row over the same episodes, and whether the certificate holds.

    Raises:
        ValueError: If a row is incomplete or was run on other episodes.
    """
    check_comparable(records)
    for name, record in records.items():
        _check_finished(name, record)
    top = records["simulator"]
    run = top.run()
    rows = [_row(name, record, top) for name, record in records.items()]
    floors = [row for row in rows if row["row"] != "simulator"]
    ceiling = next(row for row in rows if row["row"] == "simulator")
    margins_hold = all(row["behind_simulator"] >= MARGIN for row in floors)
    return {
        "task": run["task"],
        "split": run["split"],
        "n": len(run["seeds"]),
        "seeds": format_seeds(run["seeds"]),
        "required_margin": MARGIN,
        "required_ceiling": CEILING,
        "holds": margins_hold and ceiling["success"] >= CEILING,
        "rows": rows,
    }


def _check_finished(name: str, record: RunRecord) -> None:
    if record.remaining_seeds():
        raise ValueError(
            f"A certificate needs finished rows, got {name} with "
            f"{len(record.remaining_seeds())} episodes missing: finish the run "
            f"of {record.directory} first."
        )


def _row(name: str, record: RunRecord, top: RunRecord) -> dict[str, Any]:
    here, there = _successes(record), _successes(top)
    seeds = sorted(here)
    solved = wilson_interval(int(sum(here.values())), len(seeds))
    behind = paired_proportion_difference(
        [there[s] for s in seeds], [here[s] for s in seeds]
    )
    made = record.run()["provenance"]
    return {
        "row": name,
        "success": round(solved.value, 6),
        "low": _rounded(solved.low),
        "high": _rounded(solved.high),
        "behind_simulator": round(behind.value, 6),
        "behind_low": _rounded(behind.low),
        "behind_high": _rounded(behind.high),
        "revision": made["revision"],
        "command": made["command"],
    }


def print_certificate(found: dict[str, Any]) -> None:
    """Prints the rows as a table and the verdict below."""
    from rich.console import Console
    from rich.table import Table

    table = Table(
        title=f"{found['task']}, n={found['n']}, seeds {found['seeds']}, "
        f"split {found['split']}",
        title_justify="left",
    )
    for heading in ("row", "success % [95 %]", "points behind simulator [95 %]"):
        table.add_column(heading, justify="left" if heading == "row" else "right")
    for row in found["rows"]:
        solved = Estimate(row["success"], row["low"], row["high"])
        behind = Estimate(
            row["behind_simulator"], row["behind_low"], row["behind_high"]
        )
        cells = [x.text("{:.1f}", 100) for x in (solved, behind)]
        table.add_row(row["row"], *cells[: 1 if row["row"] == "simulator" else 2])
    Console().print(table)
    verdict = "holds" if found["holds"] else "does not hold"
    print(
        f"The certificate {verdict}: every memory-less row must be at least "
        f"{100 * MARGIN:.0f} points behind the simulator row, and that row must solve "
        f"at least {100 * CEILING:.0f} %."
    )


def check_comparable(records: dict[str, RunRecord]) -> None:
    """Refuses rows that were not run on the episodes of the simulator row.

    Raises:
        ValueError: With every reason, or if there is nothing to compare it to.
    """
    if len(records) < 2:
        raise ValueError(
            "A certificate needs memory-less rows, got none: let `floors` of the task "
            "name their policies."
        )
    top = records["simulator"].run()
    problems = []
    if top["world_model"] != "simulator":
        problems.append(f"simulator: its world model is {top['world_model']}")
    for name, record in records.items():
        run = record.run()
        problems += [f"{name}: {reason}" for reason in other_question(run, top)]
    if problems:
        raise ValueError(
            "A certificate needs rows over the same episodes, got: "
            f"{'; '.join(problems)}. Name a simulator run with the same task, "
            "episodes, first_seed and split."
        )


def _certify(cfg: DictConfig) -> dict[str, Any]:
    """Opens all records, then runs what is missing: bad input shows at once."""
    from envs.domains import domain_class
    from envs.tasks import find_task
    from eval.session import Session
    from world_model.device import use_threads

    domain_class(cfg.task.domain)  # refuses those whose tasks have no tour
    task = find_task(cfg.task.kind)
    common = _common_overrides(cfg, task.ceiling)
    use_threads(cfg.threads, cfg.workers)
    runs = {name: [f"planner={name}", "memory=none"] for name in task.floors}
    if not cfg.simulator:
        runs["simulator"] = ["world_model=simulator", *task.ceiling]
        runs["simulator"] += [f"world_model.weights={cfg.weights}"] * bool(cfg.weights)
    sessions = {
        name: Session(hydra.compose("eval", [*common, *own]), [*common, *own])
        for name, own in runs.items()
    }
    records = {name: session.record for name, session in sessions.items()}
    if cfg.simulator:
        records["simulator"] = RunRecord(cfg.simulator)
        _check_finished("simulator", records["simulator"])
    check_comparable(records)
    for session in sessions.values():
        session.run()
    words = list(HydraConfig.get().overrides.task)
    command = shlex.join(["python", "-m", "eval.certificate", *words])
    return {
        **certificate(records),
        "command": command,
        "reasons": _reasons(records),
    }


def _common_overrides(cfg: DictConfig, ceiling: Sequence[str]) -> list[str]:
    """The options of `eval.run` that all rows share."""
    from eval.build import check

    if cfg.simulator and cfg.weights:
        raise ValueError(
            f"`weights` are those of a simulator row to be run, got {cfg.weights} "
            f"beside simulator={cfg.simulator}: leave one of them away."
        )
    names = "split episodes first_seed num_envs workers threads outputs"
    # As hydra reads it: None would be the word "None".
    options = [f"{x}={'null' if cfg[x] is None else cfg[x]}" for x in names.split()]
    same = [f"task={cfg.task.name}", "paired=null", "video=false"]
    check(hydra.compose("eval", [*same, *ceiling, *options]))
    return [*same, *options]


def _reasons(records: dict[str, RunRecord]) -> list[str]:
    """Why the certificate cannot be reproduced from the repository."""
    return [
        f"{name}: {reason}"
        for name, record in records.items()
        for reason in refusals(record, MIN_EPISODES)
    ]


def _path(cfg: DictConfig, reasons: Sequence[str]) -> Path:
    """The certificate's folder: `results` only for what can be reproduced."""
    results = Path(cfg.results or PROJECT_ROOT / "results")
    for reason in reasons:
        print(f"not for {results}: {reason}")
    return (Path(cfg.outputs) if reasons else results) / "certificates"


def _successes(record: RunRecord) -> dict[int, float]:
    return {int(row["seed"] or 0): float(row["success"] or 0) for row in record.rows()}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)


if __name__ == "__main__":
    try:
        check_group_names(sys.argv[1:])
    except ValueError as error:
        sys.exit(f"error: {error}")
    register_configs()
    main()
