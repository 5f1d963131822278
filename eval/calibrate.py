"""Calibrates scene cuts: `python -m eval.calibrate rooms`.

Writes the threshold of a domain into eval/video/cut_thresholds.json: the 95th
percentile of the luma changes between neighbouring frames of real tours, times 1.25.
"""

from __future__ import annotations

from slowfast_bench import require_packages

require_packages()

import argparse
import json

import numpy as np

from envs.api import Domain
from envs.domains import make_domain
from envs.splits import episode_rng
from eval.video.cuts import THRESHOLDS, calibrate_threshold
from world_model.errors import at_least, told_in_one_line
from world_model.whole_file import write_text


def tour_video(domain: Domain, seed: int) -> np.ndarray:
    """All frames (T, H, W, C) of the tour of a training layout."""
    domain.reset(episode_rng("train", seed))
    first = domain.render()[None]
    return np.concatenate([first, *(domain.execute(a) for a in domain.tour())])


def main() -> None:
    """Calibrates one domain."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("domain", help="as in domain=rooms")
    parser.add_argument("--tours", type=int, default=40)
    arguments = parser.parse_args()
    with told_in_one_line():
        threshold = calibrate(arguments.domain, arguments.tours)
    print(f"{arguments.domain}: {threshold} grey levels ({THRESHOLDS})")


def calibrate(name: str, tours: int) -> float:
    """The threshold of a domain, kept beside those of others.

    Raises:
        ValueError: If there is no such domain or tour, or nothing moves in them.
    """
    at_least(1, tours=tours)
    domain = make_domain(name)
    videos = [tour_video(domain, seed) for seed in range(tours)]
    domain.close()
    threshold = round(calibrate_threshold(videos), 2)
    stored = json.loads(THRESHOLDS.read_text()) if THRESHOLDS.exists() else {}
    stored[name] = {"threshold": threshold, "tours": tours}
    write_text(THRESHOLDS, json.dumps(stored, indent=2) + "\n")
    return threshold


if __name__ == "__main__":
    main()
