"""What a file or a run was made with: code revision, libraries, machine."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

PROJECT_ROOT = Path(__file__).resolve().parents[1]
LIBRARIES = (
    "torch",
    "numpy",
    "diffusers",
    "peft",
    "gymnasium",
    "mujoco",
    "robosuite",
    "scipy",
    "hydra-core",
    "slowfast-bench",
)
# What can change a result. Documents and promoted rows cannot: committing them
# between two runs must not make the second one "dirty".
_CODE = (
    "envs",
    "planners",
    "world_model",
    "eval",
    "configs",
    "pyproject.toml",
    "requirements.txt",
    "requirements-robosuite.txt",
)


def provenance(*, device: str = "cpu") -> dict[str, Any]:
    """Code, libraries and machine, as plain JSON values.

    Args:
        device: The torch device that is worked on, e.g. "cpu" or "cuda:0".
    """
    import torch

    return {
        **code_state(),
        "libraries": {name: _version(name) for name in LIBRARIES},
        "python": platform.python_version(),
        "device": _device_name(device),
        "threads": torch.get_num_threads(),
    }


def weights_digests(folder: Path) -> dict[str, str]:
    """A digest of each part of weights, e.g. of the `denoiser` in their folder.

    Those of a world model of one's own may be a single file.
    """
    found = {}
    root = folder.parent if folder.is_file() else folder
    for part in [folder] if folder.is_file() else sorted(folder.glob("*")):
        digest = hashlib.sha256()
        for path in sorted(part.rglob("*")) if part.is_dir() else [part]:
            if path.is_file():
                digest.update(f"{path.relative_to(root)} ".encode())
                digest.update(path.read_bytes())
        found[part.name] = digest.hexdigest()[:12]
    return found


def code_state(root: Path = PROJECT_ROOT) -> dict[str, Any]:
    """The git revision of the code and whether it was changed since.

    Returns:
        `revision`, `dirty` and `changes`, a hash of the uncommitted difference by
        which two dirty trees can be told apart (files unknown to git count by
        name). All None outside a checkout (from a wheel).
    """
    top = _git(root, "rev-parse", "--show-toplevel")
    # A wheel may lie inside some other project's checkout.
    if top is None or Path(top.strip()).resolve() != root:
        return {"revision": None, "dirty": None, "changes": None}
    revision = _git(root, "rev-parse", "--verify", "--quiet", "HEAD")
    status = _git(root, "status", "--porcelain", "--", *_CODE) or ""
    diff = _git(root, "diff", "HEAD", "--full-index", "--", *_CODE) or ""
    digest = hashlib.sha256((status + diff).encode()).hexdigest()[:12]
    return {
        "revision": revision.strip() if revision else None,
        "dirty": bool(status),
        "changes": digest if status else None,
    }


def _git(root: Path, *arguments: str) -> str | None:
    """Output of a git command, None if it fails or git is not there."""
    # Optional locks would let a mere look disturb a commit that is under way.
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments],
            capture_output=True,
            env=environment,
            text=True,
            errors="replace",
        )
    except OSError:
        return None
    return done.stdout if done.returncode == 0 else None


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _device_name(device: str) -> str:
    """E.g. "cpu (AMD EPYC, AVX512)": times mean nothing without it."""
    import torch

    if device.startswith("cuda"):
        return f"{device} ({torch.cuda.get_device_name(device)})"
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    models = [x.split(":", 1)[1].strip() for x in lines if x.startswith("model name")]
    model = models[0] if models else platform.machine()
    # Processors of one name are many times apart in what they compute with.
    return f"{device} ({model}, {torch.backends.cpu.get_cpu_capability()})"
