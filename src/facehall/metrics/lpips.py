"""LPIPS: learned perceptual image patch similarity (Zhang et al., CVPR 2018, arXiv:1801.03924)."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Literal, cast

import torch
from torch import Tensor, nn

from facehall.assets import get_asset, read_weights, resolve
from facehall.errors import FacehallError

_BACKBONES = {"alex": "alexnet", "vgg": "vgg16"}
MIN_SIZE = {"alex": 31, "vgg": 16}
"""Minimum height and width that leave at least one pixel at the deepest layer."""


class LPIPS(nn.Module):
    """LPIPS v0.1: the authors' linear weights on torchvision's ImageNet backbone. 0 means identical.

    Uses the network of the authors' `lpips` package, whose wheel contains the linear weights; the backbone weights
    come from `facehall.assets.resolve`, so there are no hidden downloads. Frozen, always in evaluation mode and
    float32; differentiable with respect to the images.

    Args:
        net: "alex" for figures comparable with papers, "vgg" as a loss.
        weights: a file or folder for `facehall.assets.resolve`; None finds or downloads them.

    Raises:
        FacehallError: unknown net, or the weights are unavailable.
    """

    def __init__(self, net: Literal["alex", "vgg"] = "alex", weights: str | Path | None = None) -> None:
        super().__init__()
        if net not in _BACKBONES:
            raise FacehallError(f"LPIPS has no net '{net}'; choose alex or vgg.")
        self.net = net
        self.network = _build(net, resolve(_BACKBONES[net], weights))
        self.requires_grad_(False)
        super().train(False)

    def train(self, mode: bool = True) -> LPIPS:
        """Stay in evaluation mode: in training mode the linear layers would apply dropout."""
        del mode
        return super().train(False)

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        """Return the distance of each image pair, (B,), for images (B, 3, H, W) in [0, 1], mapped to [-1, 1] here.

        Raises:
            FacehallError: the shapes differ, are not (B, 3, H, W), or are smaller than `MIN_SIZE`.
        """
        least = MIN_SIZE[self.net]
        if sr.shape != hr.shape or sr.ndim != 4 or sr.shape[1] != 3:
            raise FacehallError(
                f"LPIPS compares two batches of one shape (B, 3, H, W); got {tuple(sr.shape)} and {tuple(hr.shape)}."
            )
        if min(sr.shape[-2:]) < least:
            raise FacehallError(
                f"LPIPS with the {self.net} backbone needs images of at least {least}x{least} pixels; got "
                f"{sr.shape[-2]}x{sr.shape[-1]}. Use larger images, or omit LPIPS: `metrics.lpips=none`."
            )
        # In float32 even under mixed precision: bfloat16 would change the third decimal.
        with torch.autocast(device_type=sr.device.type, enabled=False):
            distance: Tensor = self.network(sr.float(), hr.float(), normalize=True)
        return distance.flatten()


def _build(net: str, backbone_file: Path) -> nn.Module:
    """Build the `lpips` package's network from our backbone file and the package's linear weights.

    Its constructor builds and randomly initialises the whole classifier, only to keep the convolutions. On the meta
    device that costs nothing and leaves the random state untouched; all values are assigned afterwards.
    """
    import lpips  # imported late: it imports scipy

    with torch.device("meta"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*'(pretrained|weights)'.*", category=UserWarning)
        network = lpips.LPIPS(net=net, pretrained=False, pnet_rand=True, version="0.1", verbose=False)

    # The package's slices keep torchvision's layer numbers: slice3.10.weight is features.10.weight.
    backbone = read_weights(backbone_file, get_asset(_BACKBONES[net]))
    keys = {key: "features." + key.split(".", 1)[1] for key in network.net.state_dict()}
    network.net.load_state_dict({key: backbone[source] for key, source in keys.items()}, assign=True)

    linear_file = Path(lpips.__file__).parent / "weights" / "v0.1" / f"{net}.pth"
    linear = torch.load(linear_file, map_location="cpu", weights_only=True)  # lin0.model.1.weight, ...
    for i, layer in enumerate(network.lins):
        layer.load_state_dict({"model.1.weight": linear[f"lin{i}.model.1.weight"]}, assign=True)
    network.scaling_layer = lpips.ScalingLayer()  # its constants, off the meta device
    return cast(nn.Module, network)
