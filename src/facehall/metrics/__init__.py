"""The evaluation protocol and its measures."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from facehall.metrics.measures import Measure

if TYPE_CHECKING:
    from facehall.metrics.cost import count_gmacs, count_parameters, milliseconds, peak_memory_mib
    from facehall.metrics.judges import Judge, register
    from facehall.metrics.protocol import Protocol, bicubic_sr, make_lr
    from facehall.metrics.signal_to_noise import psnr
    from facehall.metrics.structural_similarity import ssim

__all__ = [
    "Judge",
    "Measure",
    "Protocol",
    "bicubic_sr",
    "count_gmacs",
    "count_parameters",
    "make_lr",
    "milliseconds",
    "peak_memory_mib",
    "psnr",
    "register",
    "ssim",
]

_MODULES = {
    "cost": ("count_gmacs", "count_parameters", "milliseconds", "peak_memory_mib"),
    "judges": ("Judge", "register"),
    "protocol": ("Protocol", "bicubic_sr", "make_lr"),
    "signal_to_noise": ("psnr",),
    "structural_similarity": ("ssim",),
}


def __getattr__(name: str) -> Any:
    """Import on first access: sweeps and commands with a mistyped key read declarations only, and need no torch."""
    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
