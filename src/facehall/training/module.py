"""The training module: a generator and an optional discriminator, with their loss terms."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from facehall.errors import FacehallError
from facehall.losses import LossTerm, Outputs, WeightedTerms
from facehall.metrics import Protocol
from facehall.models.generators import Generator
from facehall.training.batches import downscale_batch, loss_outputs, network_input, to_generator_colour
from facehall.training.checkpointing.files import CHECKPOINT_FORMAT
from facehall.training.curriculum import Curriculum, Phase
from facehall.training.ema import GeneratorEMA
from facehall.training.guard import BufferGuard, FiniteGuard
from facehall.training.optimizers import AveragingOptimizer, OptimizerFactory, build_optimizer
from facehall.training.phases import check_phase_options, check_phases, set_phase_options
from facehall.training.spans import span
from facehall.training.validation import MeasuredModule

SchedulerFactory = Callable[[Optimizer], LRScheduler]


class SuperResolution(MeasuredModule):
    """Train a generator with named loss terms along a curriculum, with manual optimization (the paper's sec. 3.3).

    With a discriminator this is a GAN; without one, plain super-resolution training. All schedules count
    `generator_step`, the steps of the curriculum, not Lightning's `global_step`, which counts those of both optimizers.

    Args:
        generator: lr -> sr.
        losses: generator loss terms by name.
        curriculum: phases with the weights of the terms.
        protocol: validation measures.
        generator_optimizer, discriminator_optimizer: parameters or network -> optimizer (`build_optimizer`).
        generator_scheduler, discriminator_scheduler: optimizer -> scheduler; None keeps the rate constant.
        discriminator: images -> logits.
        discriminator_losses: discriminator loss terms by name.
        ema_decay: decay of the averaged generator, which is validated and exported. An optimizer that averages the
            weights itself (`AveragingOptimizer`) provides that average instead.
        clip: maximum gradient norm of each network; None does not clip.
        accumulate: batches per optimizer step.
        memory_format: of images and networks in training.
        max_skips: consecutive steps with a non-finite gradient that are skipped before the training stops.
        batch_keys: batch entries besides lr, hr and name, for terms that need them.

    Raises:
        ValueError: a discriminator without an optimizer, `accumulate` or `max_skips` below 1, or a phase with nothing
            to minimise or with terms whose inputs are missing.
    """

    def __init__(
        self,
        generator: Generator,
        losses: Mapping[str, LossTerm],
        curriculum: Curriculum,
        protocol: Protocol,
        generator_optimizer: OptimizerFactory,
        discriminator_optimizer: OptimizerFactory | None = None,
        generator_scheduler: SchedulerFactory | None = None,
        discriminator_scheduler: SchedulerFactory | None = None,
        discriminator: nn.Module | None = None,
        discriminator_losses: Mapping[str, LossTerm] | None = None,
        ema_decay: float = 0.999,
        clip: float | None = None,
        accumulate: int = 1,
        memory_format: torch.memory_format = torch.contiguous_format,
        max_skips: int = 10,
        batch_keys: Collection[str] = (),
    ) -> None:
        generator.to(memory_format=memory_format)  # before the average copies it
        super().__init__(protocol, GeneratorEMA(generator, ema_decay))
        self.automatic_optimization = False
        self.memory_format = memory_format
        self.generator = generator
        self.discriminator = discriminator
        self.losses = WeightedTerms(losses)
        self.discriminator_losses = WeightedTerms(discriminator_losses or {}, "discriminator_losses")
        for part in (discriminator, self.losses, self.discriminator_losses):
            if part is not None:
                part.to(memory_format=memory_format)
        self.curriculum = curriculum
        self.factories = (
            (generator_optimizer, generator_scheduler),
            (discriminator_optimizer, discriminator_scheduler),
        )
        self.clip = clip
        self.accumulate = accumulate
        self.guard = FiniteGuard(max_skips)
        self.generator_step = 0
        self._phase: Phase | None = None  # the phase whose options the optimizers have
        self._resumed_optimizers: list[str] | None = None
        if discriminator is not None and discriminator_optimizer is None:
            raise ValueError("the discriminator needs an optimizer: set optimizer.discriminator")
        if accumulate < 1:
            raise ValueError(f"training.accumulate must be a number of batches, at least 1, not {accumulate}")
        check_phases(curriculum, self.losses, self.discriminator_losses, generator, discriminator, batch_keys)

    # ------------------------------------------------------------------ training

    @property
    def trains_discriminator(self) -> bool:
        """Whether the discriminator is trained at the current step."""
        return self.discriminator is not None and "discriminator" in self.curriculum.at(self.generator_step).trains

    def configure_optimizers(self) -> tuple[list[Optimizer], list[LRScheduler]]:
        networks = {"generator": self.generator, "discriminator": self.discriminator}
        optimizers: list[Optimizer] = []
        schedulers: list[LRScheduler] = []
        for (name, network), (make_optimizer, make_scheduler) in zip(networks.items(), self.factories, strict=True):
            if network is None:
                continue
            assert make_optimizer is not None  # checked by the constructor
            with _setting(f"optimizer.{name}"):
                optimizers.append(build_optimizer(make_optimizer, network))
            if make_scheduler is not None:
                with _setting(f"scheduler.{name}"):
                    schedulers.append(make_scheduler(optimizers[-1]))
        check_phase_options(optimizers, self.curriculum)
        self._check_resumed([type(optimizer).__name__ for optimizer in optimizers])
        return optimizers, schedulers

    def _check_resumed(self, optimizers: list[str]) -> None:
        """Check that a checkpoint, which is loaded before the optimizers are made, belongs to the same ones."""
        saved = self._resumed_optimizers
        if saved is not None and saved != optimizers:
            raise FacehallError(
                f"the checkpoint was written with optimizer={', '.join(saved)}, but this training has "
                f"{', '.join(optimizers)}. Resume with the settings of its run, in config.yaml of the run folder, or "
                "start from its weights with init=."
            )

    def on_train_start(self) -> None:
        self._buffer_guard = BufferGuard((self.generator, self.discriminator))

    def on_train_batch_start(self, batch: dict[str, Any], batch_idx: int) -> None:
        self.guard.begin_batch(batch["name"], new_step=batch_idx % self.accumulate == 0)

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        phase = self.curriculum.at(self.generator_step)
        if phase is not self._phase:
            self._begin_phase(phase)
        take_step = (batch_idx + 1) % self.accumulate == 0
        batch = self._prepare(batch, phase)
        if self.generator.fades_in:
            self.generator.set_fade(self.curriculum.fade(self.generator_step))
        with span("generator forward"):
            # One pass for both networks: detached for the discriminator, with gradients for the generator's loss.
            outputs = self.generator.outputs(network_input(batch["lr"], self.generator), phase.scale)
            outputs = loss_outputs(outputs, phase.scale or self.generator.scale)
        if self.trains_discriminator:
            self._train_discriminator(outputs["sr"].detach(), batch, phase, take_step)
        if "generator" in phase.trains:
            self._train_generator(outputs, batch, take_step)
        if take_step:
            self._after_step(update_ema="generator" in phase.trains)
        with span("logging"):
            for name, optimizer in zip(("generator", "discriminator"), self.trainer.optimizers, strict=False):
                self.log(f"learning_rate/{name}", optimizer.param_groups[0]["lr"], on_step=True, on_epoch=False)

    def _begin_phase(self, phase: Phase) -> None:
        """Prepare the optimizers at the start of a phase, or within it when resuming."""
        set_phase_options(self.trainer.optimizers, self.curriculum, phase)
        if self.generator_step == self.curriculum.end(phase.name) - phase.steps:
            for optimizer in self.trainer.optimizers:
                if isinstance(optimizer, AveragingOptimizer):
                    optimizer.restart_average()
        self._phase = phase

    def _prepare(self, batch: dict[str, Any], phase: Phase) -> dict[str, Any]:
        """Convert a batch to the networks' memory format and colour channels, at the active scale."""
        images = {name: batch[name].to(memory_format=self.memory_format) for name in ("lr", "hr")}
        scale = self.generator.scale
        batch = to_generator_colour({**batch, **images}, self.generator)
        return downscale_batch(batch, scale // (phase.scale or scale))

    def _train_discriminator(self, sr: Tensor, batch: dict[str, Any], phase: Phase, take_step: bool) -> None:
        discriminator, hr = self.discriminator, batch["hr"]
        assert discriminator is not None
        weights = phase.discriminator_weights or dict.fromkeys(self.discriminator_losses.names, 1.0)
        with span("discriminator forward"):
            real, fake = promote_half(discriminator(hr)), promote_half(discriminator(sr))
            outputs = Outputs({"sr": sr, "real_logits": real, "fake_logits": fake, "discriminator": discriminator})
            loss, terms = self.discriminator_losses(outputs, batch, weights)
        with span("discriminator backward"):
            self.manual_backward(loss / self.accumulate)
        statistics = {
            "D(real)": real.sigmoid().mean(),
            "D(fake)": fake.sigmoid().mean(),
            "D_gap": real.mean() - fake.mean(),
        }
        each = {f"discriminator_{name}": value for name, value in terms.items()} if len(terms) > 1 else {}
        self._log_train({"discriminator": loss, **each, **statistics})
        if take_step:
            self._optimizer_step(1, discriminator)

    def _train_generator(self, outputs: dict[str, Any], batch: dict[str, Any], take_step: bool) -> None:
        weights = self.curriculum.weights(self.generator_step)
        loss, terms = self.losses(self._generator_outputs(outputs, batch), batch, weights, span)
        with span("generator backward"):
            self.manual_backward(loss / self.accumulate)
        self._log_train({**terms, "generator": loss})
        if take_step:
            self._optimizer_step(0, self.generator)

    def _generator_outputs(self, outputs: dict[str, Any], batch: dict[str, Any]) -> Outputs:
        """Return the generator's outputs, with the discriminator's logits for terms that need them."""
        discriminator = self.discriminator
        if discriminator is None:
            return Outputs(outputs)

        def logits(images: Tensor) -> Tensor:
            # The discriminator's parameters get no gradient here, but gradients still flow to the image.
            discriminator.requires_grad_(False)
            try:
                return promote_half(discriminator(images))
            finally:
                discriminator.requires_grad_(True)

        def fake_logits() -> Tensor:
            return logits(outputs["sr"])

        @torch.no_grad()
        def real_logits() -> Tensor:
            return logits(batch["hr"])

        return Outputs(outputs, {"fake_logits": fake_logits, "real_logits": real_logits})

    def _optimizer_step(self, index: int, network: nn.Module) -> None:
        """Take one optimizer step of a network; skip it if its gradient is not finite."""
        name = ("generator", "discriminator")[index]
        optimizer = self._as_list(self.optimizers())[index]
        with span(f"{name} optimizer"):
            scaler = getattr(self.trainer.precision_plugin, "scaler", None)  # 16-mixed skips bad steps by itself
            norm = nn.utils.get_total_norm([p.grad for p in network.parameters() if p.grad is not None])
            if self.clip is not None:
                limit = self.clip * (scaler.get_scale() if scaler is not None else 1.0)
                nn.utils.clip_grads_with_norm_(network.parameters(), limit, norm)
            if self.guard.allows_step(name, self.generator_step, norm, optimizer.optimizer, scaler is not None):
                optimizer.step()
            self.guard.after_step(optimizer.optimizer)
            optimizer.zero_grad()
            for scheduler in self._as_list(self.lr_schedulers()):
                if scheduler.optimizer is optimizer.optimizer:
                    scheduler.step()

    def _after_step(self, update_ema: bool) -> None:
        """Finish a step after both networks have stepped or skipped."""
        self._buffer_guard.restore_nonfinite()  # after the backward pass, which needs the buffers unchanged
        if self.device.type == "cpu" or self._check_due():
            skipped = float(self.guard.check_pending())
            self.log("train/skipped_steps", skipped, on_step=False, on_epoch=True, reduce_fx="max")
        self.generator_step += 1
        if update_ema:
            with span("average"):
                optimizer = self.trainer.optimizers[0]
                if isinstance(optimizer, AveragingOptimizer):
                    self.ema.replace(self.generator, optimizer.average)
                else:
                    self.ema.update(self.generator)

    def _check_due(self) -> bool:
        """Whether to wait for the device: as often as values are logged, and at the end of an epoch."""
        every: int = self.trainer.log_every_n_steps  # type: ignore[attr-defined]
        return self.trainer.is_last_batch or self.generator_step % every == 0

    @staticmethod
    def _as_list(one_or_many: Any) -> list[Any]:
        if one_or_many is None:
            return []
        return list(one_or_many) if isinstance(one_or_many, (list, tuple)) else [one_or_many]

    def _log_train(self, values: dict[str, Tensor]) -> None:
        """Log the loss terms of the network about to step."""
        values = {name: value.detach() for name, value in values.items()}
        self.guard.record_terms(values)
        with span("logging"):
            named = {f"train/{name}": value for name, value in values.items()}
            self.log_dict(named, on_step=True, on_epoch=True, batch_size=1)

    # ---------------------------------------------------------------- checkpoints

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["format"] = CHECKPOINT_FORMAT
        checkpoint["generator_step"] = self.generator_step
        checkpoint["skipped_steps"] = self.guard.skipped
        checkpoint["optimizers"] = [type(optimizer).__name__ for optimizer in self.trainer.optimizers]

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.generator_step = checkpoint["generator_step"]
        self.guard.skipped = checkpoint.get("skipped_steps", 0)
        self._resumed_optimizers = checkpoint.get("optimizers")


@contextmanager
def _setting(key: str) -> Iterator[None]:
    """Report what a factory rejects as a mistake in the config."""
    try:
        yield
    except (TypeError, ValueError) as error:
        raise FacehallError(f"{key}: {error}.") from error
    except FacehallError as error:
        raise FacehallError(f"{key}: {error}") from None


def promote_half(x: Tensor) -> Tensor:
    """Convert 16-bit floats to float32, as losses of logits are sums and exponentials; others are unchanged."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
