"""What is said of a world model when it is built."""

import hydra
import pytest

from eval import build_world_model
from world_model.names import CONFIGS


@pytest.mark.parametrize(("native", "said"), [(True, False), (False, True)])
def test_emulated_precision_is_said_to_be_slow(monkeypatch, capsys, native, said):
    monkeypatch.setattr(build_world_model, "computes_in_bfloat16", lambda _: native)
    with hydra.initialize_config_dir(str(CONFIGS), version_base="1.3"):
        options = ["task=scroll_find_seen", "world_model.precision=bfloat16"]
        cfg = hydra.compose("eval", options)
    build_world_model.build_world_model(cfg)
    assert ("many times slower than float32" in capsys.readouterr().err) is said
