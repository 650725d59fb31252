"""The authors' SCN weights: weights_srnet_x2_52.mat and weights_srnet_x2_310.mat, one x2 stage each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from facehall.errors import FacehallError
from facehall.models.generators import CSCN
from facehall.models.generators.cscn import ATOMS, FEATURES, INPUT, OUTPUT
from facehall.models.published._mat import read_mat

STAGE_NUMBERS = ("52", "310")
"""Ends of the names of the authors' files, first stage first."""


def read(path: Path, scale: int | None = None) -> CSCN:
    """Build SCN (x2) from one of the authors' files, or the two stages of CSCN (x3, x4) from that and its neighbour.

    Args:
        path: a file; for x3 and x4 that of the first stage, with the second stage's in the same folder.
        scale: 2, 3 or 4; None: 2.

    Raises:
        FacehallError: a file holds something else, or the second is missing.
    """
    network = CSCN(scale or 2)
    files = [path]
    if len(network.stages) > 1:
        first, second = STAGE_NUMBERS
        files.append(path.with_name(path.name.replace(f"_{first}.", f"_{second}.")))
        if len(network.stages) > 2 or files[1] == path or not files[1].is_file():
            raise FacehallError(
                f"{path}: x{scale} needs two stages (published are x2, x3 and x4): give the file that ends in "
                f"_{first}.mat, with the one that ends in _{second}.mat in the same folder."
            )
    for stage, file in zip(network.stages, files, strict=True):
        stage.load_state_dict(_state(file))
    return network


def _state(path: Path) -> dict[str, Tensor]:
    """Read a file. Its other variables, mean2 and diffms, are the fixed filters of the local mean and the contrast."""
    model = read_mat(path, required=("model",))["model"]
    side, patch = INPUT, OUTPUT**2
    shapes = {
        "conv": ("extract.weight", (side**2, FEATURES), (FEATURES, 1, side, side)),
        "wd": ("code.weight", (FEATURES, ATOMS), (ATOMS, FEATURES, 1, 1)),
        "usd1": ("recur.weight", (ATOMS, ATOMS), (ATOMS, ATOMS, 1, 1)),
        "ud": ("decode.weight", (ATOMS, patch), (patch, ATOMS, 1, 1)),
        "addp": ("pixel_weights", (patch,), (patch,)),
    }
    state = {}
    for theirs, (ours, held, shape) in shapes.items():
        value = np.asarray(getattr(model, theirs, None))
        if value.shape != held:
            raise FacehallError(f"{path}: not the weights of an SCN (model.{theirs} is not {held}).")
        state[ours] = torch.from_numpy(value.astype(np.float32).T.reshape(shape))
    order = torch.arange(patch).view(OUTPUT, OUTPUT).T.flatten()  # their predicted patches are column by column
    return state | {name: state[name][order] for name in ("decode.weight", "pixel_weights")}
