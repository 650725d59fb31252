"""Train a face super-resolution network: ``python -m facehall.train experiment=esrgan_vgg16s``."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from facehall.cli.hydra_app import entry_point
from facehall.errors import FacehallError
from facehall.io.atomic import disk_full_error, remove_partials, write_text
from facehall.io.logs import say
from facehall.training.runs import LAST_CHECKPOINT, SUMMARY, checkpoint_to_resume, resume_hint

if TYPE_CHECKING:
    from facehall.training.run import Training


@dataclass(frozen=True)
class Result:
    """Result of a training.

    Attributes:
        metrics: contents of summary.json.
        training: the module, data module and trainer.
        run_dir: the run folder.
    """

    metrics: dict[str, Any]
    training: Training
    run_dir: Path


def train(cfg: DictConfig) -> Result:
    """Run one training with a config composed from conf/train.yaml.

    Raises:
        FacehallError: a mistake in the config, the data or a file.
    """
    # Not above: Lightning takes seconds, and sweeps and commands with a mistyped key train nothing in their process.
    from facehall.config.assembly import assemble
    from facehall.training.checkpointing.files import check_checkpoint, intact_checkpoint
    from facehall.training.loggers import finish_wandb
    from facehall.training.quiet import quieten
    from facehall.training.summary import closing_lines, opening_lines, summarise

    quieten()
    tests = bool(cfg.test)
    checkpoint = checkpoint_to_resume(cfg.resume, cfg.name)
    run_dir = Path(cfg.run_dir)
    run_dir.mkdir(parents=True, exist_ok=True)
    training = assemble(cfg)
    training.module.protocol.require(getattr(training.datamodule, "batch_keys", ("lr", "hr", "name")))
    if tests:
        training.datamodule.test_dataloader()  # fail now, not at the end, if the test split is missing
    if checkpoint is not None:
        checkpoint = intact_checkpoint(checkpoint, fall_back=Path(cfg.resume).suffix != ".ckpt")
        check_checkpoint(checkpoint, training.module)
    with _disk_full_errors(run_dir):
        if training.trainer.is_global_zero:
            remove_partials(run_dir)  # left by a killed run
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
def _disk_full_errors(run_dir: Path) -> Iterator[None]:
    """Report a full disk as a FacehallError; the run's existing files are intact."""
    try:
        yield
    except (OSError, FacehallError) as error:
        full = disk_full_error(error)
        if full is None:
            raise
        saved = (run_dir / LAST_CHECKPOINT).is_file()
        raise FacehallError(
            f"{full.filename or run_dir} cannot be written: {full.strerror}. The existing files of the run are intact. "
            f"Free disk space and start again. {resume_hint(run_dir) if saved else ''}".rstrip()
        ) from error


main = entry_point("train", sweeps=True)(train)

if __name__ == "__main__":
    main()
