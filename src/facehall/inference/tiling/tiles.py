"""Large pictures in overlapping tiles, so that memory stays bounded."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

Network = Callable[[Tensor], Tensor]
"""(1, 3, h, w) in [0, 1] -> (1, 3, s h, s w): a generator, or a backend that computes what it does."""


class Span(NamedTuple):
    """A tile along one side, in LR pixels: `start` to `stop` are kept of what `outer` is computed for."""

    start: int
    stop: int
    outer: slice


class Tile(NamedTuple):
    """The super-resolved rows `top` to `bottom` and columns `left` to `right` of a picture, in LR pixels."""

    top: int
    bottom: int
    left: int
    right: int
    sr: Tensor
    """(3, s (bottom - top), s (right - left)), clamped to [0, 1]."""


class Grid(NamedTuple):
    """How a picture is cut: every row has every column."""

    rows: list[Span]
    columns: list[Span]


def grid(height: int, width: int, tile: int, overlap: int) -> Grid:
    """The cut that computes the fewest pixels, by tiles of one shape.

    A tile has at most (tile + 2 overlap)^2 pixels, context included, but need not be square: what is a little wider
    than a tile is cut into lower ones rather than into two columns.

    Args:
        tile: side of what is kept of a square tile, in LR pixels.
        overlap: context in LR pixels that every tile has on the sides that are not the picture's own.
    """
    pixels = (tile + 2 * overlap) ** 2
    best: tuple[int, int, int] | None = None
    for columns in range(1, math.ceil(width / tile) + 1):
        outer = _outer(width, columns, overlap)
        rows = _count(height, pixels // outer, overlap)
        if rows is not None:
            work = rows * columns * _outer(height, rows, overlap) * outer
            best = min(best or (work, rows, columns), (work, rows, columns))
    assert best is not None  # as many columns as there are tiles: square ones fit
    return Grid(spans(height, best[1], overlap), spans(width, best[2], overlap))


def spans(length: int, count: int, overlap: int) -> list[Span]:
    """Cut one side of a picture into `count` tiles of one length; those at the ends keep what needs no context."""
    outer = _outer(length, count, overlap)
    if outer == length:
        return [Span(0, length, slice(0, length))]
    starts = [min(i * (outer - 2 * overlap), length - outer) for i in range(count)]
    edges = [0, *(start + overlap for start in starts[1:]), length]
    return [Span(edges[i], edges[i + 1], slice(start, start + outer)) for i, start in enumerate(starts)]


def _outer(length: int, count: int, overlap: int) -> int:
    """The length of `count` tiles, context included, that cover `length`."""
    return min(length, math.ceil((length + 2 * overlap * (count - 1)) / count))


def _count(length: int, outer: int, overlap: int) -> int | None:
    """How many tiles of `outer` pixels, context included, cover `length`; None where they are all context."""
    if outer >= length:
        return 1
    return math.ceil((length - 2 * overlap) / (outer - 2 * overlap)) if outer > 2 * overlap else None


@torch.inference_mode()
def tiles(network: Network, scale: int, cut: Grid, read: Callable[[slice, slice], Tensor]) -> Iterator[Tile]:
    """Super-resolve a picture tile by tile, rows of tiles from the top, each from the left.

    Args:
        read: rows and columns -> (1, 3, h, w) in [0, 1], on the network's device.
    """
    for row in cut.rows:
        for column in cut.columns:
            outer = network(read(row.outer, column.outer))[0]
            rows = slice((row.start - row.outer.start) * scale, (row.stop - row.outer.start) * scale)
            columns = slice((column.start - column.outer.start) * scale, (column.stop - column.outer.start) * scale)
            sr = outer[:, rows, columns].clamp(0, 1)
            del outer  # or it would live on beside the next one
            yield Tile(row.start, row.stop, column.start, column.stop, sr)
