"""SOAP: Adam in the eigenbasis of Shampoo's preconditioner (Vyas et al. 2024)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from facehall.training.optimizers.groups import Group, check_range
from facehall.training.optimizers.matrices import MatrixOptimizer

Bases = Sequence[Tensor | None]
"""An orthogonal matrix for each axis of a tensor; None leaves an axis as it is."""


class SOAP(MatrixOptimizer):
    """Adam in slowly rotating coordinates for the hidden layers (the paper's Algorithm 3); Adam for everything else.

    A convolution's weight is a tensor of the axes out, in and k k. Each axis has a covariance C of the gradient G's
    slices and the orthogonal basis Q of its eigenvectors. With G' = G rotated by every Q^T, and likewise M':

        M <- beta1 M + (1 - beta1) G
        V <- beta2 V + (1 - beta2) G'^2
        W <- (1 - lr decay) W - lr (M' / (sqrt(V) + eps) rotated back), with Adam's corrections of M and V
        C <- shampoo_beta C + (1 - shampoo_beta) G G^T

    and every `frequency` steps Q is improved by one power iteration, Q <- qr(C Q). The first step only sets the bases,
    as in the paper's code, so that no gradient is seen in its own eigenbasis.

    Args:
        network: see `MatrixOptimizer`.
        lr: learning rate of everything, much like Adam's.
        betas, eps: of Adam, in either coordinates.
        shampoo_beta: decay of the covariances.
        frequency: steps between updates of the bases.
        max_size: longer axes keep their coordinates.
        weight_decay: of the matrices.

    Raises:
        ValueError: a setting out of its range.
        FacehallError: the network has no hidden layers.
    """

    def __init__(
        self,
        network: nn.Module,
        lr: float = 2e-3,
        betas: Sequence[float] = (0.95, 0.95),
        eps: float = 1e-8,
        shampoo_beta: float = 0.95,
        frequency: int = 10,
        max_size: int = 1024,
        weight_decay: float = 0.0,
    ) -> None:
        check_range("shampoo_beta", shampoo_beta, below=1)
        check_range("frequency", frequency, low=1)
        settings = {"shampoo_beta": shampoo_beta, "frequency": frequency, "max_size": max_size}
        super().__init__(network, lr, lr, betas, eps, weight_decay, **settings)

    def update_matrices(self, group: Group, parameters: list[Tensor], gradients: list[Tensor]) -> None:
        for parameter, gradient in zip(parameters, gradients, strict=True):
            state, tensor = self.state[parameter], gradient.flatten(2) if gradient.ndim > 2 else gradient
            if not state:
                state["step"] = 0
                state["momentum"], state["square"] = torch.zeros_like(tensor), torch.zeros_like(tensor)
                covariances = _covariances(tensor, group["max_size"])
                state["covariances"] = [c if c is None else c * (1 - group["shampoo_beta"]) for c in covariances]
                state["bases"] = [c if c is None else torch.linalg.eigh(c).eigenvectors.flip(1) for c in covariances]
                continue
            state["step"] += 1
            update = self._rotated_adam(state, tensor, group)
            parameter.mul_(1 - group["lr"] * group["weight_decay"])
            parameter.sub_(update.reshape(parameter.shape), alpha=group["lr"])
            for old, new in zip(state["covariances"], _covariances(tensor, group["max_size"]), strict=True):
                if new is not None:
                    old.lerp_(new, 1 - group["shampoo_beta"])
            if state["step"] % group["frequency"] == 0:
                _turn_bases(state)

    def _rotated_adam(self, state: dict[str, Any], gradient: Tensor, group: Group) -> Tensor:
        """Return Adam's update in the coordinates of the bases, rotated back."""
        bases, (beta1, beta2) = state["bases"], group["betas"]
        state["momentum"].lerp_(gradient, 1 - beta1)
        turned = rotate(gradient, bases)
        state["square"].mul_(beta2).addcmul_(turned, turned, value=1 - beta2)
        first, second = 1 - beta1 ** state["step"], 1 - beta2 ** state["step"]
        denominator = (state["square"] / second).sqrt_().add_(group["eps"])
        return rotate(rotate(state["momentum"] / first, bases) / denominator, bases, back=True)


def rotate(tensor: Tensor, bases: Bases, back: bool = False) -> Tensor:
    """Express a tensor in the coordinates of `bases`, Q^T x along each axis, or `back`, Q x."""
    for basis in bases:  # each product moves the first axis to the end: after all, the axes are in order again
        if basis is None:
            tensor = tensor.movedim(0, -1)
        else:
            tensor = torch.tensordot(tensor, basis, dims=([0], [1 if back else 0]))
    return tensor


def _covariances(tensor: Tensor, max_size: int) -> list[Tensor | None]:
    """Return the product of a tensor with itself along each axis, (n, n); None for an axis of length 1 or too long."""
    matrices = [tensor.movedim(axis, 0).flatten(1) for axis in range(tensor.ndim)]
    return [matrix @ matrix.T if 1 < len(matrix) <= max_size else None for matrix in matrices]


def _turn_bases(state: dict[str, Any]) -> None:
    """Improve every basis by one power iteration, its vectors sorted by their eigenvalues, and V with them."""
    for axis, (covariance, basis) in enumerate(zip(state["covariances"], state["bases"], strict=True)):
        if basis is None:
            continue
        image = covariance @ basis
        order = torch.argsort((basis * image).sum(0), descending=True, stable=True)
        state["square"] = state["square"].index_select(axis, order)
        state["bases"][axis] = torch.linalg.qr(image[:, order]).Q
