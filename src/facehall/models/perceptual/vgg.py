"""VGG16 features for the perceptual loss, taken before the ReLU as in ESRGAN."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from facehall.assets import get_asset, read_weights, resolve
from facehall.errors import FacehallError

_BLOCKS = (2, 2, 3, 3, 3)  # convolutions per block; a 2x2 max pooling stands between blocks
_CONVOLUTIONS = tuple(f"{block}_{i}" for block, count in enumerate(_BLOCKS, 1) for i in range(1, count + 1))

LAYERS: tuple[str, ...] = tuple(f"{kind}{name}" for name in _CONVOLUTIONS for kind in ("conv", "relu"))
"""Valid layer names, shallow to deep: conv1_1, relu1_1, conv1_2, ..., conv5_3, relu5_3."""

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Statistics of RGB in [0,1] that the extractors normalise by."""


def check_images(images: Tensor, network: str, min_size: int) -> None:
    """Raises FacehallError, in the network's name, where images are not (B, 3, H, W) of at least `min_size` pixels."""
    if images.ndim != 4 or images.shape[1] != 3 or min(images.shape[-2:]) < min_size:
        raise FacehallError(
            f"{network} takes images of shape (B, 3, H, W) with H and W of at least {min_size} pixels; got "
            f"{tuple(images.shape)}."
        )


class VGG16Features(nn.Module):
    """The activations of VGG16 (Simonyan and Zisserman, 2015) at named layers; frozen, always in evaluation
    mode.

    `conv4_3` is the output of that convolution before its ReLU, which ESRGAN (Wang et al., 2018, section 3.3)
    compares; `relu4_3` the output after it. The network is built no deeper than the deepest layer named.

    Args:
        layers: names out of `LAYERS`; a mapping counts by its keys.
        weights: a file or folder for `facehall.assets.resolve("vgg16", ...)`; None finds or fetches them.
        pretrained: False gives RANDOM weights that mean nothing; for tests only.

    Raises:
        FacehallError: on an unknown layer name, or if the weights cannot be had.

    """

    mean: Tensor
    std: Tensor

    def __init__(self, layers: Iterable[str] | str, weights: str | Path | None = None, pretrained: bool = True) -> None:
        super().__init__()
        self.layers = _check_layers(layers)
        depth = 1 + max(_CONVOLUTIONS.index(name[4:]) for name in self.layers)
        self._names = _CONVOLUTIONS[:depth]
        self.min_size = 2 ** (int(self._names[-1][0]) - 1)

        asset = get_asset("vgg16")
        # Pretrained convolutions are built without values: it is faster, and leaves the random state as it
        # was.
        with torch.device("meta" if pretrained else "cpu"):
            self.convolutions = nn.ModuleList(
                nn.Conv2d(channels_in, channels_out, kernel, padding=1)
                for _, channels_in, channels_out, kernel in asset.convolutions[:depth]
            )
        if pretrained:
            values = read_weights(resolve("vgg16", weights), asset, layers=depth)
            position = {str(index): i for i, (index, *_) in enumerate(asset.convolutions)}
            renamed = {f"{position[key.split('.')[1]]}.{key.split('.')[2]}": value for key, value in values.items()}
            self.convolutions.load_state_dict(renamed, assign=True)
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1))
        self.requires_grad_(False)
        super().train(False)

    def train(self, mode: bool = True) -> VGG16Features:
        """Stays in evaluation mode whatever the mode; a parent's `train()` must not wake it."""
        del mode
        return super().train(False)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Features of images (B, 3, H, W) in [0,1]: layer name -> (B, C, H / 2^(block-1), W / 2^(block-1)).

        Differentiable with respect to the images.

        Raises:
            FacehallError: if the images are not of that shape, or smaller than `min_size`.

        """
        check_images(images, f"VGG16 up to {self.layers[-1]}", self.min_size)
        features: dict[str, Tensor] = {}
        x = (images - self.mean) / self.std
        for name, convolution in zip(self._names, self.convolutions, strict=True):
            if name.endswith("_1") and name != "1_1":
                x = F.max_pool2d(x, kernel_size=2, stride=2)
            before = convolution(x)
            x = F.relu(before)  # not in place: `before` may be one of the results
            if f"conv{name}" in self.layers:
                features[f"conv{name}"] = before
            if f"relu{name}" in self.layers:
                features[f"relu{name}"] = x
        return features


def _check_layers(layers: Iterable[str] | str) -> tuple[str, ...]:
    """The names without repetition, shallow to deep."""
    names = {layers} if isinstance(layers, str) else set(layers)
    if not names:
        raise FacehallError("The perceptual extractor needs at least one layer name, for example conv4_3.")
    unknown = sorted(str(name) for name in names if name not in LAYERS)
    if unknown:
        raise FacehallError(
            f"VGG16 has no layer '{unknown[0]}'. Valid names: {', '.join(LAYERS[::2])} (before the ReLU), "
            "and the same with relu in the place of conv (after it)."
        )
    return tuple(name for name in LAYERS if name in names)
