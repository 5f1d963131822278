"""Imports MiniWorld for off-screen rendering, or says what is missing."""

from __future__ import annotations

from typing import BinaryIO

from world_model.errors import MachineError

try:
    import pyglet

    # Read when `pyglet.gl` is imported, which MiniWorld does: no window, EGL.
    pyglet.options["headless"] = True
    import miniworld.entity as entity
    import miniworld.opengl as opengl
    import miniworld.params as params
    from miniworld.envs.maze import Maze as Maze
    from PIL import Image
    from pyglet import gl as gl
    from pyglet.image import ImageData, codecs
except ModuleNotFoundError as error:
    raise MachineError(
        f"`domain=miniworld` needs the package `{error.name}`, which is not installed: "
        "pip install 'slowfast-bench[miniworld]'."
    ) from error
except Exception as error:
    raise MachineError(
        "`domain=miniworld` needs an OpenGL library with EGL; loading MiniWorld failed "
        f"({error}): install libegl1 and libgl1."
    ) from error


class _RgbaReader(codecs.ImageDecoder):
    """Reads PNG as the RGBA that MiniWorld asks for.

    pyglet's own conversion is a regular expression per pixel: a second per texture.
    """

    def get_file_extensions(self) -> list[str]:
        return [".png"]

    def decode(self, file: BinaryIO, filename: str) -> ImageData:
        # pyglet's rows begin at the bottom.
        image = (
            Image.open(file).convert("RGBA").transpose(Image.Transpose.FLIP_TOP_BOTTOM)
        )
        return ImageData(*image.size, "RGBA", image.tobytes())


# There is no other way to be asked before pyglet's own readers.
codecs._codecs._decoder_extensions[".png"].insert(0, _RgbaReader())

__all__ = ["Maze", "entity", "gl", "opengl", "params"]
