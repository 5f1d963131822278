"""Trains a world model: `python -m world_model.train stage=slow domain=rooms`.

Stages in their order: fit (the autoencoder's projection), slow (the denoiser),
autoencoder (its correction), classifier (the objective), matcher (which views show
one place, for memories by pose), predictive_state (what actions uncover and move, for
the memory of that name), probe (the judge of `eval.run suite=quality`),
position_probe (how far imagined objects are from where they should be), slow_fast (the
denoiser learns to use a memory), export (what ships).

Every stage reads the data sets that `python -m envs.collect` or `python -m
envs.convert` wrote. An interrupted slow or slow_fast continues from its newest
checkpoint, the others begin again. Several stages run one after the other:
`'stage=[fit,slow,autoencoder,export]'`.
"""

from __future__ import annotations

from slowfast_bench import require_packages

require_packages()

import sys
from pathlib import Path

import hydra
from omegaconf import DictConfig

from world_model.errors import told_in_one_line, unknown_name
from world_model.names import check_group_names
from world_model.plugins import register_configs
from world_model.shards import ShardMeta, read_meta


@hydra.main(config_path="../configs", config_name="train", version_base="1.3")
def main(cfg: DictConfig) -> None:
    """Runs one stage, or several."""
    with told_in_one_line():
        _run(cfg)


def _run(cfg: DictConfig) -> None:
    # Importing them takes time: `--help` answers at once.
    from world_model.device import use_threads
    from world_model.training.stages import STAGES
    from world_model.training.stages.training import Training

    chosen = [cfg.stage] if isinstance(cfg.stage, str) else list(cfg.stage)
    for stage in chosen:
        if stage not in STAGES:
            raise unknown_name("stage", stage, STAGES)
    use_threads(cfg.threads)
    check_data(read_meta(Path(cfg.data)), Path(cfg.data))
    output = Path(cfg.output)
    jobs = [
        STAGES[stage](Training(cfg, tuple(chosen[:number])))
        for number, stage in enumerate(chosen)
    ]
    output.mkdir(parents=True, exist_ok=True)
    for job in jobs:
        made = job()
        if isinstance(made, Path):
            print(f"weights: {made}")
    print(f"results: {output}")


def check_data(meta: ShardMeta, data: Path) -> None:
    """Refuses a data set without episodes, and those that are there to be judged on.

    Raises:
        ValueError: If there are none, or they are of validation or test seeds.
    """
    split = meta.provenance.get("split", "train")
    if split != "train":
        raise ValueError(
            f"`data` must hold training episodes, got {data} of split={split}: "
            "collect with split=train, or train on other data."
        )
    if not any(data.glob("shard-*.npz")):
        raise ValueError(
            f"`data` must hold episodes, got {data} without any: give the command "
            "that collects or converts them again, it goes on where it stopped."
        )


if __name__ == "__main__":
    with told_in_one_line():
        check_group_names(sys.argv[1:])
    register_configs()
    main()
