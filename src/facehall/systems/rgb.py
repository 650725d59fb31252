"""Adapt networks that take an enlarged image or luma only, so that they upscale RGB images like all others."""

from __future__ import annotations

import torch
from torch import Tensor

from facehall.errors import FacehallError
from facehall.imaging import upscale_bicubic
from facehall.imaging.colour import rgb_to_ycbcr, ycbcr_to_rgb
from facehall.models.generators import Generator

INPUTS = ("lr", "bicubic")
COLOURS = ("rgb", "y")


def as_rgb(generator: Generator) -> Generator:
    """Return `generator` itself if it maps RGB LR images to RGB SR images, else an adapter around it that does.

    A generator declares its input by two class attributes: `input`, ``lr`` or ``bicubic`` (the enlarged image), and
    `colour`, ``rgb`` or ``y`` (BT.601 luma, (B, 1, h, w); chroma is upscaled by bicubic).

    Raises:
        FacehallError: it declares another value.
    """
    declared = getattr(generator, "input", "lr"), getattr(generator, "colour", "rgb")
    for name, value, known in (("input", declared[0], INPUTS), ("colour", declared[1], COLOURS)):
        if value not in known:
            kind = type(generator).__name__
            raise FacehallError(f"{kind}.{name} is {value!r}; it must be {' or '.join(known)}.")
    return generator if declared == ("lr", "rgb") else _RGBAdapter(generator, *declared)


def is_luma(generator: Generator) -> bool:
    """Return whether a result of `as_rgb` computes in luma and converts colours around it."""
    return isinstance(generator, _RGBAdapter) and generator.network.colour == "y"


class _RGBAdapter(Generator):
    def __init__(self, network: Generator, input: str, colour: str) -> None:
        super().__init__()
        self.network = network
        self.scale = network.scale
        self.arguments = {"network": type(network).__name__, **network.arguments}  # part of the backends' cache keys
        self.eager_only = network.eager_only
        self.cell = network.cell
        self._enlarges, self._luma = input == "bicubic", colour == "y"
        self.train(network.training)

    def forward(self, lr: Tensor) -> Tensor:
        images = rgb_to_ycbcr(lr) if self._luma else lr
        seen = images[:, :1] if self._luma else images
        sr = self.network(upscale_bicubic(seen, self.scale) if self._enlarges else seen)
        if not self._luma:
            return sr
        return ycbcr_to_rgb(torch.cat((sr, upscale_bicubic(images[:, 1:], self.scale)), dim=1))

    def pyramid(self, lr: Tensor, up_to: int | None = None) -> dict[int, Tensor]:
        return {self.scale: self(lr)}
