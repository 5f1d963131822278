"""Subgoals: how instructions come apart, what memory recalls, when one has held."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir

from eval.make_part import instantiate_node
from planners.beam import BeamPlanner
from planners.subgoal_policy import SubgoalPolicy
from planners.subgoals import (
    ALL_AS_SHOWN,
    AS_OTHER,
    Subgoal,
    of_goal_view,
    plain_grammar,
)
from world_model.core import Chunk, Context, Goal, Moment
from world_model.frames import to_env, to_model
from world_model.memory.anchor import AnchorMemory
from world_model.memory.none import NoMemory
from world_model.memory.retrieval import RetrievalMemory
from world_model.policy_api import Objective, Observation
from world_model.toy import DotWorldModel, dot_distance, draw_dot

CONFIGS = Path(__file__).parents[2] / "configs"
UP, DOWN, LEFT, RIGHT = range(4)


class ToRecalled(Objective):
    """Share of the longest way to the recalled dot; nothing is known without one."""

    def __call__(self, rollout, goal):
        self.goal = goal
        views = rollout.latents[:, :, :, -1]
        costs = [
            torch.zeros(view.shape[:2]) if to is None else dot_distance(view, to) / 14
            for view, to in zip(views, goal.recalled, strict=True)
        ]
        return torch.stack(costs)

    def success_probability(self, rollout, goal):
        known = torch.tensor([to is not None for to in goal.recalled])
        return (self(rollout, goal) == 0).float() * known[:, None, None]


def there_and_back(instruction):
    return Subgoal("there", "shown"), Subgoal("home", "first")


def drive(
    memory,
    path,
    start,
    images=None,
    asked=None,
    *,
    resumed=False,
    grammar=there_and_back,
):
    """A policy after a tour, observed or resumed; asks it at a place."""
    model, objective = DotWorldModel(), ToRecalled()
    planner = BeamPlanner(model, objective, depth=3, width=8)
    policy = SubgoalPolicy(model, memory(model), planner, objective)
    heard = [] if asked is None else asked
    policy.grammar = lambda words: heard.append(words) or grammar(words)
    views = [to_env(draw_dot(torch.tensor([place]))) for place in path]
    policy.reset(views[0], [0])
    for view in views[1:]:
        frames = to_model(view)[:, None]
        policy.observe(
            Chunk(policy._context, torch.tensor([0]), frames, torch.tensor([True]))
        )
    if resumed:
        state = policy.memory.snapshot()
        policy.reset(views[0], [0])
        policy.resume(state, [len(path) - 1])
    policy.relocate(to_env(draw_dot(torch.tensor([start]))))

    def ask(place):
        view = to_env(draw_dot(torch.tensor([place])))
        frames = to_model(view)[:, None]
        policy.observe(
            Chunk(policy._context, torch.tensor([0]), frames, torch.tensor([True]))
        )
        goal = Goal(("fetch",), images)
        seen = Observation(view, goal, np.array([True]), np.full(1, 9))
        return int(policy.act(seen)[0]), objective.goal.instructions[0]

    return ask


def test_our_instructions_come_apart():
    assert plain_grammar("put every cube back to where it was at first") == (
        Subgoal(ALL_AS_SHOWN, "first"),
    )
    parts = plain_grammar(
        "return both cubes to where they started then put the blue cube where the red "
        "cube had been in the green area"
    )
    assert parts == (
        Subgoal(ALL_AS_SHOWN, "first"),
        Subgoal("put the blue cube where the red cube is in the image", "shown"),
    )
    other = "lift the cup that hides the red cube"
    assert plain_grammar(other) == (Subgoal(other),)


@pytest.mark.parametrize("resumed", [False, True])
def test_it_goes_to_one_recalled_view_after_the_other(resumed):
    # The tour leads from (1, 4) to (1, 6); the test starts far below.
    path = [(1, 4), (1, 5), (1, 6)]
    ask = drive(RetrievalMemory, path, start=(3, 6), resumed=resumed)
    assert ask((2, 6)) == (UP, "there")
    # There: the second subgoal follows at once.
    assert ask((1, 6)) == (LEFT, "home")
    # Away from the first again, which has held and is not asked for any more.
    assert ask((1, 5)) == (LEFT, "home")


def test_the_shown_moment_is_the_end_of_the_tour_whatever_followed():
    memory = RetrievalMemory(DotWorldModel())
    ask = drive(lambda model: memory, [(1, 4), (1, 5), (1, 6)], start=(6, 6))
    ask((5, 6))
    ask((4, 6))
    shown = memory.recall(0, Moment(2))
    assert torch.equal(shown, draw_dot(torch.tensor([1, 6])))
    assert ask((2, 6)) == (UP, "there")


def test_every_episode_has_its_own_end_of_the_tour():
    class Asked(NoMemory):
        moments = ()

        def recall(self, slot, moment):
            self.moments += ((slot, moment.step),)

    model, memory = DotWorldModel(), Asked()
    planner = BeamPlanner(model, ToRecalled(), depth=1, width=1)
    policy = SubgoalPolicy(model, memory, planner, planner.objective)
    policy.grammar = there_and_back
    views = draw_dot(torch.tensor([(1, 4), (3, 3)]))
    policy.reset(to_env(views), [0, 1])
    for active in ([True, True], [False, True]):  # one tour is shorter
        told = torch.tensor([UP, UP]), views[:, None], torch.tensor(active)
        policy.observe(Chunk(policy._context, *told))
    policy.relocate(to_env(views))
    goal = Goal(("fetch", "fetch"))
    policy.goal_of(Observation(to_env(views), goal, np.ones(2, bool), np.full(2, 9)))
    assert memory.moments == ((0, 1), (1, 2))


def test_a_grammar_is_asked_once_per_instruction():
    asked = []
    ask = drive(RetrievalMemory, [(1, 4), (1, 5), (1, 6)], start=(3, 6), asked=asked)
    for place in ((2, 6), (1, 6), (1, 5)):
        ask(place)
    assert asked == ["fetch"]


@pytest.mark.parametrize("memory", [lambda model: NoMemory(), AnchorMemory])
def test_what_memory_does_not_know_stays_unknown(memory):
    # An anchor knows the first moment only; the first subgoal asks for a later one.
    ask = drive(memory, [(1, 4), (1, 5), (1, 6)], start=(3, 6))
    assert ask((1, 6))[1] == "there"


def test_a_given_image_shows_the_last_subgoal():
    images = draw_dot(torch.tensor([[7, 6]]))
    ask = drive(RetrievalMemory, [(1, 4), (1, 5), (1, 6)], (3, 6), images=images)
    assert ask((2, 6)) == (UP, "there")
    assert ask((1, 6)) == (DOWN, "home")


def test_an_image_of_the_goal_is_told_as_such():
    move = AS_OTHER.format("blue cube", "red cube")
    assert of_goal_view(move) == ALL_AS_SHOWN
    assert of_goal_view("fetch the ball") == "fetch the ball"
    images = draw_dot(torch.tensor([[7, 6]]))
    asked = drive(
        RetrievalMemory, [(1, 4)], (3, 6), images, grammar=lambda _: (Subgoal(move),)
    )
    assert asked((2, 6))[1] == ALL_AS_SHOWN


def test_memories_recall_moments_of_the_episode():
    places = [(1, 4), (1, 5), (1, 6)]
    views = [draw_dot(torch.tensor([place])) for place in places]
    known = {}
    for kind in (AnchorMemory, RetrievalMemory):
        memory = kind(DotWorldModel())
        memory.reset(1, seeds=[0])
        assert memory.recall(0, Moment(0)) is None
        for before, after in zip(views[:-1], views[1:], strict=True):
            context = Context(torch.zeros(1, 0).long(), frames=before[:, None])
            action, active = torch.tensor([RIGHT]), torch.tensor([True])
            memory.write(Chunk(context, action, after[:, None], active))
        known[kind] = [memory.recall(0, Moment(step)) for step in range(4)]
    assert [x is None for x in known[AnchorMemory]] == [False, True, True, True]
    assert [x is None for x in known[RetrievalMemory]] == [False, False, False, True]
    for view, recalled in zip(views, known[RetrievalMemory][:3], strict=True):
        assert torch.equal(view[0], recalled)
    assert torch.equal(known[AnchorMemory][0], views[0][0])


def test_a_grammar_of_ones_own_is_named_on_the_command_line():
    mine = "{_target_: hydra.utils.get_method, path: planners.subgoals.plain_grammar}"
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        cfg = compose("eval", ["planner=mpc_table", f"+planner.grammar={mine}"])
    model, objective = DotWorldModel(), ToRecalled()
    planner = BeamPlanner(model, objective)
    policy = instantiate_node(cfg.planner, model, NoMemory(), planner, objective)
    assert policy.grammar is plain_grammar
    assert policy.replan_every == 2
