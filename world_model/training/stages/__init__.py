"""The stages of training: each checks what it can before any of them starts.

A stage is a function of what is to be trained. It raises what is wrong at once and
returns the work itself, to be called in its turn.
"""

from world_model.training.stages.autoencoder import autoencoder, fit
from world_model.training.stages.export import export
from world_model.training.stages.slow import slow
from world_model.training.stages.slow_fast import slow_fast
from world_model.training.stages.small_nets import (
    classifier,
    matcher,
    position_probe,
    predictive_state,
    probe,
)

STAGES = {
    "fit": fit,
    "autoencoder": autoencoder,
    "slow": slow,
    "slow_fast": slow_fast,
    "classifier": classifier,
    "matcher": matcher,
    "predictive_state": predictive_state,
    "probe": probe,
    "position_probe": position_probe,
    "export": export,
}
