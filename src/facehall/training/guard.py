"""Steps whose gradient is not finite are left out: one bad batch must not cost a training of days."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor, nn
from torch.optim import Optimizer

from facehall.errors import FacehallError

_log = logging.getLogger(__name__)

ADVICE = (
    "Look at these pictures (python -m facehall.check), lower the rate (optimizer.{network}.lr), clip the gradient "
    "(training.clip=1), or compute in full precision (trainer.precision=32-true). The last checkpoint is sound: "
    "go on from it with resume=RUN_FOLDER."
)


@dataclass
class _Step:
    """One optimizer step, as long as nobody has looked whether it was good."""

    network: str
    number: int
    finite: Tensor
    terms: dict[str, list[Tensor]]
    names: list[str]


@dataclass
class FiniteGuard:
    """Judges optimizer steps by the norm of their gradient, counts the skipped ones, stops after `limit` in a row.

    The norm decides because it is the same on all ranks, whose gradients have been averaged: they skip alike without
    a word to each other. On the CPU, and for optimizers that cannot decide on the device, the answer is awaited; a
    fused optimizer on a GPU takes it as a tensor, and what was skipped comes out when `settle` next looks.

    Args:
        limit: skipped steps in a row of one network that end the training.

    Attributes:
        skipped: how many steps have been skipped, as far as is known.
    """

    limit: int
    skipped: int = 0
    _terms: dict[str, list[Tensor]] = field(default_factory=dict)
    _names: list[str] = field(default_factory=list)
    _open: list[_Step] = field(default_factory=list)
    _in_a_row: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.limit < 1:
            raise ValueError(f"training.max_skips is a number of steps, at least 1, not {self.limit}")

    def begin(self, names: Sequence[str], anew: bool) -> None:
        """A batch of these pictures comes; the next steps are made of it alone (`anew`) or of those before it too."""
        if anew:
            self._names, self._terms = [], {}
        self._names += names

    def note(self, terms: Mapping[str, Tensor]) -> None:
        """The loss terms, detached, of the batches in hand: they go into the message if a step is bad."""
        for term, value in terms.items():
            self._terms.setdefault(term, []).append(value)

    def admits(self, network: str, number: int, norm: Tensor, optimizer: Optimizer, scaled: bool = False) -> bool:
        """Whether `network` may take its step at generator step `number`, of a gradient of this norm.

        True for a fused optimizer on a GPU, which is told to do nothing if the norm is not finite: call `taken` behind
        its step. True as well where a gradient scaler (`scaled`) sees to that, and must see bad gradients to learn.
        """
        finite = norm.isfinite()
        self._open.append(_Step(network, number, finite, self._terms, self._names))
        if scaled:
            return True
        if decides_itself(optimizer, norm.device):
            optimizer.found_inf = (~finite).float()  # type: ignore[attr-defined]
            return True
        return bool(finite)

    def taken(self, optimizer: Optimizer) -> None:
        """After the optimizer's step: what it was told held for that step only."""
        if hasattr(optimizer, "found_inf"):
            del optimizer.found_inf

    def settle(self) -> int:
        """Look at the steps since the last call, which waits for the device, and return how many were skipped so far.

        Raises:
            FacehallError: `limit` steps of a network in a row were skipped.
        """
        steps, self._open = self._open, []
        verdicts = torch.stack([step.finite for step in steps]).tolist() if steps else []
        for step, finite in zip(steps, verdicts, strict=True):
            row = 0 if finite else self._in_a_row.get(step.network, 0) + 1
            self._in_a_row[step.network] = row
            if finite:
                continue
            self.skipped += 1
            what = _describe(step)
            if row >= self.limit:
                advice = ADVICE.format(network=step.network)
                raise FacehallError(f"{what} That makes {row} steps in a row, none of which was taken. {advice}")
            if row == 1:
                _warn(f"{what} It is skipped; {self.limit} in a row end the training.")
        return self.skipped


def decides_itself(optimizer: Optimizer, device: torch.device) -> bool:
    """Whether the optimizer can leave a step out on the device, without the host knowing."""
    fused = all(group.get("fused") for group in optimizer.param_groups)
    return device.type == "cuda" and fused and getattr(optimizer, "_step_supports_amp_scaling", False)


class Buffers:
    """What batch norm and its like remember, kept as it last was finite.

    A forward pass in training mode changes the buffers long before anybody knows whether the step is good, also on
    batches whose gradient is thrown away.
    """

    def __init__(self, networks: Iterable[nn.Module | None]) -> None:
        self._live = [
            buffer
            for network in networks
            if network is not None
            for buffer in network.buffers()
            if buffer.is_floating_point()
        ]
        self._good = [buffer.detach().clone() for buffer in self._live]

    @torch.no_grad()
    def mend(self) -> None:
        """Put back each value that is not finite, and remember the others; no wait for the device."""
        for live, good in zip(self._live, self._good, strict=True):
            torch.where(live.isfinite(), live, good, out=good)
        if self._live:
            torch._foreach_copy_(self._live, self._good)


def _describe(step: _Step) -> str:
    bad = {
        term: next(value.item() for value in values if not value.isfinite().all())
        for term, values in step.terms.items()
        if not all(value.isfinite().all() for value in values)
    }
    terms = ", ".join(f"{term} = {value}" for term, value in bad.items()) or "though every term of its loss is finite"
    pictures = ", ".join(dict.fromkeys(step.names)) or "unnamed"
    return f"Step {step.number}: the gradient of the {step.network} is not finite ({terms}; pictures: {pictures})."


@rank_zero_only
def _warn(line: str) -> None:
    _log.warning("%s", line)
