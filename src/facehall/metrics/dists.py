"""DISTS: deep image structure and texture similarity (Ding et al., 2020, arXiv:2004.07728)."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from facehall.assets import get_asset, read_weights, resolve
from facehall.assets.dists import read_dists, resolve_dists
from facehall.errors import FacehallError

STAGES = (2, 2, 3, 3, 3)
"""VGG16's convolutions per stage; DISTS uses the features after the last ReLU of each stage."""
CHANNELS = (3, 64, 128, 256, 512, 512)
"""Channels of the image and of each stage's features."""
MIN_SIZE = 16
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet statistics used to train VGG16
STABILISER = 1e-6


class DISTS(nn.Module):
    """1 - sum of weighted similarities of the means (texture) and covariances (structure) of VGG16 features.

    0 means identical. Uses the authors' alpha and beta on torchvision's VGG16, with Hann-windowed L2 pooling instead of
    max pooling; images are compared at full size, without the authors' optional reduction to 256 pixels. Frozen, always
    in evaluation mode and float32.

    Args:
        weights: file with alpha and beta (`facehall.assets.dists`); None finds or downloads it.
        vgg: VGG16 weights file or folder for `facehall.assets.resolve`; None finds or downloads them.

    Raises:
        FacehallError: weights are unavailable or do not match.
    """

    alpha: Tensor
    beta: Tensor
    mean: Tensor
    std: Tensor

    def __init__(self, weights: str | Path | None = None, vgg: str | Path | None = None) -> None:
        super().__init__()
        asset = get_asset("vgg16")
        values = read_weights(resolve("vgg16", vgg), asset)
        with torch.device("meta"):  # values are assigned below; the random state is untouched
            self.convolutions = nn.ModuleList(
                nn.Conv2d(channels_in, channels_out, kernel, padding=1)
                for _, channels_in, channels_out, kernel in asset.convolutions
            )
        for (index, *_), convolution in zip(asset.convolutions, self.convolutions, strict=True):
            state = {key: values[f"features.{index}.{key}"] for key in ("weight", "bias")}
            convolution.load_state_dict(state, assign=True)
        tensors = read_dists(resolve_dists(weights))
        total = tensors["alpha"].sum() + tensors["beta"].sum()
        for name in ("alpha", "beta"):
            self.register_buffer(name, tensors[name].flatten() / total)
        for name, statistics in (("mean", MEAN), ("std", STD)):
            self.register_buffer(name, torch.tensor(statistics).view(1, 3, 1, 1))
        self.requires_grad_(False)
        super().train(False)

    def train(self, mode: bool = True) -> DISTS:
        del mode
        return super().train(False)

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        """Return the distance of each image pair, (B,), for images (B, 3, H, W) in [0, 1].

        Raises:
            FacehallError: the shapes differ, are not (B, 3, H, W), or are smaller than `MIN_SIZE`.
        """
        self.check(sr, hr)
        return self.distance(self.features(sr), self.features(hr))

    @staticmethod
    def check(sr: Tensor, hr: Tensor) -> None:
        """Raise the error of `forward` for images that cannot be compared."""
        if sr.shape != hr.shape or sr.ndim != 4 or sr.shape[1] != 3 or min(sr.shape[-2:]) < MIN_SIZE:
            raise FacehallError(
                f"DISTS compares two batches of one shape (B, 3, H, W) of at least {MIN_SIZE}x{MIN_SIZE} pixels; got "
                f"{tuple(sr.shape)} and {tuple(hr.shape)}. Use larger images, or remove dists from metrics.measures."
            )

    def features(self, images: Tensor) -> list[Tensor]:
        """Return the images (B, 3, H, W) and the features of each stage, (B, C, H', W'): half the work of `forward`."""
        with torch.autocast(device_type=images.device.type, enabled=False):
            images = images.float()
            features, x, layer = [images], (images - self.mean) / self.std, 0
            for stage, count in enumerate(STAGES):
                if stage:
                    x = _l2_pool(x)
                for _ in range(count):
                    x = F.relu(self.convolutions[layer](x))
                    layer += 1
                features.append(x)
        return features

    def distance(self, sr: list[Tensor], hr: list[Tensor]) -> Tensor:
        """Return the distance of the images with these `features`, (B,)."""
        with torch.autocast(device_type=sr[0].device.type, enabled=False):
            weights = (self.alpha.split(CHANNELS), self.beta.split(CHANNELS))
            found = [self._similarity(*each) for each in zip(sr, hr, *weights, strict=True)]
        return 1 - torch.stack(found).sum(0)

    @staticmethod
    def _similarity(x: Tensor, y: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
        """Compute the paper's eqs. 5 and 6, weighted: two (B, C, H, W) -> (B,)."""
        mean_x, mean_y = x.mean((2, 3)), y.mean((2, 3))
        var_x = (x - mean_x[..., None, None]).square().mean((2, 3))
        var_y = (y - mean_y[..., None, None]).square().mean((2, 3))
        cov = (x * y).mean((2, 3)) - mean_x * mean_y
        texture = (2 * mean_x * mean_y + STABILISER) / (mean_x**2 + mean_y**2 + STABILISER)
        structure = (2 * cov + STABILISER) / (var_x + var_y + STABILISER)
        return (alpha * texture + beta * structure).sum(1)


def _l2_pool(x: Tensor) -> Tensor:
    """Compute sqrt(window * x^2) at stride 2, with a 3x3 Hann window (Henaff and Simoncelli, 2016)."""
    window = x.new_tensor((0.5, 1.0, 0.5))
    window = window[:, None] * window / 4
    kernel = window.expand(x.shape[1], 1, 3, 3)
    return (F.conv2d(x.square(), kernel, stride=2, padding=1, groups=x.shape[1]) + 1e-12).sqrt()
