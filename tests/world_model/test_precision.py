"""bfloat16 is taken where the hardware computes in it, and asked for nowhere else."""

import pytest
import torch

from world_model.precision import computes_in_bfloat16, mixed_precision


def with_cpu(monkeypatch, **found):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: found)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.mark.parametrize("name", ["avx512_bf16", "amx_bf16", "bf16"])
def test_a_processor_with_bfloat16_trains_in_it(monkeypatch, name):
    with_cpu(monkeypatch, **{name: True})
    assert computes_in_bfloat16("cpu")
    assert mixed_precision(None) == "bf16"


def test_a_processor_that_would_emulate_it_does_not(monkeypatch):
    with_cpu(monkeypatch, avx2=True, avx512_bf16=False)
    assert not computes_in_bfloat16("cpu")
    assert mixed_precision(None) == "no"


def test_what_is_asked_for_is_taken(monkeypatch):
    with_cpu(monkeypatch, avx2=True)
    assert [mixed_precision(x) for x in ("no", "bf16")] == ["no", "bf16"]


def test_other_precisions_are_refused():
    with pytest.raises(ValueError, match="must be no, bf16 or null, got fp8"):
        mixed_precision("fp8")
