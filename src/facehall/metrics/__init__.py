"""The evaluation protocol and its measures."""

from facehall.metrics.cost import count_gmacs, count_parameters, milliseconds, peak_memory_mib
from facehall.metrics.judges import Judge, register
from facehall.metrics.measures import Measure
from facehall.metrics.protocol import Protocol, bicubic_sr, make_lr
from facehall.metrics.psnr import psnr
from facehall.metrics.ssim import ssim

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
