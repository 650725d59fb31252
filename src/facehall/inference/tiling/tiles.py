"""Overlapping tiles: division of a picture and tile-by-tile inference."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

Network = Callable[[Tensor], Tensor]
"""(1, 3, h, w) in [0, 1] -> (1, 3, s h, s w): a generator or a backend."""


class Span(NamedTuple):
    """A tile along one axis, in LR pixels: `outer` is computed, `start` to `stop` are kept."""

    start: int
    stop: int
    outer: slice


class Tile(NamedTuple):
    """The super-resolved rows `top` to `bottom` and columns `left` to `right`, in LR pixels, of a picture."""

    top: int
    bottom: int
    left: int
    right: int
    sr: Tensor
    """(3, s (bottom - top), s (right - left)), clamped to [0, 1]."""


class Grid(NamedTuple):
    """A division of a picture into tiles, the product of rows and columns."""

    rows: list[Span]
    columns: list[Span]


def grid(height: int, width: int, tile: int, overlap: int, cell: int = 1) -> Grid:
    """Return the grid of equally sized tiles that computes the fewest pixels.

    A tile has at most (tile + 2 overlap)^2 pixels, including context, but need not be square: a picture slightly wider
    than a tile is divided into flatter tiles rather than into two columns.

    Args:
        height, width: size of the picture in LR pixels.
        tile: side of a square tile without context, in LR pixels.
        overlap: context in LR pixels on every side of a tile that is not a border of the picture.
        cell: see `Generator.cell`; tiles have up to cell - 1 more rows and columns, to begin where a cell does.
    """
    pixels = (tile + 2 * overlap) ** 2
    best: tuple[int, int, int] | None = None
    for columns in range(1, math.ceil(width / tile) + 1):
        outer = _outer(width, columns, overlap)
        rows = _count(height, pixels // outer, overlap)
        if rows is not None:
            cost = rows * columns * _outer(height, rows, overlap) * outer
            best = min(best or (cost, rows, columns), (cost, rows, columns))
    assert best is not None  # square tiles are always possible
    return Grid(spans(height, best[1], overlap, cell), spans(width, best[2], overlap, cell))


def spans(length: int, count: int, overlap: int, cell: int = 1) -> list[Span]:
    """Divide one axis of a picture into `count` tiles of equal length; the outer ones need no context at the border."""
    outer = _outer(length, count, overlap)
    if outer == length:
        return [Span(0, length, slice(0, length))]
    starts = [min(i * (outer - 2 * overlap), length - outer) for i in range(count)]
    edges = [0, *(start + overlap for start in starts[1:]), length]
    return [Span(edges[i], edges[i + 1], slice(start - start % cell, start + outer)) for i, start in enumerate(starts)]


def _outer(length: int, count: int, overlap: int) -> int:
    """Return the length, including context, of `count` tiles that cover `length`."""
    return min(length, math.ceil((length + 2 * overlap * (count - 1)) / count))


def _count(length: int, outer: int, overlap: int) -> int | None:
    """Return how many tiles of `outer` pixels, including context, cover `length`; None if they are only context."""
    if outer >= length:
        return 1
    return math.ceil((length - 2 * overlap) / (outer - 2 * overlap)) if outer > 2 * overlap else None


@torch.inference_mode()
def tiles(network: Network, scale: int, cut: Grid, read: Callable[[slice, slice], Tensor]) -> Iterator[Tile]:
    """Super-resolve a picture tile by tile, from left to right and top to bottom.

    Args:
        network: see `Network`.
        scale: its upscaling factor s.
        cut: the tiles.
        read: rows and columns -> (1, 3, h, w) in [0, 1], on the network's device.
    """
    for row in cut.rows:
        for column in cut.columns:
            outer = network(read(row.outer, column.outer))[0]
            rows = slice((row.start - row.outer.start) * scale, (row.stop - row.outer.start) * scale)
            columns = slice((column.start - column.outer.start) * scale, (column.stop - column.outer.start) * scale)
            sr = outer[:, rows, columns].clamp(0, 1)
            del outer  # free it before the next tile is computed
            yield Tile(row.start, row.stop, column.start, column.stop, sr)
