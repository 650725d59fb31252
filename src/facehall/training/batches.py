"""What a network and its losses see of a batch: the active scale, the network's input and its channels."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from facehall.imaging import downscale_bicubic, upscale_bicubic
from facehall.imaging.colour import rgb_to_y
from facehall.models.generators import Generator


def at_scale(batch: dict[str, Any], factor: int) -> dict[str, Any]:
    """The batch with HR and its annotations reduced `factor`-fold, edges on edges, for a phase's active scale.

    HR is reduced by bicubic; of parsing maps the pixel that holds the centre of each new one is taken, as class numbers
    have no mean. 1 leaves all as it is.
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


def in_its_colour(batch: dict[str, Any], generator: Generator) -> dict[str, Any]:
    """The batch in the channels of the generator: as it is, or LR (B, 1, h, w) and HR (B, 3, H, W) of luma alone.

    HR's luma fills three channels, as `seen_by_losses` fills SR's, so that every loss and discriminator takes it.
    """
    if generator.colour == "rgb":
        return batch
    return {**batch, "lr": rgb_to_y(batch["lr"]), "hr": rgb_to_y(batch["hr"]).expand(-1, 3, -1, -1)}


def network_input(lr: Tensor, generator: Generator) -> Tensor:
    """What the generator takes: the LR images, or those enlarged by bicubic."""
    return lr if generator.input == "lr" else upscale_bicubic(lr, generator.scale)


def seen_by_losses(outputs: dict[str, Any], scale: int) -> dict[str, Any]:
    """The generator's outputs with ``sr``, the image at the active scale; images of one channel fill three."""
    pyramid = {
        s: image if image.shape[1] == 3 else image.expand(-1, 3, -1, -1) for s, image in outputs["pyramid"].items()
    }
    return {**outputs, "pyramid": pyramid, "sr": pyramid[scale]}
