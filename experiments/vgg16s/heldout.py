"""Held-out pairs: images of the test sets with known distortions of known strengths."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from facehall.imaging import downscale_bicubic, upscale_bicubic
from facehall.models.generators import Generator
from facehall.models.weights import load_generator
from pictures import pictures, random_crop, read, to_8_bit

SIDE = 96
SETS = (
    "faces/test/celebahq512",
    "faces/test/london512",
    "benchmark/DIV2K_valid100_crop256",
    "benchmark/Urban100_first15",
    "benchmark/Set14",
    "benchmark/Set5",
)
Distortion = Callable[[Tensor, np.random.Generator], Tensor]  # (1, 3, SIDE, SIDE) in [0, 1] -> the same


@dataclass(frozen=True)
class Pairs:
    clean: Tensor  # (N, 3, SIDE, SIDE) in [0, 1]
    distorted: Tensor  # the same shape, 8-bit levels
    family: list[str]
    strength: list[str]
    picture: list[str]


def heldout_pairs(data: Path, psnr: Path, gan: Path, per_picture: int = 4) -> Pairs:
    """Make `per_picture` pairs of one crop per image, cycling through the distortions for equal frequency.

    Args:
        data: the folder described in README.md.
        psnr, gan: weights of one x4 run at the end of each phase.
        per_picture: distortions per crop.
    """
    rng = np.random.default_rng(2024)
    table = distortions(load_generator(psnr), load_generator(gan))
    queue = rng.permutation(len(table))
    found = []
    for folder in SETS:
        for path in _references(data / folder):
            crop = random_crop(read(path), SIDE, rng).astype(np.float32) / 255
            clean = torch.from_numpy(crop).permute(2, 0, 1)[None].contiguous()
            for _ in range(per_picture):
                index, queue = queue[0], queue[1:]
                queue = queue if len(queue) else rng.permutation(len(table))
                family, strength, function = table[index]
                with torch.no_grad():
                    distorted = (function(clean, rng).clamp(0, 1) * 255).round() / 255
                found.append((clean, distorted, family, strength, f"{folder}/{path.name}"))
    clean, distorted, family, strength, picture = zip(*found, strict=True)
    return Pairs(torch.cat(clean), torch.cat(distorted), list(family), list(strength), list(picture))


def _references(folder: Path) -> list[Path]:
    return pictures(folder / "HR" if (folder / "HR").is_dir() else folder)


def distortions(psnr: Generator, gan: Generator) -> list[tuple[str, str, Distortion]]:
    """Return (family, strength, function) of all distortions."""
    table: list[tuple[str, str, Distortion]] = []
    table += [("blur", f"{s}", _on_array(_blur, s)) for s in (0.5, 0.8, 1.2, 2, 3)]
    table += [("noise", f"{s}", _on_array(_noise, s)) for s in (2.5, 5, 10, 20, 40)]
    table += [("jpeg", f"{q}", _on_array(_jpeg, q)) for q in (90, 70, 45, 25, 10)]
    table += [("bicubic", f"x{s}", lambda x, rng, s=s: _down_and_up(x, s)) for s in (2, 3, 4, 8)]
    # Interpolated from the PSNR generator (0) to the GAN generator (1), and extrapolated beyond.
    table += [("sr", f"gan {a}", lambda x, rng, a=a: _between(psnr, gan, x, a)) for a in (0, 0.5, 1, 1.5)]
    table += [("sr", f"half gan {a}", lambda x, rng, a=a: 0.5 * x + 0.5 * _between(psnr, gan, x, a)) for a in (0, 1)]
    table += [("sr", f"noise {s}", lambda x, rng, s=s: _from_noisy(gan, x, s, rng)) for s in (3, 8)]
    return table


def _down_and_up(x: Tensor, scale: int) -> Tensor:
    return upscale_bicubic(downscale_bicubic(x, scale), scale)


def _between(psnr: Generator, gan: Generator, x: Tensor, share: float) -> Tensor:
    small = downscale_bicubic(x, psnr.scale)
    smooth = psnr(small)
    return smooth if share == 0 else smooth + share * (gan(small) - smooth)


def _from_noisy(generator: Generator, x: Tensor, sigma: float, rng: np.random.Generator) -> Tensor:
    small = downscale_bicubic(x, generator.scale)
    noise = torch.from_numpy(rng.standard_normal(small.shape, dtype=np.float32))
    return generator((small + noise * sigma / 255).clamp(0, 1))


def _on_array(function: Callable[..., np.ndarray], strength: float) -> Distortion:
    def apply(x: Tensor, rng: np.random.Generator) -> Tensor:
        distorted = function(x[0].permute(1, 2, 0).numpy(), strength, rng)
        return torch.from_numpy(np.ascontiguousarray(distorted, np.float32)).permute(2, 0, 1)[None]

    return apply


def _blur(x: np.ndarray, sigma: float, rng: np.random.Generator) -> np.ndarray:
    return cv2.GaussianBlur(x, (0, 0), sigma)


def _noise(x: np.ndarray, sigma: float, rng: np.random.Generator) -> np.ndarray:
    return x + rng.standard_normal(x.shape, dtype=np.float32) * np.float32(sigma / 255)


def _jpeg(x: np.ndarray, quality: int, rng: np.random.Generator) -> np.ndarray:
    _, data = cv2.imencode(".jpg", to_8_bit(x[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, quality])
    return cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1].astype(np.float32) / 255
