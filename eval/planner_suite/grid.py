"""The rows of `suite=planners`: every optimizer with every model and every budget."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import hydra
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig

from envs.domains import domain_class
from eval import build
from eval.planner_suite.budget import CALLS, SECONDS, Budget
from eval.planner_suite.sizes import SIZES, Question
from eval.run_spec import slug
from world_model.errors import list_of, unknown_name
from world_model.names import choices

_SET_HERE = {
    "planner": "planners.optimizers",
    "planner/optimizer": "planners.optimizers",
    "memory": "planners.memory",
    "world_model": "planners.world_models",
}
"""What a command line says otherwise than in the other suites."""


@dataclass(frozen=True)
class Row:
    """One row: which search, in which model, with which budget.

    Attributes:
        optimizer: As in `planner/optimizer=...`, or `planner=...` for a plug-in.
        world_model: As in `world_model=...`.
        budget: What a decision may spend.
    """

    optimizer: str
    world_model: str
    budget: Budget

    @property
    def file_name(self) -> str:
        """Unique among the rows of a run."""
        names = (self.world_model, self.optimizer, str(self.budget))
        return "-".join(slug(name) for name in names) + ".csv"

    def __str__(self) -> str:
        return f"{self.optimizer} in {self.world_model} with {self.budget}"


class Grid:
    """All rows of a comparison, checked when made.

    Attributes:
        rows: Model by model; budgets of seconds after those of calls.
        standards: Per world model, a configuration that makes all but the search.

    Args:
        cfg: The resolved configuration of `python -m eval.run`.
        overrides: The command line that made it.

    Raises:
        ValueError: If a value is impossible: the rule, the value and the remedy.
    """

    def __init__(self, cfg: DictConfig, overrides: Sequence[str]) -> None:
        _check_overrides(overrides)
        _check_names(cfg)
        _check_budgets(cfg)
        self._cfg = cfg
        self._overrides = tuple(overrides)
        models, names = cfg.planners.world_models, cfg.planners.optimizers
        # Not the default search, which not every task's actions allow.
        search = next((name for name in names if name in SIZES), "beam")
        words = ["planner=mpc", f"planner/optimizer={search}"]
        self.standards = {name: self._compose(name, *words) for name in models}
        _check_calls(cfg, max(self._num_steps(name) for name in models))
        self.rows = tuple(_rows(cfg))
        for row in self._foreign():
            _check_plans(self.config_of(row), row.optimizer)

    def config_of(self, row: Row) -> DictConfig:
        """The configuration of a row: that of `eval.run` with a search of its size.

        Raises:
            ValueError: If it is impossible.
        """
        found = self._compose(row.world_model, *self._planner_of(row))
        build.check(found)
        return found

    def foreign_configs(self) -> list[DictConfig]:
        """Configurations that name, together, all code of others that rows run."""
        foreign = map(self.config_of, self._foreign())
        return [*self.standards.values(), *foreign]

    def _foreign(self) -> list[Row]:
        """One row of every search of others."""
        first = {row.optimizer: row for row in self.rows}
        return [row for name, row in first.items() if name not in SIZES]

    def _compose(self, world_model: str, *words: str) -> DictConfig:
        is_simulated = world_model == "simulator"
        memory = "none" if is_simulated else self._cfg.planners.memory
        chosen = [f"world_model={world_model}", f"memory={memory}"]
        # The simulator has nothing to learn or to remember: no options of such.
        given = [o for o in self._overrides if not (is_simulated and _is_learned(o))]
        return hydra.compose("eval", [*given, *chosen, *words])

    def _planner_of(self, row: Row) -> list[str]:
        """What chooses a search and its size; a plug-in has its own size."""
        if row.optimizer not in _group("planner/optimizer"):
            return [f"planner={row.optimizer}"]
        chosen = ["planner=mpc", f"planner/optimizer={row.optimizer}"]
        if row.optimizer not in SIZES:
            return chosen
        chunks = row.budget.calls // self._num_steps(row.world_model)
        space = domain_class(self._cfg.task.domain).action_space
        question = Question(max(1, chunks), self._cfg.planners.horizon, space)
        options = SIZES[row.optimizer](question)
        return chosen + [f"planner.planner.{name}={x}" for name, x in options.items()]

    def _num_steps(self, world_model: str) -> int:
        """Denoiser calls of a chunk, as far as the configuration says."""
        return int(self.standards[world_model].world_model.get("num_sampling_steps", 1))


def _rows(cfg: DictConfig) -> Iterator[Row]:
    options = cfg.planners
    budgets = [Budget(CALLS, amount) for amount in sorted(options.calls)]
    budgets += [Budget(SECONDS, amount) for amount in sorted(options.seconds)]
    for world_model in options.world_models:
        for budget in budgets:
            for optimizer in options.optimizers:
                yield Row(optimizer, world_model, budget)


def _check_overrides(overrides: Sequence[str]) -> None:
    for override in overrides:
        key = override.lstrip("+~").partition("=")[0]
        if key in _SET_HERE or key.startswith("planner."):
            instead = _SET_HERE[key.partition(".")[0]]
            raise ValueError(
                f"`suite=planners` chooses by `{instead}`, got {override}: remove it."
            )


def _is_learned(override: str) -> bool:
    """Whether an option is of a learned model, or of a memory beside one."""
    key = override.lstrip("+~").partition("=")[0]
    return key != "world_model.weights" and key.startswith(("world_model.", "memory."))


def _check_plans(cfg: DictConfig, name: str) -> None:
    if "planner" not in cfg.planner:
        raise ValueError(
            f"`planners.optimizers` must name searches in a world model, got {name}, "
            f"which plans nothing: run it by `planner={name}`."
        )


def _check_names(cfg: DictConfig) -> None:
    options = cfg.planners
    for name in ("optimizers", "world_models"):
        found = list_of(str, f"planners.{name}", options[name])
        _check_list(f"planners.{name}", found, empty="name one")
    for name in options.optimizers:
        _check_optimizer(name)
    for name in options.world_models:
        _check_choice("world_model", name)
    _check_choice("memory", options.memory)


def _check_choice(group: str, name: str) -> None:
    if name not in _group(group):
        raise unknown_name(group, str(name), _group(group))


def _check_optimizer(name: str) -> None:
    plugins = (_group("planner") | _group("planner/optimizer")) - _ours()
    if name in SIZES or name in plugins:
        return
    if name in _ours():
        raise ValueError(
            "`planners.optimizers` must name searches of phrases that a budget can "
            f"stop, got {name}: choose from {', '.join([*SIZES, *sorted(plugins)])}."
        )
    raise unknown_name("optimizer", name, {*SIZES, *plugins})


def _ours() -> set[str]:
    return {*choices("planner"), *choices("planner/optimizer")}


def _group(group: str) -> set[str]:
    """What can be chosen in a config group, plug-ins included."""
    loader = GlobalHydra.instance().config_loader()
    return set(loader.get_group_options(group))


def _check_budgets(cfg: DictConfig) -> None:
    calls = list_of(int, "planners.calls", cfg.planners.calls)
    seconds = list_of(float, "planners.seconds", cfg.planners.seconds)
    _whole("planners.horizon", cfg.planners.horizon, 1, "one action")
    _check_list("planners.calls", calls, empty="name one; they tell speeds, too")
    _check_list("planners.seconds", seconds)
    _check_calls(cfg, num_steps=1)
    for amount in seconds:
        if not amount > 0:
            raise ValueError(
                f"`planners.seconds` must be positive numbers, got {amount}."
            )


def _check_calls(cfg: DictConfig, num_steps: int) -> None:
    """Refuses budgets that do not pay for every phrase at so many denoising steps."""
    least = len(domain_class(cfg.task.domain).action_space.phrases) * num_steps
    for amount in cfg.planners.calls:
        _whole("planners.calls", amount, least, "every phrase once")


def _check_list(name: str, values: Sequence[object], empty: str = "") -> None:
    if empty and not values:
        raise ValueError(f"`{name}` must not be empty: {empty}.")
    if len(set(values)) != len(values):
        raise ValueError(
            f"`{name}` must name everything once, got {list(values)}: remove the "
            "repeated ones."
        )


def _whole(name: str, value: object, least: int, why: str) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValueError(
            f"`{name}` must be a whole number of at least {least} ({why}), got {value}."
        )
