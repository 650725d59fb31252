"""PSNR and SSIM on RGB and on luma."""

from __future__ import annotations

from torch import Tensor

from facehall.metrics.judges.base import Judge, register
from facehall.metrics.measures import Measure
from facehall.metrics.signal_to_noise import psnr
from facehall.metrics.structural_similarity import ssim


@register
class PSNR(Judge):
    """See `facehall.metrics.signal_to_noise.psnr`."""

    measure = Measure("psnr", "PSNR", "higher", ".2f", "dB")

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        return psnr(sr, hr)


@register
class SSIM(Judge):
    """See `facehall.metrics.structural_similarity.ssim`."""

    measure = Measure("ssim", "SSIM", "higher")

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        return ssim(sr, hr)


@register
class LumaPSNR(PSNR):
    """PSNR of the BT.601 luma, as reported in general super-resolution papers."""

    measure = Measure("psnr_y", "PSNR Y", "higher", ".2f", "dB", needs=("sr_y", "hr_y"), headline=False)


@register
class LumaSSIM(SSIM):
    """SSIM of the BT.601 luma."""

    measure = Measure("ssim_y", "SSIM Y", "higher", needs=("sr_y", "hr_y"), headline=False)
