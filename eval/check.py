"""Runs the conformance kit on one part: `python -m eval.check planner my_planner`.

Says of every law whether it holds, and of a broken one the smallest example that
breaks it. Works for installed plug-ins and for our own parts; what breaks, hangs or
cannot even be imported is one line of the report. Options after the name are those
of `python -m eval.run`.
"""

from __future__ import annotations

from slowfast_bench import require_packages

require_packages()

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

import hydra

from eval.errors import described
from eval.time_limit import OutOfTime, time_limit
from world_model.errors import positive
from world_model.names import CONFIGS, check_group_names
from world_model.plugins import GROUPS, register_configs

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from eval.laws.example import Example

SECONDS = 60.0
"""What one law may take on one example."""
MADE = "It can be made and tried."
_FAST_TASK = "task=scroll_find_seen"
"""Where policies are tried: nothing is rendered there."""


@dataclass(frozen=True)
class Verdict:
    """What became of one law.

    Attributes:
        law: What must hold.
        problem: How it was broken, None if it holds.
        example: The smallest example that breaks it.
    """

    law: str
    problem: str | None = None
    example: str = ""

    def __str__(self) -> str:
        if self.problem is None:
            return f"  holds   {self.law}"
        lines = [f"  BROKEN  {self.law}", f"          {self.problem}"]
        if self.example:
            lines.append(f"          smallest example: {self.example}")
        return "\n".join(lines)


def check(
    kind: str, name: str, overrides: Sequence[str] = (), *, seconds: float = SECONDS
) -> list[Verdict]:
    """Tries all laws of a kind on the part of that name.

    Args:
        kind: "planner", "memory", "world_model", "task", "objective" or "metric".
        name: As in `planner=<name>`.
        overrides: Further options of `python -m eval.run`.
        seconds: What one law may take on one example.

    Raises:
        ValueError: If there is no such name, or no time.
    """
    words = [*_defaults(kind, overrides), f"{kind}={name}", *overrides]
    check_group_names(words)
    positive(seconds=seconds)
    try:
        cfg = _compose(words)
        modules = [import_module(f"eval.laws.{x}") for x in _laws_of(kind, cfg)]
        with time_limit(seconds):  # from here on code of the part runs
            tried = [(module.LAWS, module.examples(cfg)) for module in modules]
    except (Exception, OutOfTime, SystemExit) as error:
        return [Verdict(MADE, _problem(error, seconds))]
    found = [Verdict(MADE)]
    if not any(word.startswith(f"{kind}/") for word in overrides):
        found.append(_own_name(kind, name, cfg))  # an option of a part renames it
    for laws, examples in tried:
        found += [judge(law, examples, seconds) for law in laws]
    return found


def judge(
    law: Callable[..., None], examples: Sequence[Example], seconds: float = SECONDS
) -> Verdict:
    """Tries a law on examples until one breaks it.

    Args:
        law: Raises if it is broken; its docstring's first line says what must hold.
        examples: What it is called with, the smallest first.
        seconds: What it may take on each.
    """
    title = (law.__doc__ or law.__name__).splitlines()[0]
    for example in examples:
        try:
            with time_limit(seconds):
                law(*example.arguments)
        except (Exception, OutOfTime, SystemExit) as error:
            return Verdict(title, _problem(error, seconds), example.text)
    return Verdict(title)


def _compose(words: Sequence[str]) -> DictConfig:
    register_configs()
    with hydra.initialize_config_dir(str(CONFIGS), version_base="1.3"):
        return hydra.compose("eval", [*words])


def _defaults(kind: str, overrides: Sequence[str]) -> list[str]:
    given = any(word.startswith("task=") for word in overrides)
    return [_FAST_TASK] if kind == "planner" and not given else []


def _laws_of(kind: str, cfg: DictConfig) -> list[str]:
    if kind != "planner":
        return [kind]
    return ["planner", "planning_policy"] if "planner" in cfg.planner else ["policy"]


def _own_name(kind: str, name: str, cfg: DictConfig) -> Verdict:
    """Rows and columns are called by the configuration's name."""
    law = "It is called like its YAML file."
    if kind == "objective":
        return Verdict(law)
    own = list(cfg.metric) if kind == "metric" else [cfg[kind].get("name")]
    if own == [name] or len(own) > 1:  # a file of several metrics names each
        return Verdict(law)
    return Verdict(law, f"Broken law: the name in {name}.yaml is {name}, got {own[0]}.")


def _problem(error: BaseException, seconds: float) -> str:
    if isinstance(error, OutOfTime):
        return f"It did not return within {seconds:g} s; it was at {error}."
    return described(error)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m eval.check", description="Which laws does a part keep?"
    )
    parser.add_argument("kind", choices=[*GROUPS])
    parser.add_argument("name", help="as in planner=<name>")
    parser.add_argument("overrides", nargs="*", help="options of `python -m eval.run`")
    parser.add_argument(
        "--seconds", type=float, default=SECONDS, help="time of one law on one example"
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the verdicts; returns 1 if a law is broken or there is no such part."""
    arguments = _parser().parse_args(argv)
    kind, name = arguments.kind, arguments.name
    try:
        verdicts = check(kind, name, arguments.overrides, seconds=arguments.seconds)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{kind} {name}")
    print("\n".join(map(str, verdicts)))
    broken = sum(verdict.problem is not None for verdict in verdicts)
    print(f"{kind} {name}: {broken or 'no'} broken law{'s' * (broken != 1)}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
