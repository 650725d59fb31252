"""The tiler of methods and networks that need the whole picture."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from facehall.errors import FacehallError
from facehall.inference.tiling.tiles import Network, Tile


class WholePicture:
    """Computes a picture in one piece, with the interface of `Tiler`.

    Args:
        network: the function that computes it.
        device: its device.
        tile: anything but ``auto`` is refused.

    Raises:
        FacehallError: the tile's side is set.
    """

    overlap = sys.maxsize
    """Context that a crop needs: all there is."""

    def __init__(self, network: Network, device: torch.device, tile: int | str = "auto") -> None:
        if tile != "auto":
            raise FacehallError(f"tile={tile}: this system needs the whole picture at once. Set tile=auto.")
        self.network, self.device = network, device

    def tiles(self, height: int, width: int, read: Callable[[slice, slice], Tensor]) -> Iterator[Tile]:
        """Yield the picture as a single tile."""
        lr = read(slice(0, height), slice(0, width)).to(self.device)
        with torch.inference_mode():
            yield Tile(0, height, 0, width, self.network(lr)[0].clamp(0, 1))
