"""MS-LapSRN: LapSRN with one set of weights for all levels, and recursive blocks."""

from __future__ import annotations

from torch import Tensor, nn

from facehall.models.generators.base import Generator, records_arguments
from facehall.models.generators.lapsrn import FeatureUpsampling, image_upsampling, init_lapsrn_
from facehall.models.layers.blocks import conv3, leaky_relu
from facehall.models.layers.scales import pyramid_scales


class MSLapSRN(Generator):
    """MS-LapSRN (Lai et al., Fast and Accurate Image Super-Resolution with Deep Laplacian Pyramid Networks, 2018).

    On luma. A level applies a block of `depth` convolutions, each after an activation, `recursions` times; each time
    the level's input is added to the block's output (the paper's shared-source skip). All levels and recursions share
    their weights, so that the number of parameters depends neither on the scale nor on the recursions.

    Our reading, as no weights were at hand to verify it: the transposed convolution also follows an activation, and
    its output, without one, gives the residual image and enters the next level.

    Args:
        scale: 2, 4 or 8; weights trained for one fit the others.
        depth: D, convolutions of the block.
        recursions: R, applications of the block per level; the paper's best network is D5R8.
        features: channels.

    Raises:
        ValueError: another scale.
    """

    colour = "y"

    @records_arguments
    def __init__(self, scale: int = 4, depth: int = 5, recursions: int = 8, features: int = 64) -> None:
        super().__init__()
        self.scale = scale
        self._scales = pyramid_scales(scale)
        self.recursions = recursions
        self.first = conv3(1, features)
        convs = [(leaky_relu(), conv3(features, features)) for _ in range(depth)]
        self.block = nn.Sequential(*(layer for pair in convs for layer in pair))
        self.up = nn.Sequential(leaky_relu(), FeatureUpsampling(features))
        self.residual = conv3(features, 1)
        self.image = image_upsampling()
        init_lapsrn_(self, self.first, features)

    @property
    def scales(self) -> tuple[int, ...]:
        return self._scales

    def pyramid(self, lr: Tensor, up_to: int | None = None) -> dict[int, Tensor]:
        """(B, 1, h, w) luma in [0, 1] -> {scale: (B, 1, scale h, scale w)}."""
        image, features = lr, self.first(lr)
        images = {}
        for scale in self.scales:
            source = features
            for _ in range(self.recursions):
                features = source + self.block(features)
            features = self.up(features)
            images[scale] = image = self.image(image) + self.residual(features)
            if scale == up_to:
                break
        return images
