"""The generator's exponential moving average, which is validated and exported."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from facehall.models.generators import Generator


class GeneratorEMA(nn.Module):
    """average <- d * average + (1 - d) * live, once per generator step, starting from the live weights.

    The decay warms up as d = min(decay, (1 + n) / (10 + n)) at step n: otherwise, in a short run, an average over 1,000
    steps would still include the untrained network.

    Args:
        generator: the live network, which is copied.
        decay: final decay, in [0, 1); 0 always copies.
    """

    def __init__(self, generator: Generator, decay: float) -> None:
        super().__init__()
        if not 0 <= decay < 1:
            raise ValueError(f"ema_decay must be in [0, 1), not {decay}")
        self.decay = decay
        self.generator = copy.deepcopy(generator).requires_grad_(False).eval()
        self._updates = 0

    def forward(self, lr: Tensor) -> Tensor:
        return self.generator(lr)

    def train(self, mode: bool = True) -> GeneratorEMA:
        return super().train(False)

    @torch.no_grad()
    def update(self, generator: Generator) -> None:
        decay = min(self.decay, (1 + self._updates) / (10 + self._updates))
        averaged, live = list(self.generator.parameters()), list(generator.parameters())
        get_ema_multi_avg_fn(decay)(averaged, [p.detach() for p in live], torch.tensor(self._updates))
        self._finish_update(generator)

    @torch.no_grad()
    def replace(self, generator: Generator, average: Callable[[Tensor], Tensor]) -> None:
        """Take another average of the live parameters instead: `average` of each."""
        for own, live in zip(self.generator.parameters(), generator.parameters(), strict=True):
            own.copy_(average(live))
        self._finish_update(generator)

    def _finish_update(self, generator: Generator) -> None:
        for own, live in zip(self.generator.buffers(), generator.buffers(), strict=True):
            own.copy_(live)  # batch-norm statistics are averages already
        self._updates += 1

    def get_extra_state(self) -> dict[str, Any]:
        return {"updates": self._updates}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        self._updates = state["updates"]
