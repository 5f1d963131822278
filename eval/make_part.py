"""One part of a run from its configuration; a plug-in that fails is named."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any, TypeVar

from hydra.utils import instantiate
from omegaconf import DictConfig

from eval.errors import PluginError, described
from eval.plugin_code import packages_of_others
from world_model.plain import plain

Part = TypeVar("Part")
Naming = Callable[[], AbstractContextManager[None]]
"""What gives errors the name of a plug-in, see `naming`."""


def make_part(
    group: str,
    node: DictConfig,
    kind: type[Part],
    *args: Any,
    name: str | None = None,
    **kwargs: Any,
) -> Part:
    """Makes what a configuration describes.

    Args:
        group: Its config group, e.g. "objective".
        node: `_target_` and options; `name`, `planner` and `decision_seconds` are none.
        kind: The contract it must derive from.
        args: Passed on.
        name: What it is called; by default the node's own name.
        kwargs: Passed on.

    Raises:
        PluginError: If a plug-in cannot be made; the message names it.
    """
    with naming(group, node, name=name):
        return expect(instantiate_node(node, *args, **kwargs), kind)


@contextmanager
def naming(
    group: str,
    node: DictConfig,
    inner: DictConfig | None = None,
    *,
    name: str | None = None,
) -> Iterator[None]:
    """Says which plug-in an error came from; errors of our own parts are left alone.

    Args:
        group: Its config group.
        node: Its configuration.
        inner: The part of it that is used, if it is not all.
        name: What it is called; by default the node's own name.
    """
    try:
        yield
    except PluginError:
        raise  # e.g. of an objective, inside a planner that is none the worse
    except Exception as error:
        part = node if inner is None else inner
        if is_ours(part):
            raise
        target = part["_target_"]
        name = name or node.get("name")  # objectives and tasks have none
        raise PluginError(
            f"`{group}={name or target}` ({target}) must work without an error, got "
            f"{described(error)}: correct that plug-in; "
            f"`python -m eval.check {group} {name or 'NAME'}` says more."
        ) from error


def checked(
    group: str,
    node: DictConfig,
    part: Part,
    check: Callable[[Part, Naming], Part],
    inner: DictConfig | None = None,
) -> Part:
    """The part; if it is a plug-in's, `check` of it, see `naming`."""
    if is_ours(node if inner is None else inner):
        return part
    return check(part, partial(naming, group, node, inner))


def is_ours(node: Mapping[Any, Any]) -> bool:
    """True if a configuration names classes of this project only, or none.

    A part of ours around one of others (`GymnasiumPolicy`) is theirs; the planner
    inside a policy is a part of its own.
    """
    values = plain(node) if isinstance(node, DictConfig) else node
    own = {key: value for key, value in values.items() if key != "planner"}
    return not packages_of_others(own)


def expect(part: Any, kind: type[Part]) -> Part:
    """The part itself.

    Raises:
        TypeError: If it does not derive from its contract.
    """
    if not isinstance(part, kind):
        raise TypeError(
            f"an object of {type(part).__name__} that does not derive from "
            f"{kind.__module__}.{kind.__name__}"
        )
    return part


def instantiate_node(node: DictConfig, *args: Any, **kwargs: Any) -> Any:
    """Calls the `_target_` of a configuration with `args`, `kwargs` and its options."""
    options = plain(node)
    options.pop("name", None)
    options.pop("planner", None)  # made before and passed on
    options.pop("decision_seconds", None)  # of the run, see configs/eval.yaml
    return instantiate(options, *args, **kwargs)
