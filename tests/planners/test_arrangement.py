"""`Arrangement`: costs in closed form, where the latents are the places themselves."""

import pytest
import torch

from planners.arrangement import Arrangement
from planners.subgoals import ALL_AS_SHOWN, AS_OTHER
from world_model.core import Context, Goal, Rollout
from world_model.toy import DotWorldModel

OBJECTS = ("red cube", "blue cube")


def table(red, blue, seen=(True, True)):
    """Latents (4, 1, 2) that say where the cubes are and which can be seen."""
    rows = [
        [*place, 9.0 if is_seen else -9.0]
        for place, is_seen in zip((red, blue), seen, strict=True)
    ]
    return torch.tensor(rows).T[:, None]


def read(latents):
    rows = latents[:, :, 0].transpose(1, 2)
    return rows[..., :3], rows[..., 3]


def judge(futures, words, recalled=()):
    """Costs and success of one episode's futures (4, 1, 2) each."""
    latents = torch.stack(futures)[None, :, None, None]
    shape = latents.shape[:3]
    context = Context(torch.zeros(1, 0).long(), latents=latents[:, 0, 0])
    none = torch.zeros(shape, dtype=torch.bool)
    rollout = Rollout(context, none.long(), latents, lambda x: x, none)
    objective = Arrangement(DotWorldModel(), read, OBJECTS, reach=0.3, tolerance=0.03)
    goal = Goal((words,), None, recalled)
    likely = objective.success_probability(rollout, goal)
    return objective(rollout, goal)[0, :, 0].tolist(), likely[0, :, 0].tolist()


HERE, RIGHT, FAR = (0.0, 0.0, 0.0), (0.1, 0.0, 0.0), (0.0, 5.0, 0.0)
LEFT = (-0.1, 0.0, 0.0)


def test_the_cost_is_the_mean_share_of_the_reach():
    goal = (table(HERE, LEFT),)
    futures = [table(HERE, LEFT), table(RIGHT, LEFT), table(RIGHT, FAR)]
    costs, likely = judge(futures, ALL_AS_SHOWN, goal)
    assert costs == pytest.approx([0.0, (1 / 3) / 2, (1 / 3 + 1) / 2])
    assert likely == [1.0, 0.0, 0.0]


@pytest.mark.parametrize("height", [-0.02, 0.02, 0.12])
def test_what_is_held_or_sunk_has_not_come_nearer(height):
    goal = (table(HERE, LEFT),)
    assert judge([table((0.0, 0.0, height), LEFT)], ALL_AS_SHOWN, goal)[0] == [1 / 2]
    # Read a little too high or low it lies on the table.
    nearly = (0.0, 0.0, height / abs(height) * 0.01)
    costs, likely = judge([table(nearly, LEFT)], ALL_AS_SHOWN, goal)
    assert costs == pytest.approx([(0.01 / 0.3) / 2])
    assert likely == [1.0]


def test_neither_of_two_that_touch_has_come_nearer():
    goal = (table(HERE, LEFT),)
    futures = [table(HERE, (x, 0.0, 0.0)) for x in (-0.049, -0.051)]
    costs, _ = judge(futures, ALL_AS_SHOWN, goal)
    assert costs == pytest.approx([1.0, (0.049 / 0.3) / 2])


def test_what_cannot_be_seen_has_not_come_nearer_and_touches_nothing():
    goal = (table(HERE, LEFT),)
    costs, _ = judge([table(HERE, HERE, seen=(True, False))], ALL_AS_SHOWN, goal)
    assert costs == [1 / 2]


def test_an_object_that_the_image_does_not_show_is_not_asked_for():
    goal = (table(HERE, LEFT, seen=(True, False)),)
    assert judge([table(HERE, FAR)], ALL_AS_SHOWN, goal) == ([0.0], [1.0])


def test_one_object_gets_the_place_of_another():
    words = AS_OTHER.format("blue cube", "red cube")
    goal = (table(RIGHT, FAR),)
    costs, likely = judge([table(FAR, RIGHT), table(RIGHT, FAR)], words, goal)
    assert costs == pytest.approx([0.0, 1.0])
    assert likely == [1.0, 0.0]


def test_what_a_cup_hides_is_found_where_it_can_be_seen():
    words = "lift the cup that hides the blue cube"
    futures = [table(HERE, HERE), table(HERE, HERE, seen=(True, False))]
    costs, likely = judge(futures, words)
    assert costs[0] < 0.01
    assert costs[1] > 0.99
    assert likely == pytest.approx([1 - c for c in costs], abs=1e-6)


@pytest.mark.parametrize("recalled", [(), (None,)])
def test_without_a_goal_image_all_futures_cost_the_same(recalled):
    futures = [table(HERE, HERE), table(FAR, FAR)]
    assert judge(futures, ALL_AS_SHOWN, recalled) == ([0.0, 0.0], [0.0, 0.0])


def test_words_it_does_not_know_are_refused():
    with pytest.raises(ValueError, match="must be told .* got 'sing': choose a task"):
        judge([table(HERE, HERE)], "sing")
    with pytest.raises(ValueError, match="got 'cat': it knows red cube, blue cube"):
        judge([table(HERE, HERE)], "lift the cup that hides the cat")


def test_a_tolerance_beyond_the_reach_is_refused():
    with pytest.raises(ValueError, match="between 0 and `reach`, got 0.4 and 0.3"):
        Arrangement(DotWorldModel(), read, OBJECTS, tolerance=0.4)
