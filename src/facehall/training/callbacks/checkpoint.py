"""checkpoints/last.ckpt: the complete training state, for exact resumption."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Literal

import lightning as L
from lightning.pytorch.callbacks import Checkpoint
from torch import Tensor
from torch.distributed import all_gather_object
from torch.utils.data import DataLoader

from facehall.errors import StoppedBySignal
from facehall.training.checkpointing.files import AtomicCheckpointIO
from facehall.training.checkpointing.state import LoggedSums, State, random_state, set_random_state
from facehall.training.module import SuperResolution
from facehall.training.runs import LAST_CHECKPOINT, resume_hint
from facehall.training.signals import StopSignals, ignore_group_signals

Position = Literal["step", "validation", "epoch"]
_ZERO_PROGRESS = {"ready": 0, "started": 0, "processed": 0, "completed": 0}
_VALIDATION_RESTART = {
    "total": {**_ZERO_PROGRESS, "ready": 1, "started": 1},
    "current": _ZERO_PROGRESS,
    "is_last_batch": False,
}
"""Lightning's validation progress in the middle of the first image: on resumption, validation starts at that image."""


class Checkpoints(Checkpoint):
    """Write checkpoints/last.ckpt after each epoch, every `every_steps` generator steps and on a stop signal.

    A checkpoint is taken at one of three positions: after a step, before an epoch's validation, or after an epoch.
    Resuming from any of them gives the same numbers as an uninterrupted run: in addition to Lightning's state it holds
    the random states, the sums behind the epoch means, and each process's own share of these.

    On SIGTERM, SIGUSR1, SIGHUP or Ctrl-C the current step is finished and saved, and `StoppedBySignal` is raised. A
    single process stops during validation, which is repeated on resumption; several processes finish it first.

    Args:
        folder: the run folder.
        every_steps: generator steps between checkpoints within an epoch; null for none.
    """

    def __init__(self, folder: str | Path, every_steps: int | None = 500) -> None:
        if every_steps is not None and every_steps < 1:
            raise ValueError(f"every_steps must be at least 1, or null for none within an epoch, not {every_steps}")
        self.path = Path(folder) / LAST_CHECKPOINT
        self.every_steps = every_steps
        self.signals = StopSignals()
        self._saved_step = 0
        self._position: Position = "epoch"
        self._random: State | None = None  # random state before validation, for checkpoints taken during it
        self._resumed: tuple[Position, State] | None = None  # random state to restore, and where
        self._sums: LoggedSums | None = None
        self._saved_sums: State = {}
        self._latest_metrics: State = {}

    # ------------------------------------------------------------------ resuming

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        trainer.strategy.checkpoint_io = AtomicCheckpointIO()

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, SuperResolution)
        self._saved_step = pl_module.generator_step
        self._sums = LoggedSums(trainer, self._saved_sums)
        trainer.callback_metrics.update(self._latest_metrics)
        if self._resumed is not None and self._resumed[0] == "validation":
            self._sums.merge(restore_all=True)
        loader = trainer.train_dataloader
        if isinstance(loader, DataLoader):  # its workers start with the first batch
            loader.worker_init_fn = partial(ignore_group_signals, worker_init_fn=loader.worker_init_fn)
        self.signals.install()

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, SuperResolution)
        assert self._sums is not None
        self._sums.begin_epoch()
        self._restore_random_state("epoch", trainer)
        if pl_module.generator_step == self._saved_step and self._stop_requested(trainer):  # saved at the epoch's end
            self._stop(trainer, pl_module)

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        self._restore_random_state("step", trainer)

    def _restore_random_state(self, position: Position, trainer: L.Trainer) -> None:
        """Restore the random states if they were saved at this position."""
        if self._resumed is not None and self._resumed[0] == position:
            set_random_state(self._resumed[1], trainer.strategy.root_device)
            self._resumed = None

    # ------------------------------------------------------------------ the three positions

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Tensor | Mapping[str, Any] | None,
        batch: Any,
        batch_idx: int,
    ) -> None:
        assert isinstance(pl_module, SuperResolution)
        assert self._sums is not None
        last = trainer.fit_loop.epoch_loop.batch_progress.is_last_batch
        self._sums.merge(restore_all=last)
        if last or (batch_idx + 1) % pl_module.accumulate:  # the epoch's end saves; a partial step cannot be resumed
            return
        stop = self._stop_requested(trainer)
        if stop or self._due(pl_module):
            self._save("step", trainer, pl_module)
        if stop:
            connector = trainer._logger_connector  # write this step's log row, normally written after this hook
            connector.on_batch_end()
            connector.update_train_step_metrics()
            self._stop(trainer, pl_module)

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, SuperResolution)
        if trainer.state.fn != "fit" or not trainer.fit_loop.epoch_loop.batch_progress.is_last_batch:
            return  # not fitting, or validation in the middle of an epoch
        self._restore_random_state("validation", trainer)
        self._random = random_state(trainer.strategy.root_device)
        stop = self._stop_requested(trainer)
        if stop or self._due(pl_module):
            self._save("validation", trainer, pl_module)
        if stop:
            self._stop(trainer, pl_module)

    def on_validation_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Tensor | Mapping[str, Any] | None,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        if self._random is None or trainer.world_size > 1:  # processes may have different numbers of images
            return
        if self._stop_requested(trainer):
            self._save("validation", trainer, pl_module)
            self._stop(trainer, pl_module)

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._random = None

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._save("epoch", trainer, pl_module)

    # ------------------------------------------------------------------ saving and stopping

    def _due(self, module: SuperResolution) -> bool:
        return self.every_steps is not None and module.generator_step - self._saved_step >= self.every_steps

    def _stop_requested(self, trainer: L.Trainer) -> bool:
        """Whether any process received a stop signal, in which case all stop."""
        return trainer.strategy.reduce_boolean_decision(self.signals.received is not None, all=False)

    def _save(self, position: Position, trainer: L.Trainer, module: L.LightningModule) -> None:
        assert isinstance(module, SuperResolution)
        self._position = position
        trainer.save_checkpoint(self.path)
        self._saved_step = module.generator_step

    def _stop(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        assert isinstance(module, SuperResolution)
        text = f"stopped and saved after step {module.generator_step}. {resume_hint(self.path.parents[1])}"
        raise StoppedBySignal(text if trainer.is_global_zero else "", self.signals.received)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.signals.restore()

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        self.signals.restore()

    # ------------------------------------------------------------------ checkpoint contents

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: State) -> None:
        assert self._sums is not None
        own: State = {
            "random": self._random or random_state(trainer.strategy.root_device),
            "sums": self._sums.state() if self._position != "epoch" else {},
            "latest": dict(trainer.callback_metrics),
            "callbacks": checkpoint["callbacks"],
        }
        ranks = [own] * trainer.world_size
        if trainer.world_size > 1:
            all_gather_object(ranks, own)
        checkpoint["survival"] = {"place": self._position, "ranks": ranks}
        if self._position == "validation":
            checkpoint["loops"]["fit_loop"]["epoch_loop.val_loop.batch_progress"] = _VALIDATION_RESTART

    def on_load_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: State) -> None:
        saved = checkpoint.get("survival")
        if saved is None or len(saved["ranks"]) != trainer.world_size:  # written by another number of processes
            return
        own = saved["ranks"][trainer.global_rank]
        self._resumed = saved["place"], own["random"]
        self._saved_sums, self._latest_metrics = own["sums"], own["latest"]
        checkpoint["callbacks"] = own["callbacks"]
