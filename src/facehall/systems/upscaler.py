"""The `Upscaler` interface of all systems."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from torch import Tensor, nn


@runtime_checkable
class Upscaler(Protocol):
    """Upscales images: a network, a classical method, or interpolation.

    Attributes:
        name: label in tables and on sheets.
        scale: s.
        origin: the weights file; empty without weights.
        backend: the inference backend.
        trained_on: names of the measures used as training losses, which are therefore not independent.
        network: the module whose parameters and multiply-accumulates are counted; None without a network.
    """

    @property
    def name(self) -> str: ...

    @property
    def scale(self) -> int: ...

    @property
    def origin(self) -> str: ...

    @property
    def backend(self) -> str: ...

    @property
    def trained_on(self) -> tuple[str, ...]: ...

    @property
    def network(self) -> nn.Module | None: ...

    def upscale(self, lr: Tensor) -> Tensor:
        """Upscale an image of any size: (3, h, w) in [0, 1] -> (3, s h, s w)."""
        ...

    def compute(self, lr: Tensor) -> Tensor:
        """Run the bare computation that is timed, on an input that fits in memory: (1, 3, h, w) -> (1, 3, s h, s w)."""
        ...
