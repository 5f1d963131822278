"""What the conformance kit says of objectives, metrics, tasks, policies, memories."""

from __future__ import annotations

from contextlib import suppress

import pytest

from envs.memory_task_env import MemoryTaskEnv
from envs.tasks import FindSeen
from eval.check import Verdict, check
from eval.laws.task import every_seed_gives_an_episode


def broken(verdicts: list[Verdict]) -> list[Verdict]:
    return [verdict for verdict in verdicts if verdict.problem]


@pytest.mark.parametrize(
    ("costs", "problem"),
    [
        ("costs", None),
        ("x.mean(dim=(2, 3, 4, 5, 6))", "costs have shape (B, N, T) = (1, 1, 1), got "),
        ("costs * torch.nan", "costs are finite, got [nan]."),
        ("costs.long()", "costs are floating-point, got torch.int64."),
        ("costs - costs.mean()", "candidates are scored alone, got another cost"),
        ("costs.cumsum(dim=2)", "chunks are scored alone, got another cost of the"),
        ("x.zero_()[:, :, :, 0, 0, 0, 0]", "scoring changes neither rollout nor goal"),
        ("costs + goal.images[:1].argmax()", "episodes are scored alone, got another"),
        ("costs / self.__dict__.setdefault('first', goal.images.sum())", "a cost does"),
    ],
)
def test_objectives(install, costs, problem):
    name = install("objective", costs=costs)
    found = broken(check("objective", name))
    assert (not found) == (problem is None)
    if problem:
        problems = [v.problem.removeprefix("Broken law: ") for v in found]
        assert any(text.startswith(problem) for text in problems), problems


@pytest.mark.parametrize(
    ("fault", "problem"),
    [
        ("pass", None),
        (
            "return float('nan')",
            "Broken law: a value fits its column, got nan (`plugin",
        ),
        ("return 'much'", "Broken law: a value fits its column, got 'much' ("),
        ("episode.actions.append(0)", "Broken law: same episode, same value, got ["),
        (
            "n = episode.steps; return float(n - vars(self).setdefault('first', n))",
            "Broken law: episodes are measured alone, got 0.0, and -2.0 after others.",
        ),
        ("return episode.none", "AttributeError: 'Episode' object has no attribute "),
    ],
)
def test_metrics(install, fault, problem):
    found = broken(check("metric", install("metric", fault=fault)))
    assert (not found) == (problem is None)
    if problem:
        assert any(v.problem.startswith(problem) for v in found), found


def test_a_metric_without_its_name_at_the_top_is_told_so(install, tmp_path):
    name = install("metric")
    file = tmp_path / name / "configs" / "metric" / f"{name}.yaml"
    file.write_text(f"_target_: {name}.Part\n")
    (verdict,) = check("metric", name)
    assert "A metric's YAML file must name it, `my_metric: {_target_" in verdict.problem


def test_a_metric_needs_a_name_of_its_own(install):
    (verdict,) = check("metric", install("metric", own="success"))
    assert verdict.problem.startswith(
        "ValueError: `metric` must have a name of its own"
    )


@pytest.mark.parametrize(
    ("base", "fault", "problem"),
    [
        ("ReturnHome", "pass", None),
        ("FindSeen", "pass", None),
        (
            "ReturnHome",
            "shows_image = False",
            "Broken law: observations hold what the task says it shows (`shows_image`)",
        ),
        (
            "ReturnHome",
            "candidates = lambda *arguments: []",
            "RuntimeError: A task must allow a valid episode within 100 layouts, got",
        ),
        ("object", "pass", "ValueError: `task.kind=plugin_"),
    ],
)
def test_tasks(install, base, fault, problem):
    found = broken(check("task", install("task", base=base, fault=fault)))
    assert (not found) == (problem is None)
    if problem:
        assert found[0].problem.startswith(problem)


@pytest.mark.parametrize(
    ("actions", "problem"),
    [
        ("actions", None),
        ("actions[:1, None]", "Broken law: `act` returns actions of (1,), got "),
        ("actions.tolist()", "Broken law: `act` returns an array, got list."),
        ("actions * 0 + actions[0]", "Broken law: episodes of a batch are independent"),
        ("actions + 100", "Broken law: actions are whole numbers from 0 to "),
        ("np.random.default_rng().permutation(4)[:len(actions)]", "Broken law: same s"),
        ("actions * 0 + len(actions)", "Broken law: episodes of a batch are independe"),
    ],
)
def test_policies(install, actions, problem):
    name = install("policy", actions=actions)
    found = broken(check("planner", name))
    assert (not found) == (problem is None)
    if problem:
        assert any(v.problem.startswith(problem) for v in found), found


@pytest.mark.parametrize(
    ("kind", "name"), [("memory", "oracle"), ("world_model", "simulator")]
)
def test_what_reads_simulator_states_is_tried_elsewhere(kind, name, scroll_weights):
    words = ["task=scroll_find_seen", f"world_model.weights={scroll_weights}"]
    (verdict,) = check(kind, name, words)
    text = f"ValueError: `{kind}={name}` must not read simulator states to be checked, "
    assert verdict.problem.startswith(text)


@pytest.mark.parametrize(
    ("kind", "name", "words"),
    [
        ("memory", "anchor", []),
        ("metric", "rearrangement", []),
        ("planner", "mpc_table", []),
        ("planner", "controller", ["task=point_reach"]),
        ("planner", "random", ["task=point_reach"]),
        ("task", "point_reach", []),
    ],
)
def test_parts_of_ours_keep_the_laws(kind, name, words):
    assert broken(check(kind, name, words)) == []


def test_a_task_that_hangs_on_the_one_before_is_found():
    class NeverTwice(FindSeen):
        last = None

        def candidates(self, domain, tour, rng):
            options = super().candidates(domain, tour, rng)
            others = [x for x in options if x.instruction != self.last]
            self.last = others[0].instruction if others else None
            return others

    def make():
        env = MemoryTaskEnv("scroll", "find_seen")
        env.task = NeverTwice()
        return env

    def tried(seed):
        with suppress(AssertionError):
            return every_seed_gives_an_episode(make, seed) or "held"
        return "broken"

    assert {tried(seed) for seed in range(8)} == {"held", "broken"}


@pytest.mark.slow
@pytest.mark.sim
@pytest.mark.parametrize(
    "name",
    [
        "rooms_find_seen",
        "rooms_return_home",
        "tabletop_restore_cubes",
        "tabletop_shell_game",
        "tabletop_swap_back",
    ],
)
def test_our_tasks_and_their_domains_keep_the_laws(name):
    assert not broken(check("task", name, seconds=300))
