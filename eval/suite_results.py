"""Reports of suites that are no rows of the leaderboard, promoted into results/.

`python -m eval.leaderboard promote` comes here with the folder of a suite: its tables
and pictures are copied, its raw lines (tens of thousands) stay where they are.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eval.record import RUN_FILE
from eval.run_spec import slug
from world_model.whole_file import replace_folder

FILES: dict[str, tuple[str, ...]] = {
    "recall": (
        RUN_FILE,
        "recall_summary.csv",
        "recall_pairs.csv",
        "recall_costs.csv",
        "recall_by_delay.png",
        "recall_by_cost.png",
    ),
    "planners": (RUN_FILE, "planners.csv", "planners.png"),
    "generate": (RUN_FILE, "generate_summary.csv", "generate.csv"),
    "quality": ("quality.json", "quality.csv", "grid.png", "filmstrip.png"),
}
"""What a finished report of each suite holds; the first says how it was made."""


def suite_of(directory: Path) -> str | None:
    """The suite that made a folder; None for a run of tasks or anything else."""
    for suite, (made_by, *_) in FILES.items():
        path = directory / made_by
        if not path.exists():
            continue
        if json.loads(path.read_text())["config"].get("suite") == suite:
            return suite
    return None


def promote_suite(directory: Path, results: Path, *, replace: bool = False) -> Path:
    """Copies a suite's report into results/<suite>/<task>-<split>.

    That of `suite=planners` also names its world models, which may run side by side.

    Args:
        directory: The suite's folder, e.g. outputs/recall-rooms-val-...
        results: The results directory.
        replace: Whether an earlier report of the same suite and task may go.

    Returns:
        Where the report lies now.

    Raises:
        ValueError: With every reason why it is refused.
    """
    suite = suite_of(directory)
    if suite is None:
        raise ValueError(f"{directory} must be the folder of a suite: {list(FILES)}.")
    run = json.loads((directory / FILES[suite][0]).read_text())
    names = [run["config"]["task"]["name"], run["config"]["split"]]
    if suite == "planners":
        names += run["config"]["planners"]["world_models"]
    target = results / suite / "-".join(slug(name) for name in names)
    reasons = _refusals(directory, FILES[suite], run)
    if target.exists() and not replace:
        reasons.append(f"{target} exists (replace it with --replace)")
    if reasons:
        raise ValueError(f"{directory} is refused: {'; '.join(reasons)}.")
    replace_folder(target, [directory / name for name in FILES[suite]])
    return target


def _refusals(
    directory: Path, files: tuple[str, ...], run: Mapping[str, Any]
) -> list[str]:
    missing = [name for name in files if not (directory / name).exists()]
    reasons = [f"it is unfinished, {', '.join(missing)} missing"] if missing else []
    return reasons + unreproducible(run)


def unreproducible(run: Mapping[str, Any]) -> list[str]:
    """Why nobody could make a record once more; empty if they can."""
    if run["provenance"]["revision"] is None:
        return ["it was not made from a git checkout"]
    return ["it was made with uncommitted changes"] * run["provenance"]["dirty"]
