"""VDSR's published weights, converted to a MATLAB file: ``VDSR_Official.mat``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from facehall.errors import FacehallError
from facehall.models.generators import VDSR
from facehall.models.published._mat import read_mat


def read(path: Path, scale: int = 4) -> VDSR:
    """Read a file with one struct ``model``, whose cells ``weight`` (kh, kw, in, out) and ``bias`` hold the layers.

    Args:
        path: the file.
        scale: for which the network is used; it was trained on x2, x3 and x4 together.

    Raises:
        FacehallError: not such a file.
    """
    model = read_mat(path, ("model",))["model"]
    try:
        weights, biases = list(model.weight), list(model.bias)
        features = np.size(biases[0])
        generator = VDSR(scale, len(weights), features)
        state = {}
        for i, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
            layer = np.asarray(weight).reshape(3, 3, features if i else 1, np.size(bias)).transpose(3, 2, 0, 1)
            state[f"layers.{2 * i}.weight"] = torch.from_numpy(np.ascontiguousarray(layer, np.float32))
            state[f"layers.{2 * i}.bias"] = torch.from_numpy(np.array(bias, np.float32).reshape(-1))
        generator.load_state_dict(state)
    except (AttributeError, IndexError, RuntimeError, TypeError, ValueError) as error:
        raise FacehallError(f"{path}: not the weights of a VDSR ({str(error).splitlines()[0]}).") from None
    return generator
