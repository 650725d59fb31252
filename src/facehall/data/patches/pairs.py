"""Load the LR and HR arrays of pictures."""

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

ARRAYS_VERSION = "2"
"""Increase when an unchanged file gives different arrays, so that arrays stored by older versions are not used."""


def load_pair(file: ImageFile, scale: int, degradation: Degradation, seed: int = 0) -> Pair:
    """Read a picture as (lr (h, w, 3), hr (scale h, scale w, 3)), both uint8.

    HR is cropped to a multiple of the scale. LR is read from file.lr if set, else made by the degradation; a random
    degradation uses the recipe given by `seed` and the file's name.

    Raises:
        FacehallError: a file is unreadable or too small, a box lies outside, or LR and HR do not match.
    """
    hr = read_hr(file)
    lr = _load_lr(file, hr, scale, degradation, seed)
    return lr, _crop_hr(hr, lr, scale)


def missing_partner(file: ImageFile) -> str | None:
    """Return an error message if one file of an LR/HR pair is missing, else None."""
    for present, missing in ((file.lr, file.hr), (file.hr, file.lr)):
        if present is not None and missing is not None and present.exists() and not missing.exists():
            return f"{present} has no partner: {missing} is missing. Add it, or remove the other file."
    return None


def check_pairs(files: Iterable[ImageFile]) -> None:
    """Raise a FacehallError that lists every file without its partner."""
    problems = [problem for file in files if (problem := missing_partner(file))]
    if problems:
        listed = "\n".join(f"  {problem}" for problem in problems)
        raise FacehallError(f"HR and LR folders must hold files with identical names:\n{listed}")


def read_hr(file: ImageFile) -> np.ndarray:
    """Read the HR picture, (H, W, 3) uint8, cropped to the file's box and downscaled to its size."""
    hr = _crop_to_box(file, read_rgb(file.hr))
    size = _reduced_size(file, *hr.shape[:2])
    return hr if size == hr.shape[:2] else to_uint8(resize_bicubic(to_tensor(hr), size))


def read_annotations(file: ImageFile) -> Annotations | None:
    """Read the annotations of the picture that `read_hr` returns, with the same crop and size; None if not configured.

    Raises:
        FacehallError: the picture has no annotations, or they do not fit it.
    """
    if file.annotations is None:
        return None
    width, height = read_size(file.hr)
    found = file.annotations.read((height, width))
    if file.box is not None:
        _check_box(file, height, width)
        found = found.crop(file.box)
    return found.resize(_reduced_size(file, *found.size))


def _reduced_size(file: ImageFile, height: int, width: int) -> tuple[int, int]:
    """Return height and width after downscaling to the file's size."""
    if file.size is None or file.size >= min(height, width):
        return height, width
    factor = file.size / min(height, width)
    return max(1, round(height * factor)), max(1, round(width * factor))


def _crop_to_box(file: ImageFile, hr: np.ndarray) -> np.ndarray:
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
            f"{file.hr} has {width}x{height} pixels, too few for its box of {right - left}x{bottom - top} at "
            f"({left}, {top}): reduce the box (data.crop, data.boxes), or remove the picture."
        )


def _load_lr(file: ImageFile, hr: np.ndarray, scale: int, degradation: Degradation, seed: int) -> np.ndarray:
    height, width = hr.shape[0] // scale, hr.shape[1] // scale
    if not height or not width:
        raise FacehallError(f"{file.hr}: {hr.shape[1]}x{hr.shape[0]} pixels are too few for x{scale}.")
    if file.lr is None:
        recipe = recipe_of(file.name, seed, degradation, scale) if degradation.random else None
        return to_uint8(degradation(to_tensor(hr[: height * scale, : width * scale]), scale, recipe))
    lr = read_rgb(file.lr)
    if lr.shape[:2] not in ((height, width), (-(-hr.shape[0] // scale), -(-hr.shape[1] // scale))):
        raise FacehallError(
            f"{file.lr} has {lr.shape[1]}x{lr.shape[0]} pixels, but x{scale} of {file.hr} with "
            f"{hr.shape[1]}x{hr.shape[0]} needs {width}x{height}. Check the pair and scale={scale}."
        )
    return lr[:height, :width].copy()


def _crop_hr(hr: np.ndarray, lr: np.ndarray, scale: int) -> np.ndarray:
    return hr[: lr.shape[0] * scale, : lr.shape[1] * scale]


class Pairs:
    """LR, HR and patch indices of pictures, each computed once and then read from a store.

    Args:
        scale, degradation, seed: see `load_pair`.
        store: caches the arrays.
    """

    def __init__(self, scale: int, degradation: Degradation, store: Store, seed: int = 0) -> None:
        self.scale = scale
        self.degradation = degradation
        self.store = store
        self.seed = seed
        self._cached_keys: dict[ImageFile, tuple[str, str]] = {}
        # Annotations without the parsing map, and the map's key in the store.
        self._cached_annotations: dict[ImageFile, tuple[Annotations, str | None]] = {}

    def __call__(self, file: ImageFile) -> Pair:
        """Load a pair like `load_pair`; the arrays are read-only views of stored arrays."""
        hr_key, lr_key = self._keys(file)
        hr = self.store.get(hr_key, lambda: read_hr(file))
        lr = self.store.get(lr_key, lambda: _load_lr(file, hr, self.scale, self.degradation, self.seed))
        return lr, _crop_hr(hr, lr, self.scale)

    def annotations(self, file: ImageFile) -> Annotations | None:
        """Return the annotations of the HR picture that `__call__` returns; None if not configured.

        Raises:
            FacehallError: see `read_annotations`.
        """
        if file.annotations is None:
            return None
        if file not in self._cached_annotations:
            read = read_annotations(file)
            assert read is not None
            key = f"{self._keys(file)[0]} parsing {file.annotations.state()}" if read.parsing is not None else None
            self._cached_annotations[file] = replace(read, parsing=None), key
        found, key = self._cached_annotations[file]
        if key is not None:
            found = replace(found, parsing=self.store.get(key, lambda: _read_parsing_map(file)))
        height, width = self(file)[1].shape[:2]
        return found.crop((0, 0, width, height))

    def index(self, file: ImageFile, mining: Mining, size: int) -> np.ndarray:
        """Return the patch index of this picture for `mining`; `size` is in LR pixels."""
        key = f"{self._keys(file)[1]} index {mining.measure} {size}"
        return self.store.get(key, lambda: mining.index(self(file)[0], size))

    def for_mining(self) -> Pairs:
        """Return pairs whose LR is bicubic if the degradation is random, so that flatness is deterministic."""
        return Pairs(self.scale, BicubicDegradation(), self.store) if self.degradation.random else self

    def _keys(self, file: ImageFile) -> tuple[str, str]:
        """Return store keys that change whenever the HR and LR arrays of a file would."""
        if file not in self._cached_keys:
            hr = f"{ARRAYS_VERSION} {file_version(file.hr)} {file.box} {file.size}"
            made_by = f"{self.degradation.name} {f'{self.seed} {file.name}' if self.degradation.random else ''}"
            made_of = made_by if file.lr is None else file_version(file.lr)
            self._cached_keys[file] = hr, f"{hr} x{self.scale} {made_of}"
        return self._cached_keys[file]


def _read_parsing_map(file: ImageFile) -> np.ndarray:
    read = read_annotations(file)
    assert read is not None
    assert read.parsing is not None
    return np.ascontiguousarray(read.parsing)


def file_version(path: Path) -> str:
    """Return a text that identifies a file and its current state (path, size, mtime).

    Raises:
        FacehallError: the file does not exist.
    """
    try:
        stat = path.stat()
    except OSError as error:
        raise FacehallError(f"The image {path} cannot be read: {error.strerror}. Check the path.") from None
    return f"{path.resolve()} {stat.st_size} {stat.st_mtime_ns}"
