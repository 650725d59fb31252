"""What a backend is."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

Backend = Callable[[Tensor], Tensor]
"""(1, 3, h, w) float32 in [0, 1] on the predictor's device -> (1, 3, s h, s w) float32 as the generator gives it, any
h and w from 1 on."""
