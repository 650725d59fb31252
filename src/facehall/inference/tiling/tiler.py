"""Tiles as large as memory allows, and smaller ones where it turns out not to."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator
from functools import cached_property

import torch
from torch import Tensor

from facehall.errors import FacehallError
from facehall.inference.tiling import memory, receptive_field
from facehall.inference.tiling.tiles import Grid, Network, Tile, grid, tiles
from facehall.models.generators import Generator

_log = logging.getLogger(__name__)

SMALL_TILE = 192
"""Side of the automatic tile where the overlap is small: what is no larger is computed whole."""
TILE_PER_OVERLAP = 10
"""The automatic tile's side: what is computed twice is then 44 % of the picture; more would only take memory."""
LEAST_TILE = 8
"""Half of it is not tried where memory does not suffice."""


class TileTooLargeError(FacehallError):
    """The device has too little memory for a tile."""


class Tiler:
    """Computes pictures of any size with bounded memory.

    Args:
        generator: the network, on `device`, in eval mode; its reach and its need of memory are measured on it.
        network: what computes pictures as it does: itself, or a backend's function.
        tile: side of the tiles in LR pixels, without their context; ``auto`` goes by the free memory.
    """

    def __init__(self, generator: Generator, network: Network, device: torch.device, tile: int | str = "auto") -> None:
        if tile != "auto" and (not isinstance(tile, int) or isinstance(tile, bool) or tile < 1):
            raise FacehallError(f"tile={tile}: it is a number of pixels, at least 1, or auto.")
        self.generator, self.network, self.device, self.tile = generator, network, device, tile
        self.scale = generator.scale
        self._most: int | None = None  # the tile's side since memory ran out

    @cached_property
    def overlap(self) -> int:
        """The context of a tile in LR pixels, with which it comes out as in the whole picture."""
        return receptive_field.overlap(self.generator, self.device)

    @cached_property
    def _pixel(self) -> int:
        return memory.bytes_per_pixel(self.generator)

    def tiles(self, height: int, width: int, read: Callable[[slice, slice], Tensor]) -> Iterator[Tile]:
        """The tiles of a picture; smaller ones from the first row on that memory does not suffice for."""
        done, longest = 0, max(height, width)
        while done < height:
            side = min(longest, self._most or longest)
            try:  # measuring the reach takes memory too
                side = self._side(height, width)
                cut = grid(height, width, side, self.overlap if longest > side else 0)
                rows = [row._replace(start=max(row.start, done)) for row in cut.rows if row.stop > done]
                for tile in tiles(self.network, self.scale, Grid(rows, cut.columns), self._placed(read)):
                    yield tile
                    if tile.right == width:
                        done = tile.bottom
            except Exception as error:  # each backend has its own class
                if not memory.out_of_memory(error):
                    raise
                self._halve(min(side, longest), error)

    def _placed(self, read: Callable[[slice, slice], Tensor]) -> Callable[[slice, slice], Tensor]:
        return lambda rows, columns: read(rows, columns).to(self.device)

    def _side(self, height: int, width: int) -> int:
        """The tile's side for a picture, without context; the picture's own where that is computed whole."""
        if isinstance(self.tile, int):
            side = self.tile
        else:
            most = memory.free_memory(self.device) // 2 // self._pixel
            if height * width <= min(most, SMALL_TILE**2):
                side = max(height, width)  # the overlap, which takes a second to measure, is not needed
            else:
                most = min(most, max(SMALL_TILE, (TILE_PER_OVERLAP + 2) * self.overlap) ** 2)
                whole = height * width <= most
                side = max(height, width) if whole else max(LEAST_TILE, math.isqrt(most) - 2 * self.overlap)
        return min(side, self._most or side)

    def _halve(self, side: int, error: Exception) -> None:
        if side // 2 < LEAST_TILE:
            raise TileTooLargeError(
                f"{self.device} has too little memory, even for tiles of {side} pixels at x{self.scale}. Close other "
                "programs, or choose another device."
            ) from error
        self._most = side // 2
        _log.warning(
            "%s has too little memory for tiles of %d pixels: going on with %d.", self.device, side, self._most
        )
