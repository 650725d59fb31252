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
from facehall.losses import LossTerm, WeightedTerms
from facehall.metrics import Protocol
from facehall.models.generators import Generator
from facehall.training.checkpointing.files import CHECKPOINT_FORMAT
from facehall.training.curriculum import NETWORKS, Curriculum, Phase
from facehall.training.data_threads import DataThreads, mean_by_name, synchronize_batch_norm
from facehall.training.ema import GeneratorEMA
from facehall.training.guard import BufferGuard, FiniteGuard
from facehall.training.optimizers import AveragingOptimizer, OptimizerFactory, build_optimizer
from facehall.training.passes import Passes
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
        data_threads: threads that each compute an equal slice of every batch, on the CPU (see `DataThreads`).

    Raises:
        ValueError: a discriminator without an optimizer, `accumulate`, `max_skips` or `data_threads` below 1, a phase
            with nothing to minimise or with terms whose inputs are missing, or batch norm that cannot span threads.
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
        data_threads: int = 1,
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
        if data_threads < 1:
            raise ValueError(f"runtime.data_threads must be a number of threads, at least 1, not {data_threads}")
        self.data_threads = data_threads
        for name, network in zip(NETWORKS, (generator, discriminator), strict=True):
            if data_threads > 1 and network is not None:
                synchronize_batch_norm(name, network)
        check_phases(curriculum, self.losses, self.discriminator_losses, generator, discriminator, batch_keys)

    # ------------------------------------------------------------------ training

    @property
    def passes(self) -> Passes:
        """The passes of a step with the live networks."""
        parts = (self.generator, self.discriminator, self.losses, self.discriminator_losses)
        return Passes(*parts, self.memory_format)

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
        # Now, since parameters may have been converted or replaced until here.
        self._threads = DataThreads(self.passes, self.data_threads, self.trainer.precision_plugin.train_step_context)

    def on_train_end(self) -> None:
        self._threads.close()

    def on_train_batch_start(self, batch: dict[str, Any], batch_idx: int) -> None:
        self.guard.begin_batch(batch["name"], new_step=batch_idx % self.accumulate == 0)

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        phase = self.curriculum.at(self.generator_step)
        if phase is not self._phase:
            self._begin_phase(phase)
        take_step = (batch_idx + 1) % self.accumulate == 0
        threads = self._threads
        if self.generator.fades_in:
            for each in threads.passes:
                each.generator.set_fade(self.curriculum.fade(self.generator_step))
        if self.generator.parts:
            for each in threads.passes:
                each.generator.set_part(phase.part)
        slices = threads.slices(batch)
        steps = threads.run(lambda passes, rank: passes.generate(slices[rank], phase))
        if self.trains_discriminator:
            values = threads.run(lambda passes, rank: passes.train_discriminator(*steps[rank], phase, self._backward))
            self._log_train(mean_by_name(values))
            if take_step:
                self._optimizer_step(1)
        if "generator" in phase.trains:
            weights = self.curriculum.weights(self.generator_step)
            values = threads.run(lambda passes, rank: passes.train_generator(*steps[rank], weights, self._backward))
            self._log_train(mean_by_name(values))
            if take_step:
                self._optimizer_step(0)
        if take_step:
            self._after_step(update_ema="generator" in phase.trains)
        with span("logging"):
            for name, optimizer in zip(NETWORKS, self.trainer.optimizers, strict=False):
                self.log(f"learning_rate/{name}", optimizer.param_groups[0]["lr"], on_step=True, on_epoch=False)

    def _begin_phase(self, phase: Phase) -> None:
        """Prepare the optimizers at the start of a phase, or within it when resuming."""
        set_phase_options(self.trainer.optimizers, self.curriculum, phase)
        if self.generator_step == self.curriculum.end(phase.name) - phase.steps:
            for optimizer in self.trainer.optimizers:
                if isinstance(optimizer, AveragingOptimizer):
                    optimizer.restart_average()
        self._phase = phase

    def _backward(self, loss: Tensor) -> None:
        """Accumulate the gradients of a loss, a mean over one thread's slice of a batch."""
        if self.data_threads == 1:
            self.manual_backward(loss / self.accumulate)
        else:  # Lightning's version calls hooks, which belong to the main thread
            (loss / (self.accumulate * self.data_threads)).backward()

    def _optimizer_step(self, index: int) -> None:
        """Take one optimizer step of a network; skip it if its gradient is not finite."""
        name = NETWORKS[index]
        network: nn.Module = getattr(self, name)
        optimizer = self._as_list(self.optimizers())[index]
        with span(f"{name} optimizer"):
            self._threads.sum_gradients(name)
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
