"""`PoseMemory`: what was seen is kept by dead-reckoned pose; two memories share it."""

from __future__ import annotations

import abc
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from world_model.api import Memory, WorldModel
from world_model.core import Chunk, Context, Reading
from world_model.memory.keyframes import chunk_ends
from world_model.odometry import Odometry, Place
from world_model.phrase_space import motions_of
from world_model.place_matcher import (
    PlaceMatcher,
    num_headings,
    relations,
    turn_step,
)

START = Odometry()

_Key = tuple[int, Odometry]
_Located = tuple["tuple[Walk, ...]", dict[bytes, _Key | None]]
"""Walks, and where views (their bytes) were taken as far as these tell."""
_State = tuple[dict[int, "tuple[Walk, ...]"], dict[int, Any]]
"""Walks and what is kept of them, by slot."""


@dataclass(frozen=True)
class Walk:
    """A stretch of an episode without unseen moves; poses count from its start.

    Attributes:
        visited: Poses whose view is kept, the last visited last.
        blocked: Places and the actions that did not move the robot there.
        here: The pose the robot has now, or had when it was moved.
        anchor: Where the walk began, as a pose of the episode's first walk; None
            while that is not known.
    """

    visited: dict[Place, Odometry] = field(default_factory=dict)
    blocked: frozenset[tuple[Place, int]] = frozenset()
    here: Odometry = START
    anchor: Odometry | None = None

    def visit(self, pose: Odometry) -> Walk:
        """The walk one view longer."""
        others = {k: v for k, v in self.visited.items() if k != pose.place}
        return replace(self, visited={**others, pose.place: pose}, here=pose)

    def without_oldest(self) -> Walk:
        """The walk without the pose that was visited longest ago."""
        oldest, *others = self.visited.items()
        blocked = frozenset(pair for pair in self.blocked if pair[0] != oldest[0])
        return replace(self, visited=dict(others), blocked=blocked)


class PoseMemory(Memory):
    """Path integration, loop closure, and a store of views addressed by pose.

    Executed actions say how the robot moved (`PhraseSpace.motions`, nothing where the
    view stayed as it was), so that every view has a pose relative to where its walk
    began. A reading counts on from the last real view along the imagined actions and
    hands over what is kept under the pose they lead to: nothing depends on imagined
    images, and a view is found by whatever way one comes to it.

    After an unseen move a new walk begins. `PlaceMatcher` compares its views with
    those kept. Is it "nowhere known"? If that is unlikely enough, the alignment with
    the highest posterior anchors the walk in the first one's frame, be it ever so
    doubtful which one of several it is: a guess is mended by the next view, silence
    leaves the planner without any memory. Else the memory speaks only of the new walk
    itself.

    The model is that of path integration bound to sensory memories (Tolman-Eichenbaum
    machine, Whittington et al., Cell 2020), with alignment as in loop-closure
    detection. SlowFast-VGen keeps no poses.

    Attributes:
        capacity: Most poses that are kept, None for all; older ones are forgotten.

    Args:
        world_model: Encodes the frames and names the actions.
        matcher: Tells how views lie to each other.
        min_known: Least posterior of all alignments together, that is of standing
            anywhere known, at which the best of them is believed.
    """

    capacity: int | None = None

    def __init__(
        self,
        world_model: WorldModel,
        matcher: PlaceMatcher,
        *,
        min_known: float = 0.1,
    ) -> None:
        if not 0 < min_known < 1:
            raise ValueError(f"`min_known` must be between 0 and 1, got {min_known}.")
        self.world_model = world_model
        self.matcher = matcher
        self.min_known = min_known
        self._motions = motions_of(
            world_model.action_space,
            "memory by pose",
            instead="use memory=temp_lora_paper",
        )
        self._walks: dict[int, tuple[Walk, ...]] = {}
        self._kept: dict[int, Any] = {}
        self._located: dict[int, _Located] = {}

    @abc.abstractmethod
    def _keep(self, slot: int, walk: int, pose: Odometry, view: Tensor) -> None:
        """Stores a view (c, h, w) under a pose of a walk, in a new `_kept[slot]`."""

    @abc.abstractmethod
    def _views(self, slot: int, keys: Sequence[tuple[int, Odometry]]) -> Tensor:
        """What is kept under (walk, pose) pairs, (M, c, h, w)."""

    def reset(self, num_episodes: int, *, seeds: Sequence[int]) -> None:
        """Forgets all walks and views."""
        self._walks, self._kept, self._located = {}, {}, {}

    def snapshot(self) -> _State:
        """See `Memory.snapshot`; what is kept is replaced, never changed in place."""
        return dict(self._walks), dict(self._kept)

    def restore(self, state: _State) -> None:
        """See `Memory.restore`."""
        walks, kept = state
        self._walks, self._kept = dict(walks), dict(kept)

    def write(self, chunk: Chunk) -> None:
        """Keeps each active slot's chunk end under the pose it was seen from."""
        self._located = {}
        before, after = chunk_ends(self.world_model, chunk)
        is_fresh = chunk.context.num_frames == 1
        change = (after - before).square().mean(dim=(1, 2, 3)).tolist()
        for slot in chunk.active.nonzero()[:, 0].tolist():
            known = slot in self._walks
            if not known or (is_fresh and not self._is_last_view(slot, before[slot])):
                self._begin_walk(slot, before[slot])
            self._step(slot, int(chunk.actions[slot]), change[slot])
            self._visit(slot, self._walks[slot][-1].here, after[slot])
            self._anchor(slot)

    def read(self, context: Context, actions: Tensor) -> Reading | None:
        """The view kept under the pose that each candidate's actions lead to."""
        slots = context.memory_slots
        if not any(slot in self._walks for slot in slots):
            return None
        assert context.imagined is not None
        assert context.root is not None
        paths = torch.cat([context.imagined, actions[..., None]], dim=-1).tolist()
        frames = context.root.new_zeros(*actions.shape, *context.root.shape[1:])
        valid = torch.zeros(actions.shape, dtype=torch.bool)
        for row, slot in enumerate(slots):
            found = self._ends(slot, context.root[row], paths[row])
            if found:
                frames[row, list(found)] = self._views(slot, list(found.values()))
                valid[row, list(found)] = True
        return Reading(
            frames=frames[:, :, None], frames_valid=valid, frames_recalled=True
        )

    def _ends(
        self, slot: int, root: Tensor, paths: Sequence[Sequence[int]]
    ) -> dict[int, tuple[int, Odometry]]:
        """Keys of the kept views that paths from the view `root` lead to, by path."""
        located = self._locate(slot, root)
        if located is None:
            return {}
        walk, start = located
        found = {}
        for i, path in enumerate(paths):
            if any(action >= len(self._motions) for action in path):
                continue  # a goal in words: nobody knows where it leads
            pose = start
            for action in path:
                if (pose.place, action) not in self._walks[slot][walk].blocked:
                    pose = pose.after(self._motions[action])
            key = self._find(slot, walk, pose)
            if key is not None:
                found[i] = key
        return found

    def _locate(self, slot: int, view: Tensor) -> tuple[int, Odometry] | None:
        """The walk and pose a real view was seen from, or None."""
        if slot not in self._walks:
            return None
        # A search asks of one view again and again, and nothing is written meanwhile.
        walks, answers = self._located.get(slot, ((), {}))
        if walks is not self._walks[slot]:
            walks, answers = self._located[slot] = self._walks[slot], {}
        key = view.cpu().numpy().tobytes()
        if key not in answers:
            answers[key] = self._locate_anew(slot, view)
        return answers[key]

    def _locate_anew(self, slot: int, view: Tensor) -> tuple[int, Odometry] | None:
        if self._is_last_view(slot, view):
            return len(self._walks[slot]) - 1, self._walks[slot][-1].here
        pose = self._align(slot, [(START, view)], len(self._walks[slot]))
        return None if pose is None else (0, pose)

    def _find(
        self, slot: int, walk: int, pose: Odometry
    ) -> tuple[int, Odometry] | None:
        """Under which key the view from a pose of a walk is kept, or None."""
        walks = self._walks[slot]
        if pose.place in walks[walk].visited:
            return walk, walks[walk].visited[pose.place]
        anchor = walks[walk].anchor
        if anchor is None:
            return None
        in_first = anchor.after(pose)
        for i, other in reversed(list(enumerate(walks))):
            if other.anchor is not None:
                place = other.anchor.inverse.after(in_first).place
                if place in other.visited:
                    return i, other.visited[place]
        return None

    def _is_last_view(self, slot: int, view: Tensor) -> bool:
        """Whether the robot is where the slot's last chunk ended."""
        walks = self._walks.get(slot)
        if not walks:
            return False
        kept = self._views(slot, [(len(walks) - 1, walks[-1].here)])[0]
        return float((kept - view).square().mean()) < self.world_model.min_change

    def _begin_walk(self, slot: int, view: Tensor) -> None:
        walks = self._walks.get(slot, ())
        self._walks[slot] = (*walks, Walk(anchor=None if walks else START))
        self._visit(slot, START, view)

    def _step(self, slot: int, action: int, change: float) -> None:
        """Counts an executed action that changed the view by so much."""
        *others, walk = self._walks[slot]
        x, y, _ = motion = self._motions[action]
        # Nothing stands in the way of a turn on the spot.
        if (x or y) and change < self.world_model.min_change:
            blocked = walk.blocked | {(walk.here.place, action)}
            walk = replace(walk, blocked=blocked)
        else:
            walk = replace(walk, here=walk.here.after(motion))
        self._walks[slot] = (*others, walk)

    def _visit(self, slot: int, pose: Odometry, view: Tensor) -> None:
        *others, walk = self._walks[slot]
        walks = [*others, walk.visit(pose)]
        if self.capacity is not None and _count(walks) > self.capacity:
            oldest = next(i for i, walk in enumerate(walks) if walk.visited)
            walks[oldest] = walks[oldest].without_oldest()
        self._walks[slot] = tuple(walks)
        self._keep(slot, len(others), pose, view)

    def _anchor(self, slot: int) -> None:
        """Says where the last walk began, unless it is the first."""
        *others, walk = self._walks[slot]
        if not others:
            return
        keys = [(len(others), pose) for pose in walk.visited.values()]
        views = self._views(slot, keys)
        seen = [(pose, view) for (_, pose), view in zip(keys, views, strict=True)]
        anchor = self._align(slot, seen, len(others))
        self._walks[slot] = (*others, replace(walk, anchor=anchor))

    @torch.no_grad()
    def _align(
        self, slot: int, seen: Sequence[tuple[Odometry, Tensor]], num_walks: int
    ) -> Odometry | None:
        """Where a walk began, as a pose of the first walk, judged by what it saw.

        Args:
            slot: Whose memory.
            seen: Poses of the walk and the views (c, h, w) from there.
            num_walks: How many walks came before it.
        """
        kept = list(self._anchored(slot, num_walks))
        if not kept:
            return None  # all that was known by pose has been forgotten
        views = self._views(slot, [key for _, key in kept])
        logits = self.matcher(torch.stack([v for _, v in seen])[None], views[None])
        log_odds = logits[0].log_softmax(dim=-1)
        log_odds = (log_odds - log_odds[..., :1]).cpu()  # (I, J, 1 + R), 0 elsewhere
        starts = self._hypotheses(seen[-1][0], [pose for pose, _ in kept])
        known = torch.tensor([pose for pose, _ in kept])
        moved = torch.tensor([[s.after(p) for p, _ in seen] for s in starts])
        classes = relations(moved, known, self._motions)  # (H, I, J)
        evidence = log_odds[None].expand(len(starts), -1, -1, -1)
        scores = evidence.gather(-1, classes[..., None])[..., 0].sum(dim=(1, 2))
        posterior = torch.cat([scores.new_zeros(1), scores]).softmax(dim=0)
        if 1 - posterior[0] < self.min_known:
            return None
        return starts[int(scores.argmax())]

    def _anchored(
        self, slot: int, num_walks: int
    ) -> Iterator[tuple[Odometry, tuple[int, Odometry]]]:
        """Poses in the first walk's frame and keys of the first walks' views."""
        for i, walk in enumerate(self._walks[slot][:num_walks]):
            if walk.anchor is not None:
                for pose in walk.visited.values():
                    yield walk.anchor.after(pose), (i, pose)

    def _hypotheses(self, pose: Odometry, known: Sequence[Odometry]) -> list[Odometry]:
        """Starts of a walk that put its `pose` on a known place, at any heading."""
        step = turn_step(self._motions)
        places = {(k.x, k.y, k.heading % step) for k in known}
        back = pose.inverse
        ends = [
            Odometry(x, y, (heading + step * i) % 360)
            for x, y, heading in sorted(places)
            for i in range(num_headings(self._motions))
        ]
        unique = {end.place: end for end in ends}
        return [end.after(back) for end in unique.values()]

    @property
    def _pose_bytes(self) -> int:
        """Bytes of the fullest slot's poses.

        Each takes three single-precision numbers and a mask of blocked actions. A
        walk holds two more than it visited: where it is and its anchor.
        """
        full = self.capacity or max(map(_count, self._walks.values()), default=0)
        num_walks = max(map(len, self._walks.values()), default=0)
        return 16 * (full + 2 * num_walks) if self._walks else 0


def _count(walks: Sequence[Walk]) -> int:
    return sum(len(walk.visited) for walk in walks)
