"""A second device, made of the CPU: where a GPU fails for mixing devices, so does it.

Tensors on `DEVICE` hold a tensor of the CPU that every operation is carried out on, so
that results are those of the CPU, bit for bit. What a GPU refuses is refused:
operations on tensors of both devices (but for copies, indices and scalars of the
CPU), generators of the CPU, `numpy()`. Autocast does nothing here.

    python tests/another_device.py eval.run memory=pose_weights ...

runs a module as `python -m` does, with this device for the GPU that there is.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import Any

import torch
from accelerate.state import PartialState
from torch import Tensor
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import return_and_correct_aliasing
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

NAME = "elsewhere"
INDEXING = {"aten::index", "aten::index_put", "aten::index_put_"}


class Backend:
    """What torch asks the module of a device."""

    def is_initialized(self) -> bool:
        return True

    def is_available(self) -> bool:
        return True

    def current_device(self) -> int:
        return 0

    def device_count(self) -> int:
        return 1

    def _is_in_bad_fork(self) -> bool:
        return False

    def manual_seed_all(self, seed: int) -> None:
        """It has no generator."""

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.bfloat16]


_setup_privateuseone_for_python_backend(NAME, backend_module=Backend())
DEVICE = torch.device(NAME, 0)
# Gradients would be computed in a thread of their own, as for a GPU, where Python
# objects of two threads may meet; that is no concern of GPUs.
torch.autograd.set_multithreading_enabled(False)


class Elsewhere(Tensor):
    """A tensor on `DEVICE`."""

    inner: Tensor

    @staticmethod
    def __new__(cls, inner: Tensor) -> Elsewhere:
        return torch.Tensor._make_wrapper_subclass(
            cls,
            inner.shape,
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            device=DEVICE,
        )

    def __init__(self, inner: Tensor) -> None:
        self.inner = inner

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func is torch.ops.aten._to_copy.default:
            return _to_copy(*args, **kwargs)
        if func is torch.ops.aten.copy_.default:
            return _copy_from(args[1], args[0])
        _check(func, args, kwargs)
        leaves_it = torch.device(kwargs.get("device") or DEVICE).type == "cpu"
        inner = func(*pytree.tree_map(_bare, args), **pytree.tree_map(_bare, kwargs))
        if leaves_it:
            return inner
        out = pytree.tree_map_only(Tensor, Elsewhere, inner)
        return return_and_correct_aliasing(func, args, kwargs, out)

    @property
    def data(self) -> Tensor:
        return self.detach()

    @data.setter
    def data(self, other: Elsewhere) -> None:
        self.inner = other.inner
        Tensor.data.__set__(self, other)

    def tolist(self) -> Any:
        return self.inner.tolist()

    def storage(self) -> Any:
        return self.inner.storage()

    def untyped_storage(self) -> Any:
        return self.inner.untyped_storage()

    def data_ptr(self) -> int:
        return self.inner.data_ptr()

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.inner.__reduce_ex__(protocol)  # as read with `map_location="cpu"`

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        if id(self) not in memo:
            copied: Tensor = Elsewhere(self.inner.clone())
            if isinstance(self, torch.nn.Parameter):
                copied = torch.nn.Parameter(copied)
            memo[id(self)] = copied.requires_grad_(self.requires_grad)
        return memo[id(self)]

    def __repr__(self) -> str:
        return f"Elsewhere({self.inner!r})"


def _bare(x: Any) -> Any:
    if isinstance(x, torch.device):
        return torch.device("cpu")
    return x.inner if isinstance(x, Elsewhere) else x


def _check(func: Any, args: Any, kwargs: Any) -> None:
    """Refuses what a GPU would.

    Raises:
        RuntimeError: If tensors lie on both devices, or a generator on the CPU.
    """
    leaves = pytree.tree_leaves((args, kwargs))
    if any(isinstance(x, torch.Generator) for x in leaves):
        raise RuntimeError(
            f"Expected a '{NAME}' device type for generator but found 'cpu' in {func}."
        )
    tensors = [x for x in leaves if isinstance(x, Tensor)]
    if func.name().split(".")[0] in INDEXING and isinstance(args[0], Elsewhere):
        tensors = [x for x in tensors if not any(x is index for index in args[1])]
    if any(not isinstance(x, Elsewhere) and x.dim() > 0 for x in tensors):
        raise RuntimeError(
            "Expected all tensors to be on the same device, but found at least two "
            f"devices, {DEVICE} and cpu, in {func}."
        )


def _to_copy(x, *, dtype=None, device=None, memory_format=None, **_):
    there = x.device if device is None else torch.device(device)
    copied = _bare(x).to(
        dtype=dtype or x.dtype,
        copy=True,
        memory_format=memory_format or torch.preserve_format,
    )
    return Elsewhere(copied) if there.type == NAME else copied


def _copy_from(source, into, non_blocking=False):
    _bare(into).copy_(_bare(source))
    return into


def _empty(size, *, dtype=None, memory_format=None, **_):
    layout = memory_format or torch.contiguous_format
    return Elsewhere(torch.empty(size, dtype=dtype, memory_format=layout))


def _empty_strided(size, stride, *, dtype=None, **_):
    return Elsewhere(torch.empty_strided(size, stride, dtype=dtype))


for _name, _implementation in {
    "empty.memory_format": _empty,
    "empty_strided": _empty_strided,
    "_copy_from": _copy_from,
}.items():
    torch.library.impl(f"aten::{_name}", "privateuseone")(_implementation)


def main() -> None:
    """Runs a module on the device."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from world_model import device

    # A parameter stays the object that optimisers know when its module is moved.
    torch.__future__.set_swap_module_params_on_conversion(True)
    device.default_device = lambda: DEVICE
    PartialState.default_device = property(lambda _: DEVICE)
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
