"""Optimizers that average the weights themselves, in place of the exponential moving average."""

from __future__ import annotations

from torch import Tensor
from torch.optim import Optimizer


class AveragingOptimizer(Optimizer):
    """An optimizer whose result is an average of the weights, not the weights that it trains.

    In training the network holds the weights at which gradients are taken, always. The average lives in the optimizer's
    state, and after each step of the generator the module copies it to the averaged generator, which is validated and
    exported: `training.ema_decay` has no effect then.
    """

    def average(self, parameter: Tensor) -> Tensor:
        """Return the average of a parameter; of one that has taken no step, the parameter itself."""
        raise NotImplementedError

    def restart_average(self) -> None:
        """Forget the average: called at the start of a phase, whose objective is another one."""
        raise NotImplementedError
