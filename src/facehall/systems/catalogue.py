"""The systems of the tables: where each comes from, how it is trained here, what was published for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Published:
    """A figure that was published for a system.

    Attributes:
        set: the test set.
        scale: s.
        channel: what it was measured on; the border that was cut off is s.
        psnr, ssim: the means over the set.
    """

    set: str
    scale: int
    channel: Literal["y", "rgb"]
    psnr: float
    ssim: float


@dataclass(frozen=True)
class System:
    """One system.

    Attributes:
        title: what it is.
        paper: where it was described; empty for our own weights.
        scales: that it exists for.
        recipe: the experiment of conf/experiment that trains it here; None where it is not trained.
        weights: True: a name of the package's own weights; False: it needs a weights file; None: it needs none.
        obtain: how to come by weights that are not in the package.
        trained_on: the measures that were losses of its training.
        published: its figures.
    """

    title: str
    paper: str = ""
    scales: tuple[int, ...] = (4,)
    recipe: str | None = None
    weights: bool | None = True
    obtain: str = ""
    trained_on: tuple[str, ...] = ()
    published: tuple[Published, ...] = ()


CATALOGUE: dict[str, System] = {
    "bicubic": System(
        title="MATLAB's bicubic interpolation",
        paper="Keys, Cubic convolution interpolation for digital image processing, 1981",
        scales=(2, 3, 4, 8),
        weights=None,
        published=(
            Published("Set5", 4, "y", 28.42, 0.8104),
            Published("Set14", 4, "y", 26.00, 0.7027),
            Published("BSD100", 4, "y", 25.96, 0.6675),
            Published("Urban100", 4, "y", 23.14, 0.6577),
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
        published=(Published("DIV2K validation", 4, "rgb", 26.65, 0.7340),),
    ),
    "facehall-x4": System(
        title="multi_scale_rrdb for faces of 256 pixels, GAN", recipe="release_x4", trained_on=("lpips",)
    ),
    "facehall-x4_balanced": System(
        title="as facehall-x4, between GAN and PSNR", recipe="release_x4_balanced", trained_on=("lpips",)
    ),
    "facehall-x4_psnr": System(title="as facehall-x4, before its GAN phase", recipe="release_x4_psnr"),
    "facehall-x8": System(
        title="multi_scale_rrdb for faces of 128 pixels, GAN",
        scales=(8,),
        recipe="release_x8",
        trained_on=("lpips",),
    ),
    "facehall-x8_psnr": System(title="as facehall-x8, before its GAN phase", scales=(8,), recipe="release_x8_psnr"),
}
