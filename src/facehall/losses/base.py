"""What a loss term is: a named scalar that a network minimises, of what the networks gave and what the batch holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

Batch = Mapping[str, Any]
"""``lr`` (B, 3, h, w) and ``hr`` (B, 3, s h, s w) in [0, 1], ``name`` list of str, and what a source annotates."""


class Outputs(dict[str, Any]):
    """What a training step knows of its networks' outputs, by name; some of it is computed when first asked for.

    In the generator's half: whatever `Generator.outputs` returns (``pyramid``: {scale: image}), ``sr`` (the image at
    the active scale), and with a discriminator ``fake_logits`` and ``real_logits``. In the discriminator's half: ``sr``
    (detached), both logits, and ``discriminator``, the network itself (for gradient penalties).

    Args:
        values: what is there already.
        providers: name -> function that computes the value.
    """

    def __init__(self, values: Mapping[str, Any], providers: Mapping[str, Callable[[], Any]] | None = None) -> None:
        super().__init__(values)
        self.providers = dict(providers or {})

    def __missing__(self, name: str) -> Any:
        self[name] = value = self.providers[name]()
        return value


class LossTerm(nn.Module):
    """One term of a loss: ``term(outputs, batch) -> scalar``, in the networks' units, unweighted.

    Weights belong to the phases of the curriculum. A subclass says in `needs` what it reads, so that a term that would
    miss something is refused when the training is assembled.

    Attributes:
        needs: names such as ``outputs.pyramid`` or ``batch.landmarks``.
        measure: name of the measure that this term minimises, which cannot judge what was trained on it; None for none.
    """

    needs: tuple[str, ...] = ("outputs.sr", "batch.hr")
    measure: str | None = None

    @property
    def description(self) -> str:
        """A few words for the first lines of a training."""
        return type(self).__name__

    def forward(self, outputs: Outputs, batch: Batch) -> Tensor:
        raise NotImplementedError
