"""What the conformance kit says of broken policies around planners."""

from __future__ import annotations

from dataclasses import replace

import pytest

from eval.laws.planning_policy import LAWS, Episodes
from eval.laws.toy import DOTS
from planners.beam import BeamPlanner
from planners.mpc import MPCPolicy


class WritesTwice(MPCPolicy):
    def observe(self, chunk):
        super().observe(chunk)
        self.memory.write(chunk)


class ForgetsOften(MPCPolicy):
    def act(self, obs):
        self.memory.reset(len(obs.active), seeds=self._seeds)
        return super().act(obs)


class TellsLies(MPCPolicy):
    def observe(self, chunk):
        super().observe(replace(chunk, frames=-chunk.frames))


class Remembers(MPCPolicy):
    """Does in all its life what it did first."""

    def act(self, obs):
        self.kept = getattr(self, "kept", None)
        if self.kept is None or len(self.kept) != len(obs.active):
            self.kept = super().act(obs)
        return self.kept


class AllAlike(MPCPolicy):
    def act(self, obs):
        actions = super().act(obs)
        return actions * 0 + actions[0]


class OutOfSpace(MPCPolicy):
    def act(self, obs):
        return super().act(obs) + 100


class NoArray(MPCPolicy):
    def act(self, obs):
        return super().act(obs).tolist()


def problems(kind):
    """What every law says."""

    def make(memory):
        model, objective = DOTS.model(), DOTS.objective()
        return kind(model, memory, BeamPlanner(model, objective, depth=2, width=4))

    found = []
    for law in LAWS:
        try:
            law(Episodes(make, DOTS, (0, 1, 2)))
            found.append("")
        except AssertionError as error:
            found.append(str(error).removeprefix("Broken law: "))
    return found


@pytest.mark.parametrize(
    ("kind", "law", "problem"),
    [
        (WritesTwice, 0, "memory is reset once, then written once for every real ch"),
        (ForgetsOften, 0, "memory is reset once, then written once for every real ch"),
        (TellsLies, 0, "memory is told what really happened, got other frames."),
        (OutOfSpace, 0, "actions are whole numbers from 0 to 3, got ["),
        (NoArray, 0, "`act` returns an array, got list."),
        (Remembers, 1, "`reset` forgets, got [["),
        (AllAlike, 2, "episodes of a batch are independent, got ["),
    ],
)
def test_a_broken_policy_is_told_which_law_it_breaks(kind, law, problem):
    assert problems(kind)[law].startswith(problem)


def test_the_standard_policy_keeps_them():
    assert problems(MPCPolicy) == [""] * len(LAWS)
