"""`suite=generate`: long open-loop videos with several memories, side by side.

The paper's Algorithm 1a, with the measures and the costs of its Tables 1, 3 and 4.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from omegaconf import DictConfig

from envs.domains import domain_class
from eval.build import build, require_tour, tour_env
from eval.generation.generate import Generated, generate, generating_model
from eval.generation.long_walk import LongWalk, drive
from eval.generation.scores import AGAINST_TRUTH, generation_scores
from eval.generation.summary import REAL, print_generation, summarise
from eval.image_scores import require_networks
from eval.run_spec import config_digest, slug
from eval.suite_run import (
    batches,
    check_rows_say,
    open_folder,
    recorded,
    row_config,
)
from eval.video.weights import VGG16
from eval.video_file import side_by_side, write_mp4
from world_model.errors import at_least, list_of
from world_model.whole_file import whole_file, write_text

TABLE = "generate.csv"


def run_generate(cfg: DictConfig, overrides: Sequence[str]) -> Path:
    """Runs the suite and returns its output directory.

    Writes generate.csv (a line per row and video), generate_summary.csv, video.mp4 (the
    first episode: real | row | row ...) and run.json. A killed run continues after its
    last whole batch of videos.

    Raises:
        ValueError: If fewer frames are asked for than one action takes, or a row
            cannot generate.
    """
    require_tour(cfg)
    check_rows_say(overrides, "generate.memories", chosen=True)
    least = domain_class(cfg.task.domain).chunk_length
    at_least(1, frames=cfg.frames)
    if cfg.frames < least:
        raise ValueError(
            f"`frames` must be at least {least}, those of one action, got {cfg.frames}."
        )
    require_networks(cfg.task.domain, VGG16)
    asked = list_of(str, "generate.memories", cfg.generate.memories)
    rows = list(dict.fromkeys(asked))
    if not rows:
        raise ValueError("`generate.memories` must name a memory, got none: add one.")
    configs = {row: row_config(overrides, row) for row in rows}
    runs = {row: build(config) for row, config in configs.items()}
    for parts in runs.values():
        generating_model(parts)  # refuses a row before any other has begun
    device = next(iter(runs.values())).device or "cpu"
    used = list(configs.values())
    names = ("generate", cfg.task.domain, cfg.split)
    folder = open_folder(cfg, overrides, used, device, *names)
    env = tour_env(cfg)
    try:
        for seeds in batches(cfg.first_seed, cfg.episodes, cfg.num_envs):
            walks = [drive(env, s, cfg.frames // least) for s in seeds]
            for row in _missing(folder, [REAL, *rows], seeds[0]):
                made = _real(walks) if row == REAL else generate(runs[row], walks, row)
                _record(folder, row, made, _lines(row, made, walks, cfg.task.domain))
    finally:
        env.close()
    _report(folder, rows)
    return folder


def _missing(folder: Path, rows: list[str], seed: int) -> Iterator[str]:
    """Rows of a batch that no earlier run has finished."""
    for row in rows:
        lines = recorded(folder / TABLE)
        if not ((lines["row"] == row) & (lines["seed"] == seed)).any():
            yield row


def _real(walks: list[LongWalk]) -> Generated:
    """The truth as if it were generated: floor of cuts, ceiling of SRC."""
    frames = np.stack([walk.real for walk in walks])
    return Generated(frames, np.nan, np.nan, np.nan, np.nan)


def _lines(
    row: str, made: Generated, walks: list[LongWalk], domain: str
) -> list[dict[str, Any]]:
    costs = {
        "seconds": made.seconds,
        "write_seconds": made.write_seconds,
        "memory_bytes": made.memory_bytes,
        "model_bytes": made.model_bytes,
    }
    lines = []
    for walk, frames in zip(walks, made.frames, strict=True):
        scores = generation_scores(walk, frames, domain)
        if row == REAL:
            scores |= dict.fromkeys(AGAINST_TRUTH)
        lines.append({"row": row, "seed": walk.seed, **scores, **costs})
    return lines


def _record(
    folder: Path, row: str, made: Generated, lines: list[dict[str, Any]]
) -> None:
    """Adds the lines; keeps the first video of the first batch for the picture."""
    path = _video_path(folder, row)
    if not path.exists():
        with whole_file(path) as file:
            np.savez_compressed(file, made.frames[0])
    known, new = recorded(folder / TABLE), pd.DataFrame(lines)
    table = new if known.empty else pd.concat([known, new])
    write_text(folder / TABLE, table.to_csv(index=False))


def _video_path(folder: Path, row: str) -> Path:
    # Names are cut: long rows may differ at their ends only.
    return folder / f"{slug(row)}-{config_digest({'row': row})}.npz"


def _report(folder: Path, rows: list[str]) -> None:
    table = summarise(recorded(folder / TABLE))
    text = table.round(5).to_csv(index=False)
    write_text(folder / "generate_summary.csv", text)
    videos = [np.load(_video_path(folder, row))["arr_0"] for row in (REAL, *rows)]
    write_mp4(side_by_side(videos), folder / "video.mp4", fps=8)
    print_generation(table)
