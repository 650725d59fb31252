"""LR consistency: difference between downscaled SR and the LR input."""

from __future__ import annotations

from torch import Tensor

from facehall.imaging.bicubic import downscale_bicubic
from facehall.metrics.judges.base import Judge, register
from facehall.metrics.measures import Measure


@register
class LRConsistency(Judge):
    """Mean absolute difference of bicubic(SR) and LR over channels and pixels, in levels of 255.

    The border is included. SR is rounded to 8 bits, downscaled SR is not. Meaningful only if LR was made by bicubic: a
    network that removes noise or JPEG blocks deviates from LR on purpose.
    """

    measure = Measure(
        *("lr_consistency", "LR diff", "lower", ".2f", "levels"),
        needs=("sr_whole", "lr"),
        description="bicubic(SR) against LR, mean absolute difference in levels of 255",
    )

    def forward(self, sr: Tensor, lr: Tensor) -> Tensor:
        shrunk = downscale_bicubic(sr, sr.shape[-1] // lr.shape[-1])
        return 255 * (shrunk.double() - lr.double()).abs().mean(dim=(1, 2, 3))
