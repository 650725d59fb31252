"""SRCNN's published weights: MATLAB files of one scale each, such as ``9-5-5(ImageNet)/x3.mat``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import torch

from facehall.errors import FacehallError
from facehall.models.generators import SRCNN
from facehall.models.published._mat import read_mat

_NAMES = [f"{kind}_conv{i}" for i in (1, 2, 3) for kind in ("weights", "biases")]


def read(path: Path) -> SRCNN:
    """Read 9-1-5, 9-3-5 or 9-5-5 weights; the scale is in the file's name, which must end in x2, x3 or x4.

    Taps are stored column by column: conv1 [tap, out], conv2 [in, tap, out], conv3 [in, tap].

    Raises:
        FacehallError: not such a file, or a name without a scale.
    """
    scale = re.search(r"x(\d)$", path.stem)
    if scale is None:
        raise FacehallError(
            f"{path}: the scale of SRCNN's weights is known only from their file's name. Rename it so that it ends in "
            "x2, x3 or x4, as published (x3.mat)."
        )
    variables = read_mat(path, tuple(_NAMES))
    weights, biases = ([np.asarray(variables[f"{kind}_conv{i}"]) for i in (1, 2, 3)] for kind in ("weights", "biases"))
    features, mapped = biases[0].size, biases[1].size
    try:
        kernel = round((weights[1].size / (features * mapped)) ** 0.5)
        generator = SRCNN(int(scale[1]), kernel, features, mapped)
        taps = [
            weights[0].reshape(1, 9, 9, features),
            weights[1].reshape(features, kernel, kernel, mapped),
            weights[2].reshape(mapped, 5, 5, 1),
        ]
        state = {}
        for index, weight, bias in zip((0, 2, 4), taps, biases, strict=True):
            state[f"layers.{index}.weight"] = _tensor(weight.transpose(3, 0, 2, 1))
            state[f"layers.{index}.bias"] = _tensor(bias.reshape(-1))
        generator.load_state_dict(state)
    except (RuntimeError, TypeError, ValueError, ZeroDivisionError) as error:
        raise FacehallError(f"{path}: not the weights of an SRCNN ({str(error).splitlines()[0]}).") from None
    return generator


def _tensor(values: Any) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, np.float32))
