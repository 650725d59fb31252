"""Read a pickle that holds nothing but numpy arrays in plain containers."""

from __future__ import annotations

import pickle
from typing import IO, Any

import numpy as np

# The one function that ndarray pickles call, whatever module the installed numpy keeps it in.
_reconstruct = np.empty(0).__reduce__()[0]

_ADMITTED: dict[tuple[str, str], Any] = {
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,  # written by numpy 1.x
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,  # written by numpy 2.x
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
}


class _ArrayUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ADMITTED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"{module}.{name} is not part of a numpy array") from None


def load_pickled_arrays(file: IO[bytes]) -> Any:
    """Unpickle containers of numpy arrays, without running anything else that the pickle asks for.

    Raises:
        pickle.UnpicklingError: if the pickle names any other class or function, or is damaged.

    """
    try:
        return _ArrayUnpickler(file).load()
    except pickle.UnpicklingError:
        raise
    except Exception as error:  # a damaged pickle raises almost anything: EOFError, KeyError, ValueError, ...
        raise pickle.UnpicklingError(f"damaged pickle ({type(error).__name__}: {error})") from error
