"""The evaluation protocol: the single definition of all reported figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from facehall.errors import FacehallError
from facehall.imaging.bicubic import crop_to_multiple, downscale_bicubic, upscale_bicubic
from facehall.imaging.levels import quantize
from facehall.metrics.judges.base import Judge
from facehall.metrics.judges.signal import PSNR, SSIM, LumaPSNR, LumaSSIM
from facehall.metrics.measures import Measure, ranking
from facehall.metrics.views import PROVIDED_INPUTS, Views


def make_lr(hr: Tensor, scale: int) -> Tensor:
    """Downscale HR images to LR: (..., H, W) in [0, 1] -> (..., H // scale, W // scale), 8-bit levels.

    HR is first cropped to a multiple of the scale by `crop_to_multiple`; the caller must do the same for measuring.
    """
    return quantize(downscale_bicubic(crop_to_multiple(hr, scale), scale))


def bicubic_sr(lr: Tensor, scale: int) -> Tensor:
    """Upscale by bicubic, the baseline of every table: (..., H, W) -> (..., scale H, scale W), 8-bit levels."""
    return quantize(upscale_bicubic(lr, scale))


class Protocol(nn.Module):
    """Measures SR against HR images as the super-resolution literature does.

    - SR and HR are rounded to 8 bits, then `border` pixels are cropped on each side (by default equal to the scale).
    - PSNR and SSIM are computed on RGB and on Y: BT.601 luma, 16-235, rounded to 8 bits like MATLAB's `rgb2ycbcr` on
      8-bit images. Without this rounding bicubic is 0.04 dB above the published figure on Set5 x2.
    - Single-channel images are their own Y, as in published figures for the greyscale image of Set14.
    - All other judges get the same rounded and cropped images, unless their declaration needs others (`Measure.needs`).

    All images have equal weight: the value for a set is the mean of the image values, or, where a judge returns several
    statistics per image, is derived from their mean. Only a pooled judge sees the statistics of all images together.

    Attributes:
        measures: the declarations, in the order of the table.
        missing: label -> reason of measures that were asked for but left out, as their weights are unavailable.
    """

    def __init__(self, scale: int, judges: Sequence[Judge] | None = None, border: int | None = None) -> None:
        """`judges`: by default PSNR and SSIM on RGB and Y.

        Raises:
            FacehallError: invalid scale or border, or two measures of the same name.
        """
        super().__init__()
        if scale < 1 or (border is not None and border < 0):
            raise FacehallError(f"The protocol needs scale >= 1 and border >= 0, not {scale} and {border}.")
        self.scale = scale
        self.border = scale if border is None else border
        chosen = [PSNR(), SSIM(), LumaPSNR(), LumaSSIM()] if judges is None else list(judges)
        self.measures = [judge.measure for judge in chosen]
        self.missing: dict[str, str] = {}
        twice = [name for name, count in Counter(self.names).items() if count > 1]
        if twice:
            raise FacehallError(f"metrics.measures: {twice[0]} is given twice; give each measure once.")
        self._judges = nn.ModuleList(chosen)

    def forward(self, sr: Tensor, hr: Tensor, **given: Any) -> dict[str, Tensor]:
        """Same as `statistics`."""
        return self.statistics(sr, hr, **given)

    def measure(self, sr: Tensor, hr: Tensor, grey: bool = False, **given: Any) -> dict[str, Tensor]:
        """Return each measure's value per image, (B,); see `statistics` for the arguments.

        Values are float64 on the images' device; PSNR is in dB (+inf for identical images).
        """
        return self.figures(self.statistics(sr, hr, grey, **given))

    def figures(self, statistics: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Turn statistics, of an image or averaged over a set, into values: (...) or (..., K) -> (...)."""
        judges = {judge.measure.name: judge for judge in self._all}
        return {name: judges[name].figure(value) for name, value in statistics.items()}

    def of_set(self, statistics: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Turn the statistics of all images of a set into values: (N,) or (N, K) -> ()."""
        judges = {judge.measure.name: judge for judge in self._all}
        return {name: judges[name].of_set(values) for name, values in statistics.items()}

    @property
    def pooled(self) -> frozenset[str]:
        """Names of the measures whose value exists for a whole set only."""
        return frozenset(judge.measure.name for judge in self._all if judge.pooled)

    @property
    def _all(self) -> list[Judge]:
        return list(self._judges)  # type: ignore[arg-type]

    @contextmanager
    def one_reference(self) -> Iterator[None]:
        """Compare several systems with one HR: until the end, judges compute what depends on HR alone only once."""
        for judge in self._all:
            judge.keep_reference(True)
        try:
            yield
        finally:
            for judge in self._all:
                judge.keep_reference(False)

    @torch.no_grad()
    def statistics(
        self, sr: Tensor, hr: Tensor, grey: bool = False, only: Collection[str] | None = None, **given: Any
    ) -> dict[str, Tensor]:
        """Return each judge's output per image: (B,), or (B, K) for those whose value is not a mean over images.

        Args:
            sr, hr: (B, 3, H, W) or (B, 1, H, W).
            grey: a three-channel HR was read from a single-channel file (`Picture.grey`): both are measured as
                single-channel images, SR by the mean of its channels.
            only: names of the measures to compute; None: all.
            given: further inputs of judges: ``lr`` (B, C, h, w), and annotations by name.

        Raises:
            FacehallError: the shapes differ, too little is left after cropping, or an input of a judge is missing.
        """
        if sr.shape != hr.shape or sr.ndim != 4 or sr.shape[1] not in (1, 3):
            raise FacehallError(
                f"SR and HR images must be of one shape (B, 3, H, W), but they are {tuple(sr.shape)} and "
                f"{tuple(hr.shape)}. HR must be cropped to a multiple of the scale {self.scale} before LR is made."
            )
        views = Views(sr, hr, self.scale, self.border, grey, given)
        found = {}
        for judge in self._all:
            if only is None or judge.measure.name in only:
                _require(judge.measure, views)
                found[judge.measure.name] = judge(*(views[name] for name in judge.measure.needs))
        return found

    def require(self, available: Iterable[str]) -> None:
        """Check, before anything is computed, that batches hold the inputs of all judges.

        Args:
            available: the keys of a batch.

        Raises:
            FacehallError: an input is missing; the message names the measure.
        """
        known = {*PROVIDED_INPUTS, *available}
        for measure in self.measures:
            _require(measure, known)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the measures, in the order of the table."""
        return tuple(measure.name for measure in self.measures)

    @property
    def ranking(self) -> Measure:
        """The measure that ranks weights and pictures; see `facehall.metrics.measures.ranking`."""
        return ranking(self.measures)

    @property
    def statistic_counts(self) -> dict[str, int]:
        """Number of statistics per image of each judge."""
        return {judge.measure.name: judge.statistics for judge in self._all}

    @property
    def description(self) -> str:
        """One line for the caption of every table."""
        plain = [judge.measure.label.removesuffix(" Y") for judge in self._all if not judge.definition]
        parts = [
            f"{'/'.join(dict.fromkeys(plain))} on 8-bit RGB and 8-bit Y (BT.601, 16-235)" if plain else "8-bit RGB",
            f"x{self.scale}",
            f"border {self.border} px",
            "mean of the images",
        ]
        return "; ".join([", ".join(parts), *(judge.definition for judge in self._all if judge.definition)])


def _require(measure: Measure, available: Container[str]) -> None:
    missing = [name for name in measure.needs if name not in available]
    if missing:
        raise FacehallError(
            f"metrics.measures: {measure.name} needs {missing[0]!r}, which this data set does not provide. "
            f"Choose another data set, or remove {measure.name}."
        )
