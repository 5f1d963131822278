"""What suites of several rows share: rows, batches, folder, lines of a killed run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import hydra
import pandas as pd
from omegaconf import DictConfig

from eval.build import other_memory
from eval.record import write_atomically
from eval.run_spec import canonical_json, code_name, config_digest, slug
from world_model.plain import plain


def row_config(overrides: Sequence[str], row: str) -> DictConfig:
    """The configuration of a row: a memory, and what else it overrides.

    Args:
        overrides: The command line.
        row: E.g. "temp_lora memory.rank=4".
    """
    name, *changed = row.split()
    return hydra.compose("eval", [*other_memory(overrides, name)[1], *changed])


def batches(first_seed: int, number: int, size: int) -> list[list[int]]:
    """Seeds `first_seed` ... in groups that run in lockstep."""
    seeds = list(range(first_seed, first_seed + number))
    return [seeds[i : i + size] for i in range(0, number, size)]


def open_folder(cfg: DictConfig, made_by: Mapping[str, Any], *names: str) -> Path:
    """A suite's folder: another configuration or revision is another folder.

    Args:
        cfg: The resolved configuration; its digest is part of the folder's name.
        made_by: From `run_spec.provenance`; written beside it.
        names: What the folder's name begins with.
    """
    config = plain(cfg)
    stem = "-".join(slug(name) for name in names)
    name = f"{stem}-{config_digest(config)}-{code_name(made_by)}"
    folder = Path(cfg.outputs) / name
    folder.mkdir(parents=True, exist_ok=True)
    run = {"config": config, "provenance": made_by}
    write_atomically(folder / "run.json", canonical_json(run))
    return folder


def recorded(path: Path) -> pd.DataFrame:
    """The lines of a killed run, or none."""
    if not path.exists():
        return pd.DataFrame(columns=["row", "seed"])
    return pd.read_csv(path, keep_default_na=False, na_values=[""])
