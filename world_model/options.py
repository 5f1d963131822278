"""Options of the command line -> frozen dataclasses, names and types checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar, get_type_hints

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from world_model.errors import unknown_name
from world_model.plain import plain

Options = TypeVar("Options")


def make_options(kind: type[Options], name: str, values: Mapping[str, Any]) -> Options:
    """The dataclass `kind` with some of its fields given.

    Args:
        kind: A dataclass whose fields have defaults.
        name: What the group is called on the command line, for errors.
        values: By field; those of a field that is a dataclass itself as a mapping.

    Raises:
        ValueError: If a field is unknown, with the nearest one, or of another type.
    """
    known = {field.name: field.type for field in fields(kind)}  # type: ignore[arg-type]
    hints = get_type_hints(kind)
    schema = OmegaConf.structured(kind)
    OmegaConf.set_readonly(schema, False)
    given: dict[str, Any] = {}
    for key, value in values.items():
        if key not in known:
            raise unknown_name(f"option of `{name}`", key, known)
        if is_dataclass(hints[key]):
            given[key] = make_options(hints[key], f"{name}.{key}", value)
            continue
        try:
            schema[key] = value
        except OmegaConfBaseException as error:
            raise ValueError(
                f"`{name}.{key}` must be of type {known[key]}, got {value!r}."
            ) from error
        given[key] = plain(schema)[key]
    return kind(**given)
