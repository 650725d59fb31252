"""Reader of the files that the authors of ANR and A+ published.

`conf_Zeyde_…xS.mat` holds features and dictionary, all that ANR needs; `Aplus_xS_….mat` the regressors of A+, for the
features and anchors of the former.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from facehall.classical.anchored import ANR, AnchoredRegression, atom_regressors
from facehall.classical.patches import FILTERS, WINDOW, projection_kernels, target_size
from facehall.errors import FacehallError

_DICTIONARY, _REGRESSORS = "conf", "Aplus_PPs"
_FIELDS = ("V_pca", "dict_lores", "dict_hires")


def read_anr(path: Path) -> AnchoredRegression:
    """Read a dictionary, and derive the regressors of ANR with the authors' settings.

    Raises:
        FacehallError: the file is not such a file.
    """
    kernels, anchors, targets = _read_dictionary(path)
    settings = ANR()
    regressors = atom_regressors(anchors, targets, settings.neighbours, settings.ridge)
    return AnchoredRegression.of(kernels, anchors, regressors)


def read_a_plus(path: Path, dictionary: Path | None = None) -> AnchoredRegression:
    """Read the regressors of A+.

    Args:
        path: the file of regressors.
        dictionary: the file of their dictionary; None: the one in the same folder that fits them.

    Raises:
        FacehallError: a file is not such a file, or no dictionary fits.
    """
    from facehall.models.published._mat import read_mat  # imports SciPy, which takes time

    cells = read_mat(path, (_REGRESSORS,))[_REGRESSORS]
    try:
        regressors = torch.from_numpy(np.stack([np.asarray(cell, np.float32) for cell in cells]))
        count, size, features = regressors.shape
    except (TypeError, ValueError) as error:
        raise FacehallError(f"{path}: {_REGRESSORS} is not a list of equally large matrices ({error}).") from None
    candidates = sorted(path.parent.glob("*.mat")) if dictionary is None else [dictionary]
    for candidate in candidates:
        if dictionary is None and (candidate == path or _DICTIONARY not in read_mat(candidate)):
            continue
        kernels, anchors, targets = _read_dictionary(candidate)
        if (*anchors.shape, targets.shape[1]) == (count, features, size):
            return AnchoredRegression.of(kernels, anchors, regressors[:, _row_major(size)])
    where = path.parent if dictionary is None else dictionary
    raise FacehallError(
        f"{path}: no dictionary fits its {count} regressors of {size}x{features} in {where}. Put the file "
        "conf_Zeyde_….mat of the same scale, published by the same authors, into the same folder."
    )


def _read_dictionary(path: Path) -> tuple[Tensor, Tensor, Tensor]:
    """Return the kernels of the features, anchors (K, d) and target atoms (K, p)."""
    from facehall.models.published._mat import read_mat

    conf = read_mat(path, (_DICTIONARY,))[_DICTIONARY]
    basis, anchors, targets = (_matrix(path, conf, name) for name in _FIELDS)
    side = round(len(targets) ** 0.5)
    scale = side // WINDOW
    features = basis.shape[1]
    size, count = target_size(scale), anchors.shape[1]
    shapes = [tuple(each.shape) for each in (basis, anchors, targets)]
    if scale < 2 or shapes != [(FILTERS * size, features), (features, count), (size, count)]:
        found = ", ".join(f"{name} {shape}" for name, shape in zip(_FIELDS, shapes, strict=True))
        raise FacehallError(f"{path}: not a dictionary of patches of 3x3 pixels: {found} do not fit together.")
    # MATLAB stores windows column by column.
    basis = basis.reshape(FILTERS, side, side, features).transpose(1, 2)
    targets = targets[_row_major(len(targets))]
    return projection_kernels(basis, scale).float(), anchors.T.float(), targets.T.float()


def _row_major(size: int) -> Tensor:
    """Return the places, row by row, of the pixels of a square window that is stored column by column."""
    side = round(size**0.5)
    return torch.arange(size).reshape(side, side).T.flatten()


def _matrix(path: Path, conf: Any, name: str) -> Tensor:
    value = getattr(conf, name, None)
    if not isinstance(value, np.ndarray) or value.ndim != 2 or value.dtype.kind != "f":
        raise FacehallError(f"{path}: {_DICTIONARY} has no matrix {name}, so this is not a dictionary of ANR or A+.")
    return torch.from_numpy(np.ascontiguousarray(value, np.float64))
