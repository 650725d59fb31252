"""Skipping of steps with non-finite gradients, so that one bad batch does not ruin a long training."""

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
    "Check these pictures (python -m facehall.check), lower the rate (optimizer.{network}.lr; with Muon also muon_lr), "
    "clip the gradient (training.clip=1), or train in full precision (trainer.precision=32-true). The last checkpoint "
    "is unaffected: resume from it with resume=RUN_FOLDER."
)


@dataclass
class _Step:
    """An optimizer step whose outcome has not been read from the device yet."""

    network: str
    number: int
    finite: Tensor
    terms: dict[str, list[Tensor]]
    names: list[str]


@dataclass
class FiniteGuard:
    """Skip optimizer steps whose gradient norm is not finite, count them, and stop after `limit` in a row.

    The norm is the same on all ranks, whose gradients have been averaged, so they skip alike without communication. On
    the CPU, and for optimizers that cannot skip on the device, the result is awaited; a fused optimizer on a GPU gets
    it as a tensor, and skipped steps are found at the next `check_pending`.

    Args:
        limit: consecutive skipped steps of one network that end the training.

    Attributes:
        skipped: number of skipped steps known so far.
    """

    limit: int
    skipped: int = 0
    _terms: dict[str, list[Tensor]] = field(default_factory=dict)
    _names: list[str] = field(default_factory=list)
    _pending: list[_Step] = field(default_factory=list)
    _consecutive: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.limit < 1:
            raise ValueError(f"training.max_skips must be a number of steps, at least 1, not {self.limit}")

    def begin_batch(self, names: Sequence[str], new_step: bool) -> None:
        """Register a batch's picture names; it starts a new step (`new_step`) or adds to the accumulated one."""
        if new_step:
            self._names, self._terms = [], {}
        self._names += names

    def record_terms(self, terms: Mapping[str, Tensor]) -> None:
        """Record the detached loss terms of the current batches, for the message about a bad step."""
        for term, value in terms.items():
            self._terms.setdefault(term, []).append(value)

    def allows_step(self, network: str, number: int, norm: Tensor, optimizer: Optimizer, scaled: bool = False) -> bool:
        """Return whether `network` may take its step at generator step `number`, given its gradient norm.

        True for a fused optimizer on a GPU, which is flagged to skip on the device if the norm is not finite: call
        `after_step` after its step. Also true with a gradient scaler (`scaled`), which skips bad steps itself and must
        see them to adjust.
        """
        finite = norm.isfinite()
        self._pending.append(_Step(network, number, finite, self._terms, self._names))
        if scaled:
            return True
        if skips_on_device(optimizer, norm.device):
            optimizer.found_inf = (~finite).float()  # type: ignore[attr-defined]
            return True
        return bool(finite)

    def after_step(self, optimizer: Optimizer) -> None:
        """Clear the optimizer's skip flag, which holds for one step."""
        if hasattr(optimizer, "found_inf"):
            del optimizer.found_inf

    def check_pending(self) -> int:
        """Check the steps since the last call, waiting for the device; return the number skipped so far.

        Raises:
            FacehallError: `limit` consecutive steps of a network were skipped.
        """
        steps, self._pending = self._pending, []
        outcomes = torch.stack([step.finite for step in steps]).tolist() if steps else []
        for step, finite in zip(steps, outcomes, strict=True):
            count = 0 if finite else self._consecutive.get(step.network, 0) + 1
            self._consecutive[step.network] = count
            if finite:
                continue
            self.skipped += 1
            what = _describe(step)
            if count >= self.limit:
                advice = ADVICE.format(network=step.network)
                raise FacehallError(f"{what} {count} steps in a row were skipped. {advice}")
            if count == 1:
                _warn(f"{what} The step is skipped; {self.limit} in a row end the training.")
        return self.skipped


def skips_on_device(optimizer: Optimizer, device: torch.device) -> bool:
    """Whether the optimizer can skip a step on the device, without the host knowing."""
    fused = all(group.get("fused") for group in optimizer.param_groups)
    return device.type == "cuda" and fused and getattr(optimizer, "_step_supports_amp_scaling", False)


class BufferGuard:
    """The last finite values of floating-point buffers, such as batch-norm statistics.

    A forward pass in training mode updates the buffers before the step is known to be good, also on batches whose
    gradient is discarded.
    """

    def __init__(self, networks: Iterable[nn.Module | None]) -> None:
        self._live = [
            buffer
            for network in networks
            if network is not None
            for buffer in network.buffers()
            if buffer.is_floating_point()
        ]
        self._finite = [buffer.detach().clone() for buffer in self._live]

    @torch.no_grad()
    def restore_nonfinite(self) -> None:
        """Restore each value that is not finite and store the others, without waiting for the device."""
        for live, finite in zip(self._live, self._finite, strict=True):
            torch.where(live.isfinite(), live, finite, out=finite)
        if self._live:
            torch._foreach_copy_(self._live, self._finite)


def _describe(step: _Step) -> str:
    bad = {
        term: next(value.item() for value in values if not value.isfinite().all())
        for term, values in step.terms.items()
        if not all(value.isfinite().all() for value in values)
    }
    terms = ", ".join(f"{term} = {value}" for term, value in bad.items()) or "although every loss term is finite"
    pictures = ", ".join(dict.fromkeys(step.names)) or "unnamed"
    return f"Step {step.number}: the gradient of the {step.network} is not finite ({terms}; pictures: {pictures})."


@rank_zero_only
def _warn(line: str) -> None:
    _log.warning("%s", line)
