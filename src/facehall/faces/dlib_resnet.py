"""dlib's face recognition network (King, 2017; CC0): 29 convolutions, an aligned face -> 128 numbers."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SIDE = 150
MEAN = (122.782, 117.001, 104.298)
"""RGB mean of the training pictures, in levels of 255."""
STAGES = (("32", 32, 3), ("64", 64, 4), ("128", 128, 3), ("256", 256, 3))
"""Name, channels and residual blocks of each stage; all but the first begin by halving the resolution."""


class ScaledConv(nn.Module):
    """A convolution followed by an affine map of each channel, what batch normalisation becomes after training."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels_out, kernel, stride, padding=0 if stride > 1 else kernel // 2)
        self.scale = nn.Parameter(torch.ones(channels_out))
        self.shift = nn.Parameter(torch.zeros(channels_out))

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x) * self.scale.view(-1, 1, 1) + self.shift.view(-1, 1, 1)


class Block(nn.Module):
    """A residual block; with stride 2 the shortcut is averaged, and continued by zeros where it has no more channels.

    dlib's convolutions with a stride have no padding, so the branch may end a pixel before the shortcut; what is
    missing counts as zero.
    """

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.conv1 = ScaledConv(channels_in, channels_out, 3, stride)
        self.conv2 = ScaledConv(channels_out, channels_out, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        branch = self.conv2(F.relu(self.conv1(x)))
        if self.stride > 1:
            x = F.avg_pool2d(x, 2)
        size = [max(a, b) for a, b in zip(x.shape[1:], branch.shape[1:], strict=True)]
        return F.relu(_extend(branch, size) + _extend(x, size))


class DlibResNet(nn.Module):
    """dlib's recognition network v1.

    Its embeddings are compared by Euclidean distance: two pictures of one person are nearer than 0.6.
    """

    mean: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.stem = ScaledConv(3, 32, 7, 2)
        blocks: list[Block] = []
        channels = 32
        for _, width, count in STAGES:
            for _ in range(count):
                first = width != channels
                blocks.append(Block(channels, width, 2 if first else 1))
                channels = width
        blocks.append(Block(256, 256, 2))
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(256, 128, bias=False)
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1), persistent=False)

    def forward(self, chips: Tensor) -> Tensor:
        """Embed aligned faces: (B, 3, 150, 150) in [0, 1] -> (B, 128)."""
        x = F.relu(self.stem((255 * chips - self.mean) / 256))
        x = self.blocks(F.max_pool2d(x, 3, 2))
        return self.head(x.mean((2, 3)))


def from_face_api(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the tensors of the npm package to this network's state dict.

    Raises:
        KeyError: a tensor is missing.
    """
    state = {"head.weight": tensors["fc"].T.contiguous()}
    names = {"stem": "conv32_down"}
    position = 0
    for stage, _, count in STAGES:
        for index in range(count):
            block = f"conv{stage}_{index + 1}" if stage == "32" else f"conv{stage}_{index or 'down'}"
            names |= {f"blocks.{position}.conv{i}": f"{block}/conv{i}" for i in (1, 2)}
            position += 1
    names |= {f"blocks.{position}.conv{i}": f"conv256_down_out/conv{i}" for i in (1, 2)}
    for ours, theirs in names.items():
        state[f"{ours}.conv.weight"] = tensors[f"{theirs}/conv/filters"].permute(3, 2, 0, 1).contiguous()
        state[f"{ours}.conv.bias"] = tensors[f"{theirs}/conv/bias"]
        state[f"{ours}.scale"] = tensors[f"{theirs}/scale/weights"]
        state[f"{ours}.shift"] = tensors[f"{theirs}/scale/biases"]
    return state


def _extend(x: Tensor, size: list[int]) -> Tensor:
    """Append zeros: (B, c, h, w) -> (B, C, H, W)."""
    channels, height, width = (new - old for new, old in zip(size, x.shape[1:], strict=True))
    return F.pad(x, (0, width, 0, height, 0, channels)) if channels or height or width else x
