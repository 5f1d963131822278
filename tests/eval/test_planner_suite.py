"""`suite=planners`: whole runs from the command line; planners that break or hang."""

from __future__ import annotations

import threading
from io import StringIO

import pandas as pd
import pytest
from rich.console import Console

from eval import suite_run
from eval.planner_suite import suite
from eval.planner_suite.budget import CALLS, Budget
from eval.planner_suite.grid import Row
from eval.planner_suite.summary import COLUMNS, print_rows, summarise
from eval.record import RunRecord
from eval.time_limit import time_limit

SMALL = ["task=scroll_find_seen", "episodes=2", "num_envs=1", "threads=1"]
SUITE = ["suite=planners", "planners.horizon=3", *SMALL]
HANGS = {"top": "import time", "fault": "while True: time.sleep(60)"}
TIMES = ["seconds_p50", "seconds_p95"]


@pytest.fixture
def run(run, scroll_weights, tmp_path):
    """The command with untrained weights and a folder of its own."""
    rest = [f"world_model.weights={scroll_weights}", f"outputs={tmp_path}/outputs"]
    return lambda *words: run(*words, *rest)


def table(tmp_path) -> pd.DataFrame:
    (path,) = tmp_path.glob("outputs/planners-*/planners.csv")
    found = pd.read_csv(path)
    assert tuple(found.columns) == COLUMNS
    return found


def limited(tmp_path, name: str) -> str:
    """Gives an installed plug-in a limit of its own."""
    file = tmp_path / name / "configs" / "planner" / f"{name}.yaml"
    file.write_text(file.read_text() + "decision_seconds: 0.2\n")
    return name


def test_every_row_keeps_its_budget_and_a_killed_run_continues(
    run, tmp_path, capsys, monkeypatch
):
    # Work on the code between the two runs would begin another folder.
    monkeypatch.setattr(suite_run, "code_name", lambda made_by: "code")
    words = [*SUITE, "planners.optimizers=[graph_search,cem]", "planners.calls=[9,4]"]
    assert run(*words) is None
    found = table(tmp_path)
    assert list(found["optimizer"]) == ["graph_search", "cem"] * 4
    assert list(found["world_model"]) == ["tiny"] * 4 + ["simulator"] * 4
    assert list(found["budget"]) == [4, 4, 9, 9] * 2
    assert (found["calls_p95"] <= found["budget"]).all()
    assert (found["calls_p50"] > found["budget"] / 2).all()
    assert set(found["seeds"]) == {"0-1"}
    assert found["success"].between(found["success_low"], found["success_high"]).all()
    assert found["behind"].isna().tolist() == [True, False] * 4
    (folder,) = tmp_path.glob("outputs/planners-*")
    assert (folder / "planners.png").stat().st_size > 0
    out = capsys.readouterr().out
    assert "tiny, budget in calls, n=2, seeds 0-1" in out
    assert str(folder) in out.replace("\n", "")

    # Killed after the first of two batches of one row.
    (path,) = folder.glob("decisions/simulator-cem-9_calls.csv")
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(x for x in lines if not x.startswith("1,")))
    asked, run_batch = [], suite._run_batch
    monkeypatch.setattr(
        suite, "_run_batch", lambda *rest: asked.append(rest[-1]) or run_batch(*rest)
    )
    assert run(*words) is None
    assert asked == [[1]]
    pd.testing.assert_frame_equal(
        table(tmp_path).drop(columns=TIMES), found.drop(columns=TIMES)
    )


def test_a_second_is_worth_what_the_rows_of_calls_say(run, tmp_path):
    words = [*SUITE, "planners.optimizers=[exhaustive]", "planners.world_models=[tiny]"]
    assert run(*words, "planners.calls=[20]", "planners.seconds=[1e6]") is None
    calls, seconds = (row for _, row in table(tmp_path).iterrows())
    assert (calls["budget_kind"], seconds["budget_kind"]) == ("calls", "seconds")
    # In so much time, all sequences of three actions; in 20 calls, those of two.
    assert (calls["calls_p50"], seconds["calls_p50"]) == (4 + 12, 4 + 12 + 36)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "planners.calls=[0]",
            "`planners.calls` must be a whole number of at least 4 ",
        ),
        (
            "planners.calls=[9.5]",
            "`planners.calls` must be a list of whole numbers, got",
        ),
        (
            "planners.calls=[]",
            "`planners.calls` must not be empty: name one; they tell",
        ),
        (
            "planners.calls=[8,8]",
            "`planners.calls` must name everything once, got [8, ",
        ),
        ("planners.seconds=[0]", "`planners.seconds` must be positive numbers, got 0."),
        (
            "planners.horizon=0",
            "`planners.horizon` must be a whole number of at least 1",
        ),
        ("planners.optimizers=[cemm]", "Unknown optimizer 'cemm'. Did you mean 'cem'?"),
        (
            "planners.optimizers=[gradient]",
            "`planners.optimizers` must name searches of phrases that a budget can st"
            "op, got gradient: choose from graph_search, tree_search, beam, random_",
        ),
        (
            "planners.optimizers=[]",
            "`planners.optimizers` must not be empty: name one.",
        ),
        (
            "planners.world_models=[tinny]",
            "Unknown world_model 'tinny'. Did you mean 't",
        ),
        ("planners.memory=oracel", "Unknown memory 'oracel'. Did you mean 'oracle'?"),
        (
            "memory=none",
            "`suite=planners` chooses by `planners.memory`, got memory=none: remove it",
        ),
        (
            "planner.planner.depth=2",
            "`suite=planners` chooses by `planners.optimizers`, got planner.planner.de",
        ),
        ("decision_seconds=0", "`decision_seconds` must be a positive number of at mo"),
        ("suite=planer", "Unknown suite 'planer'. Did you mean 'planners'?"),
    ],
)
def test_impossible_values_are_one_line_before_any_work(
    run, tmp_path, override, message
):
    error = run(*SUITE, override)
    assert error.startswith(f"error: {message}")
    assert "\n" not in error
    assert not (tmp_path / "outputs").exists()


def test_a_policy_that_plans_nothing_is_no_search(run, install):
    name = install("policy", actions="actions")
    error = run(*SUITE, f"planners.optimizers=[beam,{name}]")
    assert error == (
        "error: `planners.optimizers` must name searches in a world model, got "
        f"{name}, which plans nothing: run it by `planner={name}`."
    )


def test_the_simulator_takes_no_options_of_a_learned_model(run, tmp_path):
    words = ["planners.optimizers=[beam]", "planners.world_models=[tiny,simulator]"]
    words += ["planners.memory=temp_lora", "memory.rank=2"]
    words += ["world_model.num_sampling_steps=2", "planners.calls=[8]"]
    assert run(*SUITE, *words) is None
    assert list(table(tmp_path)["world_model"]) == ["tiny", "simulator"]


def test_planners_that_hang_or_break_are_named_and_the_others_get_their_rows(
    run, install, tmp_path
):
    hangs = limited(tmp_path, install("planner", **HANGS))
    breaks = install("planner", fault="costs = costs / 0")
    whole = install("planner")
    names = ["graph_search", hangs, breaks, whole]
    error = run(
        *SUITE,
        f"planners.optimizers=[{','.join(names)}]",
        "planners.calls=[8]",
        "planners.world_models=[tiny]",
    )
    assert error.startswith("error: 2 of 4 rows failed, the others are in ")
    assert f"{hangs} in tiny with 8 calls: `planner={hangs}` must decide" in error
    assert f"`planner={breaks}` ({breaks}.Part) must work without an error" in error
    found = table(tmp_path).set_index("optimizer")
    assert found.loc[["graph_search", whole], "n"].tolist() == [2, 2]
    assert found.loc[[hangs, breaks], "success"].isna().all()
    assert "must decide within" in found.loc[hangs, "error"]
    assert "`costs` is finite" in found.loc[breaks, "error"]


def test_a_budget_too_small_for_any_plan_fails_its_row_only(run, tmp_path):
    error = run(
        *SUITE,
        "planners.optimizers=[graph_search,exhaustive]",
        "planners.world_models=[tiny]",
        "planners.calls=[8]",
        "planners.seconds=[1e-9]",
    )
    assert error.startswith("error: 2 of 4 rows failed, the others are in ")
    assert error.count("within its budget of 1e-09 seconds, got none: give it") == 2
    assert table(tmp_path)["success"].notna().tolist() == [True, True, False, False]


def test_a_planner_that_overspends_without_a_plan_is_named(run, install, tmp_path):
    greedy = "self.world_model.rollout(context, actions[:, None].expand(-1, -1, 9), "
    name = install("planner", fault=f"{greedy}generator=generator)")
    words = [f"planners.optimizers=[{name}]", "planners.world_models=[tiny]"]
    error = run(*SUITE, *words, "planners.calls=[8]")
    assert "A planner must have a plan within its budget of 8 calls, got none" in error
    assert f"`planner={name}`" in error


def test_a_decision_that_does_not_return_ends_the_run(run, install, tmp_path):
    name = limited(tmp_path, install("planner", **HANGS))
    error = run(*SMALL, f"planner={name}", "memory=none", "video=false")
    rule = f"`planner={name}` must decide within decision_seconds=0.2 per episode"
    assert error.startswith(f"error: {rule}, got no decision (it was at ")
    assert error.endswith("let it search less, or raise the limit; null sets none.")


def test_a_sweep_goes_on_after_a_planner_that_hangs(run, install, tmp_path, capsys):
    name = limited(tmp_path, install("planner", **HANGS))
    sweep = [f"planner={name},mpc", f"hydra.sweep.dir={tmp_path}/sweep"]
    assert run("--multirun", *SMALL, *sweep, "memory=none", "video=false") == "1"
    (path,) = tmp_path.glob("outputs/[!.]*-mpc-*")
    assert RunRecord(path).remaining_seeds() == ()
    errors = capsys.readouterr().err
    assert f"error: `planner={name}` must decide within" in errors
    assert "Traceback" not in errors


def test_a_time_limit_outside_of_the_main_thread_is_refused():
    found = []

    def limit():
        try:
            with time_limit(1):
                found.append("entered")
        except RuntimeError as error:
            found.append(str(error))

    thread = threading.Thread(target=limit, name="worker")
    thread.start()
    thread.join()
    assert found == [
        "A time limit must be set in the main thread, got worker: start runs in "
        "processes of their own."
    ]


def decided(success: list[int], calls: float) -> pd.DataFrame:
    """Two decisions in each of so many episodes."""
    rows = [(seed, i) for seed, _ in enumerate(success) for i in range(2)]
    return pd.DataFrame(
        {
            "seed": [seed for seed, _ in rows],
            "decision": [i for _, i in rows],
            "calls": [calls + i for _, i in rows],
            "seconds": [0.5 * i for _, i in rows],
            "predicted": [0.75 for _ in rows],
            "success": [success[seed] for seed, _ in rows],
        }
    )


def test_the_table_pairs_rows_with_the_first_optimizer_over_the_same_seeds():
    rows = [Row(name, "tiny", Budget(CALLS, 8)) for name in ("a", "b", "c")]
    lines = {
        rows[0]: decided([1, 1, 1, 0], 4),
        rows[1]: decided([1, 0, 0, 0], 6),
    }
    found = summarise(rows, lines, {rows[2]: "it hangs"}).set_index("optimizer")
    assert found.loc["a", "success"] == 0.75
    assert found.loc["b", "behind"] == 0.5
    low, high = found.loc["b", ["behind_low", "behind_high"]]
    assert -0.2 < low < 0.0  # two wins of four and no loss are no proof
    assert 0.5 < high < 1.0
    assert found.loc["b", "optimism_gap"] == 0.5
    assert found.loc["b", ["calls_p50", "seconds_p95"]].tolist() == [6.5, 0.5]
    assert pd.isna(found.loc["a", "behind"])
    assert found.loc["c", ["n", "success"]].isna().all()
    assert found.loc["c", "error"] == "it hangs"


@pytest.mark.parametrize("width", [60, 80, 200])
def test_the_printed_table_fits_the_terminal(width):
    rows = [Row(name, "tiny", Budget(CALLS, 1024)) for name in ("random_shooting", "x")]
    lines = {row: decided([1, 0, 1], 999) for row in rows[:1]}
    console = Console(width=width, record=True, file=StringIO())
    print_rows(summarise(rows, lines, {rows[1]: "it hangs"}), console)
    text = console.export_text()
    assert max(map(len, text.splitlines())) <= width
    assert "67 [21, 94]" in text
    assert "failed" in text
    assert ("optimism" in text) == (width == 200)
