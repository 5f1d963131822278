"""Which part of a scene each pixel shows: MiniWorld itself has no segmentation."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from envs.miniworld.gl import gl

MAX_PARTS = 255
"""A part's code is the red of its pixels; 0 is nothing."""


def draw_codes(parts: Sequence[Callable[[], None]]) -> None:
    """Draws part i in the colour (i + 1, 0, 0) of 255, into the buffer that is bound.

    Parts draw themselves as ever; of their looks only emission counts, which is ours:
    light, vertex colours and textures are off. No smoothing: the mean of two codes
    would be a third one's.
    """
    gl.glPushAttrib(gl.GL_ALL_ATTRIB_BITS)
    gl.glClearColor(0, 0, 0, 1)
    gl.glClear(gl.GL_COLOR_BUFFER_BIT | gl.GL_DEPTH_BUFFER_BIT)
    gl.glEnable(gl.GL_LIGHTING)
    for effect in (gl.GL_LIGHT0, gl.GL_MULTISAMPLE, gl.GL_COLOR_MATERIAL):
        gl.glDisable(effect)
    # Parts switch textures on again: a texture shows the plain colour below it.
    for name, value in (
        (gl.GL_TEXTURE_ENV_MODE, gl.GL_COMBINE),
        (gl.GL_COMBINE_RGB, gl.GL_REPLACE),
        (gl.GL_SRC0_RGB, gl.GL_PRIMARY_COLOR),
    ):
        gl.glTexEnvi(gl.GL_TEXTURE_ENV, name, value)
    _paint(gl.GL_AMBIENT_AND_DIFFUSE, 0)
    for code, draw in enumerate(parts, 1):
        _paint(gl.GL_EMISSION, code)
        draw()
    gl.glPopAttrib()


def draw_polygons(mode: int, vertices: np.ndarray) -> None:
    """Draws the bare shape of polygons (V, 3) [m]; `mode` as in `glBegin`."""
    gl.glBegin(mode)
    for vertex in vertices.tolist():
        gl.glVertex3f(*vertex)
    gl.glEnd()


def _paint(aspect: int, red: int) -> None:
    colour = (gl.GLfloat * 4)(red / MAX_PARTS, 0.0, 0.0, 1.0)
    gl.glMaterialfv(gl.GL_FRONT_AND_BACK, aspect, colour)
