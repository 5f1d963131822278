"""Imports MuJoCo with an off-screen OpenGL backend, or says what is missing."""

from __future__ import annotations

import atexit
import os
import weakref

import numpy as np

from world_model.errors import MachineError

try:
    import mujoco as mujoco
except Exception as error:
    raise MachineError(
        "Rendering needs a working OpenGL backend; loading MuJoCo failed with "
        f"MUJOCO_GL={os.environ['MUJOCO_GL']!r} ({error}). Install libegl1, or "
        "libosmesa6 and set MUJOCO_GL=osmesa."
    ) from error

PHYSICS = mujoco.mjtState.mjSTATE_INTEGRATION
"""All that the next step of the dynamics depends on."""
_RENDERERS: weakref.WeakSet[mujoco.Renderer] = weakref.WeakSet()


def get_physics(model: mujoco.MjModel, data: mujoco.MjData) -> np.ndarray:
    """A copy of the whole `PHYSICS`; `mj_setState` puts it back."""
    physics = np.empty(mujoco.mj_stateSize(model, PHYSICS))
    mujoco.mj_getState(model, data, physics, PHYSICS)
    return physics


def make_renderer(model: mujoco.MjModel, size: int) -> mujoco.Renderer:
    """A renderer of square images without shadows and reflections.

    Raises:
        MachineError: If no OpenGL context can be made.
    """
    try:
        renderer = mujoco.Renderer(model, height=size, width=size)
    except Exception as error:
        chosen, taken = os.environ["MUJOCO_GL"], mujoco.GLContext.__module__
        if chosen in ("egl", "osmesa") and not taken.endswith(chosen):
            raise MachineError(
                f"MUJOCO_GL={chosen!r} must be set before mujoco is imported, which "
                f"took {taken} ({error}): import envs before mujoco, or export it."
            ) from error
        raise MachineError(
            "Rendering needs a working OpenGL backend; making a context failed with "
            f"MUJOCO_GL={os.environ['MUJOCO_GL']!r} ({error}). Install libegl1, or "
            "libosmesa6 and set MUJOCO_GL=osmesa."
        ) from error
    # The shadow map alone costs 70 times the rest of a 64 px image.
    for flag in (mujoco.mjtRndFlag.mjRND_SHADOW, mujoco.mjtRndFlag.mjRND_REFLECTION):
        renderer.scene.flags[flag] = 0
    if not _RENDERERS:  # after MuJoCo has registered its own end, hence before it
        atexit.register(_close_all)
    _RENDERERS.add(renderer)
    return renderer


def _close_all() -> None:
    """Frees what nobody has closed while OpenGL still works: later it complains."""
    for renderer in list(_RENDERERS):
        renderer.close()
