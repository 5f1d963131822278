"""The tasks of `tabletop`: solvable by who remembers, a guess for who does not."""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Iterator

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from hypothesis import given
from hypothesis import strategies as st

import envs  # noqa: F401 - registers the environments
from envs.memory_task_env import MemoryTaskEnv, tour_arrays
from envs.reference.expert_no_memory import ExpertNoMemoryPolicy
from envs.splits import SPLITS, episode_rng
from envs.tabletop.arrangement import HAND, Spot, arrange, successor
from envs.tabletop.believer import (
    Believer,
    CupGuesser,
    imagine_starts,
    imagine_swap,
)
from envs.tabletop.challenges import RestoreFirst, moves_to
from envs.tabletop.grid import (
    CELLS,
    CUBES,
    GREEN_AREA,
    NUM_CUPS,
    TOLERANCE,
    cell_place,
)
from envs.tabletop.layout import (
    START_CELLS,
    draw_restore_cubes,
    draw_shell_game,
    draw_swap_back,
)
from envs.tabletop.policies import ExpertPolicy, MeanStartPolicy
from envs.tabletop.vocabulary import ACTION_SPACE, PRIMITIVES, Primitive, action
from envs.tabletop.wrist_view import WristView
from envs.tasks import TABLE_TASKS, find_task
from world_model.core import Goal
from world_model.policy_api import Observation

pytestmark = pytest.mark.sim

IDS = {
    "shell_game": "ShellGame",
    "restore_cubes": "RestoreCubes",
    "swap_back": "SwapBack",
}
DRAWS = (draw_restore_cubes, draw_shell_game, draw_swap_back)
MAY_BE_SEEN = {"image", "instruction", "chunk", "success"}


@pytest.fixture(scope="module")
def env() -> Iterator[MemoryTaskEnv]:
    env = MemoryTaskEnv("tabletop", "restore_cubes")
    env.reset(seed=0)
    yield env
    env.close()


def observe(env: MemoryTaskEnv) -> Observation:
    goal = Goal((env.challenge.instruction,))
    left = np.array([env.steps_left])
    state = env.domain.get_state()
    return Observation(
        env.domain.render()[None], goal, np.ones(1, bool), left, (state,)
    )


def play(env: MemoryTaskEnv, policy) -> list[int]:
    """Lets a policy finish the episode and returns its actions."""
    policy.reset(env.tour_summary.first_image[None], [0])
    actions, over = [], False
    while not over:
        actions.append(int(policy.act(observe(env))[0]))
        _, _, terminated, truncated, _ = env.step(actions[-1])
        over = terminated or truncated
    return actions


def test_the_five_steps_of_the_paper(env):
    obs, info = env.reset(seed=0)
    assert env.observation_space.contains(obs)
    assert set(obs) | set(info) == MAY_BE_SEEN
    assert env.challenge.hidden(env.domain)
    assert env.measure().subgoals == (False, False, False)
    assert min(env.measure().distances.values()) > TOLERANCE
    planned = env.challenge.path(env.domain, env.domain.node)
    policy = ExpertPolicy(domain="tabletop", task="restore_cubes")
    assert play(env, policy) == planned
    truth = env.measure()
    assert truth.success
    assert truth.subgoals == (True, True, True)
    assert max(truth.distances.values()) <= TOLERANCE
    assert len(planned) == truth.optimum == env.budget - env.task.extra_steps == 6


def test_the_last_step_alone_is_not_enough(env):
    """Both cubes must have been back; moving one to its last place is no success."""
    env.reset(seed=0)
    *_, pick, place = env.challenge.path(env.domain, env.domain.node)
    for index in (pick, place):
        env.step(index)
    assert not env.measure().success
    assert env.measure().subgoals[1:] == (False, False)


@pytest.mark.slow
def test_an_expert_without_the_past_does_not_know_the_places(env):
    env.reset(seed=0)
    play(env, ExpertNoMemoryPolicy(domain="tabletop", task="restore_cubes"))
    assert not env.measure().success
    assert env._steps == env.budget


def test_a_seed_fixes_the_episode(env):
    first, _ = env.reset(seed=1)
    tour = tour_arrays(env.tour)
    state = env.domain.get_state().physics
    env.reset(seed=1)
    assert np.array_equal(first["image"], env.domain.render())
    assert np.array_equal(state, env.domain.get_state().physics)
    for one, two in zip(tour, tour_arrays(env.tour), strict=True):
        assert np.array_equal(one, two)


@pytest.mark.parametrize("draw", DRAWS)
def test_splits_share_no_layout(draw):
    drawn = [draw(episode_rng(split, 0)) for split in SPLITS]
    assert len({repr(layout) for layout in drawn}) == 3


@pytest.mark.parametrize("draw", DRAWS)
def test_a_tour_moves_every_cube_away_or_hides_it(draw):
    for seed in range(50):
        layout = draw(np.random.default_rng(seed))
        first, shown = dict(layout.first), dict(layout.shown)
        for cube in layout.roles:
            covered = any(shown[n] == shown[cube] for n in shown if n != cube)
            assert covered or shown[cube] != first[cube]
        assert HAND not in shown.values()


def test_restored_cubes_wait_in_the_green_area():
    layout = draw_restore_cubes(np.random.default_rng(0))
    cells = {CELLS[spot.number] for _, spot in layout.shown}
    assert cells < set(GREEN_AREA)
    assert cells.isdisjoint(CELLS[spot.number] for _, spot in layout.first)


def test_the_cups_tell_nothing():
    """Every slot hides the asked cube equally often; a guess finds it in a quarter."""
    task, hits, slots = find_task("shell_game"), 0, Counter()
    for seed in range(2000):
        rng = episode_rng("train", seed)
        layout = draw_shell_game(rng)
        target = task.challenges(layout, rng)[0].target
        slot = dict(layout.shown)[target].number
        guess = CupGuesser(np.random.default_rng(seed)).act(())
        hits += PRIMITIVES[guess].cups == (slot,)
        slots[slot] += 1
    assert sum((n - 500) ** 2 / 500 for n in slots.values()) < 16.3  # chi2, p = 0.001
    assert hits / 2000 == pytest.approx(1 / NUM_CUPS, abs=0.04)


def test_guesses_of_first_places_are_hardly_ever_right():
    right = 0
    for seed in range(2000):
        layout = draw_restore_cubes(episode_rng("train", seed))
        imagined = imagine_starts(layout, np.random.default_rng(seed))
        right += imagined.first == layout.first
    assert right / 2000 < 0.01  # one in 17 * 16


def test_the_swap_is_guessed_by_its_rule(env):
    env.domain.start(draw_swap_back(np.random.default_rng(0)))
    layouts = imagine_swap(env.domain, np.random.default_rng(1))
    imagined, other = (dict(layout.first) for layout in layouts[:2])
    here = dict(env.domain.node)
    swapped = [cube for cube in CUBES if imagined[cube] in here.values()]
    assert len(swapped) == 2
    assert imagined[swapped[0]] == here[swapped[1]]
    # What is believed next differs by where the third one was.
    assert [other[cube] for cube in swapped] == [imagined[cube] for cube in swapped]
    (third,) = set(CUBES) - set(swapped)
    assert other[third] != imagined[third]


def test_who_is_asked_again_was_wrong_and_believes_the_next(env):
    domain = env.domain
    domain.start(draw_swap_back(np.random.default_rng(0)))
    layouts = imagine_swap(domain, np.random.default_rng(1))[:2]
    believer = Believer(domain, RestoreFirst(), layouts)
    done = []
    for _ in range(11):
        done.append(PRIMITIVES[believer.act(domain.node)])
        domain.execute(action(done[-1]), render=False)
        if len(done) == 8:
            assert domain.node == layouts[0].first
    # Eight restore what it believed first, two bring the third one elsewhere.
    assert domain.node == layouts[1].first
    assert [p.verb for p in done] == ["pick", "place"] * 5 + ["lower"]


def test_the_mean_start_is_in_the_middle_and_takes_two_cells():
    policy = MeanStartPolicy(domain="tabletop", task="restore_cubes")
    layout = draw_restore_cubes(np.random.default_rng(0))
    imagined = dict(policy.believe(layout).first)
    cells = [CELLS[imagined[name].number] for name in layout.roles]
    assert len(set(cells)) == 2
    assert all(math.dist(cell_place(cell), (0, 0)) < 0.08 for cell in cells)
    # It stays there: what else is asked would take cubes away from it.
    words = "return both cubes to where they started then put the red cube where"
    assert isinstance(policy.challenge(words, layout), RestoreFirst)


cells = st.permutations(START_CELLS)


@given(cells, cells, st.sampled_from([None, *CUBES]))
def test_plans_reach_their_goals_in_few_moves(now, goals, held):
    places = dict(zip(CUBES, map(cell_place, now), strict=False))
    wanted = dict(zip(CUBES, map(cell_place, goals), strict=False))
    spots = arrange(places, held)
    plan = moves_to(places, wanted, held)
    for primitive in plan:
        spots = successor(spots, primitive)
    assert spots == arrange(wanted, None)
    displaced = sum(places[c] != wanted[c] for c in CUBES if c != held)
    assert len(plan) <= 2 * displaced + 2 + 1 + 2  # one aside, what is held twice


def test_two_cubes_change_places_by_three_moves():
    one, two = CELLS[0], CELLS[7]
    places = {"red cube": cell_place(one), "blue cube": cell_place(two)}
    goals = {"red cube": cell_place(two), "blue cube": cell_place(one)}
    assert [p.verb for p in moves_to(places, goals, None)] == ["pick", "place"] * 3


@given(st.sampled_from(DRAWS), st.integers(0, 99), st.integers(0, 36))
def test_symbols_agree_with_inverses(draw, seed, index):
    node = draw(np.random.default_rng(seed)).shown
    undo = ACTION_SPACE.inverses[index]
    # Where a lifted cup came from, an arrangement does not tell.
    if undo is not None and PRIMITIVES[undo].verb != "lower":
        assert successor(successor(node, PRIMITIVES[index]), PRIMITIVES[undo]) == node


def test_swaps_and_lifts_have_inverses_and_nothing_else_has():
    verbs = {
        primitive.verb
        for primitive, undo in zip(PRIMITIVES, ACTION_SPACE.inverses, strict=True)
        if undo is not None
    }
    assert verbs == {"swap", "lift"}


def test_lifting_a_cup_puts_it_in_the_hand():
    node = draw_shell_game(np.random.default_rng(0)).shown
    lifted = dict(successor(node, Primitive("lift", cups=(2,))))
    (cup,) = [name for name, spot in lifted.items() if spot == HAND]
    assert dict(node)[cup] == Spot("slot", 2)
    assert action(Primitive("lift", cups=(2,))) < len(PRIMITIVES)


@pytest.mark.parametrize(
    ("domain", "task", "message"),
    [
        ("scroll", "shell_game", "`task=shell_game` needs tabletop, got domain=scroll"),
        ("tabletop", "find_seen", "needs a robot that travels, got domain=tabletop"),
    ],
)
def test_tasks_of_other_domains_are_refused(domain, task, message):
    with pytest.raises(ValueError, match=message):
        MemoryTaskEnv(domain, task)


def test_wrong_names_are_answered_with_the_nearest():
    with pytest.raises(ValueError, match="Unknown task 'shell_gam'. Did you mean 'she"):
        find_task("shell_gam")
    with pytest.raises(ValueError, match="`mean_start` needs a task that asks for for"):
        MeanStartPolicy(domain="tabletop", task="shell_game")


@pytest.mark.slow
# The checker takes an episode of one action, as in ShellGame, for an error.
@pytest.mark.parametrize("task", sorted({*TABLE_TASKS} - {"shell_game"}))
def test_gymnasium_has_nothing_to_complain_about(task):
    env = gymnasium.make(f"SlowFast/{IDS[task]}-v0", render_mode="rgb_array")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(env.unwrapped)
    env.close()


@pytest.mark.slow
@pytest.mark.parametrize("task", TABLE_TASKS)
def test_the_expert_solves_episodes(task):
    env = MemoryTaskEnv("tabletop", task)
    policy = ExpertPolicy(domain="tabletop", task=task)
    for seed in range(3):
        env.reset(seed=seed)
        play(env, policy)
        assert env.measure().success
    env.close()


def test_the_wrist_sees_what_is_picked_up_from_near(env):
    seen = WristView(env)
    observation, _ = seen.reset(seed=0)
    assert seen.observation_space.contains(observation)
    pick = next(p for p in env.path())
    assert PRIMITIVES[pick].verb == "pick"
    before = env.domain.render_wrist()
    held = seen.step(pick)[0]["wrist"]
    # A cube between the fingers fills more of it than one on the table does.
    cube = PRIMITIVES[pick].cube
    assert strong(held, cube) > 2 * strong(before, cube)


def strong(image: np.ndarray, cube: str) -> int:
    """Pixels of a cube's colour, red or blue, by which it stands out."""
    channel = {"red cube": 0, "blue cube": 2}[cube]
    others = [c for c in range(3) if c != channel]
    wide = image.astype(int)
    return int((wide[..., channel] > 1.6 * wide[..., others].max(axis=-1) + 20).sum())


def test_the_wrist_view_needs_an_arm():
    scroll = gymnasium.make("SlowFast/ScrollFindSeen-v0")
    with pytest.raises(ValueError, match="needs a task of the table, got .*scroll"):
        WristView(scroll)
