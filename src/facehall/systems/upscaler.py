"""What a system of the tables has to be able to do."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from torch import Tensor, nn


@runtime_checkable
class Upscaler(Protocol):
    """Enlarges pictures: a network, a classical method, an interpolation.

    Attributes:
        name: its label in tables and on sheets.
        scale: s.
        origin: where it comes from: a weights file, or nothing.
        backend: what computes it.
        trained_on: the names of the measures that were losses of its training, and so cannot judge it.
        network: what parameters and multiply-accumulates are counted on; None where there is no network.
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
        """(3, h, w) in [0, 1], of any size -> (3, s h, s w)."""
        ...

    def compute(self, lr: Tensor) -> Tensor:
        """(1, 3, h, w) -> (1, 3, s h, s w): the bare computation of an input that fits in memory, which is timed."""
        ...
