"""The page's engine for whole photographs: faces are found, restored at their own resolution, and pasted back."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

from facehall.faces.detection import Face as Detected
from facehall.faces.detection import Network
from facehall.imaging import Picture
from facehall.imaging.levels import digest
from facehall.inference.photographs import SCALES, PhotoRestorer
from facehall.inference.restoration.backgrounds import FAST, WEIGHTS
from facehall.inference.restoration.judging import load_helpers
from facehall.inference.restoration.planning import plan_faces
from facehall.inference.streaming import assemble
from facehall.io.recent import Recent
from facehall.models.pretrained import FAST_SCALE, bundled_names
from facehall.web.engine import NETWORKS, Advance, Face, Options, share_of, weights_label

PICTURES = 8
"""Pictures whose faces are remembered, so that restoring does not look for them again; only places, in memory."""


class PhotoEngine:
    """Restores photographs with a `PhotoRestorer`.

    Args:
        weights, device, backend, network: of `PhotoRestorer`; without weights, every scale that the package has.
        helpers: further arguments of it; None: what `load_helpers` finds, such as the check of identities.

    Raises:
        FacehallError: if the weights cannot be loaded, the device or backend is not available, or the detector is
            neither on this machine nor can be fetched.
    """

    finds_faces = True

    def __init__(
        self,
        weights: str | None = None,
        device: str = "auto",
        backend: str = "auto",
        network: Network | None = None,
        helpers: Mapping[str, Any] | None = None,
    ) -> None:
        given = load_helpers() if helpers is None else helpers
        self._settings: dict[str, Any] = {"weights": weights, "device": device, "backend": backend, **given}
        self._known = Recent[list[Detected]](PICTURES)
        first = self._first(network)
        first.load()
        self._network = first.detector
        self._restorer = functools.lru_cache(NETWORKS)(self._open)
        self.weights = weights_label(weights)
        offered = [scale for scale in SCALES if first.predictor.scale % scale == 0]
        choice = first.faithful is not None and first.faithful is not first.predictor
        self.scales = dict.fromkeys(sorted(offered, key=lambda scale: scale != first.predictor.scale), choice)
        if weights is None and "facehall-x8" in bundled_names():
            self.scales[8] = "facehall-x8_psnr" in bundled_names()

    def faces(self, picture: Picture) -> list[Face]:
        """Find the faces, the largest first; those that `plan_faces` leaves cannot be restored."""
        restorer = self._restorer(next(iter(self.scales)), None, None)
        planned = plan_faces(self._find(restorer, picture))
        return [Face(plan.face.box, plan.action != "left", plan.reason) for plan in planned]

    def restore(self, picture: Picture, options: Options, advance: Advance) -> Picture:
        """Restore the chosen faces and enlarge the rest, see `PhotoRestorer`."""
        found = self._find(self._restorer(next(iter(self.scales)), None, None), picture)
        restorer = self._restorer(options.scale, options.fidelity, self._background(options, found))
        chosen = found if options.faces is None else [found[i] for i in options.faces if i < len(found)]
        advance(0)
        restoration = restorer.prepare(picture, chosen)
        advance(0)
        return assemble(picture, options.scale, restorer.strips(restoration, share_of(picture, advance)))

    def _find(self, restorer: PhotoRestorer, picture: Picture) -> list[Detected]:
        return self._known.get(digest(picture.rgb), lambda: restorer.find(picture))

    def _first(self, network: Network | None) -> PhotoRestorer:
        """Return a restorer at the scale 1, which every network has."""
        return PhotoRestorer(**self._settings, scale=1, network=network)

    def _background(self, options: Options, found: Sequence[Detected]) -> str | None:
        """Return what `PhotoRestorer` is to do with the rest of a picture."""
        rest = options.background
        if not (options.scale > 1 and not found if rest is None else rest):
            return None
        # Beside faces, the default weights would take minutes for what people look at less.
        quick = found and self._settings["weights"] is None and FAST_SCALE % options.scale == 0
        return FAST if quick else WEIGHTS

    def _open(self, scale: int, fidelity: float | None, background: str | None) -> PhotoRestorer:
        return PhotoRestorer(
            **self._settings,
            scale=scale,
            fidelity=fidelity,
            background=background,
            network=self._network,
        )
