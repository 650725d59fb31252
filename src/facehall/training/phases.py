"""Phase changes, and checks that every phase of a curriculum can be trained."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import accumulate
from typing import Any

from torch import nn
from torch.optim import Optimizer

from facehall.errors import FacehallError
from facehall.losses import WeightedTerms
from facehall.models.generators import Generator
from facehall.training.curriculum import NETWORKS, Curriculum, Phase

BATCH_KEYS = ("lr", "hr", "name")
"""Entries of every batch."""


def set_phase_options(optimizers: Sequence[Optimizer], curriculum: Curriculum, phase: Phase) -> None:
    """Apply a phase's optimizer settings (`Phase.optimizer`), and reset those that only other phases change.

    Args:
        optimizers: the generator's and, if there is one, the discriminator's.
    """
    for network, optimizer in zip(NETWORKS, optimizers, strict=False):
        own = _settings(phase, network)
        changed = {name for each in curriculum.phases for name in _settings(each, network)}
        for name in changed:
            value = own.get(name, optimizer.defaults.get(name))
            for group in optimizer.param_groups:
                group[name] = tuple(value) if isinstance(value, list) else value


def check_phase_options(optimizers: Sequence[Optimizer], curriculum: Curriculum) -> None:
    """Check that the optimizers have the settings that phases change (`Phase.optimizer`).

    Args:
        optimizers: the generator's and, if there is one, the discriminator's.

    Raises:
        FacehallError: an unknown setting.
    """
    for network, optimizer in zip(NETWORKS, optimizers, strict=False):
        known = [name for name in optimizer.defaults if name != "lr"]
        for phase in curriculum.phases:
            if unknown := set(_settings(phase, network)) - set(known):
                raise FacehallError(
                    f"curriculum.{phase.name}.optimizer.{network}: {type(optimizer).__name__} has no setting "
                    f"{min(unknown)}; it has {', '.join(known)}."
                )


def _settings(phase: Phase, network: str) -> Mapping[str, Any]:
    return (phase.optimizer or {}).get(network) or {}  # null in a config removes them


def check_phases(
    curriculum: Curriculum,
    losses: WeightedTerms,
    discriminator_losses: WeightedTerms,
    generator: Generator,
    discriminator: nn.Module | None,
    batch_keys: Collection[str] = (),
) -> None:
    """Check at assembly that each phase has everything it needs.

    Raises:
        ValueError: a missing term, network or scale; nothing to minimise; a term without a weight in any phase.
    """
    batch = {f"batch.{name}" for name in (*BATCH_KEYS, *batch_keys)}
    outputs = {f"outputs.{name}" for name in (*generator.provides, "sr")}
    logits = {"outputs.real_logits", "outputs.fake_logits"}
    trained = list(accumulate(("discriminator" in phase.trains for phase in curriculum.trained), max))
    for phase, discriminator_trained in zip(curriculum.trained, trained, strict=True):
        _check_networks(phase, generator, discriminator)
        usable_logits = logits if discriminator is not None and discriminator_trained else set()
        if "generator" in phase.trains:
            for weights in curriculum.extremes(phase):
                losses.check(weights, batch | outputs | usable_logits, phase.name)
        if "discriminator" in phase.trains:
            discriminator_weights = phase.discriminator_weights or dict.fromkeys(discriminator_losses.names, 1.0)
            available = batch | logits | {"outputs.sr", "outputs.discriminator"}
            discriminator_losses.check(discriminator_weights, available, phase.name, "discriminator_weights")
    for name in losses.names:
        if not any(phase.weights.get(name) for phase in curriculum.phases):
            raise ValueError(
                f"losses.{name} has no weight in any phase: set curriculum.PHASE.weights.{name} (with a leading + if "
                "the phase does not list it yet), or remove the term"
            )


def _check_networks(phase: Phase, generator: Generator, discriminator: nn.Module | None) -> None:
    key = f"curriculum.{phase.name}"
    if "discriminator" in phase.trains and discriminator is None:
        raise ValueError(
            f"{key}.trains names the discriminator, but there is none: choose one (discriminator=…), or a curriculum "
            "without one (curriculum=psnr, curriculum=psnr_then_perceptual)"
        )
    if phase.fade and not generator.fades_in:
        raise ValueError(
            f"{key}.fade={phase.fade}, but {type(generator).__name__} has no scales that fade in: set it to 0, or "
            "choose a progressive network (generator=prosr)"
        )
    if phase.part is not None and phase.part not in generator.parts:
        known = f"has the parts {', '.join(generator.parts)}" if generator.parts else "is trained as a whole"
        raise ValueError(f"{key}.part={phase.part}, but {type(generator).__name__} {known}")
    if phase.scale is None:
        return
    if phase.scale not in generator.scales:
        raise ValueError(
            f"{key}.scale={phase.scale}, but {type(generator).__name__} predicts "
            f"{', '.join(f'x{scale}' for scale in generator.scales)}"
        )
    fixed = getattr(discriminator, "patch_size", None)
    if fixed is not None and "discriminator" in phase.trains and phase.scale != generator.scale:
        raise ValueError(
            f"{key}.scale={phase.scale}: {type(discriminator).__name__} was built for patches of {fixed} pixels, those "
            f"of x{generator.scale}; choose one for any patch size, such as discriminator=unet"
        )
