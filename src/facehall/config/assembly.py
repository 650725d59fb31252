"""From the config of a training to its objects."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import lightning as L
from lightning.pytorch.callbacks import ProgressBar
from omegaconf import DictConfig, OmegaConf

from facehall.config.build import build
from facehall.errors import FacehallError
from facehall.losses import Objective, TermWeights
from facehall.models.generators import Generator
from facehall.models.pretrained import weights_file
from facehall.models.weights import load_into
from facehall.training import Curriculum, SuperResolution
from facehall.training.performance import (
    MEMORY_FORMATS,
    Choice,
    choose_fused,
    choose_memory_format,
    choose_precision,
    choose_threads,
    device_type,
)
from facehall.training.run import Training


def assemble(cfg: DictConfig) -> Training:
    """Build what a training config describes.

    Raises:
        FacehallError: a part refuses its settings; the paragraph names the key.
    """
    L.seed_everything(cfg.seed, workers=True, verbose=False)
    datamodule = build(cfg.patches, "patches", source=build(cfg.data, "data"))
    _ = datamodule.survey  # before anything else is built: pictures are what most often turns out to be wrong
    curriculum: Curriculum = build(cfg.curriculum, "curriculum")
    _check_accumulation(cfg.training.accumulate, cfg.patches.steps_per_epoch)
    choices = _choose_performance(cfg)
    with _mistakes():
        module = SuperResolution(
            generator=_generator(cfg),
            objective=_objective(cfg.loss),
            curriculum=curriculum,
            protocol=build(cfg.metrics, "metrics"),
            discriminator=build(cfg.discriminator, "discriminator"),
            perceptual=build(cfg.perceptual, "perceptual"),
            generator_optimizer=build(cfg.optimizer.generator, "optimizer.generator"),
            discriminator_optimizer=build(cfg.optimizer.discriminator, "optimizer.discriminator"),
            generator_scheduler=build(cfg.scheduler.generator, "scheduler.generator"),
            discriminator_scheduler=build(cfg.scheduler.discriminator, "scheduler.discriminator"),
            memory_format=MEMORY_FORMATS[cfg.runtime.memory_format],
            **OmegaConf.to_container(cfg.training, resolve=True),  # type: ignore[arg-type]
        )
    return Training(
        name=cfg.name,
        run_dir=Path(cfg.run_dir),
        module=module,
        datamodule=datamodule,
        trainer=_trainer(cfg, curriculum),
        performance=choices,
        init=None if cfg.init is None else str(cfg.init),
    )


def _generator(cfg: DictConfig) -> Generator:
    """The generator, filled from the weights file that `init` names."""
    generator: Generator = build(cfg.generator, "generator")
    if cfg.init is not None:
        load_into(generator, weights_file(str(cfg.init)))
    return generator


def _choose_performance(cfg: DictConfig) -> tuple[Choice, ...]:
    """Choose what the config leaves open, and write it there: what is built from it refers to it."""
    device = device_type(cfg.trainer.accelerator)
    choices = (
        choose_threads(cfg.runtime.threads),
        choose_precision(cfg.trainer.precision, device),
        choose_memory_format(cfg.runtime.memory_format, device),
        choose_fused(cfg.runtime.fused, device),
    )
    for choice in choices:
        OmegaConf.update(cfg, choice.name, choice.value)
    return choices


@contextmanager
def _mistakes() -> Iterator[None]:
    """What a constructor refuses, it refuses because of the config."""
    try:
        yield
    except ValueError as error:
        raise FacehallError(f"{error}.") from None


def _check_accumulation(accumulate: int, steps_per_epoch: int) -> None:
    if accumulate > 1 and steps_per_epoch % accumulate:
        raise FacehallError(
            f"training.accumulate={accumulate} does not divide patches.steps_per_epoch={steps_per_epoch}: the last "
            "batches of each epoch would never reach an optimizer step."
        )


def _objective(cfg: DictConfig) -> Objective:
    return Objective(
        pixel=build(cfg.pixel, "loss.pixel"),
        adversarial=build(cfg.adversarial, "loss.adversarial"),
        psnr=TermWeights(**cfg.psnr),
        gan=TermWeights(**cfg.gan),
    )


def _trainer(cfg: DictConfig, curriculum: Curriculum) -> L.Trainer:
    epochs = cfg.trainer.max_epochs
    if epochs is None:  # the curriculum says how long
        epochs = math.ceil(curriculum.total_steps * cfg.training.accumulate / cfg.patches.steps_per_epoch)
    callbacks = [build(node, f"callbacks.{name}") for name, node in cfg.callbacks.items()]
    if not cfg.trainer.enable_progress_bar:
        callbacks = [callback for callback in callbacks if not isinstance(callback, ProgressBar)]
    return build(
        cfg.trainer,
        "trainer",
        max_epochs=epochs,
        callbacks=[callback for callback in callbacks if callback is not None],
        logger=build(cfg.logger, "logger") or False,
        default_root_dir=str(Path(cfg.run_dir)),
    )
