"""Fast weights: peft LoRA layers whose matrices are held per episode slot.

peft injects the adapter and owns the arithmetic; its two Linear modules are
replaced by `SlotLinear`, which multiplies each slot's rows with that slot's own
matrix. One injection serves every rank and every number of slots.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn

ADAPTER_NAME = "fast"


class SlotLinear(nn.Module):
    """y = x W_s^T for the rows of slot s.

    Attributes:
        weight: (S, out, in), set for the duration of a forward pass.
    """

    def __init__(self) -> None:
        super().__init__()
        self.weight: Tensor = torch.zeros(1, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (S * M, ..., in), slot-major, to (S * M, ..., out)."""
        num_slots = self.weight.shape[0]
        if len(x) % num_slots:
            raise ValueError(
                "A batch must hold equally many clips of every adapter, got "
                f"{len(x)} clips for {num_slots} adapters: reset the memory with the "
                "number of episodes that are imagined."
            )
        rows = x.reshape(num_slots, -1, x.shape[-1])
        out = rows @ self.weight.to(x.dtype).transpose(1, 2)
        return out.reshape(*x.shape[:-1], out.shape[-1])


def attach(network: nn.Module, target_modules: Sequence[str]) -> None:
    """Injects inert adapter layers into the named Linear modules, once."""
    if any(isinstance(m, LoraLayer) for m in network.modules()):
        return
    config = LoraConfig(r=1, lora_alpha=1, target_modules=list(target_modules))
    frozen = [p.requires_grad for p in network.parameters()]
    parameters = list(network.parameters())
    inject_adapter_in_model(config, network, adapter_name=ADAPTER_NAME)
    for parameter, requires_grad in zip(parameters, frozen, strict=True):
        parameter.requires_grad_(requires_grad)
    for _, layer in _layers(network):
        layer.lora_A[ADAPTER_NAME] = SlotLinear()
        layer.lora_B[ADAPTER_NAME] = SlotLinear()
        layer.enable_adapters(False)
    network.register_state_dict_post_hook(_plain_names)
    network.register_load_state_dict_pre_hook(_wrapped_names)


def layer_shapes(network: nn.Module) -> dict[str, tuple[int, int]]:
    """(in, out) features of every adapted layer, by name."""
    return {
        name: (layer.in_features, layer.out_features)
        for name, layer in _layers(network)
    }


@contextmanager
def using(network: nn.Module, adapter: dict[str, Tensor] | None) -> Iterator[None]:
    """Lets forward passes use an adapter.

    Args:
        network: What `attach` was called on.
        adapter: "<layer>.A" (S, r, in) and "<layer>.B" (S, out, r); layers that are
            not named stay as they are.
    """
    if not adapter:
        yield
        return
    active = [(n, m) for n, m in _layers(network) if f"{n}.A" in adapter]
    try:
        for name, layer in active:
            layer.lora_A[ADAPTER_NAME].weight = adapter[f"{name}.A"]
            layer.lora_B[ADAPTER_NAME].weight = adapter[f"{name}.B"]
            layer.enable_adapters(True)
        yield
    finally:
        for _, layer in active:
            layer.enable_adapters(False)
            layer.lora_A[ADAPTER_NAME].weight = torch.zeros(1, 1, 1)
            layer.lora_B[ADAPTER_NAME].weight = torch.zeros(1, 1, 1)


def _layers(network: nn.Module) -> Iterator[tuple[str, LoraLayer]]:
    for name, module in network.named_modules():
        if isinstance(module, LoraLayer):
            yield name, module


# Checkpoints must not depend on whether a memory has ever been attached.
_WRAPPED = ".base_layer."


def _plain_names(
    module: nn.Module, state: dict[str, Tensor], prefix: str, _: dict[str, Any]
) -> None:
    for name in list(state):
        state[name.replace(_WRAPPED, ".")] = state.pop(name)


def _wrapped_names(
    module: nn.Module, state: dict[str, Tensor], prefix: str, *_: Any
) -> None:
    for layer, _module in _layers(module):
        for kind in ("weight", "bias"):
            name = f"{prefix}{layer}.{kind}"
            if name in state:
                state[f"{prefix}{layer}{_WRAPPED}{kind}"] = state.pop(name)
