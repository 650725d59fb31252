"""The evaluation protocol: the one definition of every number that the project prints."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from facehall.errors import FacehallError
from facehall.imaging.bicubic import crop_to_multiple, downscale_bicubic, upscale_bicubic
from facehall.imaging.colour import rgb_to_y
from facehall.imaging.levels import quantize
from facehall.metrics.psnr import psnr
from facehall.metrics.ssim import ssim


def make_lr(hr: Tensor, scale: int) -> Tensor:
    """The LR images that belong to HR ones: (..., H, W) in [0, 1] -> (..., H // scale, W // scale), 8-bit levels.

    HR is first cropped to a multiple of the scale (`crop_to_multiple`, which the caller repeats for
    measuring).
    """
    return quantize(downscale_bicubic(crop_to_multiple(hr, scale), scale))


def bicubic_sr(lr: Tensor, scale: int) -> Tensor:
    """Bicubic enlargement, the floor of every table: (..., H, W) -> (..., scale H, scale W), 8-bit levels."""
    return quantize(upscale_bicubic(lr, scale))


class Protocol(nn.Module):
    """Measures SR against HR images as the super-resolution literature does.

    - SR and HR are rounded to 8 bits, then `border` pixels are cut off all sides (by default as many as the
      scale).
    - PSNR and SSIM over RGB, and over Y alone: BT.601 luma, 16-235, rounded to 8 bits as MATLAB's `rgb2ycbcr`
      does with 8-bit images. Without this rounding bicubic comes out 0.04 dB above the published figure on
      Set5 x2.
    - Single-channel images are their own Y, which is how published figures treat the greyscale image of
      Set14.
    - LPIPS, when its network is given, on the same rounded and cropped RGB images.

    Every image counts alike: the figure of a set is the mean of its images' figures.
    """

    def __init__(self, scale: int, lpips: nn.Module | None = None, border: int | None = None) -> None:
        """`lpips` maps (SR, HR) in [0, 1], (B, 3, H, W) each, to (B,): facehall.metrics.lpips.LPIPS."""
        super().__init__()
        if scale < 1 or (border is not None and border < 0):
            raise FacehallError(f"The protocol needs scale >= 1 and border >= 0, not {scale} and {border}.")
        self.scale = scale
        self.border = scale if border is None else border
        self.lpips = lpips

    def forward(self, sr: Tensor, hr: Tensor) -> dict[str, Tensor]:
        """The same as `measure`."""
        return self.measure(sr, hr)

    @torch.no_grad()
    def measure(self, sr: Tensor, hr: Tensor, grey: bool = False) -> dict[str, Tensor]:
        """Images (B, 3, H, W) or (B, 1, H, W) -> `psnr`, `ssim`, `psnr_y`, `ssim_y` and maybe `lpips`, each (B,).

        `grey` says that a three-channel HR was read from a single-channel file (`Picture.grey`): both are
        then measured as single-channel images, SR by the mean of its channels. Values are decibels for PSNR
        (+inf where both are identical), float64 on the images' device. Raises FacehallError when the shapes
        differ or too little is left after the crop.
        """
        if sr.shape != hr.shape or sr.ndim != 4 or sr.shape[1] not in (1, 3):
            raise FacehallError(
                f"SR and HR images must be of one shape (B, 3, H, W), but they are {tuple(sr.shape)} and "
                f"{tuple(hr.shape)}. HR must be cropped to a multiple of the scale {self.scale} before LR is made."
            )
        if grey:
            sr, hr = sr.float().mean(dim=1, keepdim=True), hr.float().mean(dim=1, keepdim=True)
        sr, hr = self._prepare(sr), self._prepare(hr)
        values = {"psnr": psnr(sr, hr), "ssim": ssim(sr, hr)}
        if sr.shape[1] == 3:
            sr_y, hr_y = quantize(rgb_to_y(sr)), quantize(rgb_to_y(hr))
            values |= {"psnr_y": psnr(sr_y, hr_y), "ssim_y": ssim(sr_y, hr_y)}
        else:
            values |= {"psnr_y": values["psnr"], "ssim_y": values["ssim"]}
        if self.lpips is not None:
            values["lpips"] = self.lpips(sr.expand(-1, 3, -1, -1), hr.expand(-1, 3, -1, -1)).double()
        return values

    def _prepare(self, images: Tensor) -> Tensor:
        height, width = images.shape[-2:]
        if min(height, width) <= 2 * self.border:
            raise FacehallError(
                f"Images of {height}x{width} pixels cannot be measured: nothing is left after a border of "
                f"{self.border} pixels is cut off. Leave such images out, or set a smaller border."
            )
        # float32 first: in 16-bit floats the 256 levels are not all distinct.
        images = quantize(images.float())
        return images[..., self.border : height - self.border, self.border : width - self.border]

    @property
    def names(self) -> tuple[str, ...]:
        """The measures that `measure` returns, in its order."""
        return ("psnr", "ssim", "psnr_y", "ssim_y", *(("lpips",) if self.lpips is not None else ()))

    @property
    def description(self) -> str:
        """One line for the caption of every table."""
        line = (
            f"PSNR/SSIM on 8-bit RGB and 8-bit Y (BT.601, 16-235), x{self.scale}, border {self.border} px, "
            "mean of the images"
        )
        if self.lpips is None:
            return line
        return f"{line}; LPIPS v0.1 {getattr(self.lpips, 'net', None) or type(self.lpips).__name__}"
