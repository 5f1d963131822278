"""Small nets are trained for as few steps as anyone asks for."""

import pytest
import torch

from world_model.training.fit import FitConfig, fit
from world_model.training.progress import Log


@pytest.mark.parametrize("num_steps", [2, 20, 21])
def test_a_rise_may_be_one_step_long_or_shorter(tmp_path, num_steps):
    # 20 steps x 0.05: a rise of one step, whose slope torch divides by none.
    net = torch.nn.Linear(1, 1)
    before = net.weight.detach().clone()
    fit(
        net,
        lambda: (net(torch.ones(1, 1)) - 9).square().mean(),
        dict,
        FitConfig(num_steps=num_steps, evaluate_every=num_steps),
        Log(tmp_path / "log.csv"),
        label="net",
        one_cycle=0.05,
    )
    assert torch.isfinite(net.weight).all()
    assert (net.weight != before).any()
