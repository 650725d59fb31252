"""Results of an evaluation for one image and for one set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

import numpy as np
import torch
from torch import Tensor

from facehall.imaging import to_uint8
from facehall.metrics import Protocol
from facehall.systems import Upscaler

Measures = dict[str, float]


@dataclass(frozen=True)
class ImageResult:
    """Results for one image.

    Attributes:
        name: the image's name.
        measures: values by system and measure.
        statistics: judge outputs by system, for measures whose value over a set is not the mean of the image values.
        pictures: LR, each system's SR, and HR, (H, W, 3) uint8; None if not kept.
    """

    name: str
    measures: dict[str, Measures]
    pictures: list[np.ndarray] | None = None
    statistics: dict[str, dict[str, list[float]]] = field(default_factory=dict)

    @classmethod
    def measure(
        cls,
        item: dict[str, Any],
        upscalers: Sequence[Upscaler],
        protocol: Protocol,
        device: torch.device,
        grey: bool = False,
        keep_pictures: bool = True,
    ) -> ImageResult:
        """Super-resolve and measure an item of an ImageDataset: lr (3, h, w), hr (3, s h, s w), and annotations.

        Args:
            device: the device that measures.
            grey: HR was read from a single-channel file, so single-channel images are measured.
            keep_pictures: keep the pictures for the comparison sheet.
        """
        tensors = {key: value.to(device)[None] for key, value in item.items() if isinstance(value, Tensor)}
        hr = tensors.pop("hr")
        others = {key: [value] for key, value in item.items() if key not in tensors and key != "hr"}
        images = {upscaler.name: upscaler.upscale(tensors["lr"][0]) for upscaler in upscalers}
        measures, statistics = {}, {}
        with protocol.one_reference():
            for name, sr in images.items():
                found = protocol.statistics(sr[None], hr, grey, **tensors, **others)
                measures[name] = {key: float(value) for key, value in protocol.figures(found).items()}
                statistics[name] = {key: value[0].tolist() for key, value in found.items() if value.ndim > 1}
        if not keep_pictures:
            return cls(item["name"], measures, None, statistics)
        shown = [tensors["lr"][0], *images.values(), hr[0]]
        pictures = [to_uint8(image.mean(dim=0, keepdim=True) if grey else image) for image in shown]
        return cls(item["name"], measures, pictures, statistics)


@dataclass(frozen=True)
class SetResult:
    """Results for a set of images.

    Attributes:
        name: the set's name.
        images: one entry per image.
        failures: the worst images with their pictures, worst first.
    """

    name: str
    images: list[ImageResult]
    failures: Sequence[ImageResult] = ()

    @property
    def names(self) -> list[str]:
        """The systems measured on this set."""
        return list(self.images[0].measures)

    def means(self, system: str, protocol: Protocol) -> Measures:
        """Return the value of each measure over the set."""
        found = {}
        for name in self.images[0].measures[system]:
            columns = [image.statistics.get(system, {}).get(name) for image in self.images]
            if columns[0] is None:
                found[name] = fmean(image.measures[system][name] for image in self.images)
            else:
                found[name] = float(protocol.of_set({name: torch.tensor(columns, dtype=torch.float64)})[name])
        return found


def worst(images: Sequence[ImageResult], protocol: Protocol, system: str) -> list[int]:
    """Return image indices ordered by a system's ranking measure (`measures.ranking`), worst first."""
    measure = protocol.ranking
    return sorted(range(len(images)), key=lambda i: -measure.cost(images[i].measures[system][measure.name]))
