"""checkpoints/last.ckpt: everything that it takes to go on as if nothing had happened."""

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
from facehall.training.runs import LAST_CHECKPOINT, how_to_resume
from facehall.training.signals import StopSignals, heed_the_parent_alone

Place = Literal["step", "validation", "epoch"]
_NOTHING = {"ready": 0, "started": 0, "processed": 0, "completed": 0}
_VALIDATION_BEGUN = {"total": {**_NOTHING, "ready": 1, "started": 1}, "current": _NOTHING, "is_last_batch": False}
"""Validation's progress as Lightning knows it in the middle of the first image: it starts again with that image."""


class Checkpoints(Checkpoint):
    """Writes checkpoints/last.ckpt after each epoch and every so many generator steps, and when asked to stop.

    A checkpoint stands for one of three places: behind a step, before an epoch's validation, behind an epoch. Resumed
    from any of them, a run ends with the numbers of an undisturbed one: beside what Lightning saves there are the
    random states, the sums of the epoch's means, and each process's own share of all that.

    SIGTERM, SIGUSR1, SIGHUP and Ctrl-C let the step end, save, and raise `StoppedBySignal`; during a validation, which
    then starts over, they need not wait for its end (with several processes they do).

    Args:
        folder: the run folder.
        every_steps: generator steps between two checkpoints within an epoch; null for none.
    """

    def __init__(self, folder: str | Path, every_steps: int | None = 500) -> None:
        if every_steps is not None and every_steps < 1:
            raise ValueError(f"every_steps is at least 1, or null for none within an epoch, not {every_steps}")
        self.path = Path(folder) / LAST_CHECKPOINT
        self.every_steps = every_steps
        self.signals = StopSignals()
        self._saved_step = 0
        self._place: Place = "epoch"
        self._random: State | None = None  # to be saved, as it was before the validation
        self._resumed: tuple[Place, State] | None = None  # the place, and the random state to be set there
        self._sums: LoggedSums | None = None
        self._earlier_sums: State = {}
        self._latest: State = {}  # what was logged last, step by step

    # ------------------------------------------------------------------ going on

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        trainer.strategy.checkpoint_io = AtomicCheckpointIO()

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, SuperResolution)
        self._saved_step = pl_module.generator_step
        self._sums = LoggedSums(trainer, self._earlier_sums)
        trainer.callback_metrics.update(self._latest)
        if self._resumed is not None and self._resumed[0] == "validation":
            self._sums.merge(whole=True)
        loader = trainer.train_dataloader
        if isinstance(loader, DataLoader):  # its workers start with the first batch
            loader.worker_init_fn = partial(heed_the_parent_alone, then=loader.worker_init_fn)
        self.signals.install()

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, SuperResolution)
        assert self._sums is not None
        self._sums.begin_epoch()
        self._go_on("epoch", trainer)
        if pl_module.generator_step == self._saved_step and self._asked(trainer):  # the end of the epoch has saved
            self._leave(trainer, pl_module)

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        self._go_on("step", trainer)

    def _go_on(self, place: Place, trainer: L.Trainer) -> None:
        """Set the random states, at the very place where they were saved."""
        if self._resumed is not None and self._resumed[0] == place:
            set_random_state(self._resumed[1], trainer.strategy.root_device)
            self._resumed = None

    # ------------------------------------------------------------------ the three places

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
        self._sums.merge(whole=last)
        if last or (batch_idx + 1) % pl_module.accumulate:  # the epoch's end saves; half a step cannot be resumed
            return
        stop = self._asked(trainer)
        if stop or self._due(pl_module):
            self._save("step", trainer, pl_module)
        if stop:
            connector = trainer._logger_connector  # this step's row of the log, which would come after this hook
            connector.on_batch_end()
            connector.update_train_step_metrics()
            self._leave(trainer, pl_module)

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, SuperResolution)
        if trainer.state.fn != "fit" or not trainer.fit_loop.epoch_loop.batch_progress.is_last_batch:
            return  # elsewhere, or in the middle of an epoch, which goes on with steps
        self._go_on("validation", trainer)
        self._random = random_state(trainer.strategy.root_device)
        stop = self._asked(trainer)
        if stop or self._due(pl_module):
            self._save("validation", trainer, pl_module)
        if stop:
            self._leave(trainer, pl_module)

    def on_validation_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Tensor | Mapping[str, Any] | None,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        if self._random is None or trainer.world_size > 1:  # processes validate shares of different size
            return
        if self._asked(trainer):
            self._save("validation", trainer, pl_module)
            self._leave(trainer, pl_module)

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._random = None

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._save("epoch", trainer, pl_module)

    # ------------------------------------------------------------------ saving and leaving

    def _due(self, module: SuperResolution) -> bool:
        return self.every_steps is not None and module.generator_step - self._saved_step >= self.every_steps

    def _asked(self, trainer: L.Trainer) -> bool:
        """Whether any process was asked to stop: then all do."""
        return trainer.strategy.reduce_boolean_decision(self.signals.received is not None, all=False)

    def _save(self, place: Place, trainer: L.Trainer, module: L.LightningModule) -> None:
        assert isinstance(module, SuperResolution)
        self._place = place
        trainer.save_checkpoint(self.path)
        self._saved_step = module.generator_step

    def _leave(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        assert isinstance(module, SuperResolution)
        text = f"stopped after step {module.generator_step}, all of it saved. {how_to_resume(self.path.parents[1])}"
        raise StoppedBySignal(text if trainer.is_global_zero else "", self.signals.received)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.signals.restore()

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        self.signals.restore()

    # ------------------------------------------------------------------ what a checkpoint holds

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: State) -> None:
        assert self._sums is not None
        own: State = {
            "random": self._random or random_state(trainer.strategy.root_device),
            "sums": self._sums.state() if self._place != "epoch" else {},
            "latest": dict(trainer.callback_metrics),
            "callbacks": checkpoint["callbacks"],
        }
        ranks = [own] * trainer.world_size
        if trainer.world_size > 1:
            all_gather_object(ranks, own)
        checkpoint["survival"] = {"place": self._place, "ranks": ranks}
        if self._place == "validation":
            checkpoint["loops"]["fit_loop"]["epoch_loop.val_loop.batch_progress"] = _VALIDATION_BEGUN

    def on_load_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: State) -> None:
        saved = checkpoint.get("survival")
        if saved is None or len(saved["ranks"]) != trainer.world_size:  # other processes than those that wrote it
            return
        own = saved["ranks"][trainer.global_rank]
        self._resumed = saved["place"], own["random"]
        self._earlier_sums, self._latest = own["sums"], own["latest"]
        checkpoint["callbacks"] = own["callbacks"]
