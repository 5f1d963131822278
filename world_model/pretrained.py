"""Loads a small net that ships beside a world model, checked against that model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from diffusers import ModelMixin

Net = TypeVar("Net", bound=ModelMixin)


def load_trained(net: type[Net], folder: Path, *, name: str, stage: str) -> Net:
    """The net in a folder, in single precision; nothing is downloaded.

    Args:
        net: Its class.
        folder: Where `stage` saved it.
        name: What it is called.
        stage: The training stage that makes one.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If it is damaged.
    """
    require_trained(folder, name=name, stage=stage)
    try:
        return read_net(net, folder)
    except (OSError, RuntimeError, ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"The {name} in {folder} must be readable, got {error}: {_remedy(stage)}."
        ) from error


def require_trained(folder: Path, *, name: str, stage: str) -> None:
    """Refuses a folder that holds no net: diffusers would look on the internet.

    Raises:
        FileNotFoundError: Names the stage that makes one.
    """
    if not (folder / "config.json").exists():
        raise FileNotFoundError(
            f"`{name}` must be a folder with a trained {name}, got "
            f"{folder}: {_remedy(stage)}."
        )


def read_net(net: type[Net], folder: Path) -> Net:
    """The net in a folder, in single precision, with every weight from the file.

    Raises:
        FileNotFoundError: If there is no such folder (diffusers would go online).
        ValueError: If names do not fit (diffusers would draw weights at random).
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder {folder}")
    found, report = net.from_pretrained(
        folder, output_loading_info=True, local_files_only=True
    )
    wrong = [*report["missing_keys"], *report["unexpected_keys"]]
    if wrong:
        raise ValueError(f"{len(wrong)} weights do not fit, such as {wrong[0]}")
    return found.float().eval()


def load_checked(
    net: type[Net],
    folder: Path,
    *,
    stage: str,
    wanted: Mapping[str, Any],
    device: torch.device | str = "cpu",
) -> Net:
    """The net in a folder, in single precision; nothing is downloaded.

    Args:
        net: Its class.
        folder: Where `stage` saved it.
        stage: The training stage that makes one, which is also what it is called.
        wanted: What its configuration must say.
        device: Where it goes: to the latents it is to read.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If it is damaged or its configuration says something else.
    """
    loaded = load_trained(net, folder, name=stage, stage=stage)
    for name, value in wanted.items():
        asked, found = _plain(value), _plain(loaded.config[name])
        if found != asked:
            raise ValueError(
                f"The {stage} in {folder} must have the world model's {name} {asked}, "
                f"got {found}: {_remedy(stage)}."
            )
    return loaded.to(device)


def _remedy(stage: str) -> str:
    return f"train one with `python -m world_model.train stage={stage}`"


def _plain(value: Any) -> Any:
    """Lists and tuples alike, whatever a file format made of them."""
    if isinstance(value, list | tuple):
        return [_plain(x) for x in value]
    return value
