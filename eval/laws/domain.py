"""The laws of domains, tried where a task is: in its first episodes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from envs.api import Domain
from envs.lattice import path_to
from world_model.testing import require

_MOST_ACTIONS = 4
"""Tried from one place: an action may be seconds of physics."""


def states_are_exact(domain: Domain) -> None:
    """`set_state` returns exactly to what `get_state` took."""
    for state, action in _tried(domain):
        first = domain.execute(action)
        domain.set_state(state)
        again = domain.execute(action)
        law = "the same state and action give the same frames, bit for bit"
        require(np.array_equal(first, again), law, domain.action_space.phrases[action])


def actions_lead_where_the_lattice_says(domain: Domain) -> None:
    """An action ends on `successor`, and shows F uint8 frames of `frame_shape`."""
    for _, action in _tried(domain):
        phrase = domain.action_space.phrases[action]
        end = domain.successor(domain.node, action)
        frames = domain.execute(action)
        law = "the node after an action is `successor` of the one before"
        require(domain.node == end, law, f"{phrase}: {domain.node} instead of {end}")
        shape = (domain.chunk_length, *domain.frame_shape)
        law = f"an action shows uint8 frames {shape}"
        found = f"{phrase}: {frames.dtype} {frames.shape}"
        require(frames.dtype == np.uint8 and frames.shape == shape, law, found)
        law = "the last frame of an action is the present view"
        require(np.array_equal(frames[-1], domain.render()), law, phrase)


def inverses_undo(domain: Domain) -> None:
    """An action that led elsewhere is undone by its inverse."""
    for _, action in _tried(domain):
        start, inverse = domain.node, domain.action_space.inverses[action]
        domain.execute(action)
        if inverse is None or domain.node == start:
            continue
        domain.execute(inverse)
        phrase = domain.action_space.phrases[action]
        law = "an action and its inverse lead back"
        require(domain.node == start, law, f"{phrase}: {domain.node}, not {start}")


def places_are_where_they_are_said_to_be(domain: Domain) -> None:
    """`place` puts the robot where `node` and `is_at` then say it is."""
    for node in (domain.node, *domain.start_nodes([domain.node])[:3]):
        domain.place(node)
        law = "after `place(node)` the robot is at that node"
        require(domain.node == node and domain.is_at(node), law, str(node))


def objects_are_known_and_counted(domain: Domain) -> None:
    """Objects are of the vocabulary; segmentation counts every one's pixels."""
    law = "`objects` are names of `vocabulary`"
    require(set(domain.objects) <= set(domain.vocabulary), law, domain.objects)
    found = domain.segment_objects()
    law = "`segment_objects` says of every object how many pixels it has"
    require(found.keys() == set(domain.objects), law, sorted(found))
    height, width, _ = domain.frame_shape
    law = "an image has no more pixels than it has"
    require(all(0 <= n <= height * width for n in found.values()), law, found)


def goals_in_words_are_reached(domain: Domain) -> None:
    """`toward` goes the shortest way to an object that words name, and then rests."""
    if not domain.travels:
        return
    for name in domain.objects[:1]:
        goals = domain.found_nodes(name)
        way = path_to(domain, domain.node, goals)
        for left in range(len(way or ()), 0, -1):
            action = domain.toward(f"go to the {name}")
            law = "`toward` is an action on the shortest way, None at its end"
            require(action in domain.action_space, law, action)
            domain.execute(int(action or 0), render=False)
            found = len(path_to(domain, domain.node, goals) or ())
            require(found == left - 1, law, f"{left} actions away, then {found}")
        rests = domain.toward(f"go to the {name}")
        require(rests is None, "`toward` is None where the goal is reached", rests)


LAWS = (
    states_are_exact,
    actions_lead_where_the_lattice_says,
    inverses_undo,
    places_are_where_they_are_said_to_be,
    objects_are_known_and_counted,
    goals_in_words_are_reached,
)


def _tried(domain: Domain) -> Iterator[tuple[object, int]]:
    """Actions, each from the state that the domain is in; it is put back there."""
    state = domain.get_state()
    for action in range(min(_MOST_ACTIONS, len(domain.action_space.phrases))):
        domain.set_state(state)
        yield state, action
    domain.set_state(state)
