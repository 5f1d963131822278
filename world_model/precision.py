"""Where bfloat16 is fast and where it is emulated, which is many times slower."""

from __future__ import annotations

import torch

from world_model.device import default_device

MIXED = ("no", "bf16")


def computes_in_bfloat16(device: str) -> bool:
    """Whether matrix products in bfloat16 are native on a device, "cpu" or "cuda"."""
    if torch.device(device).type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    found = torch.cpu.get_capabilities()
    # The last is what ARM processors call it.
    return any(found.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))


def mixed_precision(wanted: str | None) -> str:
    """What training computes in: `wanted`, or bf16 where that is native.

    Raises:
        ValueError: If `wanted` is neither null nor one of `MIXED`.
    """
    if wanted is None:
        return "bf16" if computes_in_bfloat16(default_device().type) else "no"
    if wanted not in MIXED:
        raise ValueError(
            f"`mixed_precision` must be no, bf16 or null, got {wanted}: null takes "
            "bf16 where the hardware computes in it."
        )
    return wanted
