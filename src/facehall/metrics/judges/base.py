"""`Judge`, the base class that computes a measure, and the registry of judges by name."""

from __future__ import annotations

from typing import ClassVar, TypeVar

from torch import Tensor, nn

from facehall.metrics.measures import Measure


class Judge(nn.Module):
    """Computes one measure.

    A subclass sets `measure` and defines `forward`; its constructor's keyword arguments are its settings in the
    config. A user's own package needs nothing else: ``metrics.measures: [psnr, {_target_: mypkg.Sharpness}]``.

    `forward` takes the inputs listed in `measure.needs`, in that order, as tensors (B, …) or lists of length B, and
    returns (B,), a value per image. For a measure that is not the mean of its image values it returns (B, K)
    statistics instead, and `figure` turns their mean over the images into the value.

    Attributes:
        measure: the declaration.
        statistics: K, the number of values that `forward` returns per image.
    """

    measure: ClassVar[Measure]
    statistics: ClassVar[int] = 1

    def figure(self, mean: Tensor) -> Tensor:
        """Turn the output of `forward`, of one image or averaged over a set, into the value: (…) or (…, K) -> (…)."""
        return mean

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
