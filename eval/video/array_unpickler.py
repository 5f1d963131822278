"""A reader of pickles that hold numpy arrays in plain containers."""

from __future__ import annotations

import importlib
import pickle
from typing import Any

# Old pickles name numpy.core; numpy 2 moved it to numpy._core.
_ADMITTED = {
    ("numpy.core.multiarray", "_reconstruct"): "numpy._core.multiarray",
    ("numpy._core.multiarray", "_reconstruct"): "numpy._core.multiarray",
    ("numpy", "ndarray"): "numpy",
    ("numpy", "dtype"): "numpy",
}


class ArrayUnpickler(pickle.Unpickler):
    """Unpickles numpy arrays and refuses every other global.

    A pickle runs whatever global it names; these three can only build arrays.
    """

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        """Resolves a global of the pickle.

        Raises:
            pickle.UnpicklingError: If it is not needed to build an array.
        """
        home = _ADMITTED.get((module_name, global_name))
        if home is None:
            raise pickle.UnpicklingError(
                "A weight file may hold numpy arrays only, got the global "
                f"`{module_name}.{global_name}`: do not load this file."
            )
        return getattr(importlib.import_module(home), global_name)
