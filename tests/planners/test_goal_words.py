"""`GoalWords`: which goal is said of an arrangement, in closed form."""

import pytest
import torch

from planners.arrangement import Arrangement
from planners.goal_words import GoalWords
from planners.subgoals import ALL_AS_SHOWN, AS_OTHER
from planners.video_plan import VideoPlanPlanner
from world_model.core import Goal
from world_model.toy import DotWorldModel

OBJECTS = ("red cube", "blue cube")
LEFT, MIDDLE, RIGHT = (-0.1, 0.0, 0.0), (0.0, 0.0, 0.0), (0.1, 0.0, 0.0)
GOALS = [
    (f"put the {name} {side}", i, place)
    for i, name in enumerate(OBJECTS)
    for side, place in (("left", LEFT), ("right", RIGHT))
]


def table(red, blue, seen=(9.0, 9.0)):
    """Latents (4, 1, 2) that say where the cubes are and which can be seen."""
    rows = [[*red, seen[0]], [*blue, seen[1]]]
    return torch.tensor(rows).T[:, None]


def read(latents):
    rows = latents[:, :, 0].transpose(1, 2)
    return rows[..., :3], rows[..., 3]


def say(now, goal, words=ALL_AS_SHOWN, goals=GOALS):
    speaker = GoalWords(Arrangement(DotWorldModel(), read, OBJECTS), goals)
    return speaker(now[None], Goal((words,), None, (goal,)))[0]


def test_the_first_object_that_is_elsewhere_goes_to_the_nearest_known_place():
    near_right = (0.08, 0.01, 0.0)
    assert say(table(MIDDLE, LEFT), table(near_right, LEFT)) == "put the red cube right"
    assert say(table(LEFT, MIDDLE), table(LEFT, RIGHT)) == "put the blue cube right"


def test_an_object_whose_place_is_taken_waits():
    now, goal = table(LEFT, RIGHT), table(RIGHT, MIDDLE)
    assert say(now, goal).startswith("put the blue cube")


def test_where_all_wait_for_each_other_the_first_is_put_aside():
    now, goal = table(LEFT, RIGHT), table(RIGHT, LEFT)
    aside = ("put the red cube far", 0, (0.0, 0.3, 0.0))
    assert say(now, goal, goals=[*GOALS, aside]) == "put the red cube far"
    # If there is no place left it goes ahead.
    assert say(now, goal) == "put the red cube right"


def test_nothing_is_put_aside_on_a_place_that_is_needed():
    names = (*OBJECTS, "yellow cube")
    goals = [
        ("put the red cube middle", 0, MIDDLE),
        ("put the red cube right", 0, RIGHT),
    ]
    far = [9.0, 9.0, 0.0, 9.0]

    def rows(red, blue, yellow):
        return torch.tensor([[*red, 9.0], [*blue, 9.0], yellow]).T[:, None]

    # Red and blue have changed places; yellow, elsewhere, belongs in the middle.
    now = rows(LEFT, RIGHT, far)
    goal = rows(RIGHT, LEFT, [*MIDDLE, 9.0])
    speaker = GoalWords(Arrangement(DotWorldModel(), read, names), goals)
    told = speaker(now[None], Goal((ALL_AS_SHOWN,), None, (goal,)))
    assert told == ["put the red cube right"]


def test_one_object_gets_the_place_of_the_other():
    words = AS_OTHER.format("blue cube", "red cube")
    now, goal = table(MIDDLE, MIDDLE), table(LEFT, RIGHT)
    assert say(now, goal, words) == "put the blue cube left"


@pytest.mark.parametrize(
    ("goal", "words"),
    [
        (None, ALL_AS_SHOWN),
        (table(LEFT, RIGHT), ALL_AS_SHOWN),
        (table(RIGHT, LEFT), "lift the cup that hides the red cube"),
    ],
)
def test_where_nothing_is_known_or_lacking_the_words_stay(goal, words):
    assert say(table(LEFT, RIGHT), goal, words) == words


def test_an_object_without_known_places_leaves_the_words():
    speaker = GoalWords(Arrangement(DotWorldModel(), read, OBJECTS), GOALS[2:])
    goal = Goal((ALL_AS_SHOWN,), None, (table(RIGHT, LEFT),))
    assert speaker(table(MIDDLE, LEFT)[None], goal) == [ALL_AS_SHOWN]


def test_a_video_is_told_these_words(dot, reads_dots):
    told = []

    class Listening(DotWorldModel):
        def goal_numbers(self, goals):
            told.extend(goals)
            return super().goal_numbers(goals)

    def words(latents, goal):
        return [f"{len(latents)} of {len(goal.instructions)}"] * len(latents)

    planner = VideoPlanPlanner(Listening(), dot.objective, reads_dots, words, horizon=2)
    dot.ask(planner, [(2, 3), (6, 5)], [(4, 4), (4, 4)])
    assert told == ["2 of 2"] * 2


def test_what_cannot_be_seen_takes_no_place():
    # Where the reader says that the blue cube is means nothing: it is below a cup.
    now, goal = table(LEFT, RIGHT, seen=(9, -9)), table(RIGHT, LEFT, seen=(9, -9))
    assert say(now, goal) == "put the red cube right"


def test_a_goal_image_that_does_not_show_the_other_says_nothing():
    words = AS_OTHER.format("blue cube", "red cube")
    goal = table(LEFT, RIGHT, seen=(-9, 9))
    assert say(table(MIDDLE, MIDDLE), goal, words) == words


def test_what_is_in_the_hand_goes_first():
    """Else a video told of the blue cube puts the red one there, again and again."""
    held, aside = (0.0, 0.0, 0.12), ("put the blue cube far", 1, (0.0, 0.3, 0.0))
    # Its own place is free.
    assert say(table(LEFT, held), table(MIDDLE, RIGHT)) == "put the blue cube right"
    # It is taken: the cube in the hand makes room, not the one that takes it.
    now, goal = table(RIGHT, held), table(LEFT, RIGHT)
    assert say(now, goal, goals=[*GOALS, aside]) == "put the blue cube far"


def test_what_is_in_the_hand_and_belongs_nowhere_is_put_aside():
    words = AS_OTHER.format("blue cube", "red cube")
    now, goal = table((0.1, 0.0, 0.12), MIDDLE), table(LEFT, RIGHT)
    assert say(now, goal, words) == "put the red cube right"
    assert say(now, goal, ALL_AS_SHOWN) == "put the red cube left"


def test_stacked_objects_are_not_in_the_hand():
    now = table((0.0, 0.0, 0.06), MIDDLE)
    assert say(now, table(MIDDLE, RIGHT)) == "put the blue cube right"
