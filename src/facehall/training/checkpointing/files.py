"""Checkpoint files: written whole, with the one before them kept, and looked at before a training builds on them."""

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

_UNREADABLE = (RuntimeError, OSError, EOFError, KeyError, TypeError, AttributeError, pickle.UnpicklingError)


class AtomicCheckpointIO(TorchCheckpointIO):
    """Lightning's way to files, for checkpoints that are on the disk before they take the place of the last one."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        write_checkpoint(Path(path), checkpoint)


def write_checkpoint(path: Path, checkpoint: Mapping[str, Any]) -> None:
    """Write a checkpoint atomically; the file it replaces stays beside it as previous.ckpt.

    Raises:
        OSError: there is no room, or the like; the file that was there is untouched.
    """
    # By way of memory: torch.save answers a full disk with errors of its own, which do not say what it is.
    buffer = io.BytesIO()
    torch.save(checkpoint, buffer)
    with replacing(path, durable=True) as partial:
        partial.write_bytes(buffer.getbuffer())
        if path.exists():
            _link(path, path.with_name(PREVIOUS))


def _link(path: Path, other: Path) -> None:
    """Give a file a second name, in place of what had it."""
    with replacing(other) as second:
        try:
            os.link(path, second)
        except OSError:  # a file system without links
            shutil.copyfile(path, second)


def sound_checkpoint(path: Path, fall_back: bool) -> Path:
    """A checkpoint as it is to be resumed: `path`, or where that is damaged, the one before it, which is said.

    Args:
        path: a .ckpt file.
        fall_back: whether the one before it will do. The damaged file is then set aside as damaged.ckpt.

    Raises:
        FacehallError: neither is whole.
    """
    damage = _damage(path)
    if damage is None:
        return path
    previous = path.with_name(PREVIOUS)
    if not fall_back or path == previous or not previous.is_file() or _damage(previous) is not None:
        raise FacehallError(
            f"{path}: this is not a readable training checkpoint ({damage}). Resume from another run, or start anew "
            "without resume."
        )
    with suppress(FileNotFoundError):  # another process of this job was first
        path.replace(path.with_name("damaged.ckpt"))
    _log.warning("%s is damaged (%s): going on from the checkpoint before it, %s.", path, damage, previous)
    return previous


def _damage(path: Path) -> str | None:
    """What is wrong with a file, None for nothing: checksums too, which torch does not look at."""
    try:
        with zipfile.ZipFile(path) as file:
            broken = file.testzip()
        if broken is None:
            torch.load(path, map_location="cpu", weights_only=True, mmap=True)["state_dict"]
    except (*_UNREADABLE, zipfile.BadZipFile) as error:
        return str(error).splitlines()[0] if str(error) else type(error).__name__
    return None if broken is None else f"the checksum of {broken} does not fit"


def check_checkpoint(path: Path, module: nn.Module) -> None:
    """See that a sound checkpoint holds the networks of `module`.

    Raises:
        FacehallError: it is of other networks.
    """
    state = _tensors(torch.load(path, map_location="cpu", weights_only=True, mmap=True)["state_dict"])
    differing = differing_tensors(state, _tensors(module.state_dict()))
    if differing:
        raise FacehallError(
            f"{path}: this checkpoint is of another network: {len(differing)} tensors differ, first "
            f"{', '.join(differing[:3])}. Resume with the settings of that run: the config.yaml of its folder."
        )


def _tensors(state: Mapping[str, Any]) -> dict[str, Tensor]:
    """A state dict without what modules keep beside their tensors."""
    return {key: value for key, value in state.items() if isinstance(value, Tensor)}
