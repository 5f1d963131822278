"""Episodes in and out: `python -m envs.convert my_videos data/mine --size 64x64`.

Reads and writes folders of clips with text actions (`video`), LeRobot data sets
(`lerobot`, v3.0), HDF5 files laid out as robomimic's (`hdf5`) and our own data sets
(`shards`), which `python -m world_model.train` reads. The formats are told from the
paths; `--to` names one that a path does not tell. See docs/interop.md.
"""

from __future__ import annotations

from slowfast_bench import require_packages

require_packages()

import argparse
import hashlib
import shutil
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # importing it takes time: `--help` answers at once
    import numpy as np

    from envs.formats.api import EpisodeFormat, ReadOptions
    from envs.formats.episode import Episode
    from envs.formats.plan import Plan
    from world_model.shards import ShardMeta

NAMES = ("shards", "hdf5", "video", "lerobot")


def convert(
    source: Path,
    target: Path,
    *,
    source_format: str | None = None,
    target_format: str | None = None,
    options: ReadOptions | None = None,
    num_actions: int | None = None,
    fps: int = 8,
    name: str | None = None,
) -> Plan:
    """Converts a data set; `target` is made whole or not at all.

    Args:
        source: File or folder.
        target: New file or folder.
        source_format: One of `NAMES`; None tells it from the path.
        target_format: One of `NAMES`; None tells it from the path.
        options: How the source is read.
        num_actions: T, actions per episode, of our own format; None takes the length
            of the shortest episode, within 4 and 32.
        fps: Frames per second of videos that are written.
        name: What the domain is called; None for what the source says, or "video".

    Returns:
        What was kept.

    Raises:
        ValueError: If the source is damaged, says too little or cannot be stored so.
        OSError: If the target exists or cannot be written.
    """
    from envs.formats.api import ReadOptions
    from envs.formats.plan import make_plan
    from envs.formats.registry import (
        format_named,
        format_of_source,
        format_of_target,
    )

    options = options or ReadOptions()
    reader = format_named(source_format) if source_format else format_of_source(source)
    writer = (
        format_named(target_format)
        if target_format
        else format_of_target(target, reader)
    )
    _check_new(target)
    known = reader.meta(source)
    _check_options(reader, known, options)
    if num_actions and writer.name != "shards":
        raise ValueError(
            f"`--actions` is for shards, got a target of format {writer.name}, which "
            "keeps whole episodes: leave it out."
        )
    texts = reader.phrases(source, options)
    plan = make_plan(texts, source, num_actions, is_cut=writer.name == "shards")
    origin = _origin(source, reader, options, plan)
    meta = _meta(known, plan, options, name, origin, reader)
    print(plan)
    if len(meta.phrases) == 1:
        print(
            f"note: all actions are called {meta.phrases[0]!r}: a model of them goes "
            "on as it was shown, and cannot be told what to do"
        )
    start = time.monotonic()
    with _whole(target) as scratch:
        writer.write(scratch, _pieces(reader, source, options, plan, meta), meta, fps)
    print(f"{target}: {writer.name}, {time.monotonic() - start:.0f} s")
    return plan


def _check_options(
    reader: EpisodeFormat, known: ShardMeta | None, options: ReadOptions
) -> None:
    """Refuses options that the source's format would ignore or be corrupted by.

    Raises:
        ValueError: If there are such options.
    """
    length = options.frames_per_action(known)
    if reader.name == "shards" and known and length != known.chunk_length:
        raise ValueError(
            f"Shards keep their {known.chunk_length} frames per action, got "
            f"--frames-per-action {options.chunk_length}: leave it out."
        )
    if reader.streams:
        return
    stride = options.stride if options.stride > 1 else None
    for name, value in (("--stride", stride), ("--camera", options.camera)):
        if value is not None:
            raise ValueError(
                f"`{name}` is for lerobot and hdf5, got {value} for a source of format "
                f"{reader.name}: leave it out."
            )


def _pieces(
    reader: EpisodeFormat,
    source: Path,
    options: ReadOptions,
    plan: Plan,
    meta: ShardMeta,
) -> Iterator[Episode]:
    """The episodes of the target, with a progress bar."""
    from rich.progress import track

    episodes = _of_one_size(reader.read(source, options))
    if plan.num_actions and reader.meta(source) is None:  # our own were trained on
        episodes = _on_the_grid(episodes)
    for episode in track(episodes, "converting", total=plan.num_episodes):
        whole = replace(episode, labels=_labels(episode, meta, source))
        yield from whole.pieces(plan.num_actions) if plan.num_actions else [whole]


def _labels(episode: Episode, meta: ShardMeta, source: Path) -> dict[str, np.ndarray]:
    """The labels of the target.

    Raises:
        ValueError: If the episode lacks one.
    """
    missing = [name for name in meta.labels if name not in episode.labels]
    if missing:
        raise ValueError(
            f"All episodes of {source} must hold the labels {', '.join(meta.labels)}, "
            f"got {episode.name} without {', '.join(missing)}: convert what was added "
            "by itself."
        )
    return {name: episode.labels[name] for name in meta.labels}


def _of_one_size(episodes: Iterable[Episode]) -> Iterator[Episode]:
    """The same episodes; refuses frames that differ in size from the first ones."""
    first: tuple[int, ...] | None = None
    for episode in episodes:
        shape = episode.frames.shape[1:3]
        first = first or shape
        if shape != first:
            raise ValueError(
                "All frames of a data set must have one size, got "
                f"{first[1]}x{first[0]} and {shape[1]}x{shape[0]} ({episode.name}): "
                "give one, e.g. --size 64x64."
            )
        yield episode


def _on_the_grid(episodes: Iterable[Episode]) -> Iterator[Episode]:
    """The same episodes; refuses sizes that world models cannot be trained on."""
    from envs.formats.image_size import GRID

    for episode in episodes:
        height, width = episode.frames.shape[1:3]
        if height % GRID or width % GRID:
            raise ValueError(
                f"Width and height must be multiples of {GRID} px to train on, got "
                f"{width}x{height} ({episode.name}): give a size, e.g. --size 64x64."
            )
        yield episode


def _meta(
    known: ShardMeta | None,
    plan: Plan,
    options: ReadOptions,
    name: str | None,
    origin: dict[str, Any],
    reader: EpisodeFormat,
) -> ShardMeta:
    """What the target says of itself."""
    from world_model.provenance import provenance
    from world_model.shards import ShardMeta

    made = provenance() | {"converted_from": origin}
    if known is None:
        return ShardMeta(
            domain=name or "video",
            chunk_length=options.frames_per_action(None),
            phrases=plan.phrases,
            inverses=(None,) * len(plan.phrases),
            objects=(),
            provenance=made,
            labels=(),
        )
    made["converted_from"]["provenance"] = known.provenance
    if "split" in known.provenance:  # what is there to be judged on stays so
        made["split"] = known.provenance["split"]
    new = tuple(x for x in plan.phrases if x not in known.phrases)
    is_moved_alike = not new and not _cuts_otherwise(reader, known, options)
    return replace(
        known,
        domain=name or known.domain,
        chunk_length=options.frames_per_action(known),
        phrases=known.phrases + new,
        inverses=known.inverses + (None,) * len(new),
        motions=known.motions if is_moved_alike else None,
        labels=_kept_labels(known, options),
        provenance=made,
    )


def _cuts_otherwise(
    reader: EpisodeFormat, known: ShardMeta, options: ReadOptions
) -> bool:
    """Whether actions become longer or shorter than they were recorded."""
    length = options.frames_per_action(known) * options.stride
    return reader.streams and length != known.chunk_length


def _kept_labels(known: ShardMeta, options: ReadOptions) -> tuple[str, ...]:
    """Labels that stay true: none of other chunks, no pixels of another size."""
    if options.frames_per_action(known) != known.chunk_length or options.stride > 1:
        return ()
    return tuple(x for x in known.labels if x != "visible" or options.size is None)


def _origin(
    source: Path, reader: EpisodeFormat, options: ReadOptions, plan: Plan
) -> dict[str, Any]:
    """Where a data set comes from, as plain JSON values."""
    files = [source] if source.is_file() else sorted(source.rglob("*"))
    listing = [(x.name, x.stat().st_size) for x in files if x.is_file()]
    return {
        "format": reader.name,
        "path": source.name,
        "files": len(listing),
        "listing_sha256": hashlib.sha256(repr(listing).encode()).hexdigest(),
        "size": options.size and "x".join(map(str, options.size)),
        "stride": options.stride,
        "camera": options.camera,
        "kept": str(plan),
    }


def _check_new(target: Path) -> None:
    if target.exists():
        raise FileExistsError(
            f"The target must be new, got {target}, which is there: choose another "
            "path, or delete it."
        )


@contextmanager
def _whole(target: Path) -> Iterator[Path]:
    """A path beside `target` that becomes `target` at the end, else disappears."""
    scratch = target.with_name(f".{target.stem}.part{target.suffix}")
    target.parent.mkdir(parents=True, exist_ok=True)
    _remove(scratch)  # of a run that was killed
    try:
        yield scratch
        scratch.rename(target)
    finally:
        _remove(scratch)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m envs.convert",
        description="Converts recorded episodes from one format to another.",
        epilog="The formats are explained in docs/interop.md.",
    )
    add = parser.add_argument
    add("source", type=Path, help="file or folder to read")
    add("target", type=Path, help="new file or folder; a folder becomes `shards`")
    add("--from", dest="source_format", choices=NAMES, help="instead of guessing")
    add("--to", dest="target_format", choices=NAMES, help="instead of guessing")
    add("--size", help="crop and scale frames to WIDTHxHEIGHT, e.g. 64x64")
    add("--frames-per-action", type=int, metavar="F", help="default: as it was, or 4")
    add("--stride", type=int, default=1, help="lerobot, hdf5: keep every n-th frame")
    add("--camera", help="lerobot, hdf5: which of several")
    add("--actions", type=int, metavar="T", help="shards: actions per episode")
    add("--fps", type=int, default=8, help="video, lerobot: of what is written")
    add("--name", help="what the domain is called; default: as it was, or video")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Converts; returns 1 after printing the reason if that is refused."""
    arguments = _parser().parse_args(argv)
    try:
        convert(
            arguments.source,
            arguments.target,
            source_format=arguments.source_format,
            target_format=arguments.target_format,
            options=_options(arguments),
            num_actions=arguments.actions,
            fps=_positive("fps", arguments.fps),
            name=arguments.name,
        )
    except (ValueError, OSError, ModuleNotFoundError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _options(arguments: argparse.Namespace) -> ReadOptions:
    from envs.formats.api import ReadOptions
    from envs.formats.image_size import parse_size

    length = arguments.frames_per_action
    return ReadOptions(
        size=None if arguments.size is None else parse_size(arguments.size),
        chunk_length=None if length is None else _positive("frames-per-action", length),
        stride=_positive("stride", arguments.stride),
        camera=arguments.camera,
    )


def _positive(name: str, value: int) -> int:
    if value < 1:
        raise ValueError(f"`--{name}` must be at least 1, got {value}.")
    return value


if __name__ == "__main__":
    sys.exit(main())
