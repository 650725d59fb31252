"""Checkpoints are looked at before a training builds on them."""

from __future__ import annotations

import pickle
from pathlib import Path

import torch
from torch import nn

from facehall.errors import FacehallError


def check_checkpoint(path: Path, module: nn.Module) -> None:
    """See that a checkpoint is whole and holds the networks of `module`.

    Raises:
        FacehallError: it is unreadable, or of other networks.
    """
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        state = checkpoint["state_dict"]
    except (RuntimeError, OSError, EOFError, KeyError, pickle.UnpicklingError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise FacehallError(
            f"{path}: this is not a readable training checkpoint ({reason}). Resume from another run, or start anew "
            "without resume."
        ) from None
    own = module.state_dict()
    tensors = {key for key in {*state, *own} if not key.endswith("_extra_state")}
    differing = sorted(
        key for key in tensors if key not in state or key not in own or state[key].shape != own[key].shape
    )
    if differing:
        raise FacehallError(
            f"{path}: this checkpoint is of another network: {len(differing)} tensors differ, first "
            f"{', '.join(differing[:3])}. Resume with the settings of that run: the config.yaml of its folder."
        )
