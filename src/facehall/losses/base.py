"""The loss term interface: a scalar to minimise, computed from the networks' outputs and the batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

Batch = Mapping[str, Any]
"""``lr`` (B, 3, h, w) and ``hr`` (B, 3, s h, s w) in [0, 1], ``name`` list of str, and the source's annotations."""


class Outputs(dict[str, Any]):
    """The networks' outputs in a training step, by name; some are computed on first access.

    For the generator's loss: everything that `Generator.outputs` returns (``pyramid``: {scale: image}), ``sr`` (the
    image at the active scale), and with a discriminator ``fake_logits`` and ``real_logits``. For the discriminator's
    loss: ``sr`` (detached), both logits, and ``discriminator``, the network itself (for gradient penalties).

    Args:
        values: outputs already computed.
        providers: name -> function that computes the value.
    """

    def __init__(self, values: Mapping[str, Any], providers: Mapping[str, Callable[[], Any]] | None = None) -> None:
        super().__init__(values)
        self.providers = dict(providers or {})

    def __missing__(self, name: str) -> Any:
        self[name] = value = self.providers[name]()
        return value


class LossTerm(nn.Module):
    """One unweighted term of a loss: ``term(outputs, batch) -> scalar``.

    Weights belong to the phases of the curriculum. A subclass declares its inputs in `needs`, so that a term with
    missing inputs is rejected at assembly.

    Data-parallel processes and threads each pass their part of the batch and average the terms. A term that is no mean
    over the images, such as one with statistics of the batch, gathers them (`facehall.distributed.gathering.gather`).

    Attributes:
        needs: names such as ``outputs.pyramid`` or ``batch.landmarks``.
        measure: name of the measure that this term minimises, which is then no independent metric; None for none.
    """

    needs: tuple[str, ...] = ("outputs.sr", "batch.hr")
    measure: str | None = None

    @property
    def description(self) -> str:
        """Short text for the first lines of a training."""
        return type(self).__name__

    def forward(self, outputs: Outputs, batch: Batch) -> Tensor:
        raise NotImplementedError
