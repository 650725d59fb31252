"""torch.compile for the networks of a training, where a short trial shows that it pays."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import lightning as L
import torch
from torch import Tensor, nn

from facehall.distributed.batch_norm import unsynchronized
from facehall.io.timing import interleaved, medians
from facehall.losses import PerceptualLoss
from facehall.training.module import SuperResolution

Function = Callable[[Tensor], Any]
Mode = Literal["auto"] | bool


class Compile(L.Callback):
    """Compiles generator, discriminator and feature extractor before the first step, and says so.

    With `auto` each network is timed first, forward and backward, eager and compiled by turns on a batch of the
    training's own shape; it stays compiled where that is faster. A training that would be over within `worth` minutes
    is left alone: compiling alone takes about one. A resumed training keeps what its first start chose, because
    compiled arithmetic rounds differently. All processes of a training choose alike: by the times of the first one, and
    eager where the compiler fails for any of them.

    Args:
        mode: ``auto``, True for all without a trial, False for none.
        worth: minutes that the rest of the training must take, as it is, for a trial to be made.
        gain: least gain in speed, as a factor, for a network to stay compiled.
        backend: torch.compile's.
    """

    def __init__(self, mode: Mode = "auto", worth: float = 30, gain: float = 1.05, backend: str = "inductor") -> None:
        if mode not in ("auto", True, False):
            raise ValueError(f"mode is auto, true or false, not {mode!r}")
        self.mode = mode
        self.worth = worth
        self.gain = gain
        self.backend = backend
        self.chosen: dict[str, bool] = {}
        self.reasons: dict[str, str] = {}

    def state_dict(self) -> dict[str, Any]:
        return {"chosen": self.chosen}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.chosen = dict(state["chosen"])
        self.reasons = dict.fromkeys(self.chosen, "as before the interruption")

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, SuperResolution)
        eager = networks(pl_module)
        if not self.chosen:
            self._choose(eager, trainer, pl_module)
        for name in (name for name, compiled in self.chosen.items() if compiled and name in eager):
            replace(pl_module, name, self._compiled(eager[name]))
        if trainer.is_global_zero:
            self._tell()

    def _tell(self) -> None:
        """One line for all the networks of which the same is true."""
        alike: dict[tuple[bool, str], list[str]] = {}
        for name, compiled in self.chosen.items():
            alike.setdefault((compiled, self.reasons[name]), []).append(name)
        for (compiled, reason), names in alike.items():
            print(f"torch.compile of {', '.join(names)}: {'yes' if compiled else 'no'}, {reason}", flush=True)

    def _choose(self, eager: Mapping[str, Function], trainer: L.Trainer, module: SuperResolution) -> None:
        if self.mode != "auto":
            self.chosen = dict.fromkeys(eager, True) if self.mode else {}
            self.reasons = dict.fromkeys(eager, "as set")
            return
        data = trainer.datamodule  # type: ignore[attr-defined]
        like = next(module.generator.parameters())
        lr, hr = (
            like.new_empty(data.batch_size, 3, side, side).uniform_().to(memory_format=module.memory_format)
            for side in (data.patch_size, data.patch_size * data.scale)
        )
        inputs = {name: lr if name == "generator" else hr for name in eager}
        before = copy.deepcopy(module.state_dict())  # batch norm and spectral norm remember what passes through them
        passes = {
            name: Pass(inputs[name], parameters(module, name), trainer.precision_plugin.train_step_context)
            for name in eager
        }
        # Ranks measure different times, and a compiler may fail on one of them alone. So nothing between here and the
        # end of a trial waits for another rank, and what follows from a trial is agreed on: ranks round alike.
        with unsynchronized(module):
            step_seconds = sum(passes[name].seconds(function) for name, function in eager.items())
        minutes = trainer.strategy.broadcast(self._remaining(module) * step_seconds / 60)
        for name, function in eager.items():
            if minutes < self.worth:
                reason = f"about {minutes:.0f} minutes are too few to repay a trial (callbacks.compile.worth)"
                self.chosen[name], self.reasons[name] = False, reason
                continue
            with unsynchronized(module):
                trial = self._trial(function, passes[name])
            works = trainer.strategy.reduce_boolean_decision(not trial.error, all=True)
            factor = trainer.strategy.broadcast(trial.factor)
            self.chosen[name] = works and factor >= self.gain
            told = f"{factor:.2f} times as fast as eager in a trial" if works else "it failed in another process"
            self.reasons[name] = trial.error or told
        module.load_state_dict(before)

    @staticmethod
    def _remaining(module: SuperResolution) -> int:
        return (module.curriculum.total_steps - module.generator_step) * module.accumulate

    def _trial(self, eager: Function, passed: Pass) -> Trial:
        compiled = self._compiled(eager)
        try:
            passed.run(compiled)
        except Exception as error:  # whatever compilers raise; the eager network is none the worse for it
            torch._dynamo.reset()
            return Trial(error=f"it failed: {(str(error) or type(error).__name__).strip().splitlines()[0]}")
        tasks = {"eager": partial(passed.run, eager), "compiled": partial(passed.run, compiled)}
        times = medians(interleaved(tasks, rounds=5, synchronize=passed.synchronize))
        return Trial(times["eager"] / times["compiled"])

    def _compiled(self, function: Function) -> Function:
        return torch.compile(function, backend=self.backend)


@dataclass(frozen=True)
class Trial:
    """What a trial of a compiled network gave.

    Attributes:
        factor: its gain in speed over the eager one.
        error: why it does not run; empty if it does.
    """

    factor: float = 0.0
    error: str = ""


def networks(module: SuperResolution) -> dict[str, Function]:
    """What a training calls on images."""
    found: dict[str, Function] = {"generator": module.generator.pyramid}
    if module.discriminator is not None:
        found["discriminator"] = module.discriminator.forward
    if (loss := _perceptual_loss(module)) is not None:
        found["extractor"] = loss.extractor.network.forward
    return found


def replace(module: SuperResolution, name: str, function: Function) -> None:
    """Put a compiled function in the place of what `networks` gives; parameters keep their names."""
    if name == "generator":
        module.generator.pyramid = function  # type: ignore[assignment, method-assign]
    elif name == "discriminator":
        module.discriminator.forward = function  # type: ignore[union-attr]
    else:
        loss = _perceptual_loss(module)
        assert loss is not None
        loss.extractor.network.forward = function


def _perceptual_loss(module: SuperResolution) -> PerceptualLoss | None:
    """The first loss term with a feature extractor; other terms take pairs, and are small."""
    terms = (module.losses[name] for name in module.losses.names)
    return next((term for term in terms if isinstance(term, PerceptualLoss)), None)


def parameters(module: SuperResolution, name: str) -> list[nn.Parameter]:
    """What a backward pass through one of `networks` gives gradients to; the extractor is frozen."""
    network = {"generator": module.generator, "discriminator": module.discriminator}.get(name)
    return [] if network is None else list(network.parameters())


@dataclass
class Pass:
    """A forward and a backward pass of a network as training makes it, on noise.

    Args:
        images: (B, 3, H, W).
        parameters: what takes gradients besides the images; their `.grad` stays as it is, and DDP notices nothing.
        precision: gives the context of the forward pass.
    """

    images: Tensor
    parameters: Sequence[nn.Parameter]
    precision: Callable[[], AbstractContextManager[Any]]

    def run(self, function: Function) -> None:
        """Make the pass once."""
        images = self.images.detach().requires_grad_()
        with self.precision():
            out = function(images)
        tensors = list(out.values()) if isinstance(out, dict) else [out]
        total = torch.stack([tensor.float().mean() for tensor in tensors]).sum()
        torch.autograd.grad(total, [images, *self.parameters], allow_unused=True)

    def seconds(self, function: Function) -> float:
        """How long a pass takes, after a first one that does not count."""
        (times,) = interleaved({"pass": partial(self.run, function)}, 1, synchronize=self.synchronize).values()
        return times[0]

    def synchronize(self) -> None:
        """Wait for the device of the images."""
        if self.images.is_cuda:
            torch.cuda.synchronize(self.images.device)
