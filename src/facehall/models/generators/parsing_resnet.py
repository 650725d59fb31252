"""A residual network that parses the face on its way, and enlarges with what it found."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from facehall.imaging import upscale_bicubic
from facehall.models.generators.base import records_arguments
from facehall.models.generators.multi_scale_resnet import MultiScaleResNet
from facehall.models.layers.blocks import Upsampling, conv3

FINER = 2
"""Resolution of the parsing map relative to the input."""


class ParsingResNet(MultiScaleResNet):
    """`MultiScaleResNet` with a parsing prior predicted from the LR image, in the same pass.

    A small head reads the trunk after its first blocks and predicts the classes at twice the input's resolution. Their
    probabilities go back into the trunk and into every stage, through 1x1 convolutions that start at zero. The idea of
    parsing LR is W-Net's (arXiv 2406.00676), feeding maps to several resolutions PSFR-GAN's (CVPR 2021); this network
    is ours. Trained with the loss ``parsing``, which reads ``outputs["parsing"]``, the logits (B, classes, 2h, 2w).

    Args:
        scale, blocks, features, stage_features, stage_blocks, upsampling, position: see `MultiScaleResNet`.
        parser_blocks: blocks of the trunk before the parsing head; at least 1, fewer than `blocks`.
        parser_features: channels of the head.
        classes: number of classes; 9 in the scheme ``faces9``.
        detach: no gradient of the image's losses reaches the parsing head, so that it stays a parser.

    Raises:
        ValueError: see `MultiScaleResNet`, and `parser_blocks` out of range.
    """

    provides = ("pyramid", "parsing")

    @records_arguments
    def __init__(
        self,
        scale: int = 8,
        blocks: int = 8,
        features: int = 64,
        stage_features: int = 32,
        stage_blocks: int = 1,
        upsampling: Upsampling = "pixel_shuffle",
        position: int = 0,
        parser_blocks: int = 3,
        parser_features: int = 24,
        classes: int = 9,
        detach: bool = True,
    ) -> None:
        super().__init__(scale, blocks, features, stage_features, stage_blocks, upsampling, position)
        if not 1 <= parser_blocks < blocks:
            raise ValueError(f"parser_blocks must be from 1 to {blocks - 1}, below blocks, not {parser_blocks}")
        self.parser_blocks = parser_blocks
        self.detach = detach
        self.parser = nn.Sequential(
            conv3(features, parser_features),
            nn.ReLU(),
            conv3(parser_features, FINER**2 * classes),
            nn.PixelShuffle(FINER),
        )
        widths = [stage_features // 2**i for i in range(len(self.factors))]
        self.into_trunk = nn.Conv2d(FINER**2 * classes, features, kernel_size=1)
        self.into_stages = nn.ModuleList(nn.Conv2d(classes, width, kernel_size=1) for width in widths)
        for convolution in (self.into_trunk, *self.into_stages):
            for parameter in convolution.parameters():
                nn.init.zeros_(parameter)

    def pyramid(self, lr: Tensor, up_to: int | None = None) -> dict[int, Tensor]:
        return self._both(lr, up_to)[0]

    def outputs(self, lr: Tensor, up_to: int | None = None) -> dict[str, Any]:
        images, logits = self._both(lr, up_to)
        return {"pyramid": images, "parsing": logits}

    def _both(self, lr: Tensor, up_to: int | None) -> tuple[dict[int, Tensor], Tensor]:
        shallow = self.first(lr)
        if self.position is not None:
            shallow = shallow + self._positions(lr.shape[-2:])
        x = self.trunk[: self.parser_blocks](shallow)
        logits = self.parser(x)
        maps = logits.softmax(dim=1)
        if self.detach:
            maps = maps.detach()
        x = x + self.into_trunk(F.pixel_unshuffle(maps, FINER))
        features = shallow + self.trunk[self.parser_blocks :](x)
        images = {}
        for scale, stage, into, head in zip(self.scales, self.stages, self.into_stages, self.heads, strict=True):
            features = stage(features)
            features = features + _resized(into(maps), features.shape[-2:])  # mixing channels before saves time
            images[scale] = upscale_bicubic(lr, scale) + head(features)
            if scale == up_to:
                break
        return images, logits


def _resized(maps: Tensor, size: torch.Size) -> Tensor:
    if maps.shape[-2:] == size:
        return maps
    return F.interpolate(maps, size=tuple(size), mode="bilinear", align_corners=False)
