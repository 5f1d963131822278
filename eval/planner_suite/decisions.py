"""What every decision of a row cost and came to: the raw lines behind the table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from eval.evaluate import Episode
from world_model.whole_file import write_text

COLUMNS = ("seed", "decision", "calls", "seconds", "predicted", "success")


def read(path: Path) -> pd.DataFrame:
    """The lines of a row, none if it was not begun.

    Raises:
        ValueError: If the file is damaged.
    """
    if not path.exists():
        return pd.DataFrame(columns=list(COLUMNS))
    try:
        found = pd.read_csv(path, dtype=float)
    except ValueError as error:
        raise ValueError(f"{path} is damaged ({error}): delete it.") from error
    if tuple(found.columns) != COLUMNS:
        raise ValueError(
            f"{path} must have the columns {','.join(COLUMNS)}, got "
            f"{','.join(found.columns)}: delete it; its episodes are then run again."
        )
    return found.astype({"seed": int, "decision": int})


def write(path: Path, before: pd.DataFrame, episodes: Sequence[Episode]) -> None:
    """Adds finished episodes to those of a row, all of them or none."""
    lines = pd.DataFrame([line for e in episodes for line in _lines(e)])
    whole = lines if before.empty else pd.concat([before, lines])
    write_text(path, whole.to_csv(index=False))


def _lines(episode: Episode) -> list[dict[str, float | None]]:
    assert episode.measures is not None
    decided = episode.plan_calls, episode.plan_seconds, episode.predicted
    spent = zip(*decided, strict=True)
    success = int(episode.measures.success)
    return [
        dict(zip(COLUMNS, (episode.seed, i, *values, success), strict=True))
        for i, values in enumerate(spent)
    ]
