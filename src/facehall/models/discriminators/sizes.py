"""The check of image sizes that discriminators with a dense layer on flattened features share."""

from __future__ import annotations

from torch import Tensor, nn


def check_patches(network: nn.Module, images: Tensor, side: int, otherwise: str) -> None:
    """Check that images (B, C, H, W) have the side that a discriminator was built for.

    Args:
        network: the discriminator, for its name.
        images: its input.
        side: the side of the patches in pixels.
        otherwise: what to do, other than to set the size.

    Raises:
        ValueError: another size.
    """
    height, width = images.shape[-2:]
    if (height, width) != (side, side):
        raise ValueError(
            f"{type(network).__name__} was built for {side}x{side} patches, got {height}x{width}: set patch_size to "
            f"patches.patch_size times scale, or {otherwise}"
        )
