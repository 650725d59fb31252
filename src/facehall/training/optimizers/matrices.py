"""The frame of optimizers that update matrices in their own way and everything else with Adam."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.adamw import adamw

from facehall.training.optimizers.groups import Group, GroupOptimizer, check_range, matrix_groups


class MatrixOptimizer(GroupOptimizer):
    """Two parameter groups of one network, told apart by `kind`: ``adam`` and ``matrix``.

    Schedules scale the rates of both alike, and settings of a phase (`Phase.optimizer`) hold for both.

    Args:
        network: matrices are those that `matrix_groups` finds in it.
        lr: learning rate of Adam's group.
        matrix_lr: learning rate of the matrices.
        betas, eps: of Adam.
        weight_decay: decoupled, of the matrices; biases, norms and the layers at the images do not decay.
        settings: further settings of the subclass.
    """

    def __init__(
        self,
        network: nn.Module,
        lr: float,
        matrix_lr: float,
        betas: Sequence[float],
        eps: float,
        weight_decay: float,
        **settings: Any,
    ) -> None:
        check_range("lr", lr)
        check_range("betas", betas, below=1)
        check_range("weight_decay", weight_decay)
        matrices, others = matrix_groups(network)
        groups = [
            {"params": others, "kind": "adam", "lr": lr},
            {"params": matrices, "kind": "matrix", "lr": matrix_lr},
        ]
        defaults = {"lr": lr, "betas": tuple(betas), "eps": eps, "weight_decay": weight_decay, **settings}
        super().__init__([group for group in groups if group["params"]], defaults)

    def update(self, group: Group, parameters: list[Tensor], gradients: list[Tensor]) -> None:
        (self._adam if group["kind"] == "adam" else self.update_matrices)(group, parameters, gradients)

    def update_matrices(self, group: Group, parameters: list[Tensor], gradients: list[Tensor]) -> None:
        """Update matrices in place, as `update` does."""
        raise NotImplementedError

    def _adam(self, group: Group, parameters: list[Tensor], gradients: list[Tensor]) -> None:
        for parameter in parameters:
            state = self.state[parameter]
            if not state:
                state["step"] = torch.zeros((), dtype=torch.float32)
                state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(parameter), torch.zeros_like(parameter)
        adamw(
            parameters,
            gradients,
            exp_avgs=[self.state[p]["exp_avg"] for p in parameters],
            exp_avg_sqs=[self.state[p]["exp_avg_sq"] for p in parameters],
            max_exp_avg_sqs=[],
            state_steps=[self.state[p]["step"] for p in parameters],
            amsgrad=False,
            beta1=group["betas"][0],
            beta2=group["betas"][1],
            lr=group["lr"],
            weight_decay=0.0,
            eps=group["eps"],
            maximize=False,
        )
