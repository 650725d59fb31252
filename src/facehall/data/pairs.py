"""LR and HR arrays of pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from facehall.data.degradation import Degradation
from facehall.data.mining import Mining
from facehall.data.sources import ImageFile
from facehall.data.store import Store
from facehall.errors import FacehallError
from facehall.imaging import read_rgb, to_tensor, to_uint8

Pair = tuple[np.ndarray, np.ndarray]

MADE_BY = "1"
"""Counts up when the same file gives other arrays than before: what older versions stored is not asked for any more."""


def load_pair(file: ImageFile, scale: int, degradation: Degradation) -> Pair:
    """Read a picture: (lr (h, w, 3), hr (scale h, scale w, 3)), both uint8.

    HR is cropped to a multiple of the scale; LR is read where the file has one and made by the degradation elsewhere.

    Raises:
        FacehallError: a file is unreadable or too small, a box lies outside, or LR and HR do not match.
    """
    hr = read_hr(file)
    lr = _lr(file, hr, scale, degradation)
    return lr, _covered(hr, lr, scale)


def read_hr(file: ImageFile) -> np.ndarray:
    """The HR picture, (H, W, 3) uint8, cut to the file's box."""
    hr = read_rgb(file.hr)
    if file.box is None:
        return hr
    left, top, right, bottom = file.box
    if not (0 <= left < right <= hr.shape[1] and 0 <= top < bottom <= hr.shape[0]):
        raise FacehallError(f"{file.hr}: the box {file.box} lies outside its {hr.shape[1]}x{hr.shape[0]} pixels.")
    return np.ascontiguousarray(hr[top:bottom, left:right])


def _lr(file: ImageFile, hr: np.ndarray, scale: int, degradation: Degradation) -> np.ndarray:
    height, width = hr.shape[0] // scale, hr.shape[1] // scale
    if not height or not width:
        raise FacehallError(f"{file.hr}: {hr.shape[1]}x{hr.shape[0]} pixels are too few for x{scale}.")
    if file.lr is None:
        return to_uint8(degradation(to_tensor(np.ascontiguousarray(hr[: height * scale, : width * scale])), scale))
    lr = read_rgb(file.lr)
    if lr.shape[:2] not in ((height, width), (-(-hr.shape[0] // scale), -(-hr.shape[1] // scale))):
        raise FacehallError(
            f"{file.lr} has {lr.shape[1]}x{lr.shape[0]} pixels, but x{scale} of {file.hr} with its "
            f"{hr.shape[1]}x{hr.shape[0]} needs {width}x{height}. Are the pair and scale={scale} right?"
        )
    return lr[:height, :width].copy()


def _covered(hr: np.ndarray, lr: np.ndarray, scale: int) -> np.ndarray:
    return hr[: lr.shape[0] * scale, : lr.shape[1] * scale]


class Pairs:
    """LR, HR and patch indices of pictures, each made once and then taken out of a store.

    Args:
        scale, degradation: as `load_pair`.
        store: remembers.
    """

    def __init__(self, scale: int, degradation: Degradation, store: Store) -> None:
        self.scale = scale
        self.degradation = degradation
        self.store = store
        self._identities: dict[ImageFile, tuple[str, str]] = {}

    def __call__(self, file: ImageFile) -> Pair:
        """As `load_pair`; the arrays are read-only, and views of what the store holds."""
        hr_key, lr_key = self._keys(file)
        hr = self.store.get(hr_key, lambda: read_hr(file))
        lr = self.store.get(lr_key, lambda: _lr(file, hr, self.scale, self.degradation))
        return lr, _covered(hr, lr, self.scale)

    def index(self, file: ImageFile, mining: Mining, size: int) -> np.ndarray:
        """What `mining` draws the patches of this picture from; `size` in LR pixels."""
        key = f"{self._keys(file)[1]} index {mining.measure} {size}"
        return self.store.get(key, lambda: mining.index(self(file)[0], size))

    def _keys(self, file: ImageFile) -> tuple[str, str]:
        """Texts that change when the HR and LR arrays of a file would."""
        if file not in self._identities:
            hr = f"{MADE_BY} {identity(file.hr)} {file.box}"
            made_of = self.degradation.name if file.lr is None else identity(file.lr)
            self._identities[file] = hr, f"{hr} x{self.scale} {made_of}"
        return self._identities[file]


def identity(path: Path) -> str:
    """Which file this is, in which state.

    Raises:
        FacehallError: it is not there.
    """
    try:
        stat = path.stat()
    except OSError as error:
        raise FacehallError(f"The image {path} cannot be read: {error.strerror}. Check the path.") from None
    return f"{path.resolve()} {stat.st_size} {stat.st_mtime_ns}"
