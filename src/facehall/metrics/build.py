"""The protocol with its LPIPS network, from plain names."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from facehall.errors import FacehallError
from facehall.metrics.lpips import LPIPS
from facehall.metrics.protocol import Protocol


def build_protocol(
    scale: int, lpips: Literal["alex", "vgg", "none"] = "alex", lpips_weights: str | Path | None = None
) -> Protocol:
    """The evaluation protocol at a scale.

    Args:
        scale: its border in pixels.
        lpips: LPIPS's backbone; ``none`` leaves LPIPS out.
        lpips_weights: the backbone's weights file; None looks in the usual places.

    Raises:
        FacehallError: no such backbone, or its weights are nowhere to be had.
    """
    if lpips not in ("alex", "vgg", "none"):
        raise FacehallError(f"metrics.lpips={lpips}: give alex, vgg, or none to leave LPIPS out.")
    if lpips == "none":
        return Protocol(scale)
    return Protocol(scale, LPIPS(lpips, Path(lpips_weights) if lpips_weights else None))
