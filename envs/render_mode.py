"""How an environment may be asked to render."""

from __future__ import annotations

from world_model.errors import unknown_name


def check_render_mode(mode: str | None) -> None:
    """Refuses all but None and "rgb_array".

    Raises:
        ValueError: If it is something else.
    """
    if mode not in (None, "rgb_array"):
        raise unknown_name("render_mode", mode, ["rgb_array"])
