"""Backend with ONNX Runtime on the CPU, float32."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from facehall.inference.backends.base import Backend
from facehall.inference.backends.graphs import cached, graph_path
from facehall.inference.export import onnx_bytes
from facehall.inference.tracing import min_side
from facehall.io.extras import require_extra
from facehall.models.generators import Generator


def path(generator: Generator) -> Path:
    """Return the cache path of the converted network."""
    import onnxruntime

    return graph_path(generator, ".onnx", onnxruntime.__version__)


def onnxruntime(generator: Generator, device: torch.device) -> Backend:
    """Convert `generator` to ONNX Runtime, with as many threads as torch uses.

    Raises:
        FacehallError: if the extra `onnx` is not installed.
    """
    require_extra("onnx", "onnxruntime")
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    content = cached(path(generator), lambda: onnx_bytes(generator, {}))
    session = ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])

    def run(lr: Tensor) -> Tensor:
        if min(lr.shape[-2:]) < min_side(generator):
            return generator(lr)
        return torch.from_numpy(session.run(None, {"lr": lr.numpy()})[0])

    return run
