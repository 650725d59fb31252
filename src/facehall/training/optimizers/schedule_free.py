"""Schedule-free AdamW: an average of the weights in place of a decaying rate (Defazio et al. 2024)."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from facehall.training.optimizers.averaging import AveragingOptimizer
from facehall.training.optimizers.groups import Group, GroupOptimizer, check_range, decay_groups


class ScheduleFreeAdamW(GroupOptimizer, AveragingOptimizer):
    """Adam's steps z, their average x, and gradients in between (*The Road Less Scheduled*, Algorithm 1).

    With the gradient g at y, the weights of the network, and a rate that only warms up:

        v <- beta2 v + (1 - beta2) g^2
        r = lr sqrt(1 - beta2^t)
        z <- z - r g / (sqrt(v) + eps) - r decay y
        x <- (1 - c) x + c z          with c = r^2 / (sum of all r^2)
        y <- (1 - beta1) z + beta1 x

    Use it with a constant rate (scheduler=warmup); one that decays would weight the end of a phase less, but
    is correct too. Batch-norm statistics are those of y, of which x is a little different: networks with batch norm
    are better trained with another optimizer.

    Args:
        network: the weights of its layers decay; biases and norms do not.
        lr: learning rate; the paper's are 1 to 10 times Adam's.
        betas: of the interpolation, and of the squared gradient.
        eps: added to the denominator.
        weight_decay: decoupled, of y.

    Raises:
        ValueError: a setting out of its range.
    """

    def __init__(
        self,
        network: nn.Module,
        lr: float = 2.5e-3,
        betas: Sequence[float] = (0.9, 0.99),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        check_range("lr", lr)
        check_range("betas", betas, below=1)
        check_range("weight_decay", weight_decay)
        defaults = {"lr": lr, "betas": tuple(betas), "eps": eps, "weight_decay": weight_decay}
        super().__init__(decay_groups(network), defaults)

    def average(self, parameter: Tensor) -> Tensor:
        return self.state[parameter]["average"] if self.state.get(parameter) else parameter

    def restart_average(self) -> None:
        for state in self.state.values():
            state["weight_sum"] = 0.0  # the next step's c is then 1

    def update(self, group: Group, parameters: list[Tensor], gradients: list[Tensor]) -> None:
        # Parameters of scales that are trained later have taken fewer steps than others.
        alike: dict[tuple[int, float], list[tuple[Tensor, Tensor]]] = defaultdict(list)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            state = self.state[parameter]
            if not state:
                state["step"], state["weight_sum"] = 0, 0.0
                state["fast"], state["average"] = parameter.clone(), parameter.clone()
                state["square"] = torch.zeros_like(parameter)
            alike[state["step"], state["weight_sum"]].append((parameter, gradient))
        for (step, weight_sum), pairs in alike.items():
            self._update_alike(group, [p for p, _ in pairs], [g for _, g in pairs], step + 1, weight_sum)

    def _update_alike(
        self, group: Group, parameters: list[Tensor], gradients: list[Tensor], step: int, weight_sum: float
    ) -> None:
        """Take one step of parameters with equal counts: their step number from 1, and the sum of r^2 before it."""
        beta1, beta2 = group["betas"]
        states = [self.state[parameter] for parameter in parameters]
        fast, average, square = ([state[name] for state in states] for name in ("fast", "average", "square"))
        rate = group["lr"] * math.sqrt(1 - beta2**step)
        torch._foreach_mul_(square, beta2)
        torch._foreach_addcmul_(square, gradients, gradients, 1 - beta2)
        denominators = torch._foreach_sqrt(square)
        torch._foreach_add_(denominators, group["eps"])
        torch._foreach_addcdiv_(fast, gradients, denominators, -rate)
        if group["decays"]:
            torch._foreach_add_(fast, parameters, alpha=-rate * group["weight_decay"])
        weight_sum += rate**2
        torch._foreach_lerp_(average, fast, rate**2 / weight_sum if weight_sum else 0.0)
        torch._foreach_copy_(parameters, torch._foreach_lerp(fast, average, beta1))
        for state in states:
            state["step"], state["weight_sum"] = step, weight_sum
