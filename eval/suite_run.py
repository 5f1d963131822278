"""What suites of several rows share: rows, batches, folder, lines of a killed run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import hydra
import pandas as pd
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig

from eval.build import other_memory
from eval.build_world_model import weights
from eval.record import RUN_FILE, require_same
from eval.run_spec import canonical_json, code_name, config_digest, provenance, slug
from world_model.errors import unknown_name
from world_model.plain import plain
from world_model.whole_file import write_text


def row_config(overrides: Sequence[str], row: str) -> DictConfig:
    """The configuration of a row: a memory, and what else it overrides.

    Args:
        overrides: The command line.
        row: E.g. "temp_lora memory.rank=4".

    Raises:
        ValueError: If there is no such memory.
    """
    name, *changed = row.split()
    known = GlobalHydra.instance().config_loader().get_group_options("memory")
    if name not in known:
        raise unknown_name("memory", name, known)
    return hydra.compose("eval", [*other_memory(overrides, name)[1], *changed])


def check_rows_say(overrides: Sequence[str], option: str, *, chosen: bool) -> None:
    """Refuses options of a memory that no row would heed.

    Args:
        overrides: The command line.
        option: Where the suite's rows are named, e.g. "recall.memories".
        chosen: Whether `memory=...` itself is one of them.

    Raises:
        ValueError: If there are any.
    """
    keys = ("memory.", "memory@") if chosen else ("memory=", "memory.", "memory@")
    for override in overrides:
        if override.lstrip("+~").startswith(keys):
            raise ValueError(
                f"The rows of this suite are those of `{option}`, got {override}, "
                "which none of them would heed: say it there, e.g. "
                f"'{option}=[none,\"temp_lora memory.rank=4\"]'."
            )


def batches(first_seed: int, number: int, size: int) -> list[list[int]]:
    """Seeds `first_seed` ... in groups that run in lockstep."""
    seeds = list(range(first_seed, first_seed + number))
    return [seeds[i : i + size] for i in range(0, number, size)]


def open_folder(
    cfg: DictConfig,
    overrides: Sequence[str],
    rows: Sequence[DictConfig],
    device: str,
    *names: str,
) -> Path:
    """A suite's folder: another configuration, code or weights is another folder.

    Args:
        cfg: The resolved configuration; its digest is part of the folder's name.
        overrides: The command line that made it.
        rows: The rows' configurations, which name all code of others that is run.
        device: What the world models run on.
        names: What the folder's name begins with.

    Raises:
        ValueError: If a killed run was made with another device or other libraries.
    """
    config = plain(cfg)
    made_by = provenance(
        device=device,
        overrides=overrides,
        config={"suite": config, "rows": [plain(row) for row in rows]},
        weights={weights(row, row.task.domain) for row in rows},
    )
    stem = "-".join(slug(name) for name in names)
    name = f"{stem}-{config_digest(config)}-{code_name(made_by)}"
    folder = Path(cfg.outputs) / name
    run = json.loads(canonical_json({"config": config, "provenance": made_by}))
    if (folder / RUN_FILE).exists():
        require_same(folder, json.loads((folder / RUN_FILE).read_text()), run)
    else:
        write_text(folder / RUN_FILE, canonical_json(run))
    return folder


def recorded(path: Path) -> pd.DataFrame:
    """The lines of a killed run, or none."""
    if not path.exists():
        return pd.DataFrame(columns=["row", "seed"])
    return pd.read_csv(path, keep_default_na=False, na_values=[""])
