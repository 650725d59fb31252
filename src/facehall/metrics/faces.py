"""What the judges of faces share: the mesh of each picture's face, and embeddings at its points.

Both are kept for the last pictures only, so that several judges and systems do not compute them again for the same HR.
Embeddings are biometric data: they stay in memory and are never written.
"""

from __future__ import annotations

import functools

import numpy as np
import torch
from torch import Tensor, nn

from facehall.faces.mesh import FaceMesh, Mesh, Square
from facehall.faces.recognition import Recogniser
from facehall.imaging import to_uint8
from facehall.imaging.levels import digest
from facehall.io.recent import Recent

KEPT = 256
"""Pictures whose results are kept."""


@functools.lru_cache(maxsize=1)
def _mesh() -> FaceMesh:
    return FaceMesh()


@functools.lru_cache(maxsize=1)
def _meshes() -> Recent[Mesh]:
    return Recent(KEPT)


@functools.lru_cache(maxsize=4)
def shared_recogniser(name: str, weights: str | None) -> SharedRecogniser:
    """Return the recogniser that all judges of a process share."""
    return SharedRecogniser(Recogniser(name, weights))


def require_mesh() -> None:
    """Load the face mesh, so that missing weights are reported when a judge is built."""
    _mesh()


def mesh_of(image: Tensor, square: Square | None = None, passes: int = 2) -> Mesh:
    """Return the mesh of the face on an image.

    Args:
        image: (1 or 3, H, W) in [0, 1], of 8-bit levels.
        square: where the face is; None: searched for.
        passes: see `facehall.faces.mesh.FaceMesh`.
    """
    pixels = rgb_pixels(image)
    key = (digest(pixels), square, passes)
    return _meshes().get(key, lambda: _mesh()(pixels, square, passes))


def rgb_pixels(image: Tensor) -> np.ndarray:
    """Convert an image (1 or 3, H, W) in [0, 1] to (H, W, 3) uint8."""
    return np.ascontiguousarray(to_uint8(image.expand(3, -1, -1)))


class SharedRecogniser(nn.Module):
    """A recogniser that remembers the embeddings of the last images.

    Args:
        recogniser: the network.
    """

    def __init__(self, recogniser: Recogniser) -> None:
        super().__init__()
        self.recogniser = recogniser
        self._embeddings = Recent[Tensor](KEPT)

    def forward(self, images: Tensor, points: Tensor) -> Tensor:
        """Embed faces: (B, 1 or 3, H, W) in [0, 1] of 8-bit levels, (B, 5, 2) -> (B, D) float32."""
        found = []
        for image, five in zip(images, points, strict=True):
            key = (digest(rgb_pixels(image)), five.cpu().numpy().tobytes())
            found.append(self._embeddings.get(key, functools.partial(self._embed, image, five)))
        return torch.stack(found)

    def _embed(self, image: Tensor, five: Tensor) -> Tensor:
        with torch.autocast(image.device.type, enabled=False):
            return self.recogniser(image.float().expand(3, -1, -1)[None], five[None])[0]
