"""Dead reckoning: poses compose, invert and come back to where they began."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from world_model.odometry import Odometry

metres = st.floats(-5, 5)
poses = st.builds(Odometry, metres, metres, st.floats(0, 359))


@given(poses)
def test_a_pose_and_its_inverse_undo_each_other(pose):
    for there_and_back in (pose.after(pose.inverse), pose.inverse.after(pose)):
        x, y, heading = there_and_back
        assert x == pytest.approx(0, abs=1e-9)
        assert y == pytest.approx(0, abs=1e-9)
        assert min(heading, 360 - heading) == pytest.approx(0, abs=1e-9)


@given(poses, poses, poses)
def test_composition_is_associative(a, b, c):
    left, right = a.after(b).after(c), a.after(b.after(c))
    assert left[:2] == pytest.approx(right[:2], abs=1e-9)
    turned = (left.heading - right.heading) % 360
    assert min(turned, 360 - turned) == pytest.approx(0, abs=1e-9)


def test_forward_is_where_the_robot_looks():
    assert Odometry(1, 2, 90).after((0.5, 0, 0))[:2] == pytest.approx((1, 2.5))
    assert Odometry(1, 2, 90).after((0, 0.5, 0))[:2] == pytest.approx((0.5, 2))
