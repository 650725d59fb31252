"""Checkpoint files: atomic writes with a backup of the previous file, and checks before resuming."""

from __future__ import annotations

import io
import logging
import os
import pickle
import shutil
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO
from torch import Tensor, nn

from facehall.errors import FacehallError
from facehall.io.atomic import replacing
from facehall.models.weights import differing_tensors
from facehall.training.runs import PREVIOUS

_log = logging.getLogger(__name__)

CHECKPOINT_FORMAT = 2
"""Raise it when older checkpoints cannot be resumed exactly any more."""

_UNREADABLE = (RuntimeError, OSError, EOFError, KeyError, TypeError, AttributeError, pickle.UnpicklingError)


class AtomicCheckpointIO(TorchCheckpointIO):
    """Lightning's checkpoint IO with atomic, durable writes."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        write_checkpoint(Path(path), checkpoint)


def write_checkpoint(path: Path, checkpoint: Mapping[str, Any]) -> None:
    """Write a checkpoint atomically; the file it replaces is kept as previous.ckpt.

    Raises:
        OSError: the disk is full, or the like; the existing file is untouched.
    """
    # Serialise in memory first: on a full disk torch.save raises errors of its own, which hide the cause.
    buffer = io.BytesIO()
    torch.save(checkpoint, buffer)
    with replacing(path, durable=True) as partial:
        partial.write_bytes(buffer.getbuffer())
        if path.exists():
            _link(path, path.with_name(PREVIOUS))


def _link(path: Path, other: Path) -> None:
    """Hard-link a file under a second name, replacing what is there."""
    with replacing(other) as second:
        try:
            os.link(path, second)
        except OSError:  # a file system without hard links
            shutil.copyfile(path, second)


def intact_checkpoint(path: Path, fall_back: bool) -> Path:
    """Return the checkpoint to resume: `path`, or if it is damaged, the previous one, with a warning.

    Args:
        path: a .ckpt file.
        fall_back: whether the previous checkpoint may be used. The damaged file is then renamed to damaged.ckpt.

    Raises:
        FacehallError: no intact checkpoint.
    """
    damage = _damage(path)
    if damage is None:
        return path
    previous = path.with_name(PREVIOUS)
    if not fall_back or path == previous or not previous.is_file() or _damage(previous) is not None:
        raise FacehallError(
            f"{path}: this is not a readable training checkpoint ({damage}). Resume from another run, or start over "
            "without resume."
        )
    with suppress(FileNotFoundError):  # another process of this job has already renamed it
        path.replace(path.with_name("damaged.ckpt"))
    _log.warning("%s is damaged (%s): resuming from the previous checkpoint, %s.", path, damage, previous)
    return previous


def _damage(path: Path) -> str | None:
    """Return what is wrong with a file, or None; includes the checksums, which torch does not verify."""
    try:
        with zipfile.ZipFile(path) as file:
            broken = file.testzip()
        if broken is None:
            torch.load(path, map_location="cpu", weights_only=True, mmap=True)["state_dict"]
    except (*_UNREADABLE, zipfile.BadZipFile) as error:
        return str(error).splitlines()[0] if str(error) else type(error).__name__
    return None if broken is None else f"checksum mismatch in {broken}"


def check_checkpoint(path: Path, module: nn.Module) -> None:
    """Check that an intact checkpoint is of this version's format and matches the networks of `module`.

    Raises:
        FacehallError: another version wrote it, or it belongs to other networks.
    """
    checkpoint = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    if checkpoint.get("format") != CHECKPOINT_FORMAT:
        raise FacehallError(
            f"{path}: another version of facehall wrote this checkpoint (format {checkpoint.get('format', 1)}, not "
            f"{CHECKPOINT_FORMAT}). Finish that run with that version, or start from its weights: "
            "init=RUN/weights/generator_ema.safetensors."
        )
    state = _tensors(checkpoint["state_dict"])
    differing = differing_tensors(state, _tensors(module.state_dict()))
    if differing:
        raise FacehallError(
            f"{path}: this checkpoint belongs to another network: {len(differing)} tensors differ, first "
            f"{', '.join(differing[:3])}. Resume with the settings of its run, in config.yaml of the run folder."
        )


def _tensors(state: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return the tensors of a state dict, without the modules' extra state."""
    return {key: value for key, value in state.items() if isinstance(value, Tensor)}
