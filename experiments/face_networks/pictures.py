"""The faces that the small networks learn from, with the teachers' labels, and how a batch is drawn from them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from facehall.data.annotations import MESH468
from facehall.errors import FacehallError
from facehall.imaging import read_picture
from facehall.imaging.levels import eight_bits
from facehall.io.atomic import replacing

SIDE = 128
"""Side in pixels to which all pictures are resampled."""
FRAMED = ("train/celebahq512", "train/ffhq256", "train/lfw128")
"""Sets framed about as FFHQ."""
TIGHT = ("train/celeba_fm96", "train/utk128")
"""Sets framed more tightly: eyes about 1.5 times as far apart."""
VALIDATION = "val/celebahq512"
MIRROR = torch.tensor(MESH468.mirror)


@dataclass(frozen=True)
class Faces:
    """Pictures with labels.

    Attributes:
        pixels: (N, 128, 128, 3) uint8.
        labels: (N, 128, 128) uint8, classes of `facehall.faces.labels`.
        points: (N, 468, 2) float32, in pixels of the pictures; the centre of the top-left one is (0, 0).
    """

    pixels: np.ndarray
    labels: np.ndarray
    points: np.ndarray

    def __len__(self) -> int:
        return len(self.pixels)


def load_faces(data: Path, annotations: Path, sets: Sequence[str], store: Path) -> Faces:
    """Load sets with the annotations that `facehall annotate … landmarks=mesh468` made of them; cached in `store`.

    Args:
        data: folder that holds the sets.
        annotations: folder of the annotations, `train_ffhq256` for `train/ffhq256`.

    Raises:
        FacehallError: a set is not annotated.
    """
    store.mkdir(parents=True, exist_ok=True)
    parts = []
    for name in sets:
        path = store / f"{name.replace('/', '_')}.npz"
        if not path.is_file():
            found = _read(data / name, annotations / name.replace("/", "_"))
            with replacing(path) as partial, partial.open("wb") as file:
                np.savez(file, **found)
        with np.load(path) as archive:
            parts.append([archive[key] for key in ("pixels", "labels", "points")])
    return Faces(*(np.concatenate(each) for each in zip(*parts, strict=True)))


def _read(folder: Path, annotated: Path) -> dict[str, np.ndarray]:
    file = annotated / "annotations.json"
    if not file.is_file():
        raise FacehallError(f"{folder} is not annotated: run the first command of README.md, which writes {file}.")
    entries = json.loads(file.read_text(encoding="utf-8"))["pictures"]
    pixels, labels, points = [], [], []
    for name, entry in entries.items():
        picture = eight_bits(read_picture(folder / name).rgb)
        height, width = picture.shape[:2]
        method = cv2.INTER_AREA if min(height, width) > SIDE else cv2.INTER_CUBIC
        pixels.append(cv2.resize(picture, (SIDE, SIDE), interpolation=method))
        drawn = cv2.imread(str(annotated / entry["parsing"]), cv2.IMREAD_GRAYSCALE)
        labels.append(cv2.resize(drawn, (SIDE, SIDE), interpolation=cv2.INTER_NEAREST_EXACT))
        factor = np.array([SIDE / width, SIDE / height])
        points.append((np.array(entry["landmarks"]) + 0.5) * factor - 0.5)
    return {"pixels": np.stack(pixels), "labels": np.stack(labels), "points": np.array(points, np.float32)}


class Batches(Iterator[tuple[Tensor, Tensor, Tensor]]):
    """Endless batches of LR pictures (B, 3, s, s), labels (B, 128, 128) and points (B, 468, 2) relative to the side.

    Item g is a function of the seed and g, so that a resumed training continues with other faces than it began with.

    Args:
        faces: the pictures.
        size: of a batch.
        seed: of all draws.
        start: number of batches that were drawn before.
        sides: LR sides in pixels; a batch has one.
    """

    def __init__(
        self, faces: Faces, size: int, seed: int, start: int, sides: Sequence[int] = (16, 16, 24, 32, 48, 64)
    ) -> None:
        self.faces, self.size, self.seed, self.number, self.sides = faces, size, seed, start, sides

    def __next__(self) -> tuple[Tensor, Tensor, Tensor]:
        rng = np.random.default_rng([self.seed, self.number])
        self.number += 1
        drawn = [augment(self.faces, i, rng) for i in rng.integers(0, len(self.faces), self.size)]
        pixels, labels, points = (np.stack(each) for each in zip(*drawn, strict=True))
        images = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
        lr = reduce(images, int(rng.choice(self.sides)))
        noise = torch.from_numpy(rng.normal(size=lr.shape).astype(np.float32))
        deviations = np.where(rng.random(self.size) < 0.3, rng.uniform(0, 10 / 255, self.size), 0).astype(np.float32)
        lr = (lr + torch.from_numpy(deviations)[:, None, None, None] * noise).clamp(0, 1)
        return lr, torch.from_numpy(labels.astype(np.int64)), (torch.from_numpy(points) + 0.5) / SIDE


def reduce(images: Tensor, side: int) -> Tensor:
    """Reduce by antialiased bicubic to 8-bit levels: (B, 3, h, w) in [0, 1] -> (B, 3, side, side)."""
    small = F.interpolate(images, size=(side, side), mode="bicubic", antialias=True, align_corners=False)
    return (255 * small.clamp(0, 1)).round() / 255


def augment(faces: Faces, index: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Turn, scale, shift, mirror and tint one face; return its pixels, labels and points."""
    angle, scale = rng.normal(0, 6), float(np.exp(rng.uniform(-0.15, 0.2)))
    centre = (SIDE - 1) / 2
    matrix = cv2.getRotationMatrix2D((centre, centre), float(angle), scale)
    matrix[:, 2] += rng.uniform(-0.06, 0.06, 2) * SIDE
    options = {"borderMode": cv2.BORDER_REFLECT_101}
    pixels = cv2.warpAffine(faces.pixels[index], matrix, (SIDE, SIDE), flags=cv2.INTER_LINEAR, **options)
    labels = cv2.warpAffine(faces.labels[index], matrix, (SIDE, SIDE), flags=cv2.INTER_NEAREST, **options)
    points = (faces.points[index] @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)
    if rng.random() < 0.5:
        pixels, labels = np.ascontiguousarray(pixels[:, ::-1]), np.ascontiguousarray(labels[:, ::-1])
        points[:, 0] = SIDE - 1 - points[:, 0]
        points = points[MIRROR.numpy()]
    light = rng.uniform(0.8, 1.2) * rng.uniform(0.93, 1.07, 3)
    tinted = 255 * (pixels / 255 * light).clip(0, 1) ** rng.uniform(0.8, 1.25)
    return tinted.astype(np.uint8), labels, points
