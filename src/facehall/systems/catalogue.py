"""The catalogue of systems: paper, training recipe, weights and published figures of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class PublishedFigure:
    """A published result of a system.

    Attributes:
        set: the test set.
        scale: s.
        channel: measured on luma or RGB, with a border of s pixels cropped.
        psnr, ssim: means over the set.
    """

    set: str
    scale: int
    channel: Literal["y", "rgb"]
    psnr: float
    ssim: float


@dataclass(frozen=True)
class System:
    """A system.

    Attributes:
        title: a short description.
        paper: the publication; empty for our own weights.
        scales: the supported scales.
        recipe: the experiment in conf/experiment that trains it; None if it is not trained here.
        weights: True: bundled with the package under this name; False: a weights file is required; None: no weights.
        obtain: how to obtain weights that are not bundled.
        trained_on: the measures used as training losses.
        published: published results.
    """

    title: str
    paper: str = ""
    scales: tuple[int, ...] = (4,)
    recipe: str | None = None
    weights: bool | None = True
    obtain: str = ""
    trained_on: tuple[str, ...] = ()
    published: tuple[PublishedFigure, ...] = ()


CATALOGUE: dict[str, System] = {
    "bicubic": System(
        title="MATLAB's bicubic interpolation",
        paper="Keys, Cubic convolution interpolation for digital image processing, 1981",
        scales=(2, 3, 4, 8),
        weights=None,
        published=(
            PublishedFigure("Set5", 4, "y", 28.42, 0.8104),
            PublishedFigure("Set14", 4, "y", 26.00, 0.7027),
            PublishedFigure("BSD100", 4, "y", 25.96, 0.6675),
            PublishedFigure("Urban100", 4, "y", 23.14, 0.6577),
        ),
    ),
    "multi_scale_rrdb": System(
        title="the extended ESRGAN with refine blocks",
        paper="al'naeimee and Lakizadeh, A Method for Face Hallucination Based on Generative Adversarial Network by "
        "Extending ESRGAN Architecture",
        scales=(2, 3, 4, 8),
        recipe="esrgan_vgg16s",
        weights=False,
        obtain="train it: python -m facehall.train experiment=esrgan_vgg16s",
    ),
    "esrgan": System(
        title="ESRGAN's RRDBNet",
        paper="Wang et al., ESRGAN: Enhanced Super-Resolution Generative Adversarial Networks, 2018 (arXiv:1809.00219)",
        weights=False,
        obtain="download RRDB_ESRGAN_x4.pth, published by its authors (github.com/xinntao/ESRGAN)",
        published=(PublishedFigure("DIV2K validation", 4, "rgb", 26.65, 0.7340),),
    ),
    "facehall-x4": System(
        title="multi_scale_rrdb for faces of 256 pixels, GAN", recipe="release_x4", trained_on=("lpips",)
    ),
    "facehall-x4_balanced": System(
        title="like facehall-x4, between GAN and PSNR", recipe="release_x4_balanced", trained_on=("lpips",)
    ),
    "facehall-x4_psnr": System(title="like facehall-x4, before its GAN phase", recipe="release_x4_psnr"),
    "facehall-x8": System(
        title="multi_scale_rrdb for faces of 128 pixels, GAN",
        scales=(8,),
        recipe="release_x8",
        trained_on=("lpips",),
    ),
    "facehall-x8_psnr": System(title="like facehall-x8, before its GAN phase", scales=(8,), recipe="release_x8_psnr"),
}
