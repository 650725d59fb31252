"""`Generator`, the base class: a scale, and recorded arguments that suffice to rebuild the network."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, ClassVar, Literal

from torch import Tensor, nn

from facehall.models.matrices import matrix_parameters

EXECUTION_ARGS = ("memory", "execution")
"""Arguments that change how a network is executed, not its output; not stored in weights files."""


class Generator(nn.Module):
    """A network that maps LR images to SR images.

    Subclasses are registered on import, for loading weights files: facehall's own by class name, those of other
    packages by ``package.module.Class``.

    Attributes:
        scale: upscaling factor s.
        arguments: constructor arguments that define the network, plain numbers and strings, without `EXECUTION_ARGS`;
            stored in weights files.
        input: input of `pyramid`: ``lr``, the LR image, or ``bicubic``, that image upscaled to SR size by bicubic.
        colour: input and output channels: ``rgb``, or ``y``, luma only (BT.601, in [0, 1]).
        provides: the keys of the dict returned by `outputs`.
        fades_in: whether the finest computed scale can fade in during training (`set_fade`), in progressive networks.
        eager_only: what is computed depends on the image's values (a search, a tree), so that no other backend than
            eager torch can run it, and it cannot be exported.
        whole_picture: any part of the output may depend on all of the input, which is therefore not cut into tiles.
        cell: side in LR pixels of the cells into which strides divide the input from its top left corner; tiles begin
            where a cell does.
        parts: names of the parts that a phase of the training may train alone (`set_part`), in order.
    """

    registry: ClassVar[dict[str, type[Generator]]] = {}

    scale: int
    arguments: dict[str, Any]
    input: Literal["lr", "bicubic"] = "lr"
    colour: Literal["rgb", "y"] = "rgb"
    provides: tuple[str, ...] = ("pyramid",)
    fades_in: bool = False
    eager_only: bool = False
    whole_picture: bool = False
    cell: int = 1
    parts: tuple[str, ...] = ()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        Generator.registry[target_name(cls)] = cls

    @property
    def scales(self) -> tuple[int, ...]:
        """Scales of the pyramid, coarsest first; any of them may be a phase's active scale."""
        return (self.scale,)

    def forward(self, lr: Tensor) -> Tensor:
        """Upscale: (B, 3, h, w) in [0, 1] -> (B, 3, s h, s w), roughly [0, 1], not clamped."""
        return self.pyramid(lr)[self.scale]

    def pyramid(self, lr: Tensor, up_to: int | None = None) -> dict[int, Tensor]:
        """Return the prediction at every scale, coarsest first: {scale: (B, 3, scale h, scale w)}.

        Args:
            lr: (B, 3, h, w) in [0, 1].
            up_to: the last of `scales` to compute; None computes all.
        """
        raise NotImplementedError

    def outputs(self, lr: Tensor, up_to: int | None = None) -> dict[str, Any]:
        """Return all outputs for a training step: the pyramid, and any further predictions used by losses."""
        return {"pyramid": self.pyramid(lr) if up_to is None else self.pyramid(lr, up_to)}

    def matrix_parameters(self) -> dict[str, nn.Parameter]:
        """Return the weights of hidden layers by name, for optimizers of matrices such as Muon.

        Override it if other layers than the first and the last read or write something else than features.
        """
        return matrix_parameters(self)

    def set_fade(self, share: float) -> None:
        """Set the share of the finest computed scale in its own output, in training mode only.

        Only called for networks with `fades_in`. The rest is an upscaling of the next coarser scale's output.

        Args:
            share: 0, the coarser scale alone, to 1, the finest scale alone, which is also the initial value.
        """
        raise NotImplementedError

    def set_part(self, part: str | None) -> None:
        """Train one part alone: `outputs` then returns the image up to this part, with gradients to this part only.

        Only called for networks with `parts`. `forward` and `pyramid` always use the whole network.

        Args:
            part: one of `parts`; None, the initial value, trains all of them.
        """
        raise NotImplementedError


def target_name(cls: type[Generator]) -> str:
    """Return the name of a generator class in weights files."""
    own = cls.__module__.partition(".")[0] == __name__.partition(".")[0]
    return cls.__name__ if own else f"{cls.__module__}.{cls.__qualname__}"


def records_arguments(init: Callable[..., None]) -> Callable[..., None]:
    """Record a constructor's arguments, including defaults but not `EXECUTION_ARGS`, in ``self.arguments``."""
    signature = inspect.signature(init)
    excluded = {"self", *EXECUTION_ARGS}

    @functools.wraps(init)
    def wrapper(self: Generator, *args: Any, **kwargs: Any) -> None:
        bound = signature.bind(self, *args, **kwargs)
        bound.apply_defaults()
        init(self, *args, **kwargs)
        arguments = {name: value for name, value in bound.arguments.items() if name not in excluded}
        self.arguments = {  # as they are read from a weights file
            name: list(value) if isinstance(value, tuple) else value for name, value in arguments.items()
        }

    return wrapper
