"""Muon: steepest descent under the spectral norm (Jordan et al. 2024, kellerjordan.github.io/posts/muon)."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from facehall.training.optimizers.groups import Group, check_range
from facehall.training.optimizers.matrices import MatrixOptimizer

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the quintic: steep at 0, so that five iterations lift small singular values into about [0.7, 1.2]."""
SMALLEST_NORM = 1e-7
"""A matrix with a smaller norm is treated as if it had this one, so that one of zeros stays so."""


class Muon(MatrixOptimizer):
    """Momentum whose update is orthogonalised, for the hidden convolutions; Adam for everything else.

    A convolution's weight is the matrix W of out rows and in k k columns. With the gradient G and the momentum mu:

        B <- mu B + (1 - mu) G
        W <- (1 - lr decay) W - lr sqrt(max(1, out / (in k k))) orthogonalise(mu B + (1 - mu) G)

    (without Nesterov, the second line takes B). On a flattened weight these are the steps of torch.optim.Muon, which
    rejects convolutions and orthogonalises one matrix at a time, in bfloat16. Here matrices of one shape are
    orthogonalised together, in their own precision: a network's convolutions come in few shapes.

    Args:
        network: see `MatrixOptimizer`.
        lr: learning rate of Adam's part, as in the recipes for Adam.
        muon_lr: learning rate of the matrices, which does not depend on the size of the gradient.
        momentum, nesterov: of the matrices.
        iterations: Newton-Schulz iterations.
        betas, eps: of Adam.
        weight_decay: of the matrices.

    Raises:
        ValueError: a setting out of its range.
        FacehallError: the network has no hidden layers.
    """

    def __init__(
        self,
        network: nn.Module,
        lr: float = 2e-3,
        muon_lr: float = 0.02,
        momentum: float = 0.95,
        nesterov: bool = True,
        iterations: int = 5,
        betas: Sequence[float] = (0.9, 0.99),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        check_range("muon_lr", muon_lr)
        check_range("momentum", momentum, below=1)
        check_range("iterations", iterations, low=1)
        settings = {"momentum": momentum, "nesterov": nesterov, "iterations": iterations}
        super().__init__(network, lr, muon_lr, betas, eps, weight_decay, **settings)

    def update_matrices(self, group: Group, parameters: list[Tensor], gradients: list[Tensor]) -> None:
        for parameter in parameters:
            if not self.state[parameter]:
                self.state[parameter]["momentum"] = torch.zeros_like(parameter)
        momenta = [self.state[parameter]["momentum"] for parameter in parameters]
        torch._foreach_lerp_(momenta, gradients, 1 - group["momentum"])
        directions = torch._foreach_lerp(gradients, momenta, group["momentum"]) if group["nesterov"] else momenta
        stacks: dict[Any, list[tuple[Tensor, Tensor]]] = defaultdict(list)
        for parameter, direction in zip(parameters, directions, strict=True):
            matrix = direction.flatten(1)
            stacks[matrix.shape, matrix.dtype, matrix.device].append((parameter, matrix))
        for ((rows, columns), *_), stack in stacks.items():
            updates = orthogonalise(torch.stack([matrix for _, matrix in stack]), group["iterations"])
            rate = group["lr"] * math.sqrt(max(1.0, rows / columns))
            for (parameter, _), update in zip(stack, updates, strict=True):
                parameter.mul_(1 - group["lr"] * group["weight_decay"])
                parameter.sub_(update.reshape(parameter.shape), alpha=rate)


def orthogonalise(matrices: Tensor, iterations: int = 5) -> Tensor:
    """Approximate the nearest matrix with orthonormal rows or columns: U S V^T -> U p(...p(S / |S|)) V^T.

    Each Newton-Schulz iteration applies the quintic p(s) = a s + b s^3 + c s^5 to the singular values, by products of
    matrices alone. Singular values below about 1e-3 of the norm stay below 0.7.

    Args:
        matrices: (B, rows, columns), of any floating-point type, which is also that of the computation.
        iterations: number of iterations.
    """
    a, b, c = COEFFICIENTS
    tall = matrices.shape[-2] > matrices.shape[-1]
    x = matrices.mT if tall else matrices  # the smaller of the two Gram matrices
    x = x / torch.linalg.matrix_norm(x, keepdim=True).clamp_min(SMALLEST_NORM)
    for _ in range(iterations):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x
