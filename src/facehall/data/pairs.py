"""LR and HR arrays of one file, and a cache of them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

import numpy as np

from facehall.data.degradations import Degradation
from facehall.data.sources import ImageFile
from facehall.errors import FacehallError
from facehall.imaging import read_rgb, read_size, to_tensor, to_uint8

Pair = tuple[np.ndarray, np.ndarray]


def load_pair(file: ImageFile, scale: int, degradation: Degradation) -> Pair:
    """Read a picture: (lr (h, w, 3), hr (scale h, scale w, 3)), both uint8.

    HR is cropped to a multiple of the scale; LR is read where the file has one and made by the degradation elsewhere.

    Raises:
        FacehallError: a file is unreadable or too small, a box lies outside, or LR and HR do not match.
    """
    hr = read_rgb(file.hr)
    if file.box is not None:
        left, top, right, bottom = file.box
        if not (0 <= left < right <= hr.shape[1] and 0 <= top < bottom <= hr.shape[0]):
            raise FacehallError(f"{file.hr}: the box {file.box} lies outside its {hr.shape[1]}x{hr.shape[0]} pixels.")
        hr = hr[top:bottom, left:right]
    height, width = hr.shape[0] // scale, hr.shape[1] // scale
    if not height or not width:
        raise FacehallError(f"{file.hr}: {hr.shape[1]}x{hr.shape[0]} pixels are too few for x{scale}.")
    if file.lr is None:
        hr = np.ascontiguousarray(hr[: height * scale, : width * scale])
        return to_uint8(degradation(to_tensor(hr), scale)), hr
    lr = read_rgb(file.lr)
    if lr.shape[:2] not in ((height, width), (-(-hr.shape[0] // scale), -(-hr.shape[1] // scale))):
        raise FacehallError(
            f"{file.lr} has {lr.shape[1]}x{lr.shape[0]} pixels, but x{scale} of {file.hr} with its "
            f"{hr.shape[1]}x{hr.shape[0]} needs {width}x{height}. Are the pair and scale={scale} right?"
        )
    return lr[:height, :width].copy(), np.ascontiguousarray(hr[: height * scale, : width * scale])


def check_sizes(files: Iterable[ImageFile], side: int) -> None:
    """See from the headers alone that HR pictures are at least `side` pixels wide and high.

    Raises:
        FacehallError: one is not, or its header is unreadable.
    """
    for file in files:
        width, height = (
            read_size(file.hr) if file.box is None else (file.box[2] - file.box[0], file.box[3] - file.box[1])
        )
        if min(width, height) < side:
            raise FacehallError(
                f"{file.hr}: {width}x{height} pixels are too few for patches of {side}x{side} in HR "
                "(patches.patch_size times scale). Remove it or choose smaller patches."
            )


class PairCache:
    """Decoded pairs in memory, the least recently used dropped first; per process.

    Args:
        scale, degradation: as `load_pair`.
        megabytes: room for pixels; a pair larger than that is decoded anew each time.
    """

    def __init__(self, scale: int, degradation: Degradation, megabytes: float) -> None:
        self.scale = scale
        self.degradation = degradation
        self.room = int(megabytes * 2**20)
        self._pairs: OrderedDict[ImageFile, Pair] = OrderedDict()
        self._used = 0

    def __call__(self, file: ImageFile) -> Pair:
        if file in self._pairs:
            self._pairs.move_to_end(file)
            return self._pairs[file]
        pair = load_pair(file, self.scale, self.degradation)
        size = _bytes(pair)
        if size <= self.room:
            while self._used + size > self.room:
                self._used -= _bytes(self._pairs.popitem(last=False)[1])
            self._pairs[file] = pair
            self._used += size
        return pair


def _bytes(pair: Pair) -> int:
    return pair[0].nbytes + pair[1].nbytes
