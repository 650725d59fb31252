"""torch.compile for a training's networks, where a short trial shows a gain."""

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
from facehall.training.batches import network_input, to_generator_colour
from facehall.training.module import SuperResolution

Function = Callable[[Tensor], Any]
Mode = Literal["auto"] | bool
MIN_STEPS = 50
"""Steps left for the eager networks to be timed: a trial needs as many passes itself."""


class Compile(L.Callback):
    """Compile generator, discriminator and feature extractor before the first step, and print the outcome.

    With `auto`, each network's forward and backward pass is first timed on a batch of the training's shape, eager and
    compiled, interleaved; it stays compiled if that is faster. A training with less than `min_minutes` or only a few
    steps left is not compiled, since compilation alone takes about a minute. A resumed training keeps its original
    choice, because compiled arithmetic rounds differently. All processes choose alike: by the timings of the first
    one, and eager if the compiler fails in any of them.

    Args:
        mode: ``auto``, True for all without a trial, False for none.
        min_minutes: minutes left, at eager speed, for a trial to be made.
        gain: minimum speed-up factor for a network to stay compiled.
        backend: torch.compile's.
    """

    def __init__(
        self, mode: Mode = "auto", min_minutes: float = 30, gain: float = 1.05, backend: str = "inductor"
    ) -> None:
        if mode not in ("auto", True, False):
            raise ValueError(f"mode must be auto, true or false, not {mode!r}")
        self.mode = mode
        self.min_minutes = min_minutes
        self.gain = gain
        self.backend = backend
        self.chosen: dict[str, bool] = {}
        self.reasons: dict[str, str] = {}

    def state_dict(self) -> dict[str, Any]:
        return {"chosen": self.chosen}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.chosen = dict(state["chosen"])
        self.reasons = dict.fromkeys(self.chosen, "as chosen before resuming")

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, SuperResolution)
        eager = networks(pl_module)
        if not self.chosen:
            self._choose(eager, trainer, pl_module)
        for name in (name for name, compiled in self.chosen.items() if compiled and name in eager):
            replace(pl_module, name, self._compiled(eager[name]))
        if trainer.is_global_zero:
            self._report()

    def _report(self) -> None:
        """Print one line per group of networks with the same outcome."""
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
        steps = self._remaining(module)
        if steps < MIN_STEPS and self.min_minutes > 0:
            self.chosen = dict.fromkeys(eager, False)
            self.reasons = dict.fromkeys(eager, f"the {steps} steps left are too few to repay a trial")
            return
        data = trainer.datamodule  # type: ignore[attr-defined]
        like = next(module.generator.parameters())
        lr, hr = (
            like.new_empty(data.batch_size, 3, side, side).uniform_().to(memory_format=module.memory_format)
            for side in (data.patch_size, data.patch_size * data.scale)
        )
        luma_or_rgb = to_generator_colour({"lr": lr, "hr": hr}, module.generator)["lr"]
        seen = network_input(luma_or_rgb, module.generator)
        inputs = {name: seen if name == "generator" else hr for name in eager}
        before = copy.deepcopy(module.state_dict())  # forward passes update batch norm and spectral norm
        passes = {
            name: Pass(inputs[name], parameters(module, name), trainer.precision_plugin.train_step_context)
            for name in eager
        }
        # Timings differ between ranks, and a compiler may fail on one of them alone. So nothing until the end of a
        # trial waits for another rank, and its outcome is shared, so that all ranks round alike.
        with unsynchronized(module):
            step_seconds = sum(passes[name].seconds(function) for name, function in eager.items())
        minutes = trainer.strategy.broadcast(steps * step_seconds / 60)
        for name, function in eager.items():
            if minutes < self.min_minutes:
                reason = f"the {minutes:.0f} minutes left are too few to repay a trial (callbacks.compile.min_minutes)"
                self.chosen[name], self.reasons[name] = False, reason
                continue
            with unsynchronized(module):
                trial = self._trial(function, passes[name])
            works = trainer.strategy.reduce_boolean_decision(not trial.error, all=True)
            factor = trainer.strategy.broadcast(trial.factor)
            self.chosen[name] = works and factor >= self.gain
            outcome = f"{factor:.2f} times as fast as eager in a trial" if works else "it failed in another process"
            self.reasons[name] = trial.error or outcome
        module.load_state_dict(before)

    @staticmethod
    def _remaining(module: SuperResolution) -> int:
        return (module.curriculum.total_steps - module.generator_step) * module.accumulate

    def _trial(self, eager: Function, passed: Pass) -> Trial:
        compiled = self._compiled(eager)
        try:
            passed.run(compiled)
        except Exception as error:  # compilers may raise anything; the eager network is unaffected
            torch._dynamo.reset()
            return Trial(error=f"it failed: {(str(error) or type(error).__name__).strip().splitlines()[0]}")
        tasks = {"eager": partial(passed.run, eager), "compiled": partial(passed.run, compiled)}
        times = medians(interleaved(tasks, rounds=5, synchronize=passed.synchronize))
        return Trial(times["eager"] / times["compiled"])

    def _compiled(self, function: Function) -> Function:
        return torch.compile(function, backend=self.backend)


@dataclass(frozen=True)
class Trial:
    """Outcome of a trial of a compiled network.

    Attributes:
        factor: speed-up over eager.
        error: why it failed; empty if it ran.
    """

    factor: float = 0.0
    error: str = ""


def networks(module: SuperResolution) -> dict[str, Function]:
    """Return the functions that training calls on images, by network name."""
    found: dict[str, Function] = {"generator": module.generator.pyramid}
    if module.discriminator is not None:
        found["discriminator"] = module.discriminator.forward
    if (loss := _perceptual_loss(module)) is not None:
        found["extractor"] = loss.extractor.network.forward
    return found


def replace(module: SuperResolution, name: str, function: Function) -> None:
    """Replace a function returned by `networks`; parameters keep their names."""
    if name == "generator":
        module.generator.pyramid = function  # type: ignore[assignment, method-assign]
    elif name == "discriminator":
        module.discriminator.forward = function  # type: ignore[union-attr]
    else:
        loss = _perceptual_loss(module)
        assert loss is not None
        loss.extractor.network.forward = function


def _perceptual_loss(module: SuperResolution) -> PerceptualLoss | None:
    """Return the first loss term with a feature extractor; other terms take image pairs and are cheap."""
    terms = (module.losses[name] for name in module.losses.names)
    return next((term for term in terms if isinstance(term, PerceptualLoss)), None)


def parameters(module: SuperResolution, name: str) -> list[nn.Parameter]:
    """Return the parameters that receive gradients through one of `networks`; the extractor is frozen."""
    network = {"generator": module.generator, "discriminator": module.discriminator}.get(name)
    return [] if network is None else list(network.parameters())


@dataclass
class Pass:
    """A forward and backward pass of a network as in training, on noise.

    Args:
        images: (B, C, H, W).
        parameters: differentiated besides the images; `.grad` is untouched, and DDP's hooks do not run.
        precision: factory of the forward pass's autocast context.
    """

    images: Tensor
    parameters: Sequence[nn.Parameter]
    precision: Callable[[], AbstractContextManager[Any]]

    def run(self, function: Function) -> None:
        """Run the pass once."""
        images = self.images.detach().requires_grad_()
        with self.precision():
            out = function(images)
        tensors = list(out.values()) if isinstance(out, dict) else [out]
        total = torch.stack([tensor.float().mean() for tensor in tensors]).sum()
        torch.autograd.grad(total, [images, *self.parameters], allow_unused=True)

    def seconds(self, function: Function) -> float:
        """Time one pass, after a warm-up pass."""
        (times,) = interleaved({"pass": partial(self.run, function)}, 1, synchronize=self.synchronize).values()
        return times[0]

    def synchronize(self) -> None:
        """Wait for the images' device."""
        if self.images.is_cuda:
            torch.cuda.synchronize(self.images.device)
