"""Assembly of a training from its config."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import ProgressBar
from omegaconf import DictConfig, OmegaConf
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from facehall.config.build import build
from facehall.config.plugins import import_plugins
from facehall.errors import FacehallError
from facehall.losses import LossTerm
from facehall.models.generators import Generator
from facehall.models.pretrained import weights_file
from facehall.models.weights import load_into
from facehall.training import Curriculum, SuperResolution
from facehall.training.performance import (
    MEMORY_FORMATS,
    Choice,
    choose_data_threads,
    choose_fused,
    choose_keep_memory,
    choose_memory_format,
    choose_precision,
    choose_threads,
    device_type,
)
from facehall.training.run import Training


def assemble(cfg: DictConfig) -> Training:
    """Build the training that a config describes.

    Raises:
        FacehallError: a part rejects its settings; the message names the key.
    """
    import_plugins(cfg.plugins)
    L.seed_everything(cfg.seed, workers=True, verbose=False)
    datamodule = build(cfg.patches, "patches", source=build(cfg.data, "data"))
    _ = datamodule.survey  # check the pictures first: they are the most common source of errors
    _check_accumulation(cfg.training.accumulate, cfg.patches.steps_per_epoch)
    choices = _choose_performance(cfg)
    settings: dict[str, Any] = OmegaConf.to_container(cfg.training, resolve=True)  # type: ignore[assignment]
    with _config_errors():
        curriculum: Curriculum = build(cfg.curriculum, "curriculum").limited(settings.pop("steps_per_phase"))
        curriculum = curriculum.without([name for name, node in cfg.losses.items() if not node])
        # The networks first, so that their initial weights depend only on the seed and on their own settings.
        networks = {
            "generator": _generator(cfg),
            "protocol": build(cfg.metrics, "metrics"),
            "discriminator": build(cfg.discriminator, "discriminator"),
        }
        module = SuperResolution(
            **networks,
            curriculum=curriculum,
            losses=_terms(cfg, "losses"),
            discriminator_losses=_terms(cfg, "discriminator_losses") if networks["discriminator"] else {},
            generator_optimizer=build(cfg.optimizer.generator, "optimizer.generator"),
            discriminator_optimizer=build(cfg.optimizer.discriminator, "optimizer.discriminator"),
            generator_scheduler=_scheduler(cfg, "generator", curriculum),
            discriminator_scheduler=_scheduler(cfg, "discriminator", curriculum),
            memory_format=MEMORY_FORMATS[cfg.runtime.memory_format],
            batch_keys=getattr(datamodule, "batch_keys", ()),
            data_threads=cfg.runtime.data_threads,
            **settings,
        )
    trainer = _trainer(cfg, curriculum)
    if cfg.runtime.data_threads > 1 and trainer.world_size > 1:
        raise FacehallError(
            f"runtime.data_threads={cfg.runtime.data_threads} is for one process, and this training has "
            f"{trainer.world_size}: set runtime.data_threads=1, or trainer.devices=1."
        )
    return Training(
        name=cfg.name,
        run_dir=Path(cfg.run_dir),
        module=module,
        datamodule=datamodule,
        trainer=trainer,
        performance=choices,
        init=None if cfg.init is None else str(cfg.init),
    )


def _generator(cfg: DictConfig) -> Generator:
    """Build the generator and load the weights that `init` names."""
    generator: Generator = build(cfg.generator, "generator")
    if cfg.init is not None:
        load_into(generator, weights_file(str(cfg.init)))
    return generator


def _terms(cfg: DictConfig, key: str) -> dict[str, LossTerm]:
    """Build the loss terms of one network, in order; null terms are skipped."""
    terms = {}
    for name, node in (cfg.get(key) or {}).items():
        term = build(node, f"{key}.{name}")
        if term is None:
            continue
        if not isinstance(term, LossTerm):
            raise FacehallError(
                f"{key}.{name}: {type(term).__name__} is not a loss term. Derive it from facehall.losses.LossTerm, "
                "with forward(outputs, batch) -> scalar."
            )
        terms[str(name)] = term
    return terms


def _scheduler(cfg: DictConfig, network: str, curriculum: Curriculum) -> Callable[[Optimizer], LRScheduler] | None:
    """Build a network's scheduler factory; an argument `phases` gets those in which the network takes steps."""
    factory = build(cfg.scheduler[network], f"scheduler.{network}")
    phases = curriculum.schedule(network)
    if factory is not None and "phases" in inspect.signature(factory).parameters:
        return functools.partial(factory, phases=phases)
    for phase in phases:
        if phase.settings:
            raise FacehallError(
                f"curriculum.{phase.name}.scheduler.{network} needs a schedule by phases (scheduler=phased_cosine); "
                f"the chosen one would ignore it: set curriculum.{phase.name}.scheduler=null."
            )
    return factory


def _choose_performance(cfg: DictConfig) -> tuple[Choice, ...]:
    """Choose the performance settings left on auto and write them to the config, where others refer to them."""
    device = device_type(cfg.trainer.accelerator)
    _check_data_threads(cfg)
    choices = (
        choose_threads(cfg.runtime.threads),
        choose_data_threads(cfg.runtime.data_threads, device),
        choose_precision(cfg.trainer.precision, device),
        choose_memory_format(cfg.runtime.memory_format, device),
        choose_fused(cfg.runtime.fused, device),
        choose_keep_memory(cfg.runtime.keep_memory, device),
    )
    for choice in choices:
        OmegaConf.update(cfg, choice.name, choice.value)
    return choices


def _check_data_threads(cfg: DictConfig) -> None:
    """Check that batches can be sliced, and switch torch.compile off, whose functions belong to one set of networks."""
    count, size = cfg.runtime.data_threads, cfg.patches.batch_size
    if count <= 1:
        return
    if size % count:
        raise FacehallError(
            f"runtime.data_threads={count} does not divide patches.batch_size={size}: choose a multiple of {count}."
        )
    if cfg.runtime.compile is True:
        raise FacehallError(f"runtime.data_threads={count} excludes runtime.compile=true: choose one of them.")
    cfg.runtime.compile = False


@contextmanager
def _config_errors() -> Iterator[None]:
    """Report a constructor's ValueError as a mistake in the config."""
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


def _trainer(cfg: DictConfig, curriculum: Curriculum) -> L.Trainer:
    epochs = cfg.trainer.max_epochs
    if epochs is None:  # the length of the curriculum
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
