"""Interface of inference backends."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

Backend = Callable[[Tensor], Tensor]
"""(1, 3, h, w) float32 in [0, 1] on the predictor's device -> (1, 3, s h, s w) float32, not clamped; h, w >= 1."""
