"""The authors' LapSRN weights: LapSRN_x2.mat, LapSRN_x4.mat, LapSRN_x8.mat (MatConvNet)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from facehall.errors import FacehallError
from facehall.models.generators import LapSRN
from facehall.models.published._mat import read_mat


def read(path: Path) -> LapSRN:
    """Build the network of the authors' file, which names its levels from the finest (1) to the coarsest.

    Raises:
        FacehallError: the file holds something else.
    """
    net = read_mat(path, required=("net",))["net"]
    try:
        values = {str(each.name): np.asarray(each.value, dtype=np.float32) for each in net.params}
        levels = sum(name.endswith("_img_up_f") for name in values)
        depth = sum(name.startswith("level1_conv") for name in values) // 2
        network = LapSRN(2**levels, depth, len(values["input_conv_b"]))
        state = _state(values, levels, depth)
        network.load_state_dict(state)
        if len(state) != len(values):
            raise ValueError(f"{len(values)} parameters instead of {len(state)}")
    except (AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise FacehallError(f"{path}: not the weights of a LapSRN ({reason}).") from None
    return network


def _state(values: dict[str, Any], levels: int, depth: int) -> dict[str, Tensor]:
    """Rename and transpose; MATLAB files drop dimensions of size 1."""
    features = len(values["input_conv_b"])

    def weight(name: str, inputs: int, outputs: int, transposed: bool = False) -> Tensor:
        shape = (outputs, inputs) if transposed else (inputs, outputs)  # of the last two, after rows and columns
        side = round((values[name].size / (inputs * outputs)) ** 0.5)
        kernel = torch.from_numpy(values[name].reshape(side, side, *shape))
        return kernel.permute(3, 2, 0, 1).contiguous()

    def bias(name: str) -> Tensor:
        return torch.from_numpy(values[name].reshape(-1))

    state = {"first.0.weight": weight("input_conv_f", 1, features), "first.0.bias": bias("input_conv_b")}
    for i in range(levels):
        theirs, ours = f"level{levels - i}_", f"levels.{i}."
        for j in range(depth):
            state[f"{ours}features.{2 * j}.weight"] = weight(f"{theirs}conv{j + 1}_f", features, features)
            state[f"{ours}features.{2 * j}.bias"] = bias(f"{theirs}conv{j + 1}_b")
        state[f"{ours}features.{2 * depth}.weight"] = weight(f"{theirs}upconv_f", features, features, True)
        state[f"{ours}features.{2 * depth}.bias"] = bias(f"{theirs}upconv_b")
        state[f"{ours}residual.weight"] = weight(f"{theirs}residual_conv_f", features, 1)
        state[f"{ours}residual.bias"] = bias(f"{theirs}residual_conv_b")
        state[f"{ours}image.weight"] = weight(f"{theirs}img_up_f", 1, 1, True)
    return state
