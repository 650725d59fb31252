"""AdderSR: EDSR and VDSR with adder layers in place of the convolutions of their bodies."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from facehall.models.generators.base import Generator, records_arguments
from facehall.models.generators.edsr import DIV2K_MEAN, sub_pixel_upsampling
from facehall.models.layers.adder import RATE, Adder2d, AdderExecution
from facehall.models.layers.blocks import conv3, init_scaled_he_

MIN_MAGNITUDE = 1e-6


class PowerActivation(nn.Module):
    """sign(x) |x|^alpha with a learnable alpha, 1 at the start, that sharpens or softens contrasts.

    Magnitudes below `MIN_MAGNITUDE` are raised to it, as the derivatives of powers have poles at 0.
    """

    def __init__(self) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        return x.sign() * x.abs().clamp(min=MIN_MAGNITUDE).pow(self.alpha)


class AdderUnit(nn.Module):
    """Adder layer, batch norm, the unit's own input added, ReLU and power activation.

    An adder layer alone cannot learn the identity, which residual super-resolution networks live on; hence the self-
    shortcut. The order is the one its first author gives.

    Args:
        features: channels.
        relu: false leaves the ReLU out, where the convolution that is replaced has none.
        rate: eta, see `Adder2d`.
        execution: see `Adder2d`.

    Shapes: (B, C, h, w) -> (B, C, h, w).
    """

    def __init__(
        self, features: int, relu: bool = True, rate: float = RATE, execution: AdderExecution | None = None
    ) -> None:
        super().__init__()
        self.adder = Adder2d(features, features, rate=rate, execution=execution)
        self.norm = nn.BatchNorm2d(features)
        self.activation = nn.Sequential(*([nn.ReLU()] if relu else []), PowerActivation())

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(self.norm(self.adder(x)) + x)


class AdderBlock(nn.Module):
    """EDSR's residual block of two adder units, the first with a ReLU: (B, C, h, w) -> (B, C, h, w)."""

    def __init__(self, features: int, residual_scale: float, rate: float, execution: AdderExecution | None) -> None:
        super().__init__()
        self.units = nn.Sequential(
            AdderUnit(features, True, rate, execution), AdderUnit(features, False, rate, execution)
        )
        self.residual_scale = residual_scale

    def forward(self, x: Tensor) -> Tensor:
        return torch.add(x, self.units(x), alpha=self.residual_scale)


class AdderEDSR(Generator):
    """EDSR whose residual blocks are of adder layers (Song et al., AdderSR, CVPR 2021).

    The head, the convolution after the blocks, upsampling and the last layer stay convolutions.

    Args:
        scale: 2, 3, 4 or 8.
        blocks: residual blocks, 16 in EDSR-baseline.
        features: channels, 64 in EDSR-baseline.
        residual_scale: factor of the blocks' residuals; deep wide networks need 0.1.
        rate: eta, see `Adder2d`.
        execution: of adder layers, ``native`` (compiled on first use) or ``torch``; None: native if possible.
    """

    mean: Tensor

    @records_arguments
    def __init__(
        self,
        scale: int = 4,
        blocks: int = 16,
        features: int = 64,
        residual_scale: float = 1.0,
        rate: float = RATE,
        execution: AdderExecution | None = None,
    ) -> None:
        super().__init__()
        self.scale = scale
        self.register_buffer("mean", torch.tensor(DIV2K_MEAN)[:, None, None], persistent=False)
        self.head = conv3(3, features)
        self.blocks = nn.Sequential(*(AdderBlock(features, residual_scale, rate, execution) for _ in range(blocks)))
        self.body = conv3(features, features)
        self.up = sub_pixel_upsampling(features, scale)
        self.last = conv3(features, 3)

    def pyramid(self, lr: Tensor, up_to: int | None = None) -> dict[int, Tensor]:
        x = self.head(lr - self.mean)
        x = x + self.body(self.blocks(x))
        return {self.scale: self.last(self.up(x)) + self.mean}


class AdderVDSR(Generator):
    """VDSR with adder layers between its first and last convolution (Song et al., AdderSR, CVPR 2021).

    It adds a residual to the enlarged luma: (B, 1, s h, s w) -> (B, 1, s h, s w).

    Args:
        scale: s; the network itself is the same for all scales.
        layers: layers in all, 20 in the paper.
        features: channels, 64 in the paper.
        rate: eta, see `Adder2d`.
        execution: of adder layers, ``native`` (compiled on first use) or ``torch``; None: native if possible.
    """

    input = "bicubic"
    colour = "y"

    @records_arguments
    def __init__(
        self,
        scale: int = 4,
        layers: int = 20,
        features: int = 64,
        rate: float = RATE,
        execution: AdderExecution | None = None,
    ) -> None:
        super().__init__()
        if layers < 3:
            raise ValueError(f"layers must be at least 3, not {layers}")
        self.scale = scale
        self.first = conv3(1, features)
        self.units = nn.Sequential(*(AdderUnit(features, True, rate, execution) for _ in range(layers - 2)))
        self.last = conv3(features, 1)
        init_scaled_he_(self, 1.0)

    def pyramid(self, lr: Tensor, up_to: int | None = None) -> dict[int, Tensor]:
        return {self.scale: lr + self.last(self.units(self.first(lr).relu()))}
