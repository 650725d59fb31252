"""Identity of faces: a small recognition network of our own, for losses and guards, distilled from FaceRes.

dlib's network judges (`facehall.metrics.judges.identity`), so nothing here was trained with it.
"""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn
from torch.nn import functional as F

from facehall.faces.bundled import load_weights
from facehall.faces.inputs import as_input

SIDE = 80
"""Side of an aligned face in pixels."""
SIZE = 192
"""Length of an embedding."""
SLOPE = 0.1
"""Of the leaky ReLUs; learned slopes (PReLU) would take half of the time of a training step on CPUs."""
WEIGHTS = Path(__file__).with_name("identity.safetensors")
"""The bundled file; `networks.md` next to it is its model card."""

_STAGES = ((64, 4), (96, 4), (128, 2))
"""Channels and blocks after each halving of the resolution."""


class IdentityNetwork(nn.Module):
    """Inverted bottlenecks, then a depthwise convolution over the whole map, after MobileFaceNets (Chen et al. 2018).

    Embeddings are compared by their cosine.
    """

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [_convolution(3, 32, 3, 2)]
        before = 32
        for width, blocks in _STAGES:
            layers.append(_Bottleneck(before, width, 2))
            layers += [_Bottleneck(width, width, 1) for _ in range(blocks)]
            before = width
        layers.append(_convolution(before, 256, 1, 1))
        self.trunk = nn.Sequential(*layers)
        self.whole = nn.Sequential(nn.Conv2d(256, 256, SIDE // 16, groups=256, bias=False), nn.BatchNorm2d(256))
        self.embedding = nn.Linear(256, SIZE)

    @classmethod
    def pretrained(cls, weights: str | Path | None = None) -> IdentityNetwork:
        """Return the network with its bundled weights, or those of a file; frozen.

        Raises:
            FacehallError: the file is missing or of another network.
        """
        return load_weights(cls(), Path(weights or WEIGHTS), "identity network")

    def forward(self, chips: Tensor) -> Tensor:
        """Embed aligned faces: (B, 3, 80, 80) in [0, 1] -> (B, 192). Differentiable.

        The mean direction of a face and its mirror image, which errs a tenth less often than either.
        """
        return F.normalize(self.embed(chips), dim=1) + F.normalize(self.embed(chips.flip(-1)), dim=1)

    def embed(self, chips: Tensor) -> Tensor:
        """Embed aligned faces as they are, without their mirror images; see `forward`."""
        return self.embedding(self.whole(self.trunk(as_input(chips, SIDE))).flatten(1))


def _convolution(channels_in: int, channels_out: int, kernel: int, stride: int, groups: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(channels_in, channels_out, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(channels_out), nn.LeakyReLU(SLOPE, inplace=True))


class _Bottleneck(nn.Module):
    def __init__(self, channels_in: int, channels_out: int, stride: int, expansion: int = 2) -> None:
        super().__init__()
        hidden = expansion * channels_in
        self.residual = stride == 1 and channels_in == channels_out
        self.path = nn.Sequential(
            _convolution(channels_in, hidden, 1, 1),
            _convolution(hidden, hidden, 3, stride, groups=hidden),
            nn.Conv2d(hidden, channels_out, 1, bias=False),
            nn.BatchNorm2d(channels_out),
        )

    def forward(self, x: Tensor) -> Tensor:
        found = self.path(x)
        return x + found if self.residual else found
