"""Ridge regression, by which all of the methods learn their matrices."""

from __future__ import annotations

import torch
from torch import Tensor


def ridge_regression(inputs: Tensor, targets: Tensor, ridge: float) -> Tensor:
    """Return the matrix that maps inputs to targets best, in float64 until the result.

    Args:
        inputs: (n, d).
        targets: (n, p).
        ridge: weight of the matrix's squared norm.

    Returns:
        (p, d), float32.
    """
    x, y = inputs.double(), targets.double()
    products = x.T @ x
    products.diagonal().add_(ridge)
    return torch.linalg.solve(products, x.T @ y).T.float()
