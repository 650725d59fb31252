"""Finding faces of any size in photographs of any size, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import cv2
import numpy as np

from facehall.faces.centerface import Candidates
from facehall.imaging import eight_bits

THRESHOLD = 0.4
"""Lowest score of a face; see experiments/faces for recall and false boxes at others."""
MIN_SURE = 0.5
"""Detections below are mostly faces, but not always."""
WEAK = 0.1
"""Lowest score of a candidate that is worth a second, enlarged look."""
TILE, OVERLAP = 1024, 192
"""Side and overlap of tiles in the network's pixels; a face larger than the overlap is found in the reduced picture."""
EDGE = 8
"""Pixels of the network within which a box at an inner border of a tile is taken to be cut by it."""
REDUCTION = 4
"""Factor between the reduced looks at a large picture; CenterFace finds faces from 16 to some 500 pixels."""
WHOLE_SIDE = 640
"""The picture is reduced until its longer side is at most this."""
ENLARGEMENT = 2
"""Of the second look. Its faces must have `MIN_SURE`: enlarged, faces of 10 pixels have it, and few other things."""
MIN_ASPECT, MAX_ASPECT = 0.45, 1.4
"""Width by height of a face's box; other boxes are parts of faces at the border of a tile, or no faces."""
TINY = 32
"""Width and height, in source pixels, up to which faces are taken from the enlarged look; 1.5 times that at most."""
MAX_ENLARGED = 2**21
"""Pixels of a picture that is always enlarged as a whole for a second look; of larger ones, tiles with hints are."""
MAX_IOU, MAX_INSIDE = 0.3, 0.65
"""Intersection over union, and over the smaller box, above which two boxes are one face."""


@dataclass(frozen=True, eq=False)
class Face:
    """A face in a picture; coordinates in pixels, where (0, 0) is the picture's corner and pixel centres are at .5.

    Attributes:
        box: left, top, right, bottom; it may extend beyond the picture.
        score: from 0 to 1.
        points: (5, 2): x, y of the eye on the left of the picture, the other eye, nose tip, mouth corners likewise.
        yaw: turn of the head in degrees, 0 frontal, if a face mesh has measured it.
    """

    box: tuple[float, float, float, float]
    score: float
    points: np.ndarray
    yaw: float | None = None

    @property
    def size(self) -> float:
        """Geometric mean of the box's sides."""
        left, top, right, bottom = self.box
        return float(np.sqrt((right - left) * (bottom - top)))

    @property
    def eye_distance(self) -> float:
        return float(np.hypot(*(self.points[1] - self.points[0])))

    @property
    def turn(self) -> float:
        """How far the nose is from the middle of the eyes, along the line between them: 0 frontal, ±0.5 below an eye.

        0.3 is a head turned by some 35 degrees, 0.5 by some 50; it depends on the nose, so this is no angle.
        """
        across = self.points[1] - self.points[0]
        middle = (self.points[0] + self.points[1]) / 2
        return float((self.points[2] - middle) @ across / max(across @ across, 1e-6))


class Network(Protocol):
    """Finds candidates in (H, W, 3) uint8, such as `CenterFace`."""

    def __call__(self, rgb: np.ndarray, threshold: float) -> Candidates: ...


class _Look(NamedTuple):
    """Candidates of one tile, in pixels of the picture."""

    region: tuple[int, int, int, int]
    found: Candidates


def detect(network: Network, rgb: np.ndarray, threshold: float = THRESHOLD) -> list[Face]:
    """Find the faces of a picture, the largest first.

    The picture is looked at as it is, in tiles; reduced by 4, 16, … for faces that are larger than a tile's overlap;
    and enlarged by two for tiny faces: small pictures as a whole, others where the first look found hints of some.

    Args:
        network: the detector.
        rgb: (H, W, 3) uint8 or uint16.
        threshold: lowest score.
    """
    height, width = rgb.shape[:2]
    looks = list(_looks(network, rgb, 1.0))
    factor = 1 / REDUCTION
    while max(height, width) * factor * REDUCTION > WHOLE_SIDE:
        looks += _looks(network, rgb, factor)
        factor /= REDUCTION
    found = [look.found for look in looks]
    needs_second_look = _second_look(looks, height * width, threshold)
    for look in _looks(network, rgb, ENLARGEMENT, needs_second_look):
        tiny = _sides(look.found.boxes).max(axis=1) <= 1.5 * TINY
        found.append(_select(look.found, tiny & (look.found.scores >= MIN_SURE)))
    return sorted(_merge(found, threshold), key=lambda face: -face.size)


def find_quickly(network: Network, rgb: np.ndarray, side: int, threshold: float = MIN_SURE) -> list[Face]:
    """Find the faces that one look at the picture, reduced to this longer side, shows; the largest first."""
    factor = min(1.0, side / max(rgb.shape[:2]))
    looks = _looks(network, rgb, factor)
    return sorted(_merge([look.found for look in looks], threshold), key=lambda face: -face.size)


def _looks(
    network: Network,
    rgb: np.ndarray,
    factor: float,
    wanted: Callable[[tuple[int, int, int, int]], bool] = lambda region: True,
) -> Iterator[_Look]:
    """Run the network on the tiles of the picture resized by `factor`; drop faces that an inner tile border cuts."""
    height, width = rgb.shape[:2]
    for top, bottom in _spans(height, factor):
        for left, right in _spans(width, factor):
            region = (left, top, right, bottom)
            if not wanted(region):
                continue
            tile = eight_bits(rgb[top:bottom, left:right])
            size = (max(1, round((right - left) * factor)), max(1, round((bottom - top) * factor)))
            if factor != 1:
                tile = cv2.resize(tile, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC)
            found = network(tile, WEAK)
            back = np.array([(right - left) / size[0], (bottom - top) / size[1]])
            corner = np.array([left, top])
            boxes = (found.boxes.reshape(-1, 2, 2) * back + corner).reshape(-1, 4)
            points = found.points * back + corner
            edge = EDGE / factor
            whole = (
                ((boxes[:, 0] > left + edge) | (left == 0))
                & ((boxes[:, 1] > top + edge) | (top == 0))
                & ((boxes[:, 2] < right - edge) | (right == width))
                & ((boxes[:, 3] < bottom - edge) | (bottom == height))
            )
            aspect = _sides(boxes)[:, 0] / np.maximum(_sides(boxes)[:, 1], 1e-6)
            plausible = whole & (aspect >= MIN_ASPECT) & (aspect <= MAX_ASPECT)
            yield _Look(region, _select(Candidates(boxes, found.scores, points), plausible))


def _spans(length: int, factor: float) -> list[tuple[int, int]]:
    """Divide a side into overlapping tiles, in pixels of the picture."""
    tile = round(TILE / factor)
    if length <= tile:
        return [(0, length)]
    step = tile - round(OVERLAP / factor)
    count = -(-(length - tile) // step) + 1
    starts = np.linspace(0, length - tile, count).round().astype(int)
    return [(int(start), int(start) + tile) for start in starts]


def _second_look(looks: list[_Look], pixels: int, threshold: float) -> Callable[[tuple[int, int, int, int]], bool]:
    """Return which regions of the picture are worth an enlarged look."""
    boxes = np.concatenate([look.found.boxes for look in looks])
    scores = np.concatenate([look.found.scores for look in looks])
    if pixels <= MAX_ENLARGED:
        return lambda region: True
    sides = _sides(boxes)
    hints = boxes[(sides.max(axis=1) <= TINY) & ((scores < threshold) | (sides.max(axis=1) <= TINY * 0.75))]
    middles = (hints[:, :2] + hints[:, 2:]) / 2

    def wanted(region: tuple[int, int, int, int]) -> bool:
        inside = (middles >= region[:2]) & (middles <= region[2:])
        return bool(inside.all(axis=1).any())

    return wanted


def _merge(found: list[Candidates], threshold: float) -> list[Face]:
    """Keep the best of overlapping candidates."""
    boxes = np.concatenate([each.boxes for each in found])
    scores = np.concatenate([each.scores for each in found])
    points = np.concatenate([each.points for each in found])
    kept: list[int] = []
    for index in np.argsort(-scores, kind="stable"):
        if scores[index] < threshold:
            break
        if not kept or not _same(boxes[index], boxes[kept]).any():
            kept.append(int(index))
    return [
        Face(tuple(float(side) for side in boxes[i]), float(scores[i]), points[i].astype(np.float64))  # type: ignore[arg-type]
        for i in kept
    ]


def _same(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    sides = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    shared = np.clip(sides, 0, None).prod(axis=1)
    own, areas = _sides(box[None]).prod(axis=1), _sides(others).prod(axis=1)
    return (shared > MAX_IOU * (own + areas - shared)) | (shared > MAX_INSIDE * np.minimum(own, areas))


def _sides(boxes: np.ndarray) -> np.ndarray:
    """Return widths and heights, (N, 2)."""
    return boxes[:, 2:] - boxes[:, :2]


def _select(found: Candidates, mask: np.ndarray) -> Candidates:
    return Candidates(*(part[mask] for part in found))
