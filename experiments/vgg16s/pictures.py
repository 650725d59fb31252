"""Training crops and random image distortions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.float32]  # (H, W, 3), RGB in [0, 1]

# folder -> crops per image. LFW has black wedges outside its central 160 pixels.
TRAINING = {
    "faces/train/celebahq512": 12,
    "faces/train/ffhq256": 5,
    "faces/train/lfw250": 2,
    "general/photos2k": 60,
    "general/bsds200": 14,
}
HELD_BACK = 10  # every tenth BSDS training image, sorted by name, is held out for validation


def read(path: Path) -> Image:
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB).astype(np.float32) / 255


def pictures(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix in {".png", ".jpg", ".webp", ".bmp"})


def training_crops(data: Path, side: int, rng: np.random.Generator) -> Iterator[NDArray[np.uint8]]:
    """Yield (side, side, 3) crops of the training folders at random scales."""
    for name, count in TRAINING.items():
        paths = pictures(data / name)
        if name.endswith("bsds200"):
            paths = [path for i, path in enumerate(paths) if i % HELD_BACK]
        for path in paths:
            picture = read(path)
            if "lfw" in name:
                picture = picture[45:205, 45:205]
            for _ in range(count):
                yield random_crop(picture, side, rng)


def random_crop(picture: Image, side: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return a random square crop, downscaled by up to 2.5."""
    scale = 1.0 if rng.random() < 0.4 else rng.uniform(0.4, 1.0)
    source = min(round(side / scale), *picture.shape[:2])
    top, left = (rng.integers(0, length - source + 1) for length in picture.shape[:2])
    crop = picture[top : top + source, left : left + source]
    return to_8_bit(cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA))


def to_8_bit(picture: Image) -> NDArray[np.uint8]:
    return (picture.clip(0, 1) * 255).round().astype(np.uint8)


# ---------------------------------------------------------------- distortions: (image, rng) -> image


def blur(x: Image, rng: np.random.Generator) -> Image:
    a, b = np.exp(rng.uniform(np.log(0.3), np.log(4), 2))
    return cv2.GaussianBlur(x, (0, 0), sigmaX=float(a), sigmaY=float(a if rng.random() < 0.6 else b))


def motion(x: Image, rng: np.random.Generator) -> Image:
    size = int(rng.integers(3, 10))
    kernel = np.zeros((size, size), np.float32)
    cv2.line(kernel, (0, int(rng.integers(0, size))), (size - 1, int(rng.integers(0, size))), 1.0)
    kernel = kernel.T if rng.random() < 0.5 else kernel
    return cv2.filter2D(x, -1, kernel / kernel.sum())


def noise(x: Image, rng: np.random.Generator) -> Image:
    sigma = np.exp(rng.uniform(np.log(1.0), np.log(60.0))) / 255
    field = rng.standard_normal((*x.shape[:2], 3 if rng.random() < 0.6 else 1), dtype=np.float32)
    if rng.random() < 0.3:
        width = rng.uniform(0.5, 2)
        field = cv2.GaussianBlur(field, (0, 0), width).reshape(field.shape)
        field /= field.std() + 1e-6
    return x + np.float32(sigma) * field


def compress(x: Image, rng: np.random.Generator) -> Image:
    kind, flag = (".jpg", cv2.IMWRITE_JPEG_QUALITY) if rng.random() < 0.8 else (".webp", cv2.IMWRITE_WEBP_QUALITY)
    _, data = cv2.imencode(kind, to_8_bit(x), [flag, int(rng.integers(4, 96))])
    return cv2.imdecode(data, cv2.IMREAD_COLOR).astype(np.float32) / 255


def resample(x: Image, rng: np.random.Generator) -> Image:
    """Downscale by 1.3 to 8 and upscale again."""
    height, width = x.shape[:2]
    factor = np.exp(rng.uniform(np.log(1.3), np.log(8)))
    down = (cv2.INTER_AREA, cv2.INTER_CUBIC, cv2.INTER_LINEAR)[rng.integers(3)]
    up = (cv2.INTER_CUBIC, cv2.INTER_CUBIC, cv2.INTER_LANCZOS4, cv2.INTER_LINEAR, cv2.INTER_NEAREST)[rng.integers(5)]
    small = cv2.resize(x, (max(2, round(width / factor)), max(2, round(height / factor))), interpolation=down)
    if rng.random() < 0.25:
        small = compress(small.clip(0, 1), rng)
    return cv2.resize(small, (width, height), interpolation=up)


def sharpen(x: Image, rng: np.random.Generator) -> Image:
    return x + np.float32(rng.uniform(0.2, 2.5)) * (x - cv2.GaussianBlur(x, (0, 0), rng.uniform(0.5, 2)))


def shift(x: Image, rng: np.random.Generator) -> Image:
    matrix = np.float32([[1, 0, rng.normal(0, 0.8)], [0, 1, rng.normal(0, 0.8)]])
    return cv2.warpAffine(x, matrix, x.shape[1::-1], flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)


def colour(x: Image, rng: np.random.Generator) -> Image:
    gain, offset = rng.normal(1, 0.1, 3), rng.normal(0, 0.04, 3)
    return np.clip(x, 0, 1) ** np.float32(np.exp(rng.normal(0, 0.15))) * gain.astype(np.float32) + offset.astype("f4")


def paint(x: Image, rng: np.random.Generator) -> Image:
    x8 = to_8_bit(x)
    if rng.random() < 0.5:
        return cv2.medianBlur(x8, int(rng.choice([3, 5]))).astype(np.float32) / 255
    return cv2.bilateralFilter(x8, 5, float(rng.uniform(20, 90)), 3).astype(np.float32) / 255


def convolve(x: Image, rng: np.random.Generator) -> Image:
    """Add a residual of two random convolutions around a ReLU, some on a coarser grid, to mimic network artefacts."""
    step = int(rng.choice([1, 1, 2, 4]))
    y = x if step == 1 else cv2.resize(x, None, fx=1 / step, fy=1 / step, interpolation=cv2.INTER_AREA)
    layers = []
    for _ in range(3):
        kernel = rng.standard_normal((5, 5)).astype(np.float32)
        kernel -= kernel.mean() if rng.random() < 0.7 else 0
        hidden = np.maximum(cv2.filter2D(y.mean(2) if rng.random() < 0.5 else y[..., rng.integers(3)], -1, kernel), 0)
        layers.append(cv2.filter2D(hidden, -1, rng.standard_normal((3, 3)).astype(np.float32)))
    residual = np.stack(layers, -1)
    if step > 1:
        up = cv2.INTER_NEAREST if rng.random() < 0.5 else cv2.INTER_CUBIC
        residual = cv2.resize(residual, x.shape[1::-1], interpolation=up)
        if rng.random() < 0.5:  # a pattern that repeats with the grid
            tile = rng.standard_normal((step, step, 1)).astype(np.float32)
            tiled = np.tile(tile, (x.shape[0] // step + 1, x.shape[1] // step + 1, 1))
            residual = residual * tiled[: x.shape[0], : x.shape[1]]
    residual -= residual.mean((0, 1))
    return x + residual / (residual.std() + 1e-4) * np.float32(np.exp(rng.uniform(np.log(0.004), np.log(0.1))))


DISTORTIONS: tuple[Callable[[Image, np.random.Generator], Image], ...] = (
    blur, noise, compress, resample, resample, sharpen, shift, colour, paint, motion, convolve, convolve,
)  # fmt: skip


def distort(x: Image, rng: np.random.Generator) -> Image:
    """Apply one to three distortions, sometimes attenuated or spatially varying."""
    y = x
    for _ in range(int(rng.choice([1, 2, 3], p=[0.5, 0.35, 0.15]))):
        y = DISTORTIONS[rng.integers(len(DISTORTIONS))](y, rng)
    share: float | Image = 1.0
    if rng.random() < 0.35:
        share = float(np.exp(rng.uniform(np.log(0.05), 0)))
    if rng.random() < 0.25:
        coarse = rng.random((4, 4), dtype=np.float32)
        share = share * cv2.resize(coarse, x.shape[1::-1], interpolation=cv2.INTER_CUBIC)[..., None].clip(0, 1)
    y = x + share * (y - x)
    # The generator output that the loss sees is neither clipped nor rounded.
    return (y if rng.random() < 0.5 else y.clip(0, 1)).astype(np.float32)
