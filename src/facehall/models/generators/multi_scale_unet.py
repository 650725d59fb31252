"""A U-shaped network for degraded photographs: most of its work at a half and a quarter of the input's resolution."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

from facehall.models.generators.base import Generator, records_arguments
from facehall.models.layers.blocks import Upsampling, conv3
from facehall.models.layers.dense import NEGATIVE_SLOPE
from facehall.models.layers.gate import DetailGate
from facehall.models.layers.scales import accumulated_scales, upsampling_factors
from facehall.models.layers.stages import refined, residual_blocks, stages_and_heads


class MultiScaleUNet(Generator):
    """An encoder and a decoder of residual blocks below the input's resolution, then one stage per upsampling step.

    Blur, noise and blocks of JPEG leave little to read in a single pixel and much in its surroundings. Reduced
    features (U-Net, Ronneberger et al. 2015; with residual blocks and sums in place of concatenations) see four times
    as far for a fraction of the work of `MultiScaleResNet`, of which this network has the stages and the heads.

    Args:
        scale: 2, 3 (a single stage), 4 or 8.
        features: channels at the input's resolution, at a half of it, at a quarter, and so on; two levels or more.
        blocks: residual blocks of each level; those of the last level lie between encoder and decoder, all others have
            as many in the encoder as in the decoder.
        stage_features, stage_blocks, upsampling: see `MultiScaleResNet`.
        gate: channels of the `DetailGate` of the finest image, by which clean pictures keep their detail; 0: no gate.

    Raises:
        ValueError: fewer than two levels, `blocks` of another length than `features`, or `stage_features` that cannot
            be halved as often as the scale requires.
    """

    @records_arguments
    def __init__(
        self,
        scale: int = 4,
        features: Sequence[int] = (48, 96, 128),
        blocks: Sequence[int] = (1, 3, 4),
        stage_features: int = 32,
        stage_blocks: int = 1,
        upsampling: Upsampling = "nearest",
        gate: int = 0,
    ) -> None:
        super().__init__()
        if len(features) < 2 or len(blocks) != len(features):
            raise ValueError(
                "features and blocks must have one number each for two levels or more, not "
                f"{list(features)} and {list(blocks)}"
            )
        self.scale = scale
        self.cell = max(2 ** (len(features) - 1), DetailGate.cell if gate else 1)
        self.factors = upsampling_factors(scale)

        def level(width: int, count: int) -> nn.Sequential:
            return nn.Sequential(*residual_blocks(width, count))

        pairs = list(pairwise(features))
        self.first = conv3(3, features[0])
        self.encoder = nn.ModuleList(level(width, count) for width, count in zip(features, blocks, strict=True))
        self.down = nn.ModuleList(nn.Conv2d(fine, coarse, 3, stride=2, padding=1) for fine, coarse in pairs)
        self.up = nn.ModuleList(conv3(coarse, fine) for fine, coarse in pairs)
        self.decoder = nn.ModuleList(level(fine, count) for (fine, _), count in zip(pairs, blocks, strict=False))
        self.stages, self.heads = stages_and_heads(features[0], self.factors, stage_features, stage_blocks, upsampling)
        self.gate = DetailGate(scale, gate) if gate else None

    @property
    def scales(self) -> tuple[int, ...]:
        return accumulated_scales(self.factors)

    def pyramid(self, lr: Tensor, up_to: int | None = None) -> dict[int, Tensor]:
        heads = [*self.heads[:-1], partial(self._finest, lr)]
        return refined(lr, self._features(lr), zip(self.scales, self.stages, heads, strict=True), up_to)

    def _finest(self, lr: Tensor, features: Tensor) -> Tensor:
        residual: Tensor = self.heads[-1](features)
        return residual if self.gate is None else self.gate(lr, residual)

    def _features(self, lr: Tensor) -> Tensor:
        x = self.first(lr)
        skips = []
        for blocks, down in zip(self.encoder, self.down, strict=False):
            skips.append(blocks(x))
            x = F.leaky_relu(down(skips[-1]), NEGATIVE_SLOPE)
        x = self.encoder[-1](x)
        for skip, up, blocks in zip(reversed(skips), reversed(self.up), reversed(self.decoder), strict=True):
            x = F.interpolate(x, size=skip.shape[-2:])  # sides that are odd are rounded up on the way down
            x = blocks(skip + up(x))
        return x
