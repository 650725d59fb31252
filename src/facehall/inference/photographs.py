"""Faces in whole photographs: found, aligned, restored at their own resolution and pasted back without a seam."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from facehall.errors import FacehallError
from facehall.faces.centerface import CenterFace
from facehall.faces.detection import Face, Network, detect
from facehall.faces.parser import FaceParser
from facehall.faces.sharpness import harmless_reduction
from facehall.imaging import Picture, as_picture
from facehall.inference.predictor import Predictor
from facehall.inference.restoration import backgrounds
from facehall.inference.restoration.crops import (
    Identity,
    Likeness,
    batches,
    consistent,
    cut,
    grey,
    inconsistency,
    likeness,
)
from facehall.inference.restoration.judging import Refine
from facehall.inference.restoration.masks import Masker, PersonOnly
from facehall.inference.restoration.pasting import Patch, blend, patch
from facehall.inference.restoration.planning import (
    MAX_CROP,
    MAX_REDUCTION,
    MIN_REDUCED,
    Action,
    PlannedFace,
    check_choice,
    plan_faces,
)
from facehall.inference.restoration.reporting import FaceReport, PhotoReport
from facehall.inference.streaming import assemble
from facehall.models.pretrained import FAST_WEIGHTS, default_weights

SCALES = (1, 2, 4, 8)
TILE = 160
"""Side of automatic tiles in input pixels; bounds memory, as photographs are large and their faces are not."""
SOFTENING = 0.25
"""Share of the faithful weights' result in one that is less sharp. Results are mixed, not weights, whose mixture was
less like the originals than either result (experiments/faces)."""


@dataclass(frozen=True)
class RestoredFace:
    """An aligned crop before and after: (3, n, n) and (3, s n, s n) in [0, 1]; `report` says what was done."""

    report: FaceReport
    crop: Tensor
    restored: Tensor


@dataclass(frozen=True)
class Restoration:
    """A photograph whose faces have been restored but not yet pasted.

    Attributes:
        picture: the input.
        grey: whether the result has equal channels; true for colour files without colour, too.
        faces: restored faces, in the order of pasting.
        report: all faces.
    """

    picture: Picture
    grey: bool
    faces: list[RestoredFace]
    report: PhotoReport


class PhotoRestorer:
    """Restores the faces of photographs.

    Args:
        weights: as of `Predictor`; None uses the package's weights.
        device, backend, tile: as of `Predictor`; ``auto`` tiles have `TILE` pixels.
        fidelity: from sharp (0) to faithful (1), see `Predictor`; None uses the weights as they are.
        scale: 1, 2, 4 or 8: output pixels per input pixel. Soft faces are reduced before they are restored.
        background: ``weights``, ``fast`` (by `FAST_WEIGHTS`), ``bicubic`` or, at scale 1, ``none``; None is
            none at scale 1 and else bicubic.
        faces: ``all``, ``largest``, ``none``, or how many of the largest.
        min_face: smaller faces, in pixels, are left.
        consistency: change restored faces until their bicubic reduction is the input.
        network: the detector; None loads CenterFace when the first photograph needs it.
        refine: finds the points of a detected face more exactly, such as `MeshPoints`; None uses the detector's.
        identity: compares a restored face with its input; faces that drift are made less sharp, see `likeness`.
        masker: what of a crop is pasted, such as `oval_mask`; None: `PersonOnly`, by the parser of the package.

    Attributes:
        predictor: the network with the given weights.
        scale, background: as given, or their defaults.

    Raises:
        FacehallError: if a setting or a weights file is invalid.
    """

    def __init__(
        self,
        weights: str | Path | None = None,
        device: str = "auto",
        backend: str = "auto",
        tile: int | str = "auto",
        fidelity: float | None = None,
        scale: int = 4,
        background: str | None = None,
        faces: str | int = "all",
        min_face: float = 0.0,
        consistency: bool = False,
        network: Network | None = None,
        refine: Refine | None = None,
        identity: Identity | None = None,
        masker: Masker | None = None,
    ) -> None:
        if scale not in SCALES:
            raise FacehallError(f"scale={scale}: must be one of {', '.join(map(str, SCALES))}.")
        self.background = backgrounds.check_background(background, scale)
        self.scale, self._choice, self._min_face = scale, check_choice(faces), min_face
        self.weights = str(weights or default_weights(8 if scale == 8 else 4))
        self._settings = {"device": device, "backend": backend, "tile": tile, "automatic_tile": TILE}
        self.predictor = Predictor(self.weights, fidelity=fidelity, **self._settings)  # type: ignore[arg-type]
        if self.predictor.scale % scale:
            raise FacehallError(
                f"scale={scale}, but {self.weights} is a x{self.predictor.scale} network. Use a scale that divides it, "
                "or other weights."
            )
        self._consistency, self._identity = consistency, identity
        self._network, self._refine, self._masker = network, refine, masker

    @cached_property
    def detector(self) -> Network:
        """The face detector."""
        return self._network or CenterFace()

    @cached_property
    def masker(self) -> Masker:
        """What of a crop is pasted."""
        return self._masker or PersonOnly(FaceParser.pretrained())

    @cached_property
    def rest(self) -> Predictor:
        """The network of the background, if it is by one."""
        if self.background != backgrounds.FAST or self.weights == FAST_WEIGHTS:
            return self.predictor
        return Predictor(FAST_WEIGHTS, **self._settings)  # type: ignore[arg-type]

    @cached_property
    def faithful(self) -> Predictor | None:
        """The weights of the PSNR phase; None where the weights have no such sibling."""
        if Path(self.weights).stem.endswith("_psnr"):
            return self.predictor
        try:
            return Predictor(self.weights, fidelity=1.0, **self._settings)  # type: ignore[arg-type]
        except FacehallError:
            return None

    def restore(
        self, picture: Picture | np.ndarray | Image.Image | str | Path, found: Sequence[Face] | None = None
    ) -> tuple[Picture, PhotoReport]:
        """Restore a photograph; preserve greyscale, alpha, bit depth, EXIF data and colour profile.

        Args:
            picture: see `Predictor.upscale`.
            found: its faces, the largest first, such as tracks of a video; None detects them.

        Raises:
            FacehallError: if the file cannot be read, the detector is missing, or the device runs out of memory.
        """
        restoration = self.prepare(as_picture(picture), found)
        return assemble(restoration.picture, self.scale, self.strips(restoration)), restoration.report

    def load(self) -> None:
        """Load the detector, if faces are wanted at all.

        Raises:
            FacehallError: it is not on this machine and cannot be fetched.
        """
        if self._choice != "none":
            _ = self.detector

    def find(self, picture: Picture) -> list[Face]:
        """Detect the faces of a photograph, the largest first; none, without the detector, with ``faces=none``."""
        if self._choice == "none":
            return []
        found = detect(self.detector, picture.rgb)
        return [self._refine(picture.rgb, face) for face in found] if self._refine is not None else found

    def prepare(self, picture: Picture, found: Sequence[Face] | None = None) -> Restoration:
        """Detect and restore the faces of a photograph without pasting them."""
        without_colour = self.is_grey(picture)
        seen = replace(picture, grey=without_colour)
        planned = plan_faces(self.find(picture) if found is None else found, self._choice, self._min_face)
        planned = [self._at_its_resolution(seen, face) for face in planned]
        reports = [FaceReport(face, face.action, face.reason) for face in planned]
        restored = self._restore(seen, [report for report in reports if report.action != "left"])
        height, width = picture.rgb.shape[:2]
        about = PhotoReport(width, height, self.scale, self.weights, self.background, reports)
        return Restoration(picture, without_colour, restored, about)

    @staticmethod
    def is_grey(picture: Picture) -> bool:
        """Return whether all channels are equal; of most colour pictures, the first rows tell."""
        rows = (slice(top, top + 64) for top in range(0, len(picture.rgb), 64))
        return picture.grey or all(bool((picture.rgb[r, :, :1] == picture.rgb[r, :, 1:]).all()) for r in rows)

    def strips(self, restoration: Restoration, advance: backgrounds.Advance | None = None) -> Iterator[np.ndarray]:
        """Enlarge the photograph and paste its faces, strip by strip from the top.

        Args:
            restoration: the result of `prepare`.
            advance: called with the number of input pixels done.

        Yields:
            (rows, s W, C) with the picture's dtype; C is 1 for grey, else 3, plus one for alpha.
        """
        picture = replace(restoration.picture, grey=restoration.grey)
        height, width = picture.rgb.shape[:2]
        patches = [self._patch(face, (height * self.scale, width * self.scale)) for face in restoration.faces]
        dtype, top_level = picture.rgb.dtype, np.iinfo(picture.rgb.dtype).max
        channels = 1 if restoration.picture.grey else 3
        for top, pixels in backgrounds.strips(picture, self.background, self.scale, self.rest, advance):
            for each in patches:
                blend(pixels, top, each, picture, self.scale)
            levels = torch.from_numpy(pixels).mul(top_level).round_().numpy().astype(dtype)
            levels = np.repeat(levels, channels, axis=2) if levels.shape[2] < channels else levels
            if picture.alpha is not None:
                alpha = backgrounds.enlarged_alpha(picture.alpha, self.scale, top, top + len(levels))
                levels = np.concatenate([levels, alpha[..., None]], axis=2)
            yield levels

    def _patch(self, face: RestoredFace, size: tuple[int, int]) -> Patch:
        mask = self.masker(face.crop)
        return patch(face.report.plan, face.crop, face.restored, mask, self.scale, size)

    def _at_its_resolution(self, picture: Picture, face: PlannedFace) -> PlannedFace:
        """Reduce a soft face as far as that loses nothing; leave faces that have more detail than can be added."""
        if face.action == "left":
            return face
        factors = [factor for factor in range(2, MAX_REDUCTION + 1) if face.extent / factor >= MIN_REDUCED]
        if factors and face.side <= MAX_REDUCTION * MAX_CROP:
            face = face.reduced(harmless_reduction(cut(picture, face), factors))
        if face.side > MAX_CROP:
            return replace(face, action="left", reason=f"large enough ({face.extent:.0f} pixels)")
        if self.scale == 1 and face.reduction == 1:
            return replace(face, action="left", reason="sharp already, for its size")
        return face

    def _restore(self, picture: Picture, reports: Sequence[FaceReport]) -> list[RestoredFace]:
        done: list[RestoredFace] = []
        for members in batches([report.plan for report in reports]):
            crops = torch.stack([cut(picture, reports[index].plan) for index in members])
            results = self._apply(self.predictor, crops, picture.grey)
            for index, crop, result in zip(members, crops, results, strict=True):
                face = self._guarded(RestoredFace(reports[index], crop, result), picture.grey)
                if face.report.action != "left":
                    face.report.inconsistency = inconsistency(face.restored[None], crop[None])
                    done.append(face)
        return sorted(done, key=lambda face: face.report.plan.extent)  # the nearest person is pasted last

    def _guarded(self, face: RestoredFace, is_grey: bool) -> RestoredFace:
        """Replace a face whose plan asks for the faithful weights, or whose identity has drifted.

        A sharp face passes that is at least as alike as bicubic or as `SamePerson.enough`. One that has drifted is
        tried again a quarter of the way to the result of the faithful weights, then with this, for which it takes less
        likeness (`SamePerson.enough_softened`), and is left if that drifts, too.
        """
        report = face.report
        if report.action == "restored" and self._identity is not None:
            enough = getattr(self._identity, "enough", math.inf)
            report.identity = likeness(self._identity, face.restored, face.crop, enough)
            if not report.identity.passes:
                return self._less_sharp(face, report.identity, self._identity, is_grey)
        if report.action != "faithful":
            return face
        if self.faithful is None:
            return self._left(face, f"{self.weights} has no faithful weights")
        return replace(face, restored=self._apply(self.faithful, face.crop[None], is_grey)[0])

    def _less_sharp(self, face: RestoredFace, found: Likeness, identity: Identity, is_grey: bool) -> RestoredFace:
        face.report.reason = f"identity {found.restored:.2f}, below the required {found.required:.2f}"
        if self.faithful is None:
            return self._left(face, f"{self.weights} has no faithful weights")
        faithful = self._apply(self.faithful, face.crop[None], is_grey)[0]
        enough = getattr(identity, "enough_softened", math.inf)
        softer: list[tuple[Action, Tensor]] = [
            ("softened", face.restored.lerp(faithful, SOFTENING)),
            ("faithful", faithful),
        ]
        for action, result in softer:
            again = likeness(identity, result, face.crop, enough)
            if again.passes:
                face.report.action = action
                return replace(face, restored=result)
        return self._left(face, f"{again.restored:.2f} with the faithful weights")

    @staticmethod
    def _left(face: RestoredFace, why: str) -> RestoredFace:
        face.report.action, face.report.reason = "left", f"{face.report.reason}; {why}"
        return face

    def _apply(self, predictor: Predictor, crops: Tensor, is_grey: bool) -> Tensor:
        results = predictor.super_resolve_batch(crops).cpu()
        results = grey(results) if is_grey else results
        return consistent(results, crops) if self._consistency else results
