"""Tasks: what may be asked for after a tour."""

from __future__ import annotations

import numpy as np
import pytest

from envs.scroll.domain import Cell, ScrollDomain
from envs.tasks import MIN_SHOWN_FRAMES, Tour, find_task


@pytest.fixture
def domain() -> ScrollDomain:
    return ScrollDomain()


def tour(domain: ScrollDomain, shown: int, unseen_for: int) -> Tour:
    names = domain.objects
    return Tour(
        nodes=(domain.node,),
        first_image=domain.render(),
        num_shown=dict.fromkeys(names, 0) | {"red blob": shown},
        unseen_for=dict.fromkeys(names, unseen_for),
    )


def candidates(domain, task, tour):
    return find_task(task).candidates(domain, tour, np.random.default_rng(0))


@pytest.mark.parametrize(
    ("shown", "unseen_for", "number"),
    [(MIN_SHOWN_FRAMES, 1, 1), (MIN_SHOWN_FRAMES - 1, 1, 0), (MIN_SHOWN_FRAMES, 0, 0)],
)
def test_only_what_was_shown_and_went_out_of_view_is_asked_for(
    domain, shown, unseen_for, number
):
    found = candidates(domain, "find_seen", tour(domain, shown, unseen_for))
    assert [c.instruction for c in found] == ["go to the red blob"] * number


def test_finding_is_judged_by_the_simulator(domain):
    (challenge,) = candidates(domain, "find_seen", tour(domain, 4, 1))
    for node in challenge.goal_nodes(domain):
        domain.place(node)
        assert challenge.solved(domain)
        assert not challenge.hidden(domain)
    assert challenge.image is None


def test_home_is_where_the_tour_began(domain):
    start = domain.node
    (challenge,) = candidates(domain, "return_home", tour(domain, 0, 0))
    assert np.array_equal(challenge.image, domain.render())
    assert challenge.solved(domain)
    domain.place(Cell((start.x + 1) % 12, start.y))
    assert not challenge.solved(domain)
    assert challenge.hidden(domain)


def test_an_unknown_task_is_answered_with_the_nearest():
    with pytest.raises(ValueError, match="Unknown task 'find_sen'. Did you mean 'find"):
        find_task("find_sen")


def test_a_task_of_ones_own_is_named_by_its_class():
    assert find_task("envs.tasks.ReturnHome").shows_image
    assert not find_task("envs.tasks.FindSeen").shows_image


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("no_such.Thing", "ModuleNotFoundError: No module named 'no_such'"),
        ("envs.tasks.FindSen", "AttributeError: module 'envs.tasks' has no attribute"),
        ("envs.tasks.Task", "TypeError: Can't instantiate abstract class Task"),
        ("collections.Counter", "a Counter"),
    ],
)
def test_what_is_no_task_is_refused(name, found):
    with pytest.raises(ValueError, match="must be the path of a class") as error:
        find_task(name)
    assert str(error.value).startswith(f"`task.kind={name}` must be the path of a cla")
    assert f"got {found}" in str(error.value)
    assert str(error.value).endswith("or install its package again.")
