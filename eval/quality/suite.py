"""`python -m eval.run suite=quality task=rooms_find_seen`: the world model by itself.

Writes <outputs>/quality-.../ with quality.json (figures, targets, configuration,
provenance), quality.csv (the figures, one per line), grid.png and filmstrip.png.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from rich.console import Console
from torch import Tensor

from envs.domains import domain_class
from eval.build_world_model import build_world_model, weights
from eval.quality.cases import Cases, decode, encode, make_cases, predict
from eval.quality.fidelity import fidelity_figures
from eval.quality.figures import Figure, to_csv, to_table, verdict
from eval.quality.following import Following
from eval.quality.objective import auroc_figures
from eval.quality.open_loop import (
    Films,
    drift_figures,
    imagine_films,
    obedience_figures,
)
from eval.quality.pictures import write_filmstrip, write_grid
from eval.quality.positions import position_figures
from eval.quality.walks import Walks, WalkSpec, check_domain, load_walks
from eval.run_spec import (
    PROTOCOL_VERSION,
    code_name,
    config_digest,
    provenance,
    slug,
)
from eval.video.features import VideoFeatures
from world_model.classifier import GoalClassifier, load_classifier
from world_model.diffusion.model import VideoDiffusionWorldModel
from world_model.errors import at_least, list_of, unknown_name
from world_model.fingerprint import encoder_fingerprint
from world_model.plain import plain
from world_model.position_probe import PositionProbe, load_position_probe
from world_model.probe import ActionProbe, load_probe
from world_model.text.phrases import vocabulary_of
from world_model.whole_file import write_text

_COUNTS = ("episodes", "actions", "batch_size", "min_pixels")


def run_quality(cfg: DictConfig, overrides: Sequence[str]) -> Path:
    """Runs the suite, prints its table and returns the folder with its files.

    Args:
        cfg: The resolved configuration of `python -m eval.run`.
        overrides: The command line that made it.

    Raises:
        ValueError: If a value is impossible or parts do not fit, before any work.
        FileNotFoundError: If weights or the probe are missing.
        OSError: If results cannot be written.
    """
    suite = QualitySuite(cfg, overrides)
    figures = suite.figures()
    suite.write(figures)
    title = f"quality of {cfg.world_model.name} on {cfg.task.domain}"
    note = f"{len(suite.cases)} chunks of {len(suite.spec.seeds)} {cfg.split} episodes"
    Console().print(to_table(figures, f"{title}: {note}"))
    return suite.folder


class QualitySuite:
    """The parts of one quality report, checked when made.

    Args:
        cfg: The resolved configuration of `python -m eval.run`.
        overrides: The command line that made it.

    Raises:
        ValueError: See `run_quality`.
        OSError: See `run_quality`.
    """

    def __init__(self, cfg: DictConfig, overrides: Sequence[str]) -> None:
        self._cfg = cfg
        self._options = cfg.quality
        check(cfg)
        self._model = _build_model(cfg)
        self._phrases = self._model.config.phrases
        self._groups = _action_groups(self._options.groups, self._phrases)
        _check_length(cfg, self._model.num_context_frames)
        self._probe = self._load_probe()
        self._reader = self._load_objective()
        self._features = _build_features(cfg, self._model)
        self.spec = WalkSpec(
            domain=cfg.task.domain,
            split=cfg.split,
            first_seed=self._options.first_seed,
            episodes=self._options.episodes,
            actions=self._options.actions,
        )
        # Now: the code may be edited, and the disk be found full, while this runs.
        device = str(self._model.device)
        used = [weights(cfg, cfg.task.domain)]
        self._made_by = provenance(device=device, overrides=overrides, weights=used)
        self.folder.mkdir(parents=True, exist_ok=True)

    @property
    def folder(self) -> Path:
        """Where results go: another configuration or revision is another folder."""
        cfg, made_by = self._cfg, self._made_by
        digest = config_digest(plain(cfg))
        code = code_name(made_by)
        names = ("quality", cfg.task.domain, cfg.world_model.name, cfg.split)
        name = "-".join([*(slug(x) for x in names), digest, code])
        return Path(cfg.outputs) / name

    @cached_property
    def walks(self) -> Walks:
        """The validation rooms."""
        return load_walks(self.spec, Path(self._options.cache))

    @cached_property
    def cases(self) -> Cases:
        """The chunks to predict."""
        return make_cases(
            self.walks,
            self._model.num_context_frames,
            tolerance=self._options.depth_tolerance,
        )

    @cached_property
    def predicted(self) -> Tensor:
        """Latents (M, c, h, w) predicted under the canonical phrases."""
        return self._predict(self._phrases)

    @cached_property
    def films(self) -> Films:
        """Walks imagined open loop."""
        options = self._options
        return imagine_films(
            self._model,
            self.walks,
            clips=options.open_loop.clips,
            chunks=options.open_loop.chunks,
            batch_size=options.batch_size,
        )

    def figures(self) -> list[Figure]:
        """Everything that is measured; those with a target first."""
        found = [
            *self._fidelity(),
            *self._following(),
            *self._objective(),
            *self._open_loop(),
        ]
        return sorted(found, key=lambda figure: figure.target is None)

    def write(self, figures: Sequence[Figure]) -> None:
        """Writes all files into `folder`."""
        report = json.dumps(self._report(figures), indent=2) + "\n"
        write_text(self.folder / "quality.csv", to_csv(figures))
        pictures = self._options.pictures
        images = decode(self._model, self.predicted)
        grid = self.folder / "grid.png"
        write_grid(self.cases, images, self._phrases, grid, pictures.examples)
        write_filmstrip(self.films, self.folder / "filmstrip.png", pictures.films)
        # Last: a folder without it is no finished report, whatever else it holds.
        write_text(self.folder / "quality.json", report)

    def _fidelity(self) -> list[Figure]:
        model, cases = self._model, self.cases
        return fidelity_figures(
            cases,
            decode(model, self.predicted),
            decode(model, encode(model, cases.truth)),
            groups=self._groups,
            targets=self._options.targets.covisible_gain,
            min_pixels=self._options.min_pixels,
        )

    def _following(self) -> list[Figure]:
        cases, targets = self.cases, self._options.targets
        last, truth = (encode(self._model, x) for x in (cases.last, cases.truth))
        judge = Following(self._probe, cases, last, truth, self._phrases)
        return [
            *judge.real(),
            *judge.generated(self.predicted, targets),
            *judge.paraphrased(self.predicted, self._predict, targets),
            *judge.unrelated(self._predict, targets),
        ]

    def _objective(self) -> list[Figure]:
        truth = encode(self._model, self.cases.truth)
        read, cases = self._reader, self.cases
        if isinstance(read, PositionProbe):
            return position_figures(read, cases, self.predicted, truth)
        return auroc_figures(read, cases, self.predicted, truth)

    def _open_loop(self) -> list[Figure]:
        options, targets = self._options.open_loop, self._options.targets
        figures = obedience_figures(self.films, self._probe, options.late, targets)
        if self._features is not None:
            spans = options.early, options.late
            figures += drift_figures(self.films, self._features, *spans, targets)
        return figures

    def _predict(self, phrases: Sequence[str]) -> Tensor:
        """Latents (M, c, h, w) after every case, its actions in the given words."""
        return predict(
            self._model.with_phrases(phrases),
            self.cases,
            batch_size=self._options.batch_size,
            description=f'predicting "{phrases[0]}", ...',
        )

    def _load_probe(self) -> ActionProbe:
        default = weights(self._cfg, self._cfg.task.domain) / "probe"
        return load_probe(
            Path(self._options.probe or default),
            phrases=self._phrases,
            encoder=encoder_fingerprint(self._model.autoencoder),
        )

    def _load_objective(self) -> GoalClassifier | PositionProbe:
        """What tells planners whether a goal holds; it ships beside the weights."""
        folder = weights(self._cfg, self._cfg.task.domain)
        if domain_class(self._cfg.task.domain).travels:
            return load_classifier(folder / "classifier")
        encoder = encoder_fingerprint(self._model.autoencoder)
        return load_position_probe(folder / "position_probe", encoder=encoder)

    def _report(self, figures: Sequence[Figure]) -> dict[str, Any]:
        """The content of quality.json."""
        return {
            "protocol_version": PROTOCOL_VERSION,
            "passed": verdict(figures),
            "figures": [figure.row() for figure in figures],
            "counts": {
                "cases": len(self.cases),
                "blocked": int((~self.walks.moved).sum()),
                "films": len(self.films.real),
            },
            "features": None if self._features is None else self._features.fingerprint,
            "split": self.spec.split,
            "seeds": list(self.spec.seeds),
            "provenance": self._made_by,
            "config": plain(self._cfg),
        }


def check(cfg: DictConfig) -> None:
    """Refuses impossible values before anything is built.

    Raises:
        ValueError: With the rule, the value and the remedy.
    """
    options = cfg.quality
    loop = options.open_loop
    for name in _COUNTS:
        at_least(1, **{f"quality.{name}": options[name]})
    at_least(0, **{"quality.first_seed": options.first_seed})
    for name in ("examples", "films"):
        at_least(1, **{f"quality.pictures.{name}": options.pictures[name]})
    # A distance between distributions needs two clips of each.
    at_least(2, **{"quality.open_loop.clips": loop.clips})
    if loop.clips > options.episodes:
        raise ValueError(
            "`quality.open_loop.clips` must be at most `quality.episodes` = "
            f"{options.episodes}, got {loop.clips}: one clip is taken per walk."
        )
    for name in ("early", "late"):
        ends = list_of(int, f"quality.open_loop.{name}", loop[name])
        if len(ends) != 2 or not 1 <= ends[0] <= ends[1] <= loop.chunks:
            raise ValueError(
                f"`quality.open_loop.{name}` must be a first and a last chunk within "
                f"1 ... {loop.chunks}, got {ends}."
            )
    check_domain(cfg.task.domain)


def _check_length(cfg: DictConfig, num_context_frames: int) -> None:
    needed = num_context_frames - 1 + cfg.quality.open_loop.chunks
    if cfg.quality.actions < needed:
        raise ValueError(
            f"`quality.actions` must be at least {needed} (K - 1 = "
            f"{num_context_frames - 1} before {cfg.quality.open_loop.chunks} imagined "
            f"chunks), got {cfg.quality.actions}: walk farther or imagine less."
        )


def _build_model(cfg: DictConfig) -> VideoDiffusionWorldModel:
    model = build_world_model(cfg)
    if not isinstance(model, VideoDiffusionWorldModel):
        raise ValueError(
            "`suite=quality` judges world models that learned phrases, got "
            f"{cfg.world_model.name!r}: choose world_model=tiny."
        )
    words = vocabulary_of(model.config.phrases)
    unheard = [p for p in model.config.phrases if p not in words.unseen]
    if unheard:
        raise ValueError(
            "Every phrase must have unseen wordings, got none for "
            f"{', '.join(unheard)}: add them to a vocabulary of world_model.text."
        )
    return model


def _build_features(
    cfg: DictConfig, model: VideoDiffusionWorldModel
) -> VideoFeatures | None:
    """The extractor of KVD, made early: missing weights are an error at once."""
    loop = cfg.quality.open_loop
    if loop.features is None:
        return None
    if loop.features != "i3d":
        raise unknown_name("quality.open_loop.features", loop.features, ["i3d"])
    from eval.video.i3d_features import I3dFeatures

    for name in ("early", "late"):
        frames = (loop[name][1] - loop[name][0] + 1) * model.chunk_length
        if frames < I3dFeatures.min_frames:
            raise ValueError(
                f"`quality.open_loop.{name}` must span at least "
                f"{I3dFeatures.min_frames} frames, got {frames}: name more chunks."
            )
    return I3dFeatures(device=model.device)


def _action_groups(
    groups: Mapping[str, Sequence[str]], phrases: Sequence[str]
) -> dict[str, list[int]]:
    """Actions by group: the configured ones, then every action by itself."""
    wanted = {**groups, **{phrase: [phrase] for phrase in phrases}}
    for phrase in (p for members in wanted.values() for p in members):
        if phrase not in phrases:
            raise unknown_name("action of quality.groups", phrase, phrases)
    return {
        group: [list(phrases).index(p) for p in members]
        for group, members in wanted.items()
    }
