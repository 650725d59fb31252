"""The one training module: a generator, and where given a discriminator and a perceptual loss around it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, cast

import lightning as L
import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torchmetrics import MeanMetric

from facehall.imaging import upscale_bicubic
from facehall.losses import Objective, TermWeights
from facehall.metrics import Protocol
from facehall.models.frozen import Frozen
from facehall.models.generators import Generator
from facehall.training.curriculum import Curriculum
from facehall.training.ema import GeneratorEMA
from facehall.training.guard import Buffers, FiniteGuard
from facehall.training.spans import span

OptimizerFactory = Callable[[Iterable[nn.Parameter]], Optimizer]
SchedulerFactory = Callable[[Optimizer], LRScheduler]


class SuperResolution(L.LightningModule):
    """Trains a generator by an objective along a curriculum, with manual optimization (the paper's sec. 3.3).

    With a discriminator the second phase is GAN-like; without one this is plain super-resolution training. All
    schedules count `generator_step`, not Lightning's `global_step`, which counts the steps of both optimizers.

    Args:
        generator: lr -> sr.
        objective: the loss terms and their weights in both phases.
        curriculum: lengths of the phases.
        protocol: what validation measures.
        generator_optimizer, discriminator_optimizer: parameters -> optimizer.
        generator_scheduler, discriminator_scheduler: optimizer -> scheduler; None keeps the rate.
        discriminator: images -> logits; None leaves the adversarial term out.
        perceptual: sr, hr -> scalar (eq. 1); None leaves the perceptual term out.
        ema_decay: of the averaged generator that is validated and exported.
        clip: largest norm of each network's gradient; None does not clip.
        accumulate: batches per optimizer step.
        memory_format: of images and networks in training.
        max_skips: steps in a row whose gradient is not finite that are skipped before the training stops.

    Raises:
        ValueError: a discriminator without an optimizer, `accumulate` or `max_skips` below 1, or a phase without any
            loss term.
    """

    def __init__(
        self,
        generator: Generator,
        objective: Objective,
        curriculum: Curriculum,
        protocol: Protocol,
        generator_optimizer: OptimizerFactory,
        discriminator_optimizer: OptimizerFactory | None = None,
        generator_scheduler: SchedulerFactory | None = None,
        discriminator_scheduler: SchedulerFactory | None = None,
        discriminator: nn.Module | None = None,
        perceptual: nn.Module | None = None,
        ema_decay: float = 0.999,
        clip: float | None = None,
        accumulate: int = 1,
        memory_format: torch.memory_format = torch.contiguous_format,
        max_skips: int = 10,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.memory_format = memory_format
        for network in (generator, discriminator, perceptual):
            if network is not None:
                network.to(memory_format=memory_format)
        self.generator = generator
        self.discriminator = discriminator
        self.perceptual = perceptual
        self.objective = objective
        self.pixel_loss = objective.pixel
        self.curriculum = curriculum
        self._protocol = Frozen(protocol)  # LPIPS's network stays out of checkpoints
        self.ema = GeneratorEMA(generator, ema_decay)
        self.factories = (
            (generator_optimizer, generator_scheduler),
            (discriminator_optimizer, discriminator_scheduler),
        )
        self.clip = clip
        self.accumulate = accumulate
        self.guard = FiniteGuard(max_skips)
        self.generator_step = 0
        self.means = nn.ModuleDict()
        self._floor: dict[str, dict[str, Tensor]] = {}
        if discriminator is not None and discriminator_optimizer is None:
            raise ValueError("the discriminator needs an optimizer: set optimizer.discriminator")
        if accumulate < 1:
            raise ValueError(f"training.accumulate is a number of batches, at least 1, not {accumulate}")
        self._check_terms()

    def _check_terms(self) -> None:
        """See that each phase has something to minimise."""
        steps = {"psnr": self.curriculum.psnr_steps, "gan": self.curriculum.gan_steps}
        for phase, weights in (("psnr", self.objective.psnr), ("gan", self.objective.gan)):
            perceptual = self.perceptual is not None and weights.perceptual
            adversarial = self.discriminator is not None and weights.adversarial
            if steps[phase] and not (weights.pixel or perceptual or adversarial):
                raise ValueError(
                    f"the {phase} phase has nothing to minimise: each term of loss.{phase} has weight 0 or no network; "
                    f"set loss.{phase}.pixel, or choose a perceptual network or a discriminator"
                )

    # ------------------------------------------------------------------ training

    @property
    def trains_discriminator(self) -> bool:
        return self.discriminator is not None and self.curriculum.phase(self.generator_step) == "gan"

    def configure_optimizers(self) -> tuple[list[Optimizer], list[LRScheduler]]:
        networks = [network for network in (self.generator, self.discriminator) if network is not None]
        optimizers: list[Optimizer] = []
        schedulers: list[LRScheduler] = []
        for network, (make_optimizer, make_scheduler) in zip(networks, self.factories, strict=False):
            assert make_optimizer is not None  # the constructor refuses a discriminator without one
            optimizers.append(make_optimizer(network.parameters()))
            if make_scheduler is not None:
                schedulers.append(make_scheduler(optimizers[-1]))
        return optimizers, schedulers

    def on_train_start(self) -> None:
        self._buffers_kept = Buffers((self.generator, self.discriminator))

    def on_train_batch_start(self, batch: dict[str, Any], batch_idx: int) -> None:
        self.guard.begin(batch["name"], anew=batch_idx % self.accumulate == 0)

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        lr, hr = (batch[name].to(memory_format=self.memory_format) for name in ("lr", "hr"))
        steps_now = (batch_idx + 1) % self.accumulate == 0
        weights = self.curriculum.weights(self.generator_step, self.objective.psnr, self.objective.gan)
        with span("generator forward"):
            # Once: the discriminator sees it detached, the generator's loss whole.
            pyramid = self.generator.pyramid(lr)
        if self.trains_discriminator:
            self._learn_to_discriminate(pyramid[self.generator.scale].detach(), hr, steps_now)
        self._learn_to_generate(pyramid, hr, weights, steps_now)
        with span("logging"):
            for name, optimizer in zip(("generator", "discriminator"), self.trainer.optimizers, strict=False):
                self.log(f"learning_rate/{name}", optimizer.param_groups[0]["lr"], on_step=True, on_epoch=False)

    def _learn_to_discriminate(self, sr: Tensor, hr: Tensor, steps_now: bool) -> None:
        assert self.discriminator is not None
        with span("discriminator forward"):
            real, fake = at_least_single(self.discriminator(hr)), at_least_single(self.discriminator(sr))
            loss = self.objective.adversarial.discriminator(real, fake)
        with span("discriminator backward"):
            self.manual_backward(loss / self.accumulate)
        gap = real.mean() - fake.mean()
        judged = {"D(real)": real.sigmoid().mean(), "D(fake)": fake.sigmoid().mean(), "D_gap": gap}
        self._log_train({"discriminator": loss, **judged})
        if steps_now:
            self._optimizer_step(1, self.discriminator)

    def _learn_to_generate(self, pyramid: dict[int, Tensor], hr: Tensor, weights: TermWeights, steps_now: bool) -> None:
        terms = self._generator_terms(pyramid, hr, weights)
        loss = torch.stack([getattr(weights, name) * term for name, term in terms.items()]).sum()
        with span("generator backward"):
            self.manual_backward(loss / self.accumulate)
        self._log_train({**terms, "generator": loss})
        if steps_now:
            self._optimizer_step(0, self.generator)
            self.generator_step += 1
            with span("average"):
                self.ema.update(self.generator)

    def _generator_terms(self, pyramid: dict[int, Tensor], hr: Tensor, weights: TermWeights) -> dict[str, Tensor]:
        """The terms that have a weight, unweighted."""
        sr = pyramid[self.generator.scale]
        terms = {}
        if weights.pixel:
            with span("pixel loss"):
                terms["pixel"] = self.pixel_loss(pyramid, hr)
        if weights.perceptual and self.perceptual is not None:
            with span("perceptual loss"):
                terms["perceptual"] = self.perceptual(sr, hr)
        if weights.adversarial and self.discriminator is not None:
            # The discriminator only judges here: its parameters take no gradient, but the way to sr stays open.
            with span("adversarial loss"):
                self.discriminator.requires_grad_(False)
                fake = at_least_single(self.discriminator(sr))
                with torch.no_grad():  # only a relativistic loss asks what the discriminator thinks of HR
                    relativistic = self.objective.adversarial.relativistic
                    real = at_least_single(self.discriminator(hr)) if relativistic else fake.detach()
                terms["adversarial"] = self.objective.adversarial.generator(real, fake)
                self.discriminator.requires_grad_(True)
        return terms

    def _optimizer_step(self, index: int, network: nn.Module) -> None:
        """One step of a network, which is last the generator's; left out where its gradient is not finite."""
        name = ("generator", "discriminator")[index]
        optimizer = self._as_list(self.optimizers())[index]
        with span(f"{name} optimizer"):
            scaler = getattr(self.trainer.precision_plugin, "scaler", None)  # of 16-mixed, which skips steps by itself
            norm = nn.utils.get_total_norm([p.grad for p in network.parameters() if p.grad is not None])
            if self.clip is not None:
                limit = self.clip * (scaler.get_scale() if scaler is not None else 1.0)
                nn.utils.clip_grads_with_norm_(network.parameters(), limit, norm)
            if self.guard.admits(name, self.generator_step, norm, optimizer.optimizer, scaler is not None):
                optimizer.step()
            self.guard.taken(optimizer.optimizer)
            optimizer.zero_grad()
            for scheduler in self._as_list(self.lr_schedulers()):
                if scheduler.optimizer is optimizer.optimizer:
                    scheduler.step()
        if index == 0:
            self._close_step()

    def _close_step(self) -> None:
        """Both networks have stepped, or not: what was left out?"""
        self._buffers_kept.mend()  # not before: the backward pass wants them as the forward pass left them
        if self.device.type == "cpu" or self._looks_now():
            self.log("train/skipped_steps", float(self.guard.settle()), on_step=False, on_epoch=True, reduce_fx="max")

    def _looks_now(self) -> bool:
        """Whether it is time to wait for the device: as often as values are logged, and at the end of an epoch."""
        every: int = self.trainer.log_every_n_steps  # type: ignore[attr-defined]
        return self.trainer.is_last_batch or self.generator_step % every == 0

    @staticmethod
    def _as_list(one_or_many: Any) -> list[Any]:
        if one_or_many is None:
            return []
        return list(one_or_many) if isinstance(one_or_many, (list, tuple)) else [one_or_many]

    def _log_train(self, values: dict[str, Tensor]) -> None:
        """Log the terms of the network that is about to step."""
        values = {name: value.detach() for name, value in values.items()}
        self.guard.note(values)
        with span("logging"):
            named = {f"train/{name}": value for name, value in values.items()}
            self.log_dict(named, on_step=True, on_epoch=True, batch_size=1)

    # ---------------------------------------------------------------- validation

    @property
    def protocol(self) -> Protocol:
        return cast(Protocol, self._protocol.network)

    def forward(self, lr: Tensor) -> Tensor:
        """Super-resolve with the averaged generator: (B, 3, h, w) -> (B, 3, s h, s w), not clamped."""
        return self.ema(lr)

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        return self._measure(batch)

    def test_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        return self._measure(batch, "test/")

    def on_validation_epoch_end(self) -> None:
        self._log_means("val")

    def on_test_epoch_end(self) -> None:
        self._log_means("test")

    def _measure(self, batch: dict[str, Any], split: str = "") -> Tensor:
        """Add a batch to the means of the model and of bicubic; the SR images go on to the callbacks."""
        lr, hr, key = batch["lr"], batch["hr"], split + "|".join(batch["name"])
        given = {name: value for name, value in batch.items() if name not in ("hr", "name")}
        with torch.autocast(self.device.type, enabled=False):  # what is measured is what float32 inference gives
            if key not in self._floor:  # bicubic never changes: measured in the first epoch only
                self._floor[key] = self._protocol(upscale_bicubic(lr, self.generator.scale), hr, **given)
            sr = self(lr)
            measured = self._protocol(sr, hr, **given)
        for prefix, found in (("", measured), ("bicubic_", self._floor[key])):
            for name, values in found.items():
                for mean, column in zip(self._means(prefix, name), values.reshape(len(sr), -1).unbind(1), strict=True):
                    mean.update(column)
        return sr

    def _means(self, prefix: str, measure: str) -> list[MeanMetric]:
        """The running means of a measure's statistics, of which most have one."""
        keys = [f"{prefix}{measure}"]
        if (width := self.protocol.widths[measure]) > 1:
            keys = [f"{keys[0]}[{i}]" for i in range(width)]
        for key in keys:
            if key not in self.means:
                self.means[key] = MeanMetric().to(self.device)
        return [cast(MeanMetric, self.means[key]) for key in keys]

    def _log_means(self, stage: str) -> None:
        # A rank without an image has no means yet, but must take part in gathering them.
        first = self.protocol.names[0]
        values: dict[str, Tensor] = {}
        for prefix in ("", "bicubic_"):
            means = {name: self._means(prefix, name) for name in self.protocol.names}
            found = {name: torch.stack([mean.compute() for mean in each]).squeeze() for name, each in means.items()}
            values |= {f"{stage}/{prefix}{name}": value for name, value in self.protocol.figures(found).items()}
            for mean in (mean for each in means.values() for mean in each):
                mean.reset()
        values[f"{stage}/{first}_gain"] = values[f"{stage}/{first}"] - values[f"{stage}/bicubic_{first}"]
        shown = f"{stage}/{first}"
        self.log(shown, values.pop(shown), prog_bar=True)
        self.log_dict(values)

    # ---------------------------------------------------------------- checkpoints

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["generator_step"] = self.generator_step
        checkpoint["skipped_steps"] = self.guard.skipped

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.generator_step = checkpoint["generator_step"]
        self.guard.skipped = checkpoint.get("skipped_steps", 0)


def at_least_single(x: Tensor) -> Tensor:
    """Of 16 bits, float32: losses of logits are sums and exponentials. float64 stays."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
