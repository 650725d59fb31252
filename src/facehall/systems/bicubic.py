"""Bicubic enlargement: the floor of every table."""

from __future__ import annotations

from torch import Tensor, nn

from facehall.imaging import upscale_bicubic


class Bicubic(nn.Module):
    """MATLAB's bicubic, as an `Upscaler`."""

    backend = "torch"
    origin = ""
    trained_on: tuple[str, ...] = ()

    def __init__(self, scale: int, name: str = "bicubic") -> None:
        super().__init__()
        self.scale = scale
        self.name = name

    @property
    def network(self) -> nn.Module:
        """Itself, which has no parameters and no multiply-accumulates that are counted."""
        return self

    def forward(self, lr: Tensor) -> Tensor:
        return upscale_bicubic(lr, self.scale)

    def upscale(self, lr: Tensor) -> Tensor:
        return self(lr)

    def compute(self, lr: Tensor) -> Tensor:
        return self(lr)
