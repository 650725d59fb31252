"""Gradient descent with momentum and a bound on each step, as super-resolution networks were trained before Adam."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from facehall.training.optimizers.groups import Group, GroupOptimizer, check_range


class ClippedSGD(GroupOptimizer):
    """SGD with the adjustable gradient clipping of VDSR (Kim et al. 2016, sec. 3.2, arXiv:1511.04587).

    With the gradient g, the momentum m and a group's rate r:

        m <- momentum m + clamp(g, -clip / r, clip / r) + decay w
        w <- w - r m

    so that high rates, which shrink the bound with them, stay stable. Decay comes after the clipping, as in Caffe.

    Args:
        network: the network.
        lr: learning rate.
        momentum: of the sum of gradients; undamped, as in torch and Caffe.
        weight_decay: added to the gradient of weights; biases and norms do not decay.
        clip: θ, largest change of a parameter by one gradient; None: no bound.
        bias_rate: rate of biases and norms in proportion to `lr`; LapSRN's is 0.1.
        last_rate: rate of the last layer's weights in proportion to `lr`; SRCNN's is 0.1.

    Raises:
        ValueError: a setting out of its range.
    """

    def __init__(
        self,
        network: nn.Module,
        lr: float = 0.1,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        clip: float | None = None,
        bias_rate: float = 1.0,
        last_rate: float = 1.0,
    ) -> None:
        check_range("lr", lr)
        check_range("momentum", momentum, below=1)
        check_range("weight_decay", weight_decay)
        check_range("bias_rate", bias_rate)
        check_range("last_rate", last_rate)
        if clip is not None and clip <= 0:
            raise ValueError(f"clip must be positive, or null for none, not {clip}")
        *weights, last = (parameter for parameter in network.parameters() if parameter.ndim > 1)
        vectors = [parameter for parameter in network.parameters() if parameter.ndim < 2]
        rates = ((weights, 1.0, weight_decay), ([last], last_rate, weight_decay), (vectors, bias_rate, 0.0))
        groups = [{"params": params, "lr": lr * rate, "weight_decay": decay} for params, rate, decay in rates if params]
        super().__init__(groups, {"lr": lr, "momentum": momentum, "clip": clip})

    def update(self, group: Group, parameters: list[Tensor], gradients: list[Tensor]) -> None:
        if not group["lr"]:
            return
        for parameter in parameters:
            if not self.state[parameter]:
                self.state[parameter]["momentum"] = torch.zeros_like(parameter)
        momenta = [self.state[parameter]["momentum"] for parameter in parameters]
        torch._foreach_mul_(momenta, group["momentum"])
        if group["clip"] is not None:
            bound = group["clip"] / group["lr"]
            gradients = [gradient.clamp(-bound, bound) for gradient in gradients]
        torch._foreach_add_(momenta, gradients)
        if group["weight_decay"]:
            torch._foreach_add_(momenta, parameters, alpha=group["weight_decay"])
        torch._foreach_add_(parameters, momenta, alpha=-group["lr"])
