"""`Judge`, the base class that computes a measure, and the registry of judges by name."""

from __future__ import annotations

from typing import ClassVar, TypeVar

import torch
from torch import Tensor, nn

from facehall.metrics.measures import Measure


class Judge(nn.Module):
    """Computes one measure.

    A subclass sets `measure` and defines `forward`; its constructor's keyword arguments are its settings in the
    config. A user's own package needs nothing else: ``metrics.measures: [psnr, {_target_: mypkg.Sharpness}]``.

    `forward` takes the inputs listed in `measure.needs`, in that order, as tensors (B, …) or lists of length B, and
    returns (B,), a value per image. For a measure that is not the mean of its image values it returns (B, K)
    statistics instead, and `figure` turns their mean over the images into the value. A measure of the set as a whole,
    such as a rank among all its images, is `pooled`: the statistics of every image are kept until `of_set` makes the
    value of them.

    Attributes:
        measure: the declaration.
        statistics: K, the number of values that `forward` returns per image.
        pooled: whether the value exists for a whole set only; that of an image is NaN.
    """

    measure: ClassVar[Measure]
    statistics: int = 1
    pooled: bool = False

    def figure(self, mean: Tensor) -> Tensor:
        """Turn the output of `forward`, of one image or averaged over a set, into the value: (…) or (…, K) -> (…)."""
        return mean.new_full(mean.shape[:-1], torch.nan) if self.pooled else mean

    def of_set(self, statistics: Tensor) -> Tensor:
        """Turn the outputs of `forward` for all images of a set, (N,) or (N, K), into the value, ()."""
        return self.figure(statistics.double().mean(0))

    def keep_reference(self, keep: bool) -> None:
        """Begin, or end and forget, keeping what is computed from HR alone; see `Protocol.one_reference`."""

    @property
    def definition(self) -> str:
        """Definition for a table's caption; empty for measures on 8-bit RGB or Y, which the caption covers."""
        return f"{self.measure.label}: {self.measure.description}" if self.measure.description else ""


JUDGES: dict[str, type[Judge]] = {}
"""Judge classes by the names of their measures."""

J = TypeVar("J", bound=type[Judge])


def register(judge: J) -> J:
    """Register a judge under the name of its measure (class decorator).

    Raises:
        ValueError: another judge has that name.
    """
    name = judge.measure.name
    if name in JUDGES and JUDGES[name].__qualname__ != judge.__qualname__:
        raise ValueError(f"two measures are called {name!r}: {JUDGES[name].__qualname__} and {judge.__qualname__}")
    JUDGES[name] = judge
    return judge
