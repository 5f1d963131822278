"""`row_name`: what a row of a table is called, and where it stands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eval.make_part import is_ours

# From floor to ceiling. What is not named stands before the ceiling.
ROW_ORDER = (
    "noop",
    "random",
    "open_loop",
    "reverse_log",
    "mean_start",
    "expert_no_memory",
    "none",
    "window",
    "anchor",
    "temp_lora_paper",
    "temp_lora_text",
    "temp_lora_frame",
    "temp_lora_sequence",
    "temp_lora",
    "temp_lora_guided",
    "retrieval_view",
    "retrieval",
    "ridge",
    "pose_weights",
    "pose_map",
    "predictive_state_still",
    "predictive_state",
    "predictive_state_retrieval",
    "",
    "oracle",
    "expert",
    "simulator",
)
STANDARD = ("mpc", "mpc_table")
"""What memories are compared under: the planner of robots that travel, of the table."""
_OURS = ("none", "tiny", "simulator")


def row_name(run: Mapping[str, Any]) -> str:
    """What a row is called: by the part in which it differs from the others.

    The memory for the standard planner, the planner for a scripted policy,
    both for any other planner; "simulator" for memory where it is the model.
    A goal image that the task does not show is said, and an objective or a world model
    of one's own.
    """
    planner, memory, model = run["planner"], run["memory"], run["world_model"]
    own = [] if model in _OURS else [model]
    mark = "".join(f", {word}" for word in [*own, *marks(run)])
    what = "simulator" if model == "simulator" else str(memory)
    if planner in STANDARD:
        name = what
    else:
        name = str(planner) if model == "none" else f"{what}+{planner}"
    return name + mark


def marks(run: Mapping[str, Any]) -> list[str]:
    """What makes a row another than that of its parts."""
    found = ["given image"] * is_image_given(run)
    objective = run["config"].get("objective", {})
    if run["world_model"] != "none" and not is_ours(objective):
        found.append(objective["_target_"].rpartition(".")[2])
    if grammar := run["config"].get("planner", {}).get("grammar"):
        found.append(str(grammar.get("path", grammar["_target_"])).rpartition(".")[2])
    return found


def is_image_given(run: Mapping[str, Any]) -> bool:
    """Whether the goal was shown, the easier question."""
    return bool(run["config"].get("goal") == "given_image")


def standing(name: str) -> tuple[bool, int, str]:
    """Sorts the names of rows: each planner's from floor to ceiling, ours first."""
    row, _, planner = name.partition("+")
    return bool(planner), ROW_ORDER.index(row if row in ROW_ORDER else ""), name
