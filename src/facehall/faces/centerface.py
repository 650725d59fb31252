"""CenterFace (Xu et al. 2019, arXiv 1911.03599): boxes, scores and five points from one pass of a small network."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from facehall.assets.wheel_files import CENTERFACE, resolve_wheel_file
from facehall.errors import FacehallError
from facehall.io.openvino import openvino_core

STRIDE = 4
"""Input pixels between the cells of the network's output."""
MULTIPLE = 32
"""The sides of the input are padded to multiples of this, the network's total downscaling."""

Graph = Callable[[np.ndarray], list[np.ndarray]]
"""(1, 3, H, W) float32, RGB from 0 to 255, sides multiples of 32 -> scores (1, 1, H/4, W/4), log sizes and offsets
(1, 2, …), each height first, and points (1, 10, …)."""


class Candidates(NamedTuple):
    """Detections of one pass, neighbouring duplicates included; coordinates in pixels, (0, 0) is the picture's corner.

    boxes: (N, 4): left, top, right, bottom.
    scores: (N,) from 0 to 1.
    points: (N, 5, 2): x, y of the eye on the left of the picture, the other eye, nose tip, mouth corners likewise.
    """

    boxes: np.ndarray
    scores: np.ndarray
    points: np.ndarray


class CenterFace:
    """The network, run by OpenVINO, ONNX Runtime (extra `onnx`) or else OpenCV.

    Args:
        path: centerface.onnx; None finds or downloads it, see `facehall.assets.wheel_files`.
        backend: one of BACKENDS; None: the first that is installed.

    Raises:
        FacehallError: the file is missing or damaged, or the backend is not installed.
    """

    def __init__(self, path: str | Path | None = None, backend: str | None = None) -> None:
        file = resolve_wheel_file(CENTERFACE, path)
        self.backend = backend or next(name for name in BACKENDS if _is_installed(name))
        if not _is_installed(self.backend):
            raise FacehallError(f"The face detector cannot run on {self.backend}: it is not installed.")
        try:
            self._graph = BACKENDS[self.backend](file.read_bytes())
        except Exception as error:  # each backend raises its own types on a damaged file
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise FacehallError(f"{file} cannot be read as a face detector by {self.backend} ({reason}).") from error

    def __call__(self, rgb: np.ndarray, threshold: float) -> Candidates:
        """Find faces in (H, W, 3) uint8 of any size; memory grows with its area."""
        height, width = rgb.shape[:2]
        padded = np.zeros((-(-height // MULTIPLE) * MULTIPLE, -(-width // MULTIPLE) * MULTIPLE, 3), np.float32)
        padded[:height, :width] = rgb
        scores, sizes, offsets, points = self._graph(np.ascontiguousarray(padded.transpose(2, 0, 1)[None]))
        return decode(scores, sizes, offsets, points, threshold)


def decode(
    scores: np.ndarray, sizes: np.ndarray, offsets: np.ndarray, points: np.ndarray, threshold: float
) -> Candidates:
    """Convert the network's outputs (see `Graph`) to candidates with at least this score.

    A cell's box is centred at its middle plus the offset, in cells; its size is the exponential of `sizes`, in cells;
    its points are fractions of the box.
    """
    rows, columns = np.nonzero(scores[0, 0] >= threshold)
    height, width = STRIDE * np.exp(sizes[0, :, rows, columns].T)
    top = STRIDE * (rows + offsets[0, 0, rows, columns] + 0.5) - height / 2
    left = STRIDE * (columns + offsets[0, 1, rows, columns] + 0.5) - width / 2
    fractions = points[0, :, rows, columns].reshape(-1, 5, 2)
    corner, extent = np.stack([left, top], axis=1), np.stack([width, height], axis=1)
    return Candidates(
        np.concatenate([corner, corner + extent], axis=1),
        scores[0, 0, rows, columns],
        corner[:, None] + fractions[..., ::-1] * extent[:, None],
    )


def _openvino(model: bytes) -> Graph:
    import torch

    core = openvino_core()
    graph = core.read_model(model)
    graph.reshape([1, 3, -1, -1])
    # Unasked, OpenVINO computes in bfloat16 where the CPU can: boxes would be another machine's by a few hundredths.
    options = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": torch.get_num_threads()}
    compiled = core.compile_model(graph, "CPU", options)
    return lambda image: [np.array(output) for output in compiled(image).values()]


def _onnxruntime(model: bytes) -> Graph:
    import onnx
    import onnxruntime as ort
    import torch

    graph = onnx.load_from_string(model)
    for value in (*graph.graph.input, *graph.graph.output):  # the published file is for ten images of 32x32
        if value.name not in {weights.name for weights in graph.graph.initializer}:
            for axis in (0, 2, 3):
                value.type.tensor_type.shape.dim[axis].dim_param = f"{value.name}_{axis}"
    options = ort.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    session = ort.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda image: session.run(None, {name: image})


def _opencv(model: bytes) -> Graph:
    network = cv2.dnn.readNetFromONNX(np.frombuffer(model, np.uint8))
    names = sorted(network.getUnconnectedOutLayersNames())

    def run(image: np.ndarray) -> list[np.ndarray]:
        network.setInput(image)
        return list(network.forward(names))

    return run


BACKENDS: dict[str, Callable[[bytes], Graph]] = {
    "openvino": _openvino,
    "onnxruntime": _onnxruntime,
    "opencv": _opencv,
}
_PACKAGES = {"openvino": ("openvino",), "onnxruntime": ("onnx", "onnxruntime"), "opencv": ("cv2",)}


def _is_installed(backend: str) -> bool:
    if backend not in BACKENDS:
        raise FacehallError(f"The face detector has no backend {backend!r}. Choose one of {', '.join(BACKENDS)}.")
    return all(importlib.util.find_spec(package) is not None for package in _PACKAGES[backend])
