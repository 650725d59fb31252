"""What each network learns: its data, its loss, and how it is validated."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from facehall.faces.identity import SIDE as CHIP
from facehall.faces.identity import SIZE, IdentityNetwork
from facehall.faces.labels import CLASSES
from facehall.faces.landmarks import LandmarkNetwork
from facehall.faces.mesh_points import LEFT_EYE, RIGHT_EYE, five_of_mesh
from facehall.faces.parser import FaceParser
from facehall.faces.recognition import Recogniser
from facehall.faces.similarity import similarity, warp
from facehall.faces.templates import INSIGHTFACE_FIVE
from labelled_faces import FRAMED, SIDE, TIGHT, VALIDATION, Batches, Faces, load_faces, reduce

SIDES = (16, 32, 64)
"""LR sides of the validation."""


class Task:
    """One network's training.

    Attributes:
        name: of the network and its weights file.
        network: to be trained.
        steps, batch: of a whole training.
        better: 1 if the first figure of `validate` should be high, else -1.
    """

    name: str
    network: nn.Module
    steps: int
    batch: int
    better: int

    def batches(self, batch: int, seed: int, start: int) -> Iterator[Any]:
        raise NotImplementedError

    def loss(self, network: nn.Module, batch: Any) -> Tensor:
        raise NotImplementedError

    def validate(self, network: nn.Module) -> dict[str, float]:
        raise NotImplementedError


class Parsing(Task):
    """Cross entropy and Dice loss on the teacher's classes, from LR pictures of any side."""

    name, steps, batch, better = "parser", 6000, 16, 1

    def __init__(self, data: Path, annotations: Path, out: Path) -> None:
        self.network = FaceParser()
        self.faces = load_faces(data, annotations, FRAMED, out.parent / "store")
        self.held_out = load_faces(data, annotations, [VALIDATION], out.parent / "store")
        share = np.bincount(self.faces.labels.ravel(), minlength=len(CLASSES)) / self.faces.labels.size
        weights = torch.from_numpy(share).float().clamp(min=1e-4) ** -0.5
        self.weights = weights / weights.mean()

    def batches(self, batch: int, seed: int, start: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        return Batches(self.faces, batch, seed, start)

    def loss(self, network: nn.Module, batch: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        lr, labels, _ = batch
        logits = network(lr)
        found, wanted = logits.softmax(1), F.one_hot(labels, len(CLASSES)).permute(0, 3, 1, 2).float()
        both = (found * wanted).sum((0, 2, 3))
        dice = 1 - (2 * both + 1) / ((found + wanted).sum((0, 2, 3)) + 1)
        return F.cross_entropy(logits, labels, self.weights) + 0.5 * dice.mean()

    @torch.no_grad()
    def validate(self, network: nn.Module) -> dict[str, float]:
        found = {f"miou_{side}": parsing_figures(network, self.held_out, side)["miou"] for side in SIDES}
        return {"miou": float(np.mean(list(found.values()))), **found}


class Landmarks(Task):
    """Distances of the points, relative to the eyes', with more weight on small errors than a square has."""

    name, steps, batch, better = "landmarks", 20000, 32, -1

    def __init__(self, data: Path, annotations: Path, out: Path) -> None:
        self.network = LandmarkNetwork()
        self.faces = load_faces(data, annotations, FRAMED + TIGHT, out.parent / "store")
        self.held_out = load_faces(data, annotations, [VALIDATION], out.parent / "store")
        drawn = Batches(self.faces, 512, 0, 0)
        self.network.start_from(torch.cat([next(drawn)[2] for _ in range(4)]))

    def batches(self, batch: int, seed: int, start: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        return Batches(self.faces, batch, seed, start)

    def loss(self, network: nn.Module, batch: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        lr, _, points = batch
        distances = (network(lr) - points).norm(dim=-1) / eyes(points)[:, None]
        return (1 + distances / 0.02).log().mean()

    @torch.no_grad()
    def validate(self, network: nn.Module) -> dict[str, float]:
        found = {f"nme_{side}": landmark_error(network, self.held_out, side) for side in SIDES}
        return {"nme": float(np.mean(list(found.values()))), **found}


class Identity(Task):
    """Cosine and mutual similarities of FaceRes's embeddings, centred and reduced to the principal components.

    The teacher sees the clean pictures once; its embeddings are biometric data and stay in memory.
    """

    name, steps, batch, better = "identity", 16000, 32, 1

    def __init__(self, data: Path, annotations: Path, out: Path) -> None:
        self.network = IdentityNetwork()
        self.faces = load_faces(data, annotations, FRAMED + TIGHT, out.parent / "store")
        self.held_out = load_faces(data, annotations, [VALIDATION], out.parent / "store")
        teacher = Recogniser("faceres")
        raw = embed_all(teacher, self.faces)
        self.mean = raw.mean(0)
        self.components = torch.linalg.svd(raw - self.mean, full_matrices=False)[2][:SIZE]
        self.targets = self.reduced(raw)
        self.held_targets = self.reduced(embed_all(teacher, self.held_out))

    def reduced(self, embeddings: Tensor) -> Tensor:
        """Return centred unit vectors of the principal components: (N, 1024) -> (N, 192)."""
        return F.normalize((embeddings - self.mean) @ self.components.T, dim=1)

    def batches(self, batch: int, seed: int, start: int) -> Iterator[tuple[Tensor, Tensor]]:
        return ChipBatches(self.faces, self.targets, batch, seed, start)

    def loss(self, network: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        chips, targets = batch
        found = F.normalize(network.embed(chips), dim=1)  # type: ignore[operator]
        direction = (1 - (found * targets).sum(1)).mean()
        mutual = (found @ found.T - targets @ targets.T).square().mean()
        return direction + 10 * mutual

    @torch.no_grad()
    def validate(self, network: nn.Module) -> dict[str, float]:
        found = F.normalize(network(aligned(self.held_out, range(len(self.held_out)))), dim=1)
        return {"cosine": float((found * self.held_targets).sum(1).mean())}


class ChipBatches(Iterator[tuple[Tensor, Tensor]]):
    """Aligned faces with jitter, blur and light, and the embeddings of the clean ones."""

    def __init__(self, faces: Faces, targets: Tensor, size: int, seed: int, start: int) -> None:
        self.faces, self.targets, self.size, self.seed, self.number = faces, targets, size, seed, start

    def __next__(self) -> tuple[Tensor, Tensor]:
        rng = np.random.default_rng([self.seed, self.number])
        self.number += 1
        chosen = rng.integers(0, len(self.faces), self.size)
        chips = aligned(self.faces, chosen, rng)
        if rng.random() < 0.3:
            chips = F.interpolate(reduce(chips, int(rng.integers(24, 64))), CHIP, mode="bicubic", align_corners=False)
        light = torch.from_numpy(
            rng.uniform(0.8, 1.2, (self.size, 1, 1, 1)) * rng.uniform(0.92, 1.08, (self.size, 3, 1, 1))
        )
        chips = (chips * light.float()).clamp(0, 1)
        mirrored = torch.from_numpy(rng.random(self.size) < 0.5)
        chips[mirrored] = chips[mirrored].flip(-1)
        if rng.random() < 0.3:  # something before the face
            top, left = rng.integers(0, CHIP - 20, 2)
            chips[:, :, top : top + 20, left : left + 20] = float(rng.random())
        return chips, self.targets[torch.from_numpy(chosen)]


TASKS: dict[str, Callable[[Path, Path, Path], Task]] = {
    "parser": Parsing,
    "landmarks": Landmarks,
    "identity": Identity,
}


def eyes(points: Tensor) -> Tensor:
    """Return the distance of the eye centres: (B, 468, 2) -> (B,)."""
    right, left = (points[:, list(contour)].mean(1) for contour in (RIGHT_EYE, LEFT_EYE))
    return (left - right).norm(dim=-1)


def images_of(faces: Faces, which: slice = slice(None)) -> Tensor:
    """Return pictures as (N, 3, 128, 128) in [0, 1]."""
    return torch.from_numpy(faces.pixels[which]).permute(0, 3, 1, 2).float() / 255


@torch.no_grad()
def parsing_figures(network: nn.Module, faces: Faces, side: int) -> dict[str, float]:
    """Return the pixel accuracy, the mean IoU and each class's IoU on pictures reduced to `side` pixels."""
    confusion = np.zeros((len(CLASSES), len(CLASSES)))
    for start in range(0, len(faces), 16):
        chosen = slice(start, start + 16)
        found = network(reduce(images_of(faces, chosen), side)).argmax(1).numpy()
        pairs = faces.labels[chosen].astype(np.int64).ravel() * len(CLASSES) + found.ravel()
        confusion += np.bincount(pairs, minlength=len(CLASSES) ** 2).reshape(confusion.shape)
    union = confusion.sum(0) + confusion.sum(1) - confusion.diagonal()
    iou = confusion.diagonal() / union
    figures = {"accuracy": confusion.diagonal().sum() / confusion.sum(), "miou": iou.mean()}
    return {name: float(value) for name, value in (figures | dict(zip(CLASSES, iou, strict=True))).items()}


@torch.no_grad()
def landmark_error(network: nn.Module, faces: Faces, side: int) -> float:
    """Return the mean distance from the teacher's points at full size, in % of the eye distance."""
    errors = []
    for start in range(0, len(faces), 16):
        chosen = slice(start, start + 16)
        points = (torch.from_numpy(faces.points[chosen]) + 0.5) / SIDE
        found = network(reduce(images_of(faces, chosen), side))
        errors.append((found - points).norm(dim=-1).mean(1) / eyes(points))
    return 100 * float(torch.cat(errors).mean())


def aligned(faces: Faces, chosen: Any, rng: np.random.Generator | None = None) -> Tensor:
    """Return faces aligned as the identity network wants them, (N, 3, 80, 80); with a generator, jittered."""
    indices = np.asarray(chosen)
    five = torch.from_numpy(five_of_mesh(faces.points[indices]))
    if rng is not None:
        spread = 0.04 * (five[:, 1] - five[:, 0]).norm(dim=-1)[:, None, None]
        five = five + spread * torch.from_numpy(rng.normal(size=tuple(five.shape)).astype(np.float32))
    template = torch.tensor(INSIGHTFACE_FIVE) * (CHIP / 112)
    images = torch.from_numpy(faces.pixels[indices]).permute(0, 3, 1, 2).float() / 255
    return warp(images, similarity(five, template), CHIP)


@torch.no_grad()
def embed_all(teacher: Recogniser, faces: Faces) -> Tensor:
    """Embed all pictures by the teacher: (N, D)."""
    five = torch.from_numpy(five_of_mesh(faces.points))
    parts = range(0, len(faces), 32)
    return torch.cat([teacher(images_of(faces, slice(i, i + 32)), five[i : i + 32]) for i in parts])
