"""Memories by pose: counting the way, closing loops, and what weights keep of it."""

import pytest
import torch
from torch import nn

from world_model.core import Chunk, Context
from world_model.memory.pose_map import PoseMapMemory
from world_model.memory.pose_weights import PoseWeightsMemory
from world_model.odometry import Odometry
from world_model.phrase_space import PhraseSpace
from world_model.place_matcher import relations
from world_model.toy import DotWorldModel

FORWARD, BACK, LEFT, RIGHT = range(4)
MOTIONS = ((1.0, 0.0, 0.0), (-1.0, 0.0, 0.0), (0.0, 0.0, 90.0), (0.0, 0.0, -90.0))
MEMORIES = [PoseMapMemory, PoseWeightsMemory]


def view(pose):
    """A view from a pose unlike all others."""
    seed = hash(pose.place) % 2**31
    return torch.randn(3, 8, 8, generator=torch.Generator().manual_seed(seed))


class PerfectMatcher(nn.Module):
    """Knows from which pose every view of the world was taken."""

    def __init__(self, sure=9.0):
        super().__init__()
        self.sure = sure
        self.world = [
            Odometry(float(x), float(y), 90.0 * turn)
            for x in range(-3, 4)
            for y in range(-3, 4)
            for turn in range(4)
        ]
        self.views = torch.stack([view(pose) for pose in self.world]).flatten(1)

    def forward(self, first, second):
        poses = [
            torch.tensor([self.world[i] for i in self._nearest(x)])
            for x in (first, second)
        ]
        classes = relations(*poses, MOTIONS)[None]
        return self.sure * nn.functional.one_hot(classes, 5).float()

    def _nearest(self, views):
        return torch.cdist(views[0].flatten(1), self.views).argmin(dim=1).tolist()


class World:
    """Executes actions on a free plane and writes what is seen."""

    def __init__(self, kind, matcher=None, **options):
        model = DotWorldModel()
        model.action_space = PhraseSpace(
            ("forward", "backward", "left", "right"), (1, 0, 3, 2), motions=MOTIONS
        )
        self.memory = kind(model, matcher or PerfectMatcher(), **options)
        self.memory.reset(2, seeds=[0, 1])
        self.pose = Odometry()
        self.is_fresh = True

    def put(self, pose):
        """An unseen move."""
        self.pose, self.is_fresh = pose, True

    def execute(self, *actions, blocked=False):
        for action in actions:
            before = view(self.pose)[None]
            if not blocked:
                self.pose = self.pose.after(MOTIONS[action])
            num_past = 1 if self.is_fresh else 2
            past = before.expand(2, num_past, -1, -1, -1)
            chunk = Chunk(
                context=Context(torch.zeros(2, num_past - 1).long(), frames=past),
                actions=torch.tensor([action, 0]),
                frames=view(self.pose).expand(2, 2, -1, -1, -1),
                active=torch.tensor([True, False]),
            )
            self.memory.write(chunk)
            self.is_fresh = False

    def ask(self, *actions, slot=0):
        """What the memory says is seen after some actions, or None."""
        root = view(self.pose)[None]
        context = Context(
            torch.zeros(1, 1, 0).long(),
            latents=torch.zeros(1, 1, 1, 3, 8, 8),  # what is imagined does not matter
            imagined=torch.tensor(actions[:-1]).long()[None, None],
            slots=(slot,),
            root=root,
        )
        reading = self.memory.read(context, torch.tensor([[actions[-1]]]))
        if reading is None or not bool(reading.frames_valid):
            return None
        assert reading.frames_recalled
        return reading.frames[0, 0, 0]

    def truth(self, *actions):
        pose = self.pose
        for action in actions:
            pose = pose.after(MOTIONS[action])
        return view(pose)


def same(a, b):
    return a is not None and float((a - b).square().mean()) < 0.01


@pytest.fixture(params=MEMORIES)
def kind(request):
    return request.param


def test_views_are_found_by_ways_never_taken(kind):
    world = World(kind)
    # Around a square, always facing east or as turned.
    world.execute(FORWARD, LEFT, FORWARD, LEFT, FORWARD, LEFT, FORWARD, LEFT)
    assert world.pose.place == Odometry().place
    assert same(world.ask(FORWARD), world.truth(FORWARD))
    # The tour turned left once in every corner, never right here.
    assert same(world.ask(RIGHT), world.truth(RIGHT))
    assert same(world.ask(RIGHT, BACK), world.truth(RIGHT, BACK))
    assert world.ask(FORWARD, FORWARD) is None


def test_a_blocked_move_is_no_move_and_remembered(kind):
    world = World(kind)
    world.execute(LEFT)
    assert world.ask(FORWARD) is None
    world.execute(FORWARD, blocked=True)
    assert same(world.ask(RIGHT), world.truth(RIGHT))
    assert same(world.ask(FORWARD), world.truth())
    assert same(world.ask(FORWARD, RIGHT), world.truth(RIGHT))
    assert world.ask(RIGHT, FORWARD) is None


def test_after_an_unseen_move_a_known_place_is_recognised_at_a_new_heading(kind):
    world = World(kind)
    world.execute(FORWARD, FORWARD, LEFT)
    world.put(Odometry(1.0, 0.0, 270.0))  # this place was seen, looking east
    assert same(world.ask(LEFT), world.truth(LEFT))
    assert same(world.ask(LEFT, FORWARD), world.truth(LEFT, FORWARD))
    # And still when the new walk has been written.
    world.execute(RIGHT)
    assert same(world.ask(RIGHT, RIGHT), world.truth(RIGHT, RIGHT))
    assert same(world.ask(LEFT), world.truth(LEFT))


def test_in_an_unknown_place_only_the_new_walk_is_remembered(kind):
    world = World(kind)
    world.execute(FORWARD)
    world.put(Odometry(3.0, 3.0, 0.0))
    assert world.ask(LEFT) is None
    world.execute(LEFT)
    assert same(world.ask(RIGHT), world.truth(RIGHT))
    assert world.ask(RIGHT, FORWARD) is None


def test_a_later_view_anchors_a_walk_that_began_unknown(kind):
    world = World(kind)
    world.execute(FORWARD)
    world.put(Odometry(3.0, 0.0, 180.0))
    world.execute(FORWARD)
    assert world.ask(LEFT) is None
    world.execute(FORWARD)  # at (1, 0), which was seen looking east
    assert same(world.ask(LEFT, LEFT), world.truth(LEFT, LEFT))


class HeadingBlindMatcher(PerfectMatcher):
    """Knows places, but not which way one looks there."""

    def forward(self, first, second):
        logits = super().forward(first, second)
        logits[..., 1:] = logits[..., 1:].amax(dim=-1, keepdim=True)
        return logits


def test_where_several_alignments_fit_one_of_them_is_believed(kind):
    world = World(kind, matcher=HeadingBlindMatcher())
    world.execute(FORWARD, LEFT, LEFT, LEFT)
    world.put(Odometry(1.0, 0.0, 180.0))
    found = world.ask(LEFT)
    here = [Odometry(1.0, 0.0, 90.0 * turn) for turn in range(4)]
    assert any(same(found, view(pose)) for pose in here)


@pytest.mark.parametrize(("min_known", "is_silent"), [(0.79, False), (0.81, True)])
def test_only_a_walk_that_is_likely_on_known_ground_is_placed(
    kind, min_known, is_silent
):
    # Nothing is told apart: four alignments weigh as much as "nowhere known" each.
    world = World(kind, matcher=PerfectMatcher(sure=0.0), min_known=min_known)
    world.execute(LEFT, LEFT, LEFT)
    world.put(Odometry())
    assert (world.ask(LEFT) is None) == is_silent


def test_resting_slots_learn_nothing(kind):
    world = World(kind)
    world.execute(FORWARD)
    assert world.ask(BACK, slot=1) is None


def test_weights_do_not_grow():
    world = World(PoseWeightsMemory)
    world.execute(FORWARD)
    first = world.memory.num_bytes
    world.execute(LEFT, FORWARD)
    assert world.memory.num_bytes == first
    assert not PoseWeightsMemory.stores_frames
    assert PoseMapMemory.stores_frames


def test_beyond_the_capacity_the_oldest_places_are_forgotten():
    world = World(PoseWeightsMemory, dim=4)
    world.execute(FORWARD, LEFT, LEFT, LEFT)
    assert world.ask(LEFT, BACK) is None  # where it all began
    world = World(PoseWeightsMemory, dim=5)
    world.execute(FORWARD, LEFT, LEFT, LEFT)
    assert world.ask(LEFT, BACK) is not None


def test_a_walk_finds_no_place_where_all_known_ones_were_forgotten():
    world = World(PoseWeightsMemory, dim=4)
    world.execute(FORWARD)
    world.put(Odometry(-2.0, -2.0, 0.0))  # unseen, nowhere that was visited
    world.execute(FORWARD, FORWARD, LEFT, FORWARD, FORWARD, FORWARD)
    assert world.ask(BACK) is None


def test_as_many_views_as_half_of_the_features_are_kept_apart():
    world = World(PoseWeightsMemory, dim=112)
    for _ in range(7):
        world.execute(FORWARD, LEFT, LEFT, LEFT, LEFT, RIGHT, FORWARD, LEFT)
    for walked in world.memory._walks[0][0].visited.values():
        kept = world.memory._views(0, [(0, walked)])[0]
        assert same(kept, view(walked)), walked


def test_a_search_asks_where_a_view_was_taken_once(kind, monkeypatch):
    world = World(kind)
    world.execute(FORWARD, LEFT, LEFT, FORWARD)
    world.put(Odometry(1.0, 0.0, 180.0))
    count, align = [], kind._align
    monkeypatch.setattr(kind, "_align", lambda *x: count.append(1) or align(*x))
    for _ in range(2):
        assert same(world.ask(RIGHT), world.truth(RIGHT))
    assert same(world.ask(RIGHT, RIGHT), world.truth(RIGHT, RIGHT))
    assert len(count) == 1
    world.put(Odometry())  # another view
    assert same(world.ask(FORWARD), world.truth(FORWARD))
    assert len(count) == 2
    world.put(Odometry(1.0, 0.0, 180.0))  # the first one again
    assert same(world.ask(RIGHT), world.truth(RIGHT))
    assert len(count) == 2
    world.execute(LEFT)  # something was written
    assert not world.memory._located


def test_impossible_values_are_refused():
    for field, value in (
        ("min_known", 1.0),
        ("dim", 0),
        ("width", -1.0),
    ):
        with pytest.raises(ValueError, match=f"`{field}` must be"):
            World(PoseWeightsMemory, **{field: value})


def test_actions_that_do_not_say_how_they_move_are_refused(kind):
    model = DotWorldModel()
    model.action_space = PhraseSpace(("stay",))
    with pytest.raises(ValueError, match="needs actions that say how they move"):
        kind(model, PerfectMatcher())
