import math

import pytest

from eval.metric import _ALL, METRICS


def test_success_is_a_proportion_with_wilson_bounds():
    estimate = METRICS["success"].aggregate([1.0] * 8 + [0.0] * 2)
    assert estimate.value == 0.8
    assert (estimate.low, estimate.high) == pytest.approx((0.4902, 0.9433), abs=5e-5)


def test_missing_values_are_left_out_and_never_counted():
    estimate = METRICS["steps"].aggregate([4.0, None, 8.0, math.nan])
    assert estimate.value == 6.0


def test_a_metric_nobody_measured_stays_empty():
    assert METRICS["optimism_gap"].aggregate([None, None]) is None


def test_what_a_batch_shares_is_drawn_once():
    calls, steps = [8.0] * 4 + [16.0] * 4 + [12.0] * 4, METRICS["steps"]
    batches = [0] * 4 + [1] * 4 + [2] * 4
    shared = METRICS["denoiser_calls"].aggregate(calls, batches)
    alone = METRICS["denoiser_calls"].aggregate(calls)
    assert shared.value == alone.value == 12.0
    assert (shared.low, shared.high) == (8.0, 16.0)  # of three draws
    assert alone.low > 8.5
    assert steps.aggregate(calls, batches) == alone
    missing = METRICS["denoiser_calls"].aggregate([None, *calls[1:]], batches)
    assert missing.low == 8.0


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("success", None, "`success` must be given for every episode, got None"),
        ("success", 0.5, "`success` must be 0 or 1, got 0.5"),
        ("steps", math.inf, "`steps` must be a finite number, got inf: leave it empty"),
    ],
)
def test_a_value_that_does_not_fit_is_refused(name, value, text):
    with pytest.raises(ValueError, match=text):
        METRICS[name].check(value)


def test_metrics_say_what_they_are():
    assert len(METRICS) == len(_ALL)  # no name twice
    assert METRICS["distance"].unit == "m"
    assert METRICS["success"].higher_is_better
    assert METRICS["decisions"].higher_is_better is None
    assert all(metric.description for metric in METRICS.values())
