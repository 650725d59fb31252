"""Bicubic upscaling, the baseline of every table."""

from __future__ import annotations

from torch import Tensor, nn

from facehall.imaging import upscale_bicubic


class Bicubic(nn.Module):
    """MATLAB's bicubic interpolation as an `Upscaler`."""

    backend = "torch"
    origin = ""
    trained_on: tuple[str, ...] = ()

    def __init__(self, scale: int, name: str = "bicubic") -> None:
        super().__init__()
        self.scale = scale
        self.name = name

    @property
    def network(self) -> nn.Module:
        """The module itself, with no parameters and no counted multiply-accumulates."""
        return self

    def forward(self, lr: Tensor) -> Tensor:
        return upscale_bicubic(lr, self.scale)

    def upscale(self, lr: Tensor) -> Tensor:
        return self(lr)

    def compute(self, lr: Tensor) -> Tensor:
        return self(lr)
