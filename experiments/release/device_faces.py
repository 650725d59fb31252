"""Training faces that stay in the memory of the device, where batches are cut, turned, mirrored and reduced."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from facehall.faces.landmarks import LandmarkNetwork
from facehall.faces.mesh_points import FIVE_GROUPS
from facehall.faces.parser import FaceParser
from facehall.faces.similarity import invert, sampling_grid, similarity
from facehall.faces.templates import FFHQ_FIVE
from facehall.imaging import downscale_bicubic, list_images, quantize, read_rgb, resize_bicubic
from facehall.losses.heatmaps import five_points

Batch = dict[str, Any]
CANVAS = 256
"""Side of aligned whole faces before their reduction to 128, so that small turns and shifts cost no sharpness."""
OUTSIDE = 9
"""Label of what a photograph does not show: beyond the classes of the parser, with the weight 0."""


def read_folder(folder: Path, threads: int = 4) -> tuple[list[str], Tensor]:
    """Return the names and the pictures of a folder, all of one size: (N, 3, H, W) uint8."""
    paths = list_images(folder)
    with ThreadPoolExecutor(threads) as pool:
        pictures = list(pool.map(read_rgb, paths))
    return [path.name for path in paths], torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).contiguous()


def unit(pictures: Tensor) -> Tensor:
    return pictures.float() / 255


@lru_cache(maxsize=64)
def resizing_matrix(old: int, new: int, device: torch.device) -> Tensor:
    """Return (new, old), which resizes columns as `resize_bicubic` does; on the device, so that nothing waits."""
    return resize_bicubic(torch.eye(old), (new, old)).to(device)


def resize(images: Tensor, side: int) -> Tensor:
    """Resize squares (B, 3, H, H) to `side`, as `resize_bicubic` does, by two products of matrices."""
    matrix = resizing_matrix(images.shape[-1], side, images.device)
    return matrix @ images @ matrix.T


def mirror(images: Tensor, which: Tensor) -> Tensor:
    """Mirror the images (B, ..., W) of a mask (B,)."""
    return torch.where(which.view(-1, *[1] * (images.ndim - 1)), images.flip(-1), images)


def random_turns(count: int, side: int, degrees: float, scale: float, shift: float, device: torch.device) -> Tensor:
    """Draw similarities about the centre of a square: (B, 2, 3), uniform within the limits; shift in pixels."""

    def draw(limit: float, *size: int) -> Tensor:
        return (2 * torch.rand(count, *size, device=device) - 1) * limit

    angle, factor = draw(math.radians(degrees)), torch.exp(draw(math.log1p(scale)))
    cos, sin = factor * torch.cos(angle), factor * torch.sin(angle)
    linear = torch.stack((torch.stack((cos, -sin), -1), torch.stack((sin, cos), -1)), -2)
    centre = torch.full((2, 1), (side - 1) / 2, device=device)
    return torch.cat((linear, centre - linear @ centre + draw(shift, 2, 1)), -1)


def sample(images: Tensor, matrices: Tensor, size: int, mode: str = "bicubic") -> tuple[Tensor, Tensor]:
    """Show the images at M^-1 q for output pixels q, (B, C, size, size), and which lie inside, (B, size, size)."""
    places = sampling_grid(invert(matrices), images.shape[-2:], size)
    found = F.grid_sample(images, places, mode=mode, padding_mode="border", align_corners=False)
    return found, (places.abs() <= 1).all(-1)


@dataclass(frozen=True)
class Share:
    """A set's share of the batches of `Crops`, and the sides to which its pictures are reduced."""

    name: str
    weight: float
    sides: Sequence[int]


class Crops:
    """Batches of upright faces at several sizes, up to 256 pixels, some of them turned; LR by bicubic.

    Args:
        sets: name -> (N, 3, H, W) uint8, square, on the device.
        shares: one set and one size is drawn for each batch.
        scale: s.
        count: faces of 256 pixels in a batch; smaller ones are more, up to eight times as many.
    """

    def __init__(self, sets: Mapping[str, Tensor], shares: Sequence[Share], scale: int, count: int) -> None:
        self.sets, self.scale, self.count = sets, scale, count
        self.shares = [share for share in shares if share.name in sets]

    def __iter__(self) -> Iterator[Batch]:
        while True:
            share = random.choices(self.shares, [share.weight for share in self.shares])[0]
            yield self.cut(self.sets[share.name], random.choice(list(share.sides)))

    def cut(self, pictures: Tensor, side: int) -> Batch:
        crop = min(side, 256)
        count = min(8 * self.count, round(self.count * (256 / crop) ** 2), len(pictures))
        device, full = pictures.device, pictures.shape[-1]
        hr = unit(pictures[torch.randint(len(pictures), (count,), device=device)])
        if side < 0.8 * full and random.random() < 0.5:  # turned where the reduction hides the interpolation
            hr = sample(hr, random_turns(count, full, 8, 0.05, 4, device), full)[0]
        if side != full:
            hr = resize(hr, side)
        top, left = (random.randint(0, side - crop) for _ in range(2))
        hr = mirror(quantize(hr[..., top : top + crop, left : left + crop]), torch.rand(count, device=device) < 0.5)
        return {"hr": hr, "lr": quantize(downscale_bicubic(hr, self.scale)), "name": []}


class WholeFaces:
    """Batches of whole faces of 128 pixels in FFHQ's frame with the labels of their parts; LR by bicubic.

    Args:
        canvases: name -> (N, 3, 256, 256) uint8 and labels (N, 128, 128) uint8, on the device; see `to_canvas`.
        weights: name -> share of a batch.
        scale: s.
        count: faces in a batch.
    """

    def __init__(
        self,
        canvases: Mapping[str, tuple[Tensor, Tensor]],
        weights: Mapping[str, float],
        scale: int,
        count: int,
    ) -> None:
        names = [name for name in weights if name in canvases]
        self.pictures = torch.cat([canvases[name][0] for name in names])
        self.labels = torch.cat([canvases[name][1] for name in names])
        each = [torch.full((len(canvases[name][0]),), weights[name] / len(canvases[name][0])) for name in names]
        self.weights = torch.cat(each).to(self.pictures.device)
        self.scale, self.count = scale, count

    def __iter__(self) -> Iterator[Batch]:
        device = self.pictures.device
        still = torch.eye(2, 3, device=device)
        while True:
            index = torch.multinomial(self.weights, self.count, replacement=True)
            # mostly near the frame, some as far from it as faces that other detectors have cropped
            strength = torch.rand(self.count, 1, 1, device=device).square()
            turns = torch.lerp(still, random_turns(self.count, CANVAS, 10, 0.15, 16, device), strength)
            hr = quantize(downscale_bicubic(sample(unit(self.pictures[index]), turns, CANVAS)[0], 2))
            labels = self.labels[index][:, None].float()
            halved = torch.cat((turns[..., :2], turns[..., 2:] / 2), -1)
            labels, inside = sample(labels, halved, CANVAS // 2, "nearest")
            labels = torch.where(inside[:, None], labels, OUTSIDE)
            which = torch.rand(self.count, device=device) < 0.5
            hr, labels = mirror(hr, which), mirror(labels[:, 0].round().long(), which)
            yield {"hr": hr, "lr": quantize(downscale_bicubic(hr, self.scale)), "parsing": labels, "name": []}


@torch.no_grad()
def to_canvas(pictures: Tensor, device: torch.device, points: Tensor | None = None, find: bool = False) -> Any:
    """Return faces on canvases in FFHQ's frame and the labels of their parts.

    Args:
        pictures: (N, 3, H, W) uint8; already in FFHQ's frame unless `points` or `find`.
        device: where the result is wanted.
        points: (N, 68, 2) landmarks in pixels, by which they are aligned.
        find: align by the points that our landmark network finds, for faces nearly in FFHQ's frame.

    Returns:
        (N, 3, 256, 256) uint8 and (N, 128, 128) uint8.
    """
    target = torch.tensor(FFHQ_FIVE, device=device) * (CANVAS / 512)
    landmarks, parser = LandmarkNetwork.pretrained().to(device), FaceParser.pretrained().to(device)
    canvases, labels = [], []
    for start in range(0, len(pictures), 128):
        images = unit(pictures[start : start + 128].to(device))
        inside = None
        if find or points is not None:
            if points is not None:
                five = five_points(points[start : start + 128].to(device, torch.float32))
            else:
                mesh = landmarks(images) * images.shape[-1] - 0.5
                five = torch.stack([mesh[:, list(group)].mean(1) for group in FIVE_GROUPS], 1)
            images, inside = sample(images, similarity(five, target), CANVAS)
        elif images.shape[-1] != CANVAS:
            images = resize_bicubic(images, (CANVAS, CANVAS))
        found = parser(images).argmax(1)
        if inside is not None:
            found = torch.where(inside[:, ::2, ::2], found, OUTSIDE)
        canvases.append((255 * quantize(images)).round().to(torch.uint8))
        labels.append(found.to(torch.uint8))
    return torch.cat(canvases), torch.cat(labels)
