"""VGG16s: a small network distilled to approximate VGG16's eq. 1 distance; its weights are bundled."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from facehall.errors import FacehallError
from facehall.models.perceptual.vgg import IMAGENET_MEAN, IMAGENET_STD, check_images

VGG16S_LAYERS = ("conv2_2", "conv3_3")
"""The distilled layers, shallow to deep, with the strides of the same layers in VGG16 (2 and 4)."""

VGG16S_WEIGHTS = Path(__file__).with_name("vgg16s.safetensors")
"""The bundled file; `vgg16s.md` next to it is its model card."""

WIDTHS = ((16, 16), (48, 48), (96, 96, 96))
"""Channels of each 3x3 convolution, block by block; VGG16 has 64, 64 | 128, 128 | 256, 256, 256."""


class VGG16sFeatures(nn.Module):
    """VGG16s features at named layers, before the ReLU; frozen, and a drop-in replacement for `VGG16Features`.

    The network has VGG16's architecture at a fraction of its width. It was distilled so that mean squared differences
    of its features match those of VGG16: `0.5 MSE(conv2_2) + 0.5 MSE(conv3_3)` has VGG16's magnitude, so loss weights
    carry over. The individual features have no simple relation to VGG16's. The map that matches the distances is a 1x1
    convolution on conv2_2, and folded into the last convolution for conv3_3.

    Args:
        layers: names from `VGG16S_LAYERS`; of a mapping, the keys are used.
        weights: a safetensors file of the same network; None uses the bundled one.
        pretrained: False gives RANDOM weights, for tests and for distillation.
        widths: widths of a network to be trained; the bundled weights match the default.

    Raises:
        FacehallError: unknown layer name, or the weights are unreadable or of another network.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        layers: Iterable[str] | str = VGG16S_LAYERS,
        weights: str | Path | None = None,
        pretrained: bool = True,
        widths: Sequence[Sequence[int]] = WIDTHS,
    ) -> None:
        super().__init__()
        self.layers = _check_layers(layers)
        depth = 3 if "conv3_3" in self.layers else 2
        self.min_size = 2 ** (depth - 1)
        # Built on the meta device if weights are loaded: faster, and the random state is untouched.
        with torch.device("meta" if pretrained else "cpu"):
            ends = [3, *(block[-1] for block in widths)]
            self.blocks = nn.ModuleList(
                nn.ModuleList(nn.Conv2d(a, b, 3, padding=1) for a, b in pairwise((start, *block)))
                for start, block in zip(ends, widths[:depth], strict=False)
            )
            self.head = nn.Conv2d(widths[1][-1], widths[1][-1], 1, bias=False)
        if pretrained:
            self._load(Path(weights or VGG16S_WEIGHTS))
        else:
            nn.init.dirac_(self.head.weight)
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1), persistent=False)
        self.requires_grad_(False)

    def _load(self, path: Path) -> None:
        if not path.is_file():
            raise FacehallError(f"{path}: no such weights file; check losses.perceptual.extractor.weights.")
        try:
            state = load_file(path)
        except (SafetensorError, OSError) as error:
            raise FacehallError(f"{path}: not a readable safetensors file ({error}).") from None
        own = {name: value.shape for name, value in self.state_dict().items()}
        wrong = [name for name, shape in own.items() if name not in state or state[name].shape != shape]
        if wrong:
            raise FacehallError(
                f"{path}: not weights of VGG16s: {wrong[0]} is missing or has another shape. Set "
                "losses.perceptual.extractor.weights to null for the bundled ones, or to a file of experiments/vgg16s."
            )
        self.load_state_dict({name: state[name].float() for name in own}, assign=True)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Return features of images (B, 3, H, W) in [0, 1]: layer name -> (B, C, H / 2^(block-1), W / 2^(block-1)).

        Differentiable with respect to the images.

        Raises:
            FacehallError: the images have another shape or are smaller than `min_size`.
        """
        check_images(images, f"VGG16s up to {self.layers[-1]}", self.min_size)
        features: dict[str, Tensor] = {}
        x = (images - self.mean) / self.std
        for number, block in enumerate(self.blocks, 1):
            if number > 1:
                x = F.max_pool2d(x, kernel_size=2, stride=2)
            for convolution in block.children():
                before = convolution(x)
                x = F.relu(before)
            if number == 2 and "conv2_2" in self.layers:
                features["conv2_2"] = self.head(before)
            if number == 3:
                features["conv3_3"] = before
        return features


def _check_layers(layers: Iterable[str] | str) -> tuple[str, ...]:
    """Return the names without duplicates, shallow to deep."""
    names = {layers} if isinstance(layers, str) else set(layers)
    unknown = sorted(str(name) for name in names if name not in VGG16S_LAYERS)
    if unknown or not names:
        what = f"has no layer '{unknown[0]}'" if unknown else "needs at least one layer name"
        raise FacehallError(
            f"VGG16s {what}: it was distilled for {' and '.join(VGG16S_LAYERS)}. For other layers use "
            "losses=[charbonnier,vgg16,ragan]."
        )
    return tuple(name for name in VGG16S_LAYERS if name in names)
