"""What every generator has in common: a scale, and arguments that are enough to build it again."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, ClassVar, Literal

from torch import Tensor, nn

EXECUTION_ARGS = ("memory", "execution")
"""Arguments that change how a network is computed but not what: a machine's choice, not the weights'."""


class Generator(nn.Module):
    """A network that turns a low-resolved image into a super-resolved one.

    A subclass is known by its name to weights files as soon as it is imported: facehall's own by the class name, those
    of other packages by ``package.module.Class``.

    Attributes:
        scale: upscaling factor s.
        arguments: the constructor's arguments that say which network this is, plain numbers and strings, written into
            each weights file. Those of `EXECUTION_ARGS` are not among them.
        input: what `pyramid` wants: ``lr``, the LR image, or ``bicubic``, that image enlarged by bicubic to SR's size.
        colour: the channels in and out: ``rgb``, or ``y``, luma alone (BT.601, in [0, 1]).
        provides: the names in what `outputs` returns.
    """

    registry: ClassVar[dict[str, type[Generator]]] = {}

    scale: int
    arguments: dict[str, Any]
    input: Literal["lr", "bicubic"] = "lr"
    colour: Literal["rgb", "y"] = "rgb"
    provides: tuple[str, ...] = ("pyramid",)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        Generator.registry[target_name(cls)] = cls

    @property
    def scales(self) -> tuple[int, ...]:
        """The scales of the pyramid, coarsest first: any of them may be a phase's active scale."""
        return (self.scale,)

    def forward(self, lr: Tensor) -> Tensor:
        """(B, 3, h, w) in [0, 1] -> (B, 3, s h, s w), about [0, 1], not clamped."""
        return self.pyramid(lr)[self.scale]

    def pyramid(self, lr: Tensor, up_to: int | None = None) -> dict[int, Tensor]:
        """Every scale that the network predicts, coarsest first: {scale: (B, 3, scale h, scale w)}.

        Args:
            lr: (B, 3, h, w) in [0, 1].
            up_to: one of `scales`: stop there; None goes to the end.
        """
        raise NotImplementedError

    def outputs(self, lr: Tensor, up_to: int | None = None) -> dict[str, Any]:
        """What a training step gets: the pyramid, and whatever else a network has to show to its losses."""
        return {"pyramid": self.pyramid(lr) if up_to is None else self.pyramid(lr, up_to)}


def target_name(cls: type[Generator]) -> str:
    """The name of a generator class in weights files."""
    own = cls.__module__.partition(".")[0] == __name__.partition(".")[0]
    return cls.__name__ if own else f"{cls.__module__}.{cls.__qualname__}"


def records_arguments(init: Callable[..., None]) -> Callable[..., None]:
    """Keep a constructor's arguments, defaults included, `EXECUTION_ARGS` left out, in ``self.arguments``."""
    signature = inspect.signature(init)
    excluded = {"self", *EXECUTION_ARGS}

    @functools.wraps(init)
    def wrapper(self: Generator, *args: Any, **kwargs: Any) -> None:
        bound = signature.bind(self, *args, **kwargs)
        bound.apply_defaults()
        init(self, *args, **kwargs)
        self.arguments = {name: value for name, value in bound.arguments.items() if name not in excluded}

    return wrapper
