"""Tiling with a tile size that depends on the free memory and shrinks if memory runs out."""

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
"""Minimum of the upper limit of automatic tiles; pictures up to this side are computed whole."""
TILE_PER_OVERLAP = 10
"""Largest automatic tile relative to the overlap: 44 % overhead; larger tiles would mainly take more memory."""
MIN_TILE = 8
"""Smallest tile that is tried when memory runs out."""


class TileTooLargeError(FacehallError):
    """The device has too little memory for a tile."""


class Tiler:
    """Upscales pictures of any size with bounded memory.

    Args:
        generator: the network, on `device`, in eval mode; used to measure receptive field and memory use.
        network: the function that computes the tiles: `generator` itself or a backend.
        device: the device of the network.
        tile: side of the tiles in LR pixels, without context; ``auto`` depends on the free memory.
    """

    def __init__(self, generator: Generator, network: Network, device: torch.device, tile: int | str = "auto") -> None:
        if tile != "auto" and (not isinstance(tile, int) or isinstance(tile, bool) or tile < 1):
            raise FacehallError(f"tile={tile}: must be a number of pixels, at least 1, or auto.")
        self.generator, self.network, self.device, self.tile = generator, network, device, tile
        self.scale = generator.scale
        self._max_side: int | None = None  # limit of the tile's side after memory ran out

    @cached_property
    def overlap(self) -> int:
        """Context of a tile in LR pixels that it needs to match the whole picture."""
        return receptive_field.overlap(self.generator, self.device)

    @cached_property
    def _bytes_per_pixel(self) -> int:
        return memory.bytes_per_pixel(self.generator)

    def tiles(self, height: int, width: int, read: Callable[[slice, slice], Tensor]) -> Iterator[Tile]:
        """Yield the tiles of a picture; if memory runs out, continue from the current row with smaller tiles."""
        done, longest = 0, max(height, width)
        while done < height:
            side = min(longest, self._max_side or longest)
            try:  # includes the receptive field measurement, which may also run out of memory
                side = self._side(height, width)
                cut = grid(height, width, side, self.overlap if longest > side else 0, self.generator.cell)
                rows = [row._replace(start=max(row.start, done)) for row in cut.rows if row.stop > done]
                for tile in tiles(self.network, self.scale, Grid(rows, cut.columns), self._on_device(read)):
                    yield tile
                    if tile.right == width:
                        done = tile.bottom
            except Exception as error:  # backends raise different types
                if not memory.is_out_of_memory(error):
                    raise
                self._halve(min(side, longest), error)

    def _on_device(self, read: Callable[[slice, slice], Tensor]) -> Callable[[slice, slice], Tensor]:
        return lambda rows, columns: read(rows, columns).to(self.device)

    def _side(self, height: int, width: int) -> int:
        """Return the tile's side for a picture, without context; its longest side if it is computed whole."""
        if isinstance(self.tile, int):
            side = self.tile
        else:
            most = memory.free_memory(self.device) // 2 // self._bytes_per_pixel
            if height * width <= min(most, SMALL_TILE**2):
                side = max(height, width)  # avoids measuring the overlap, which takes a second
            else:
                most = min(most, max(SMALL_TILE, (TILE_PER_OVERLAP + 2) * self.overlap) ** 2)
                whole = height * width <= most
                side = max(height, width) if whole else max(MIN_TILE, math.isqrt(most) - 2 * self.overlap)
        return min(side, self._max_side or side)

    def _halve(self, side: int, error: Exception) -> None:
        if side // 2 < MIN_TILE:
            raise TileTooLargeError(
                f"{self.device} has too little memory, even for tiles of {side} pixels at x{self.scale}. Close other "
                "programs, or use another device."
            ) from error
        self._max_side = side // 2
        _log.warning(
            "%s has too little memory for tiles of %d pixels: continuing with %d.", self.device, side, self._max_side
        )
