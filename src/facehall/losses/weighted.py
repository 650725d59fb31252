"""The weighted sum of one network's loss terms."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn

from facehall.losses.base import Batch, LossTerm, Outputs

Weights = Mapping[str, float]


class WeightedTerms(nn.Module):
    """Named loss terms; those without a weight are not computed.

    Args:
        terms: name -> term, in the order of summation.
        key: their config key, for messages.
    """

    def __init__(self, terms: Mapping[str, LossTerm], key: str = "losses") -> None:
        super().__init__()
        self.terms = nn.ModuleDict(terms)
        self.key = key

    def __contains__(self, name: str) -> bool:
        return name in self.terms

    def __getitem__(self, name: str) -> LossTerm:
        term = self.terms[name]
        assert isinstance(term, LossTerm)
        return term

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.terms)

    def forward(
        self,
        outputs: Outputs,
        batch: Batch,
        weights: Weights,
        section: Callable[[str], AbstractContextManager[object]] = lambda name: nullcontext(),
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the weighted sum and the unweighted terms.

        Args:
            weights: weights of the terms; absent or 0 skips a term.
            section: context opened around each term, for profiling.
        """
        values = {}
        for name in self.terms:
            if weights.get(name):
                with section(f"{name} loss"):
                    values[name] = self[name](outputs, batch)
        return torch.stack([weights[name] * value for name, value in values.items()]).sum(), values

    def check(self, weights: Weights, available: Collection[str], phase: str, weights_key: str = "weights") -> None:
        """Check that every weighted term exists and has its inputs.

        Args:
            weights: of one phase.
            available: names such as ``outputs.pyramid`` and ``batch.hr``.
            phase: its name; with `weights_key` for messages.

        Raises:
            ValueError: a weight without a term, a term with missing inputs, or nothing to minimise.
        """
        where = f"curriculum.{phase}.{weights_key}"
        for name, weight in weights.items():
            if not weight:
                continue
            if name not in self.terms:
                known = ", ".join(self.terms) or "no term at all"
                raise ValueError(
                    f"{where}.{name} is {weight:g}, but {self.key} has {known}: add {self.key}.{name}, or set the "
                    "weight to 0"
                )
            missing = [need for need in self[name].needs if need not in available]
            if missing:
                raise ValueError(
                    f"{self.key}.{name} ({self[name].description}) needs {' and '.join(missing)}, which the {phase} "
                    f"phase does not have{_advice(missing)}; or set {where}.{name}=0"
                )
        if not any(weights.values()):
            raise ValueError(
                f"the {phase} phase has nothing to minimise at some step: {self.key} has no term, or each weight of "
                f"{where} is 0 (in a warm-up, each weight of the phase before); give one of them a weight above 0"
            )


def _advice(missing: list[str]) -> str:
    if any(need in ("outputs.fake_logits", "outputs.real_logits") for need in missing):
        return ": choose a discriminator=… and let this phase or an earlier one train it (trains)"
    if any(need.startswith("batch.") for need in missing):
        return ": choose a source with annotated pictures (data.annotations)"
    return ": choose a generator that provides it"
