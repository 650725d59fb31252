"""Train a face super-resolution network: ``python -m facehall.train experiment=esrgan_vgg16s``."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from facehall.cli.hydra_app import entry_point
from facehall.config.assembly import assemble
from facehall.errors import FacehallError
from facehall.io.atomic import no_room, remove_partials, write_text
from facehall.io.logs import say
from facehall.training.checkpointing.files import check_checkpoint, sound_checkpoint
from facehall.training.loggers import finish_wandb
from facehall.training.quiet import quieten
from facehall.training.run import Training
from facehall.training.runs import LAST_CHECKPOINT, SUMMARY, checkpoint_to_resume, how_to_resume
from facehall.training.summary import closing_lines, opening_lines, summarise


@dataclass(frozen=True)
class Result:
    """What a training gives back.

    Attributes:
        metrics: the numbers of summary.json.
        training: the module, data module and trainer.
        run_dir: where the files are.
    """

    metrics: dict[str, Any]
    training: Training
    run_dir: Path


def train(cfg: DictConfig) -> Result:
    """Run one training as conf/train.yaml composes it.

    Raises:
        FacehallError: a mistake in the config, the data or a file, in one paragraph.
    """
    quieten()
    tests = bool(cfg.test)
    checkpoint = checkpoint_to_resume(cfg.resume, cfg.name)
    run_dir = Path(cfg.run_dir)
    run_dir.mkdir(parents=True, exist_ok=True)
    training = assemble(cfg)
    training.module.protocol.require(getattr(training.datamodule, "batch_keys", ("lr", "hr", "name")))
    if tests:
        training.datamodule.test_dataloader()  # a test split that is missing is better known now than at the end
    if checkpoint is not None:
        checkpoint = sound_checkpoint(checkpoint, fall_back=Path(cfg.resume).suffix != ".ckpt")
        check_checkpoint(checkpoint, training.module)
    with _room(run_dir):
        if training.trainer.is_global_zero:
            remove_partials(run_dir)  # of a run that was killed
            (run_dir / SUMMARY).unlink(missing_ok=True)
            write_text(run_dir / "config.yaml", OmegaConf.to_yaml(cfg, resolve=True))
            say(opening_lines(training, checkpoint))
        started, tested = time.monotonic(), None
        try:
            training.trainer.fit(training.module, training.datamodule, ckpt_path=checkpoint, weights_only=True)
            seconds = time.monotonic() - started
            if tests:
                (tested,) = training.trainer.test(training.module, training.datamodule, verbose=False)
        finally:
            finish_wandb()
        metrics = summarise(training, seconds, tested)
        if training.trainer.is_global_zero:
            write_text(run_dir / SUMMARY, json.dumps(metrics, indent=2) + "\n")
            say(closing_lines(run_dir, metrics))
    return Result(metrics, training, run_dir)


@contextmanager
def _room(run_dir: Path) -> Iterator[None]:
    """Answer a full disk with a paragraph; the files of the run are whole, as they were before."""
    try:
        yield
    except (OSError, FacehallError) as error:
        full = no_room(error)
        if full is None:
            raise
        saved = (run_dir / LAST_CHECKPOINT).is_file()
        raise FacehallError(
            f"{full.filename or run_dir} cannot be written: {full.strerror}. Every file of the run is whole, as it was "
            f"before. Make room on that disk, then: {how_to_resume(run_dir) if saved else 'start again.'}"
        ) from error


main = entry_point("train", sweeps=True)(train)

if __name__ == "__main__":
    main()
