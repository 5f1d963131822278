"""`RidgeWeights`: one episode's fast weights in closed form."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class RidgeWeights:
    """Ridge regression from keys to views, written pair by pair: O(D^2) numbers.

    The order of writes does not matter, nothing is overwritten, and no gradient is
    needed: recursive least squares in its information form.

    Attributes:
        gram: Sum of key outer products K'K, (D, D) half precision.
        values: Sum of key times view K'Z, (D, c, h, w) half precision.
    """

    gram: Tensor
    values: Tensor

    @classmethod
    def blank(cls, dim: int, view: Tensor) -> RidgeWeights:
        """Weights that know nothing, for views shaped like (c, h, w)."""
        zeros = torch.zeros(dim, dim, dtype=torch.float16, device=view.device)
        return cls(zeros, zeros.new_zeros(dim, *view.shape))

    def written(self, keys: Tensor, views: Tensor) -> RidgeWeights:
        """With pairs of keys (M, D) and views (M, c, h, w) added."""
        outer = torch.einsum("md,me->de", keys, keys)
        product = torch.einsum("md,mchw->dchw", keys, views)
        return RidgeWeights(
            (self.gram.float() + outer).half(), (self.values.float() + product).half()
        )

    def read(self, keys: Tensor, penalty: float) -> tuple[Tensor, Tensor]:
        """Solves z = Z'K (K'K + penalty I)^-1 k.

        Args:
            keys: (M, D), of about unit length.
            penalty: Of the regression.

        Returns:
            Views z (M, c, h, w) and how much of each key is known, (M,):
            k'K'K (K'K + penalty I)^-1 k, in [0, 1].
        """
        gram, wide = self.gram.double(), keys.double()
        damped = gram + penalty * torch.eye(len(gram), device=gram.device).double()
        solved = torch.linalg.solve(damped, wide.T).T
        known = (solved * (wide @ gram)).sum(dim=-1)
        views = solved @ self.values.flatten(1).double()
        return views.to(keys.dtype).unflatten(1, self.values.shape[1:]), known

    @property
    def num_bytes(self) -> int:
        """Bytes of the weights."""
        return self.gram.nbytes + self.values.nbytes
