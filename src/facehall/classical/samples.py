"""Training samples of the classical methods: features of bicubic patches, and the details that they miss."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from facehall.classical.patches import (
    FILTERS,
    REACH,
    WINDOW,
    difference_windows,
    target_size,
    window_features,
    windows,
)
from facehall.errors import FacehallError
from facehall.imaging import crop_to_multiple, downscale_bicubic, resize_bicubic, upscale_bicubic
from facehall.imaging.colour import rgb_to_y

PCA_ENERGY = 0.999
"""Part of the energy of the differences that the features keep."""
PCA_SAMPLES = 400_000
"""Most windows from which the projection is learned."""

Advance = Callable[[], None]


@dataclass(frozen=True)
class Samples:
    """Patches of the training pictures.

    Attributes:
        features: (N, d).
        targets: (N, 9 s^2), the HR patch minus the bicubic one.
    """

    features: Tensor
    targets: Tensor

    def __len__(self) -> int:
        return len(self.features)


def luma_levels(pictures: Iterable[Tensor]) -> list[Tensor]:
    """Convert pictures (3, H, W), or luma (1, H, W), in [0, 1] to 8-bit luma (H, W) uint8.

    Luma of 8 bits is what the papers train on; four times as many pictures fit in memory.
    """
    lumas = (rgb_to_y(picture) if picture.shape[0] == 3 else picture for picture in pictures)
    return [luma[0].clamp(0, 1).mul(255).round().to(torch.uint8) for luma in lumas]


def learn_basis(lumas: Sequence[Tensor], scale: int, seed: int, advance: Advance = lambda: None) -> Tensor:
    """Learn the projection of differences to features by PCA without centring, from every second window.

    Args:
        lumas: see `luma_levels`.
        scale: s.
        seed: chooses the windows, if there are more than `PCA_SAMPLES`.
        advance: called after each picture.

    Returns:
        (4, 3 s, 3 s, d), float32; d is about 30 for photographs.
    """
    size = FILTERS * target_size(scale)
    products = torch.zeros(size, size, dtype=torch.float64)
    random = torch.Generator().manual_seed(seed)
    for job in _plan(lumas, scale, 2, (1.0,), PCA_SAMPLES):
        if job.wanted:
            rows = difference_windows(job.pair(scale)[1], scale, 2)[job.choose(random)]
            products += rows.T @ rows
        advance()
    energies, directions = torch.linalg.eigh(products)
    total = energies.sum()
    if not total > 0:
        raise FacehallError("The pictures are flat: there is nothing to learn from them. Give photographs.")
    dropped = int((energies.cumsum(0) <= (1 - PCA_ENERGY) * total).sum())  # ascending order
    basis = directions[:, dropped:].flip(1).float()
    return basis.reshape(FILTERS, WINDOW * scale, WINDOW * scale, -1)


def collect(
    lumas: Sequence[Tensor],
    kernels: Tensor,
    step: int = 1,
    sizes: Sequence[float] = (1.0,),
    limit: int | None = None,
    seed: int = 0,
    advance: Advance = lambda: None,
) -> Samples:
    """Collect the samples of pictures.

    Args:
        lumas: see `luma_levels`.
        kernels: see `facehall.classical.patches.projection_kernels`.
        step: distance of the windows in LR pixels.
        sizes: factors by which each picture is resized, for more samples.
        limit: most samples; a random choice from all pictures and sizes if there are more.
        seed: of that choice.
        advance: called after each picture at each size.

    Raises:
        FacehallError: no picture is large enough for a window.
    """
    scale = kernels.shape[-1] // REACH
    jobs = _plan(lumas, scale, step, sizes, limit)
    count = sum(job.wanted for job in jobs)
    features, targets = torch.empty(count, len(kernels)), torch.empty(count, target_size(scale))
    random = torch.Generator().manual_seed(seed)
    start = 0
    for job in jobs:
        if job.wanted:
            hr, enlarged = job.pair(scale)
            chosen, place = job.choose(random), slice(start, start + job.wanted)
            features[place] = window_features(enlarged, kernels, step)[chosen]
            targets[place] = windows((hr - enlarged)[None], scale, step)[chosen]
            start += job.wanted
        advance()
    return Samples(features, targets)


@dataclass(frozen=True)
class _Job:
    """A picture at one size, how many windows it has, and how many of them are wanted."""

    luma: Tensor
    size: float
    count: int
    wanted: int

    def pair(self, scale: int) -> tuple[Tensor, Tensor]:
        """Return the picture at that size, and what bicubic makes of its LR image: (H, W) each."""
        hr = self.luma.float().div(255)
        if self.size != 1:
            hr = resize_bicubic(hr, _resized(self.luma, self.size))
        hr = crop_to_multiple(hr, scale)
        return hr, upscale_bicubic(downscale_bicubic(hr, scale), scale)

    def choose(self, random: torch.Generator) -> Tensor | slice:
        """Return the indices of the wanted windows."""
        return slice(None) if self.wanted == self.count else torch.randperm(self.count, generator=random)[: self.wanted]


def _plan(lumas: Sequence[Tensor], scale: int, step: int, sizes: Sequence[float], limit: int | None) -> list[_Job]:
    """Share `limit` samples between all pictures at all sizes, in proportion to their windows."""
    counts = [(luma, size, _count(luma, size, scale, step)) for size in sizes for luma in lumas]
    total = sum(count for *_, count in counts)
    if not total:
        raise FacehallError(
            f"No picture is large enough to learn from: x{scale} needs {REACH * scale} pixels on both sides."
        )
    most = total if limit is None else min(limit, total)
    jobs = []
    seen = taken = 0
    for luma, size, count in counts:
        seen += count
        wanted = most * seen // total - taken
        taken += wanted
        jobs.append(_Job(luma, size, count, wanted))
    return jobs


def _resized(luma: Tensor, size: float) -> tuple[int, int]:
    height, width = (max(1, round(side * size)) for side in luma.shape)
    return height, width


def _count(luma: Tensor, size: float, scale: int, step: int) -> int:
    rows, columns = (max(0, (side // scale - REACH) // step + 1) for side in _resized(luma, size))
    return rows * columns
