"""Measuring systems on the images of a set."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from facehall.data import ImageDataset
from facehall.evaluation.results import ImageResult, SetResult, worst
from facehall.imaging import read_picture
from facehall.io.progress import progress_bar
from facehall.metrics import Protocol
from facehall.systems import Upscaler


def measure_set(
    name: str,
    title: str,
    dataset: ImageDataset,
    upscalers: Sequence[Upscaler],
    protocol: Protocol,
    device: torch.device,
    sheet: int,
    failures: bool = True,
) -> SetResult:
    """Super-resolve and measure the images of a set, with a progress bar.

    Args:
        name: the set's name.
        title: what is measured, for the progress bar.
        dataset: the images.
        upscalers: the systems.
        protocol: defines the measures.
        device: the device that measures.
        sheet: number of pictures kept for the sheets.
        failures: also compute the worst pictures of the first system that is not bicubic.
    """

    def measured(i: int, keep_pictures: bool) -> ImageResult:
        grey = read_picture(dataset.files[i].hr).grey
        return ImageResult.measure(dataset[i], upscalers, protocol, device, grey, keep_pictures)

    images = []
    with progress_bar(f"measuring {title}", len(dataset)) as advance:
        for i in range(len(dataset)):
            images.append(measured(i, keep_pictures=i < sheet))
            advance()
    if not failures or sheet >= len(images):  # comparison.png shows them all
        return SetResult(name, images)
    # Recomputed: the worst are known only at the end, and keeping all pictures would not fit into memory.
    judged = upscalers[min(1, len(upscalers) - 1)].name
    shown = [measured(i, keep_pictures=True) for i in worst(images, protocol, judged)[:sheet]]
    return SetResult(name, images, shown)
