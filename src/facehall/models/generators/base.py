"""What every generator has in common: a scale, and arguments that are enough to build it again."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

MANNERS = ("memory", "execution")
"""Arguments that change how a network is computed but not what: a machine's choice, not the weights'."""


class Generator(nn.Module):
    """A network that turns a low-resolved image into a super-resolved one.

    Attributes:
        scale: upscaling factor s.
        arguments: the constructor's arguments that say which network this is, plain numbers and strings, written into
            each weights file. Those of `MANNERS` are not among them.
    """

    scale: int
    arguments: dict[str, Any]

    def forward(self, lr: Tensor) -> Tensor:
        """(B, 3, h, w) in [0, 1] -> (B, 3, s h, s w), about [0, 1], not clamped."""
        return self.pyramid(lr)[self.scale]

    def pyramid(self, lr: Tensor) -> dict[int, Tensor]:
        """Every scale that the network predicts, coarsest first: {scale: (B, 3, scale h, scale w)}."""
        raise NotImplementedError


def records_arguments(init: Callable[..., None]) -> Callable[..., None]:
    """Keep a constructor's arguments, defaults included, `MANNERS` left out, in ``self.arguments``."""
    signature = inspect.signature(init)
    left_out = {"self", *MANNERS}

    @functools.wraps(init)
    def wrapper(self: Generator, *args: Any, **kwargs: Any) -> None:
        bound = signature.bind(self, *args, **kwargs)
        bound.apply_defaults()
        init(self, *args, **kwargs)
        self.arguments = {name: value for name, value in bound.arguments.items() if name not in left_out}

    return wrapper
