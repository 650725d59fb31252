"""Lion: the sign of an interpolated momentum (Chen et al. 2023, Symbolic Discovery of Optimization Algorithms)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from facehall.training.optimizers.groups import Group, GroupOptimizer, check_range, decay_groups


class Lion(GroupOptimizer):
    """Every parameter moves by lr or not at all (the paper's Algorithm 2). With the gradient g and the momentum m:

        w <- (1 - lr decay) w - lr sign(beta1 m + (1 - beta1) g)
        m <- beta2 m + (1 - beta2) g

    The paper's advice (sec. 5): a rate 3 to 10 times smaller than Adam's and a decay that many times larger.

    Args:
        network: the weights of its layers decay; biases and norms do not.
        lr: learning rate.
        betas: of the step, and of the momentum.
        weight_decay: decoupled.

    Raises:
        ValueError: a setting out of its range.
    """

    def __init__(
        self, network: nn.Module, lr: float = 1e-4, betas: Sequence[float] = (0.9, 0.99), weight_decay: float = 0.0
    ) -> None:
        check_range("lr", lr)
        check_range("betas", betas, below=1)
        check_range("weight_decay", weight_decay)
        super().__init__(decay_groups(network), {"lr": lr, "betas": tuple(betas), "weight_decay": weight_decay})

    def update(self, group: Group, parameters: list[Tensor], gradients: list[Tensor]) -> None:
        for parameter in parameters:
            if not self.state[parameter]:
                self.state[parameter]["momentum"] = torch.zeros_like(parameter)
        momenta = [self.state[parameter]["momentum"] for parameter in parameters]
        directions = torch._foreach_lerp(momenta, gradients, 1 - group["betas"][0])
        torch._foreach_sign_(directions)
        if group["decays"]:
            torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
        torch._foreach_add_(parameters, directions, alpha=-group["lr"])
        torch._foreach_lerp_(momenta, gradients, 1 - group["betas"][1])
