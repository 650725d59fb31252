"""The base class of what computes a measure, and the registry of those that are known by name."""

from __future__ import annotations

from typing import ClassVar, TypeVar

from torch import Tensor, nn

from facehall.metrics.measures import Measure


class Judge(nn.Module):
    """Computes one measure.

    A subclass sets `measure` and defines `forward`; keyword arguments of its constructor are its settings in the
    config. In a user's own package nothing else is needed: ``metrics.measures: [psnr, {_target_: mypkg.Sharpness}]``.

    `forward` takes what `measure.needs` names, in that order, tensors of (B, …) or lists of B, and returns (B,), a
    value per image. For a measure that is not the mean of its images' values it returns (B, K) statistics instead, K as
    `statistics` says, and `figure` turns their mean over the images into the value.

    Attributes:
        measure: the declaration.
        statistics: K, how many numbers `forward` gives per image.
    """

    measure: ClassVar[Measure]
    statistics: ClassVar[int] = 1

    def figure(self, mean: Tensor) -> Tensor:
        """What `forward` gives, of one image or averaged over a set, (…) or (…, K) -> the value (…)."""
        return mean

    @property
    def definition(self) -> str:
        """What a table's caption says of it; empty for measures on 8-bit RGB or Y, which the caption explains."""
        return f"{self.measure.label}: {self.measure.description}" if self.measure.description else ""


JUDGES: dict[str, type[Judge]] = {}
"""The judges by the names of their measures."""

J = TypeVar("J", bound=type[Judge])


def register(judge: J) -> J:
    """Class decorator: makes a judge known by the name of its measure.

    Raises:
        ValueError: another judge has that name.
    """
    name = judge.measure.name
    if name in JUDGES and JUDGES[name].__qualname__ != judge.__qualname__:
        raise ValueError(f"two measures are called {name!r}: {JUDGES[name].__qualname__} and {judge.__qualname__}")
    JUDGES[name] = judge
    return judge
