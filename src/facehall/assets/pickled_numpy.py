"""Restricted unpickler: numpy arrays in plain containers only."""

from __future__ import annotations

import pickle
from typing import IO, Any

import numpy as np

# The function that ndarray pickles call; its module depends on the installed numpy version.
_reconstruct = np.empty(0).__reduce__()[0]

_ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,  # written by numpy 1.x
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,  # written by numpy 2.x
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
}


class _ArrayUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"{module}.{name} is not part of a numpy array") from None


def load_pickled_arrays(file: IO[bytes]) -> Any:
    """Unpickle containers of numpy arrays without executing any other code.

    Raises:
        pickle.UnpicklingError: if the pickle references any other class or function, or is damaged.

    """
    try:
        return _ArrayUnpickler(file).load()
    except pickle.UnpicklingError:
        raise
    except Exception as error:  # a damaged pickle raises almost any exception: EOFError, KeyError, ValueError, ...
        raise pickle.UnpicklingError(f"damaged pickle ({type(error).__name__}: {error})") from error
