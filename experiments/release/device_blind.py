"""Degraded crops of faces for blind restoration, made by the loader's processes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from device_faces import Batch, unit
from facehall.data import (
    BlindFaceDegradation,
    GrainyDegradation,
    LowLightDegradation,
    MixedDegradation,
    PhotoDegradation,
)
from facehall.imaging import resize_bicubic, to_uint8

SCALE = 4
CROP = 192
"""Side of an HR crop."""
GREY = 0.12
"""Share of grey crops."""


@dataclass(frozen=True)
class Level:
    """Pictures reduced to one size: (N, side, side, 3) uint8, their share, and the side of their faces' frame."""

    pictures: np.ndarray
    weight: float
    frame: int


def reduced(pictures: Tensor, side: int) -> np.ndarray:
    """Reduce (N, 3, H, W) uint8 to (N, side, side, 3) uint8."""
    if pictures.shape[-1] == side:
        return pictures.permute(0, 2, 3, 1).contiguous().cpu().numpy()
    found = [to_uint8(resize_bicubic(unit(picture), (side, side))) for picture in pictures]
    return np.stack(found)


def degradation(frame: int) -> MixedDegradation:
    """Return the mixture of conf/degradation/mixed.yaml, its GFP-GAN part in proportion to the size of the face.

    The blur of `grainy`, too, is in proportion, and up to twice as wide as there.
    """
    size = frame / 512
    return MixedDegradation(
        {
            "ruined": BlindFaceDegradation(sigma=(0.1, 10 * size), downsample=(0.8, 8 * size)),
            "soft": BlindFaceDegradation(
                sigma=(0.1, 5 * size), downsample=(0.8, 5 * size), noise=(0, 12), jpeg=(40, 95)
            ),
            "photo": PhotoDegradation(jpeg=(30, 98), noise=(0, 10)),
            "grainy": GrainyDegradation(sigma=(0.5, 12 * size)),
            "low_light": LowLightDegradation(gamma=(1.0, 2.0), beta=(0.7, 1.0)),
        },
        {"ruined": 0.42, "soft": 0.10, "photo": 0.29, "grainy": 0.13, "low_light": 0.06},
    )


class BlindCrops(IterableDataset[dict[str, Tensor]]):
    """Endless uint8 pairs of crops; each process draws its own."""

    def __init__(self, levels: Sequence[Level], seed: int) -> None:
        self.levels = levels
        self.degradations = [degradation(level.frame) for level in self.levels]
        self.seed = seed

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        torch.set_num_threads(1)
        info = get_worker_info()
        rng = np.random.default_rng([self.seed, info.id if info else 0])
        shares = np.array([level.weight for level in self.levels])
        while True:
            which = rng.choice(len(self.levels), p=shares / shares.sum())
            level = self.levels[which]
            picture = level.pictures[rng.integers(len(level.pictures))]
            top, left = (rng.integers(side - CROP + 1) for side in picture.shape[:2])
            hr = np.ascontiguousarray(picture[top : top + CROP, left : left + CROP])
            if rng.random() < 0.5:
                hr = np.ascontiguousarray(hr[:, ::-1])
            if rng.random() < GREY:
                hr = cv2.cvtColor(cv2.cvtColor(hr, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
            degrade = self.degradations[which]
            tensor = torch.from_numpy(hr).permute(2, 0, 1)
            lr = degrade(unit(tensor), SCALE, degrade.draw(rng, SCALE))
            yield {"hr": tensor.contiguous(), "lr": torch.from_numpy(to_uint8(lr)).permute(2, 0, 1).contiguous()}


def blind_batches(
    levels: Sequence[Level], count: int, workers: int, device: torch.device, seed: int
) -> Iterator[Batch]:
    """Yield batches of `count` pairs on the device, (B, 3, 48, 48) and (B, 3, 192, 192)."""
    loader: DataLoader[dict[str, Tensor]] = DataLoader(
        BlindCrops(levels, seed),
        batch_size=count,
        num_workers=workers,
        pin_memory=device.type == "cuda",
        prefetch_factor=4 if workers else None,
    )
    for batch in loader:
        yield {name: unit(batch[name].to(device, non_blocking=True)) for name in ("lr", "hr")} | {"name": []}
