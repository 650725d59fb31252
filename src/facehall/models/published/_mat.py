"""MATLAB files of weights (format 5, which holds no code)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from scipy.io import loadmat
from scipy.io.matlab import MatReadError

from facehall.errors import FacehallError


def read_mat(path: Path, required: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the variables of a MATLAB file; structs have their fields as attributes.

    Raises:
        FacehallError: the file is not a MATLAB file, or a required variable is missing.
    """
    try:
        variables: dict[str, Any] = loadmat(path, squeeze_me=True, struct_as_record=False)
    except (MatReadError, NotImplementedError, OSError, TypeError, ValueError) as error:
        raise FacehallError(f"{path}: not a readable MATLAB file ({error}).") from None
    missing = [name for name in required if name not in variables]
    if missing:
        present = ", ".join(sorted(name for name in variables if not name.startswith("__"))) or "nothing"
        raise FacehallError(f"{path}: no variable {', '.join(missing)} (it holds {present}).")
    return variables
