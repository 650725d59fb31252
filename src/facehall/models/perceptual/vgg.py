"""VGG16 features for the perceptual loss, before the ReLU as in ESRGAN."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from facehall.assets import get_asset, read_weights, resolve
from facehall.errors import FacehallError

_BLOCKS = (2, 2, 3, 3, 3)  # convolutions per block; blocks are separated by 2x2 max pooling
_CONVOLUTIONS = tuple(f"{block}_{i}" for block, count in enumerate(_BLOCKS, 1) for i in range(1, count + 1))

LAYERS: tuple[str, ...] = tuple(f"{kind}{name}" for name in _CONVOLUTIONS for kind in ("conv", "relu"))
"""Valid layer names, shallow to deep: conv1_1, relu1_1, conv1_2, ..., conv5_3, relu5_3."""

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""RGB statistics in [0, 1] used by the extractors for normalisation."""


def check_images(images: Tensor, network: str, min_size: int) -> None:
    """Check that images are (B, 3, H, W) of at least `min_size` pixels; raise FacehallError naming the network."""
    if images.ndim != 4 or images.shape[1] != 3 or min(images.shape[-2:]) < min_size:
        raise FacehallError(
            f"{network} needs images of shape (B, 3, H, W) with H and W of at least {min_size} pixels; got "
            f"{tuple(images.shape)}."
        )


class VGG16Features(nn.Module):
    """VGG16 activations (Simonyan and Zisserman, 2015) at named layers; frozen, always in evaluation mode.

    `conv4_3` is the output of that convolution before its ReLU, as compared by ESRGAN (Wang et al., 2018, section 3.3);
    `relu4_3` the output after it. The network is built only up to the deepest layer named.

    Args:
        layers: names from `LAYERS`; of a mapping, the keys are used.
        weights: a file or folder for `facehall.assets.resolve("vgg16", ...)`; None finds or downloads them.
        pretrained: False gives RANDOM weights, for tests only.

    Raises:
        FacehallError: unknown layer name, or the weights are unavailable.
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
        # Pretrained convolutions are built on the meta device: faster, and the random state is untouched.
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
        """Stay in evaluation mode, also when a parent's `train()` is called."""
        del mode
        return super().train(False)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Return features of images (B, 3, H, W) in [0, 1]: layer name -> (B, C, H / 2^(block-1), W / 2^(block-1)).

        Differentiable with respect to the images.

        Raises:
            FacehallError: the images have another shape or are smaller than `min_size`.
        """
        check_images(images, f"VGG16 up to {self.layers[-1]}", self.min_size)
        features: dict[str, Tensor] = {}
        x = (images - self.mean) / self.std
        for name, convolution in zip(self._names, self.convolutions, strict=True):
            if name.endswith("_1") and name != "1_1":
                x = F.max_pool2d(x, kernel_size=2, stride=2)
            before = convolution(x)
            x = F.relu(before)  # not in place: `before` may be returned
            if f"conv{name}" in self.layers:
                features[f"conv{name}"] = before
            if f"relu{name}" in self.layers:
                features[f"relu{name}"] = x
        return features


def _check_layers(layers: Iterable[str] | str) -> tuple[str, ...]:
    """Return the names without duplicates, shallow to deep."""
    names = {layers} if isinstance(layers, str) else set(layers)
    if not names:
        raise FacehallError("The perceptual extractor needs at least one layer name, for example conv4_3.")
    unknown = sorted(str(name) for name in names if name not in LAYERS)
    if unknown:
        raise FacehallError(
            f"VGG16 has no layer '{unknown[0]}'. Valid names: {', '.join(LAYERS[::2])} (before the ReLU), "
            "and the same with relu instead of conv (after it)."
        )
    return tuple(name for name in LAYERS if name in names)
