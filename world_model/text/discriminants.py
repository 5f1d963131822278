"""Directions in which phrases differ, whatever their wording."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

_SHRINKAGE = 0.3
"""Of the covariance of wordings, in units of its mean variance."""
_LEAST_STD = 0.01
"""Of a dimension: those that hardly vary are not blown up."""


def discriminants(groups: Sequence[Tensor], count: int) -> tuple[Tensor, Tensor]:
    """Linear discriminant analysis (Fisher 1936), with a shrunken covariance.

    Dimensions are standardised first. With S the covariance of wordings around their
    phrase's mean, shrunken towards a multiple of I, and m_i the phrases' means, the
    directions are the first singular vectors of (m_i - mean) S^-1/2, taken back to the
    space of texts and scaled so that all wordings have variance 1 along each.

    Args:
        groups: Embeddings of the wordings of each phrase, (W_i, D).
        count: k, number of directions.

    Returns:
        Mean (D,) and projection (D, k): a text x becomes (x - mean) @ projection.
    """
    scale = torch.cat(list(groups)).double().std(dim=0).clamp(min=_LEAST_STD)
    groups = [group.double() / scale for group in groups]
    means = torch.stack([group.mean(dim=0) for group in groups])
    mean = means.mean(dim=0)
    within = torch.cat([group - group.mean(dim=0) for group in groups])
    scatter = within.T @ within / len(within)
    shrunken = scatter + _SHRINKAGE * scatter.diagonal().mean() * torch.eye(
        len(scatter)
    )
    values, vectors = torch.linalg.eigh(shrunken)
    whitening = (vectors * values.rsqrt()) @ vectors.T
    _, _, directions = torch.linalg.svd((means - mean) @ whitening, full_matrices=False)
    projection = whitening @ directions[:count].T
    spread = ((torch.cat(groups) - mean) @ projection).std(dim=0)
    return (mean * scale).float(), (projection / spread / scale[:, None]).float()
