"""As much of torchvision as stable-worldmodel and LeRobot need to be imported.

torchvision's wheels for CUDA cannot be imported beside a CPU build of torch. Nothing
that is checked here computes with it, but for reading videos, which PyAV does instead.
"""

from __future__ import annotations

import sys
from types import ModuleType

import av
import numpy as np
import torch

__version__ = "0.0"


def set_video_backend(name):
    """There is one."""


class VideoReader:
    """Reads frames in order from about a time on."""

    def __init__(self, path, stream):
        self.container = av.open(path)

    def seek(self, seconds, keyframes_only=False):
        stream = self.container.streams.video[0]
        self.container.seek(int(seconds / stream.time_base), stream=stream)

    def __iter__(self):
        for frame in self.container.decode(video=0):
            image = torch.from_numpy(frame.to_ndarray(format="rgb24"))
            yield {"pts": frame.time, "data": image.permute(2, 0, 1)}


class ToTensor:
    """Images (H, W, C) uint8 -> (C, H, W) in [0, 1]."""

    def __call__(self, image):
        return torch.from_numpy(np.asarray(image)).permute(2, 0, 1) / 255


class Transform:
    """A base class."""


def module(name, **entries):
    made = ModuleType(name)
    made.__path__ = []
    made.__dict__.update(entries)
    sys.modules[name] = made
    return made


io = module("torchvision.io", VideoReader=VideoReader)
functional = module("torchvision.transforms.v2.functional")
v2 = module("torchvision.transforms.v2", Transform=Transform, functional=functional)
transforms = module("torchvision.transforms", ToTensor=ToTensor, v2=v2)
tv_tensors = module("torchvision.tv_tensors", Image=lambda x: x)
