"""Checkpoints are looked at before a training builds on them."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from facehall.errors import FacehallError
from facehall.models.weights import differing_tensors


def check_checkpoint(path: Path, module: nn.Module) -> None:
    """See that a checkpoint is whole and holds the networks of `module`.

    Raises:
        FacehallError: it is unreadable, or of other networks.
    """
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        state = _tensors(checkpoint["state_dict"])
    except (RuntimeError, OSError, EOFError, KeyError, TypeError, AttributeError, pickle.UnpicklingError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise FacehallError(
            f"{path}: this is not a readable training checkpoint ({reason}). Resume from another run, or start anew "
            "without resume."
        ) from None
    differing = differing_tensors(state, _tensors(module.state_dict()))
    if differing:
        raise FacehallError(
            f"{path}: this checkpoint is of another network: {len(differing)} tensors differ, first "
            f"{', '.join(differing[:3])}. Resume with the settings of that run: the config.yaml of its folder."
        )


def _tensors(state: Mapping[str, Any]) -> dict[str, Tensor]:
    """A state dict without what modules keep beside their tensors."""
    return {key: value for key, value in state.items() if isinstance(value, Tensor)}
