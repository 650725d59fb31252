"""The inputs of judges derived from a batch: rounded, cropped, luma."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from facehall.errors import FacehallError
from facehall.imaging.colour import rgb_to_y
from facehall.imaging.levels import quantize

_FORMS = ("", "_y", "_whole", "_exact")
PROVIDED_INPUTS = (*(f"{image}{form}" for image in ("sr", "hr") for form in _FORMS), "scale")
"""Inputs that the protocol derives from any SR and HR images; see `facehall.metrics.measures.Measure.needs`."""


class Views:
    """Derives inputs lazily and caches them, so that judges share them.

    Args:
        sr, hr: (B, C, H, W), C 1 or 3.
        scale: s.
        border: pixels cropped on each side.
        grey: measure the mean of the channels.
        given: further inputs by name, passed through; `lr` is averaged over its channels if `grey`.
    """

    def __init__(self, sr: Tensor, hr: Tensor, scale: int, border: int, grey: bool, given: Mapping[str, Any]) -> None:
        self._images = {"sr": _grey(sr) if grey else sr, "hr": _grey(hr) if grey else hr}
        self._border = border
        self._cache: dict[str, Any] = {"scale": scale, **given}
        if grey and "lr" in given:
            self._cache["lr"] = _grey(given["lr"])

    def __contains__(self, name: object) -> bool:
        return name in PROVIDED_INPUTS or name in self._cache

    def __getitem__(self, name: str) -> Any:
        if name not in self._cache:
            image, _, form = name.partition("_")
            make: dict[str, Callable[[str], Tensor]] = {
                "": self._cropped,
                "y": self._luma,
                "whole": self._whole,
                "exact": self._exact,
            }
            self._cache[name] = make[form](image)
        return self._cache[name]

    def _exact(self, image: str) -> Tensor:
        return self._images[image].float().clamp(0, 1)

    def _whole(self, image: str) -> Tensor:
        # float32 first: 16-bit floats cannot represent all 256 levels.
        return quantize(self._images[image].float())

    def _cropped(self, image: str) -> Tensor:
        border, (height, width) = self._border, self._images[image].shape[-2:]
        if min(height, width) <= 2 * border:
            raise FacehallError(
                f"Images of {height}x{width} pixels cannot be measured: nothing is left after cropping a border of "
                f"{border} pixels. Exclude such images, or set a smaller border."
            )
        return self[f"{image}_whole"][..., border : height - border, border : width - border]

    def _luma(self, image: str) -> Tensor:
        """Return 8-bit luma; a single-channel image is its own luma."""
        images = self[image]
        return quantize(rgb_to_y(images)) if images.shape[1] == 3 else images


def _grey(images: Tensor) -> Tensor:
    return images.float().mean(dim=1, keepdim=True)
