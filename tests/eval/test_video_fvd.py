"""The video distance record: names, context, and what is refused."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch
from torch import Tensor

from eval.video.feature_set import extract
from eval.video.fvd import VideoDistance, compare, fvd, metric_name
from eval.video.i3d_features import I3dFeatures
from tests.pixel_dct import PixelDct


def _clips(seed: int, num_clips: int = 8, num_frames: int = 8) -> Tensor:
    shape = (num_clips, num_frames, 3, 16, 24)
    values = np.random.default_rng(seed).uniform(-1, 1, shape)
    return torch.from_numpy(values.astype(np.float32))


def _fvd(real: Tensor, fake: Tensor, **options: object) -> VideoDistance:
    rng = np.random.default_rng(0)
    return fvd(real, fake, PixelDct(), rng=rng, **options)  # type: ignore[arg-type]


def test_the_record_says_how_it_was_made() -> None:
    record = _fvd(_clips(0), _clips(1), other_real_clips=_clips(2), frame_stride=3)
    assert record.name == "fd_pixel_dct"
    assert (record.num_clips, record.num_frames, record.frame_stride) == (8, 8, 3)
    assert record.resolution == (16, 24)
    assert record.value > 0
    assert record.floor is not None
    assert record.extrapolated is not None
    assert "DCT" in record.fingerprint
    json.dumps(dataclasses.asdict(record))


def test_missing_values_are_empty() -> None:
    record = _fvd(_clips(0, num_clips=4), _clips(1, num_clips=4))
    assert record.floor is None
    assert record.extrapolated is None


def test_darker_clips_are_further_away_than_the_floor() -> None:
    real, other = _clips(0, 32), _clips(1, 32)
    record = _fvd(real, _clips(2, 32) * 0.5 - 0.5, other_real_clips=other)
    assert record.floor is not None
    assert record.value > 10 * record.floor
    assert record.kernel.low > 0


def test_only_i3d_logits_may_be_called_fvd() -> None:
    assert metric_name(I3dFeatures.name) == "fvd"
    assert metric_name("videomae2_g_ssv2") == "fd_videomae2_g_ssv2"


def test_i3d_records_are_named_fvd_and_carry_the_weights_hash() -> None:
    real, fake = _clips(0, 2, 9), _clips(1, 2, 9)
    record = fvd(real, fake, I3dFeatures(), rng=np.random.default_rng(0))
    assert record.name == "fvd"
    assert record.value > 0
    assert record.weights_sha256 == I3dFeatures.sha256


def test_sets_extracted_once_give_the_same_record() -> None:
    real, fake = extract(_clips(0), PixelDct()), extract(_clips(1), PixelDct())
    record = compare(real, fake, rng=np.random.default_rng(0))
    assert record == _fvd(_clips(0), _clips(1))


def test_unequal_numbers_of_clips_are_refused() -> None:
    with pytest.raises(ValueError, match="must have equal N, got 8 and 7: the bias"):
        _fvd(_clips(0), _clips(1, num_clips=7))


def test_short_clips_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 8 frames, got 7: use longer"):
        _fvd(_clips(0, num_frames=7), _clips(1, num_frames=7))


def test_repeated_clips_are_refused() -> None:
    fake = _clips(1)
    fake[3] = fake[5]
    with pytest.raises(ValueError, match="must differ, got 1 repeated among 8"):
        _fvd(_clips(0), fake)


def test_a_floor_from_the_same_clips_is_refused() -> None:
    other = _clips(2)
    other[0] = _clips(0)[0]
    with pytest.raises(ValueError, match="must differ, got 1 repeated among 16"):
        _fvd(_clips(0), _clips(1), other_real_clips=other)


def test_sets_of_different_protocols_are_refused() -> None:
    real = extract(_clips(0), PixelDct(), frame_stride=1)
    rng = np.random.default_rng(0)
    for fake, name in (
        (extract(_clips(1), PixelDct(), frame_stride=2), "frame_stride, got 1 and 2"),
        (extract(_clips(1, num_frames=9), PixelDct()), "num_frames, got 8 and 9"),
        (dataclasses.replace(real, extractor="other"), "extractor, got pixel_dct"),
    ):
        with pytest.raises(ValueError, match=f"must have equal {name}"):
            compare(real, fake, rng=rng)
