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
PCA_SAMPLES = 300_000

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
    for _, enlarged, chosen in _chosen_windows(lumas, scale, 2, (1.0,), PCA_SAMPLES, seed):
        rows = difference_windows(enlarged, scale, 2)[chosen]
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
    features, targets = [], []
    for hr, enlarged, chosen in _chosen_windows(lumas, scale, step, sizes, limit, seed):
        features.append(window_features(enlarged, kernels, step)[chosen])
        targets.append(windows((hr - enlarged)[None], scale, step)[chosen])
        advance()
    return Samples(torch.cat(features), torch.cat(targets))


def _chosen_windows(
    lumas: Sequence[Tensor], scale: int, step: int, sizes: Sequence[float], limit: int | None, seed: int
) -> Iterable[tuple[Tensor, Tensor, Tensor | slice]]:
    """Yield HR (H, W), its bicubic version and the indices of the chosen windows, for each picture and size."""
    jobs = [(luma, size, _count(luma, size, scale, step)) for size in sizes for luma in lumas]
    total = sum(count for *_, count in jobs)
    if not total:
        raise FacehallError(
            f"No picture is large enough to learn from: x{scale} needs {REACH * scale} pixels on both sides."
        )
    share = 1.0 if limit is None else min(1.0, limit / total)
    random = torch.Generator().manual_seed(seed)
    seen = taken = 0
    for luma, size, count in jobs:
        seen += count
        wanted = int(share * seen) - taken
        taken += wanted
        chosen = slice(None) if wanted == count else torch.randperm(count, generator=random)[:wanted]
        if wanted:
            hr = _resized(luma, size, scale)
            enlarged = upscale_bicubic(downscale_bicubic(hr, scale), scale)
            yield hr, enlarged, chosen
        else:
            empty = torch.empty(REACH * scale, REACH * scale)
            yield empty, empty, slice(0)


def _resized(luma: Tensor, size: float, scale: int) -> Tensor:
    hr = luma.float().div(255)
    if size != 1:
        hr = resize_bicubic(hr, _new_size(luma, size))
    return crop_to_multiple(hr, scale)


def _new_size(luma: Tensor, size: float) -> tuple[int, int]:
    height, width = (max(1, round(side * size)) for side in luma.shape)
    return height, width


def _count(luma: Tensor, size: float, scale: int, step: int) -> int:
    rows, columns = (max(0, (side // scale - REACH) // step + 1) for side in _new_size(luma, size))
    return rows * columns
