"""`VideoFormat`: a folder of clips, each with a JSON file of the same name.

    my_videos/kitchen.mp4
    my_videos/kitchen.json      {"actions": ["open the door", "go in"]}

Actions share the clip evenly, or say when they happen [s]:

    {"actions": [{"text": "open the door", "start": 0.0, "end": 1.5}, ...]}

Time between two actions is left out, and what follows is an episode of its own.
`slowfast.json` beside them is ours, and so are `labels` in the JSON of a clip.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from envs.formats.api import EpisodeFormat, ReadOptions, stored_meta
from envs.formats.episode import Episode
from envs.formats.mp4 import frame_times, read_frames, write_video
from world_model.shards import ShardMeta

SUFFIXES = (".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v")
META = "slowfast.json"
GAP = 0.05
"""Actions that are further apart than this [s] do not follow each other."""
_HINT = '{"actions": ["open the door", "go in"]}'


@dataclass(frozen=True)
class _Action:
    """A phrase and when it begins and ends, in the unit of the positions of frames."""

    text: str
    start: float
    end: float


class VideoFormat(EpisodeFormat):
    """H.264 that every player shows: not lossless, see `docs/interop.md`."""

    name = "video"

    def recognises(self, path: Path) -> bool:
        """See `EpisodeFormat`."""
        return bool(path.is_dir() and _clips(path))

    def meta(self, path: Path) -> ShardMeta | None:
        """See `EpisodeFormat`."""
        file = path / META
        return stored_meta(file.read_text(), path) if file.exists() else None

    def phrases(self, path: Path, options: ReadOptions) -> list[tuple[str, ...]]:
        """See `EpisodeFormat`."""
        runs = [run for clip in _clips(path) for run in _actions(clip)[1]]
        return [tuple(action.text for action in run) for run in runs]

    def read(self, path: Path, options: ReadOptions) -> Iterator[Episode]:
        """See `EpisodeFormat`."""
        size = options.frames_per_action(self.meta(path))
        for clip in _clips(path):
            fields = _fields(clip)
            positions, runs = _actions(clip)
            for number, run in enumerate(runs):
                picks = _picks(run, positions, size)
                labels = fields.get("labels", {})
                yield Episode(
                    clip.stem if number == 0 else f"{clip.stem}@{number}",
                    read_frames(clip, picks, options.size),
                    tuple(action.text for action in run),
                    {name: np.array(rows) for name, rows in labels.items()},
                )

    def write(
        self, path: Path, episodes: Iterable[Episode], meta: ShardMeta, fps: int
    ) -> None:
        """See `EpisodeFormat`."""
        path.mkdir()
        for number, episode in enumerate(episodes):
            clip = path / f"episode_{number:06d}.mp4"
            write_video(clip, episode.frames, fps)
            labels = {name: x.tolist() for name, x in episode.labels.items()}
            fields = {"actions": list(episode.phrases)} | (
                {"labels": labels} if labels else {}
            )
            clip.with_suffix(".json").write_text(json.dumps(fields))
        (path / META).write_text(json.dumps(asdict(meta), indent=2))


def _clips(path: Path) -> list[Path]:
    return sorted(x for x in path.iterdir() if x.suffix.lower() in SUFFIXES)


def _fields(clip: Path) -> dict[str, Any]:
    """What the JSON file of a clip says.

    Raises:
        ValueError: If it is missing or says something else.
    """
    file = clip.with_suffix(".json")
    if not file.exists():
        raise ValueError(
            f"Every clip must have a JSON file of its name, got {clip.name} without "
            f"{file.name}: write one, e.g. {_HINT}."
        )
    try:
        fields = json.loads(file.read_text())
    except ValueError as error:
        raise _refused(file, f"a file that is no JSON ({error})") from error
    actions = fields.get("actions") if isinstance(fields, dict) else None
    if not isinstance(actions, list) or not actions:
        raise _refused(file, str(fields)[:80])
    return fields


def _refused(file: Path, found: str) -> ValueError:
    return ValueError(
        f"{file.name} must list actions in their order, each a text or text, start and "
        f"end [s], got {found}: write e.g. {_HINT}."
    )


def _actions(clip: Path) -> tuple[np.ndarray, list[list[_Action]]]:
    """Positions of all frames, and runs of actions that follow each other."""
    file = clip.with_suffix(".json")
    entries = _fields(clip)["actions"]
    times = frame_times(clip)
    if len(times) <= len(entries):
        raise ValueError(
            f"{clip.name} must have more frames than actions, got {len(times)} for "
            f"{len(entries)} actions: correct {file.name}."
        )
    if all(isinstance(x, str) and x.strip() for x in entries):
        positions = np.arange(len(times), dtype=float)
        ends = np.linspace(0, len(times) - 1, len(entries) + 1)
        texts = [" ".join(x.split()) for x in entries]
        bounds = zip(texts, ends[:-1], ends[1:], strict=True)
        return positions, [[_Action(text, a, b) for text, a, b in bounds]]
    if any(isinstance(x, str) for x in entries):
        wrong = next(x for x in entries if not (isinstance(x, str) and x.strip()))
        raise _refused(file, f"the entry {wrong!r} among texts")
    actions = [_timed(x, file) for x in entries]
    return times, _runs(actions, times, file)


def _timed(entry: Any, file: Path) -> _Action:
    try:
        text = " ".join(entry["text"].split())
        action = _Action(text, float(entry["start"]), float(entry["end"]))
    except (TypeError, KeyError, AttributeError, ValueError) as error:
        raise _refused(file, f"the entry {entry!r}") from error
    if not action.text or not 0 <= action.start < action.end:
        raise _refused(file, f"the entry {entry!r}")
    return action


def _runs(actions: list[_Action], times: np.ndarray, file: Path) -> list[list[_Action]]:
    runs: list[list[_Action]] = []
    before = -np.inf
    # The last frame is shown as long as the others.
    end = times[-1] + float(np.median(np.diff(times))) + GAP
    for action in actions:
        if action.start < before - GAP or action.end > end:
            raise _refused(
                file,
                f"{action.text!r} from {action.start} to {action.end} s after one that "
                f"ends at {before} s, in a clip of {times[-1]:.2f} s",
            )
        if action.start > before + GAP:
            runs.append([])
        runs[-1].append(action)
        before = action.end
    return runs


def _picks(run: list[_Action], positions: np.ndarray, size: int) -> list[int]:
    """The frames nearest to evenly spread moments of every action."""
    moments = [run[0].start]
    for action in run:
        moments += np.linspace(action.start, action.end, size + 1)[1:].tolist()
    right = np.searchsorted(positions, moments).clip(1, len(positions) - 1)
    left = right - 1
    is_left = moments - positions[left] <= positions[right] - moments
    return np.where(is_left, left, right).tolist()
