"""What the page asks of a restorer: which faces a picture has, and the picture restored."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from facehall.errors import FacehallError
from facehall.imaging import Picture
from facehall.inference import Predictor
from facehall.models.pretrained import bundled_names

Advance = Callable[[float], None]
"""Called with the share of the work that is done, from 0 to 1; what it raises ends the work."""

NETWORKS = 3
"""Networks held in memory: the last ones that were asked for."""


@dataclass(frozen=True)
class Face:
    """A face found in a picture.

    Attributes:
        box: left, top, right and bottom in pixels of the upright picture; it may extend beyond the picture.
        restorable: whether it can be restored; others stay as they are, whatever is chosen.
        note: why it cannot be restored, or is restored with more caution; else empty.
    """

    box: tuple[float, float, float, float]
    restorable: bool = True
    note: str = ""


@dataclass(frozen=True)
class Options:
    """How a picture is to be restored.

    Attributes:
        scale: one of the engine's scales.
        fidelity: from 0 (sharp) to 1 (faithful); None where the weights offer no choice.
        faces: positions in the list of `Engine.faces` of the faces to restore; None: all that can be.
        background: whether a network enlarges everything else, too; None: if there are no faces. Engines that do not
            look for faces always enlarge everything.
    """

    scale: int
    fidelity: float | None = None
    faces: tuple[int, ...] | None = None
    background: bool | None = None


class Engine(Protocol):
    """Restores pictures. The server calls it from one thread at a time.

    Attributes:
        weights: what the page calls the weights.
        scales: upscaling factor -> whether fidelity can be chosen; the first is the page's default.
        finds_faces: whether `faces` looks for faces at all.
    """

    weights: str
    scales: dict[int, bool]
    finds_faces: bool

    def faces(self, picture: Picture) -> list[Face]:
        """Find the faces of a picture; the same picture gives the same list."""

    def restore(self, picture: Picture, options: Options, advance: Advance) -> Picture:
        """Restore a picture.

        Raises:
            FacehallError: if the picture cannot be restored with these options.
        """


class PredictorEngine:
    """Enlarges whole pictures with a `Predictor`, without looking for faces.

    Args:
        weights, device, backend: of `Predictor`; without weights, every scale that the package has weights for.

    Raises:
        FacehallError: if the weights cannot be loaded, or the device or backend is not available.
    """

    finds_faces = False

    def __init__(self, weights: str | None = None, device: str = "auto", backend: str = "auto") -> None:
        self._weights, self._device, self._backend = weights, device, backend
        self._predictor = functools.lru_cache(NETWORKS)(self._open)
        first = self._predictor(None, None)
        self.weights = weights_label(weights)
        if weights is None:
            bundled = bundled_names()
            self.scales = {s: f"facehall-x{s}_psnr" in bundled for s in (4, 8) if f"facehall-x{s}" in bundled}
        else:
            self.scales = {first.scale: self._has_fidelity()}

    def faces(self, picture: Picture) -> list[Face]:
        """Return no faces: the whole picture is enlarged alike."""
        return []

    def restore(self, picture: Picture, options: Options, advance: Advance) -> Picture:
        """Enlarge the picture, see `Predictor.upscale`."""
        predictor = self._predictor(options.scale if self._weights is None else None, options.fidelity)
        return predictor.upscale(picture, share_of(picture, advance))

    def _open(self, scale: int | None, fidelity: float | None) -> Predictor:
        return Predictor(self._weights, self._device, self._backend, fidelity=fidelity, scale=scale)

    def _has_fidelity(self) -> bool:
        try:
            self._predictor(None, 0.5)
        except FacehallError:
            return False
        return True


def share_of(picture: Picture, advance: Advance) -> Callable[[int], None]:
    """Return a function that takes numbers of finished pixels of a picture, and passes on the share of all so far."""
    height, width = picture.rgb.shape[:2]
    done = 0

    def count(pixels: int) -> None:
        nonlocal done
        done += pixels
        advance(done / (height * width))

    return count


def weights_label(weights: str | Path | None) -> str:
    """Return what the page calls the weights; paths of this machine are not shown."""
    return "facehall" if weights is None else Path(weights).stem
