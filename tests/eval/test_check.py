"""What the conformance kit says of broken planners, and how it tries laws."""

from __future__ import annotations

import signal
import time

import pytest

from eval.check import MADE, Verdict, check, judge, main
from eval.laws.example import Example
from eval.time_limit import OutOfTime, time_limit
from world_model.testing import require

IMAGINE = "rollout(context, actions[:, None], memory=memory, generator=generator)"


def broken(verdicts: list[Verdict]) -> list[Verdict]:
    return [verdict for verdict in verdicts if verdict.problem]


@pytest.mark.parametrize(
    ("fault", "law", "problem"),
    [
        ("actions = actions[:, 0]", 0, "`actions` is (B, T) or (B, T, A) with 1 <= T"),
        ("actions = actions + 4", 0, "`actions` are of PhraseSpace(['up', 'down', 'le"),
        ("actions = actions.float()", 0, "`actions` are of PhraseSpace(['up', 'down',"),
        ("actions = actions.expand(-1, horizon + 1)", 0, "`actions` is (B, T) or (B, "),
        ("costs = costs / 0", 0, "`costs` is finite, got [nan]."),
        ("costs = costs[:, None]", 0, "`costs` has shape (1,), got (1, 1)."),
        ("return actions", 0, "`plan` returns a `Plan`, got Tensor."),
        ("costs = torch.rand(size)", 2, "same generator, same plan, got another plan "),
        ("memory.write(None)", 3, "planning never writes memory, got calls of `memory"),
        ("context.frames.zero_()", 4, "planning changes neither context nor goal, got"),
        ("actions = actions + size - 1", 5, "episodes of a batch are independent, got"),
        (  # every episode served from the first one's noise
            "actions += torch.randint(4, (1, 1), generator=generator[0])",
            5,
            "episodes of a batch are independent, got",
        ),
        (  # or from its goal
            "actions = (goal.images[:1].argmax() % 4 + 0 * actions)",
            5,
            "episodes of a batch are independent, got",
        ),
        (  # what was planned for another goal
            "actions = self.__dict__.setdefault('kept', "
            "actions + goal.images.flatten(1).argmax(1)[:, None] % 4)",
            2,
            "same generator, same plan, got another plan from a fresh planner",
        ),
        (
            f"self.world_model.{IMAGINE}; self.world_model.num_calls = 0",
            6,
            "denoiser calls are counted around the world model, not by the planner, "
            "got 0 counted and 1 made.",
        ),
        (
            f"self.world_model.inner.{IMAGINE}",
            6,
            "denoiser calls are counted around the world model, not by the planner, "
            "got 0 counted and 1 made.",
        ),
    ],
)
def test_a_broken_planner_is_told_which_law_it_breaks(install, fault, law, problem):
    verdicts = check("planner", install("planner", fault=fault))[2:]
    assert verdicts[law].problem.startswith(f"Broken law: {problem}")
    assert verdicts[law].example
    assert [v.law for v in verdicts if v.problem is None]  # the others are tried, too


def test_the_smallest_example_is_named(install):
    name = install("planner", fault="assert horizon < 2, horizon")
    (verdict, *_) = broken(check("planner", name))
    assert verdict.example == "1 episode of the toy world, horizon 2"
    assert verdict.problem == "AssertionError: 2 (at __init__.py:14)"


def test_no_time_is_no_fault_of_the_part(install):
    with pytest.raises(ValueError, match="`seconds` must be positive, got -1"):
        check("planner", install("planner"), seconds=-1)


def test_a_planner_that_hangs_is_stopped(install):
    name = install("planner", fault="while True: pass")
    found = broken(check("planner", name, seconds=0.5))
    assert len(found) == 10
    assert found[0].problem.startswith("It did not return within 0.5 s; it was at __i")


@pytest.mark.parametrize(
    ("top", "problem"),
    [
        (
            "import no_such_thing",
            "ModuleNotFoundError: No module named 'no_such_thing'",
        ),
        ("raise SystemExit(3)", "SystemExit: 3 (at __init__.py:1)"),
        ("1 / 0", "ZeroDivisionError: division by zero (at __init__.py:1)"),
        (
            "while True: pass",
            "It did not return within 2 s; it was at __init__.py:1.",
        ),
    ],
)
def test_a_plugin_that_cannot_be_imported_is_one_line(install, top, problem):
    (verdict,) = check("planner", install("planner", top=top), seconds=2)
    assert verdict.law == MADE
    assert verdict.problem.startswith(problem)


def test_the_command_prints_law_by_law(install, capsys):
    name = install("planner", fault="memory.reset(1, seeds=[0])")
    assert main(["planner", name]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"planner {name}"
    assert lines[1] == f"  holds   {MADE}"
    at = lines.index("  BROKEN  Planning only reads memory.")
    assert lines[at + 1 : at + 3] == [
        "          Broken law: planning never writes memory, got calls of "
        "`memory.reset`.",
        "          smallest example: 1 episode of the toy world, horizon 1",
    ]
    assert lines[-1] == f"planner {name}: 2 broken laws"
    assert main(["planner", "mpc_beam"]) == 0
    assert main(["planner", "video_plan"]) == 0
    assert main(["planner", "mpc_bean"]) == 1
    assert capsys.readouterr().err.startswith("error: Unknown planner 'mpc_bean'. Did")
    assert main(["metric", "nothing"]) == 1
    assert capsys.readouterr().err.startswith("error: Unknown metric 'nothing'. Avail")


def test_a_name_of_its_own_is_asked_for(install):
    name = install("planner", own="mpc")
    (verdict,) = broken(check("planner", name))
    assert verdict.problem == (
        f"Broken law: the name in {name}.yaml is {name}, got mpc."
    )


def test_an_announced_plugin_without_a_yaml_file_is_named(
    tmp_path, monkeypatch, announce
):
    monkeypatch.syspath_prepend(tmp_path)
    announce(tmp_path, "memory", "forgetful")
    with pytest.raises(ValueError, match="The plug-in memory 'forgetful' of") as error:
        check("memory", "forgetful")
    assert str(error.value) == (
        "The plug-in memory 'forgetful' of forgetful-of-a-stranger 0.1 must ship "
        "forgetful/configs/memory/forgetful.yaml, got no such file: add it to the "
        "package's data."
    )


def test_a_name_that_two_packages_claim_is_refused(install, tmp_path, announce):
    name = install("planner")
    twin = tmp_path / "twin" / "configs" / "planner" / f"{name}.yaml"
    twin.parent.mkdir(parents=True)
    twin.touch()
    announce(tmp_path, "planner", "twin")
    with pytest.raises(
        ValueError, match=f"`planner={name}` must name one plug-in, got"
    ):
        check("planner", name)


def test_ours_stays_ours(install, tmp_path):
    name = install("planner")
    (tmp_path / name / "configs" / "planner" / "mpc.yaml").write_text("name: stolen")
    assert broken(check("planner", "mpc")) == []


def test_a_time_limit_stops_and_is_lifted():
    with pytest.raises(OutOfTime, match=r"^test_check.py:\d+$"), time_limit(0.05):
        time.sleep(9)
    with time_limit(5):
        pass
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


def test_a_law_is_tried_from_the_smallest_example_on():
    def law(number):
        """Numbers are small."""
        require(number < 2, "numbers are below 2", number)

    examples = [Example(f"number {i}", (i,)) for i in range(4)]
    problem = "Broken law: numbers are below 2, got 2."
    assert judge(law, examples) == Verdict("Numbers are small.", problem, "number 2")
    assert judge(law, examples[:2]) == Verdict("Numbers are small.")
