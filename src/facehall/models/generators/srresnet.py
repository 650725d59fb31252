"""SRResNet, the generator of SRGAN."""

from __future__ import annotations

from typing import Literal, get_args

from torch import Tensor, nn

from facehall.models.generators.base import Generator, records_arguments
from facehall.models.layers.scales import upsampling_factors

TrunkEnd = Literal["norm", "prelu"]
Output = Literal["linear", "tanh"]


def conv_norm(features: int) -> list[nn.Module]:
    """Return a convolution and batch norm, which would cancel a bias."""
    return [nn.Conv2d(features, features, kernel_size=3, padding=1, bias=False), nn.BatchNorm2d(features)]


class ResidualBlock(nn.Module):
    """Convolution, batch norm, PReLU, convolution, batch norm, with a skip around them. (B, C, h, w) -> the same."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(*conv_norm(features), nn.PReLU(), *conv_norm(features))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


class SRResNet(Generator):
    """SRResNet (Ledig et al., Photo-Realistic Single Image Super-Resolution Using a GAN, CVPR 2017, Fig. 4).

    9x9 convolution and PReLU; `blocks` residual blocks, a convolution and batch norm with a skip around them all; a
    sub-pixel convolution and PReLU per x2 (or x3) step; 9x9 convolution. A PReLU has one slope for all channels.

    The paper's output is in [-1, 1] and its input in [0, 1]; both are in [0, 1] here, as in most reimplementations.

    Args:
        scale: 2, 3, 4 or 8.
        blocks: B, residual blocks; 16 in the paper.
        features: channels.
        trunk_end: after the trunk's last convolution: ``norm``, batch norm as in the paper, or ``prelu``.
        output: ``linear``, or ``tanh``, mapped to [0, 1].

    Raises:
        ValueError: another scale, trunk end or output.
    """

    @records_arguments
    def __init__(
        self,
        scale: int = 4,
        blocks: int = 16,
        features: int = 64,
        trunk_end: TrunkEnd = "norm",
        output: Output = "linear",
    ) -> None:
        super().__init__()
        for name, value, known in (("trunk_end", trunk_end, TrunkEnd), ("output", output, Output)):
            if value not in get_args(known):
                raise ValueError(f"{name} must be {' or '.join(get_args(known))}, not {value!r}")
        self.scale = scale
        self.output = output
        self.first = nn.Sequential(nn.Conv2d(3, features, kernel_size=9, padding=4), nn.PReLU())
        end = conv_norm(features)
        if trunk_end == "prelu":
            end = [nn.Conv2d(features, features, kernel_size=3, padding=1), nn.PReLU()]
        self.trunk = nn.Sequential(*(ResidualBlock(features) for _ in range(blocks)), *end)
        ups: list[nn.Module] = []
        for factor in upsampling_factors(scale):
            ups += [nn.Conv2d(features, features * factor**2, kernel_size=3, padding=1)]
            ups += [nn.PixelShuffle(factor), nn.PReLU()]
        self.up = nn.Sequential(*ups)
        self.last = nn.Conv2d(features, 3, kernel_size=9, padding=4)

    def pyramid(self, lr: Tensor, up_to: int | None = None) -> dict[int, Tensor]:
        x = self.first(lr)
        x = self.last(self.up(x + self.trunk(x)))
        return {self.scale: (x.tanh() + 1) / 2 if self.output == "tanh" else x}
