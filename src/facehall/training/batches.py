"""Batch preparation for generator and losses: active scale, network input and colour channels."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from facehall.imaging import downscale_bicubic, upscale_bicubic
from facehall.imaging.colour import rgb_to_y
from facehall.models.generators import Generator


def downscale_batch(batch: dict[str, Any], factor: int) -> dict[str, Any]:
    """Downscale HR and its annotations by `factor`, with image edges aligned, for a phase's active scale.

    HR is downscaled bicubically; parsing maps take the pixel at each new pixel's centre, since class indices have no
    mean. A factor of 1 returns the batch unchanged.
    """
    if factor == 1:
        return batch
    reduced = {"hr": downscale_bicubic(batch["hr"], factor)}
    if "landmarks" in batch:
        reduced["landmarks"] = (batch["landmarks"] + 0.5) / factor - 0.5
    if "parsing" in batch:
        height, width = reduced["hr"].shape[-2:]
        rows, columns = ((2 * torch.arange(n, device=batch["hr"].device) + 1) * factor // 2 for n in (height, width))
        reduced["parsing"] = batch["parsing"][:, rows[:, None], columns]
    return {**batch, **reduced}


def to_generator_colour(batch: dict[str, Any], generator: Generator) -> dict[str, Any]:
    """Convert a batch to the generator's channels: unchanged for RGB; for luma, LR (B, 1, h, w) and HR (B, 3, H, W).

    HR's luma is repeated over three channels, as `loss_outputs` does for SR, so that any loss or discriminator works.
    Pixel losses have the same value as on one channel.
    """
    if generator.colour == "rgb":
        return batch
    return {**batch, "lr": rgb_to_y(batch["lr"]), "hr": rgb_to_y(batch["hr"]).expand(-1, 3, -1, -1)}


def network_input(lr: Tensor, generator: Generator) -> Tensor:
    """Return the generator's input: the LR images, or their bicubic enlargement."""
    return lr if generator.input == "lr" else upscale_bicubic(lr, generator.scale)


def loss_outputs(outputs: dict[str, Any], scale: int) -> dict[str, Any]:
    """Add ``sr``, the image at the active scale, to the generator's outputs; expand single channels to three.

    Only the pyramid is expanded: terms that read other outputs of a luma network compare them with one channel of HR.
    """
    pyramid = {
        s: image if image.shape[1] == 3 else image.expand(-1, 3, -1, -1) for s, image in outputs["pyramid"].items()
    }
    return {**outputs, "pyramid": pyramid, "sr": pyramid[scale]}
