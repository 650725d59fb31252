"""A residual trunk and one residual stage per x2 step: multi-scale outputs at a third of the cost of dense blocks."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from facehall.models.generators.base import Generator, records_arguments
from facehall.models.layers.blocks import Upsampling, conv3
from facehall.models.layers.scales import accumulated_scales, upsampling_factors
from facehall.models.layers.stages import refined, residual_blocks, stages_and_heads


class MultiScaleResNet(Generator):
    """Residual blocks at input resolution, then one stage per upsampling step, each with an RGB output.

    The multi-scale refinement of the paper (sec. 4.5) with plain residual blocks in place of dense ones, whose
    convolutions of equal width run closer to a processor's peak. A stage is an upsampling convolution, a leaky ReLU and
    residual blocks; its head gives a residual on the bicubic upscaling of the input.

    Args:
        scale: 2, 3 (a single stage), 4 or 8.
        blocks: residual blocks of the trunk.
        features: channels of the trunk.
        stage_features: channels of the first stage; each further one has half as many.
        stage_blocks: residual blocks of each stage.
        upsampling: ``pixel_shuffle`` or ``nearest`` (see `upsampler`), at equal cost.
        position: side of the input in pixels for which a map of positions is learned, so that the network knows where
            in an aligned face it is; resized for other inputs, which are then processed whole. 0: none.
        full_resolution: whether the last stage has features. Without them its image comes from one sub-pixel
            convolution of the features before it: for networks that must be fast, as full resolution takes half of
            their time.

    Raises:
        ValueError: an unsupported scale, `stage_features` that cannot be halved as often as the scale requires, or no
            stage below full resolution.
    """

    @records_arguments
    def __init__(
        self,
        scale: int = 4,
        blocks: int = 8,
        features: int = 64,
        stage_features: int = 32,
        stage_blocks: int = 1,
        upsampling: Upsampling = "pixel_shuffle",
        position: int = 0,
        full_resolution: bool = True,
    ) -> None:
        super().__init__()
        self.scale = scale
        self.factors = upsampling_factors(scale)
        self.whole_picture = position > 0
        self.first = conv3(3, features)
        self.position = nn.Parameter(torch.zeros(1, features, position, position)) if position else None
        self.trunk = nn.Sequential(*residual_blocks(features, blocks), conv3(features, features))
        self.stages, self.heads = stages_and_heads(
            features, self.factors, stage_features, stage_blocks, upsampling, full_resolution
        )

    @property
    def scales(self) -> tuple[int, ...]:
        return accumulated_scales(self.factors)

    def pyramid(self, lr: Tensor, up_to: int | None = None) -> dict[int, Tensor]:
        shallow = self.first(lr)
        if self.position is not None:
            shallow = shallow + self._positions(lr.shape[-2:])
        features = shallow + self.trunk(shallow)
        return refined(lr, features, zip(self.scales, self.stages, self.heads, strict=True), up_to)

    def _positions(self, size: torch.Size) -> Tensor:
        assert self.position is not None
        if self.position.shape[-2:] == size:
            return self.position
        return F.interpolate(self.position, size=tuple(size), mode="bilinear", align_corners=False)
