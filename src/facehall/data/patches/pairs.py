"""LR and HR arrays of pictures."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from facehall.data.annotations import Annotations
from facehall.data.degradations import BicubicDegradation, Degradation, recipe_of
from facehall.data.patches.mining import Mining
from facehall.data.sources.base import ImageFile
from facehall.data.storage.store import Store
from facehall.errors import FacehallError
from facehall.imaging import read_rgb, read_size, resize_bicubic, to_tensor, to_uint8

Pair = tuple[np.ndarray, np.ndarray]

MADE_BY = "2"
"""Counts up when the same file gives other arrays than before: what older versions stored is not asked for any more."""


def load_pair(file: ImageFile, scale: int, degradation: Degradation, seed: int = 0) -> Pair:
    """Read a picture: (lr (h, w, 3), hr (scale h, scale w, 3)), both uint8.

    HR is cropped to a multiple of the scale; LR is read where the file has one and made by the degradation elsewhere,
    by one that is random with the recipe that `seed` and the file's name give.

    Raises:
        FacehallError: a file is unreadable or too small, a box lies outside, or LR and HR do not match.
    """
    hr = read_hr(file)
    lr = _lr(file, hr, scale, degradation, seed)
    return lr, _covered(hr, lr, scale)


def stands_alone(file: ImageFile) -> str | None:
    """A sentence that says so, where one of a pair is missing."""
    for there, missing in ((file.lr, file.hr), (file.hr, file.lr)):
        if there is not None and missing is not None and there.exists() and not missing.exists():
            return f"{there} stands alone: {missing} is missing. Add it, or remove the other."
    return None


def check_pairs(files: Iterable[ImageFile]) -> None:
    """Raises FacehallError with every file that stands alone."""
    alone = [sentence for file in files if (sentence := stands_alone(file))]
    if alone:
        listed = "\n".join(f"  {sentence}" for sentence in alone)
        raise FacehallError(f"HR and LR folders must hold files of identical names:\n{listed}")


def read_hr(file: ImageFile) -> np.ndarray:
    """The HR picture, (H, W, 3) uint8, cut to the file's box and reduced to its size."""
    hr = _cut(file, read_rgb(file.hr))
    size = _reduced(file, *hr.shape[:2])
    return hr if size == hr.shape[:2] else to_uint8(resize_bicubic(to_tensor(hr), size))


def read_annotations(file: ImageFile) -> Annotations | None:
    """What is known of the picture that `read_hr` gives, cut and reduced with it; None where nobody asked.

    Raises:
        FacehallError: it has no annotations, or they do not fit it.
    """
    if file.annotations is None:
        return None
    width, height = read_size(file.hr)
    found = file.annotations.read((height, width))
    if file.box is not None:
        _check_box(file, height, width)
        found = found.crop(file.box)
    return found.resize(_reduced(file, *found.size))


def _reduced(file: ImageFile, height: int, width: int) -> tuple[int, int]:
    """Height and width after the reduction to the file's size."""
    if file.size is None or file.size >= min(height, width):
        return height, width
    factor = file.size / min(height, width)
    return max(1, round(height * factor)), max(1, round(width * factor))


def _cut(file: ImageFile, hr: np.ndarray) -> np.ndarray:
    if file.box is None:
        return hr
    left, top, right, bottom = file.box
    _check_box(file, *hr.shape[:2])
    return np.ascontiguousarray(hr[top:bottom, left:right])


def _check_box(file: ImageFile, height: int, width: int) -> None:
    assert file.box is not None
    left, top, right, bottom = file.box
    if not (0 <= left < right <= width and 0 <= top < bottom <= height):
        raise FacehallError(
            f"{file.hr} has {width}x{height} pixels, but {right - left}x{bottom - top} are to be cut out of it from "
            f"({left}, {top}) on: take less, or remove the picture."
        )


def _lr(file: ImageFile, hr: np.ndarray, scale: int, degradation: Degradation, seed: int) -> np.ndarray:
    height, width = hr.shape[0] // scale, hr.shape[1] // scale
    if not height or not width:
        raise FacehallError(f"{file.hr}: {hr.shape[1]}x{hr.shape[0]} pixels are too few for x{scale}.")
    if file.lr is None:
        recipe = recipe_of(file.name, seed, degradation, scale) if degradation.random else None
        return to_uint8(degradation(to_tensor(hr[: height * scale, : width * scale]), scale, recipe))
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
        scale, degradation, seed: as `load_pair`.
        store: remembers.
    """

    def __init__(self, scale: int, degradation: Degradation, store: Store, seed: int = 0) -> None:
        self.scale = scale
        self.degradation = degradation
        self.store = store
        self.seed = seed
        self._identities: dict[ImageFile, tuple[str, str]] = {}
        self._annotated: dict[ImageFile, tuple[Annotations, str | None]] = {}  # without map, the map's key in the store

    def __call__(self, file: ImageFile) -> Pair:
        """As `load_pair`; the arrays are read-only, and views of what the store holds."""
        hr_key, lr_key = self._keys(file)
        hr = self.store.get(hr_key, lambda: read_hr(file))
        lr = self.store.get(lr_key, lambda: _lr(file, hr, self.scale, self.degradation, self.seed))
        return lr, _covered(hr, lr, self.scale)

    def annotations(self, file: ImageFile) -> Annotations | None:
        """What is known of the HR picture that this object gives; None where nobody asked.

        Raises:
            FacehallError: as `read_annotations`.
        """
        if file.annotations is None:
            return None
        if file not in self._annotated:
            read = read_annotations(file)
            assert read is not None
            key = f"{self._keys(file)[0]} parsing {file.annotations.state()}" if read.parsing is not None else None
            self._annotated[file] = replace(read, parsing=None), key
        found, key = self._annotated[file]
        if key is not None:
            found = replace(found, parsing=self.store.get(key, lambda: _map_of(file)))
        height, width = self(file)[1].shape[:2]
        return found.crop((0, 0, width, height))

    def index(self, file: ImageFile, mining: Mining, size: int) -> np.ndarray:
        """What `mining` draws the patches of this picture from; `size` in LR pixels."""
        key = f"{self._keys(file)[1]} index {mining.measure} {size}"
        return self.store.get(key, lambda: mining.index(self(file)[0], size))

    def for_mining(self) -> Pairs:
        """The same pictures, with LR by bicubic where the degradation is random: flatness is no matter of chance."""
        return Pairs(self.scale, BicubicDegradation(), self.store) if self.degradation.random else self

    def _keys(self, file: ImageFile) -> tuple[str, str]:
        """Texts that change when the HR and LR arrays of a file would."""
        if file not in self._identities:
            hr = f"{MADE_BY} {identity(file.hr)} {file.box} {file.size}"
            made_by = f"{self.degradation.name} {f'{self.seed} {file.name}' if self.degradation.random else ''}"
            made_of = made_by if file.lr is None else identity(file.lr)
            self._identities[file] = hr, f"{hr} x{self.scale} {made_of}"
        return self._identities[file]


def _map_of(file: ImageFile) -> np.ndarray:
    read = read_annotations(file)
    assert read is not None
    assert read.parsing is not None
    return np.ascontiguousarray(read.parsing)


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
