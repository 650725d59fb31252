"""TensorFlow Lite files, run by OpenVINO where it is installed, else by OpenCV."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from facehall.errors import FacehallError
from facehall.io.openvino import openvino_core

Network = Callable[[np.ndarray], list[np.ndarray]]

BACKENDS = ("openvino", "opencv")


def load_tflite(path: Path, outputs: Sequence[str], backend: str | None = None) -> Network:
    """Load a network with one image input.

    Args:
        path: the file.
        outputs: names of the outputs to return.
        backend: ``openvino`` or ``opencv``; None takes the first that is installed.

    Returns:
        a function from an image (H, W, C) float32 to the outputs, one flat float32 array each. Of several channels
        the backends would give another order of axes; the networks read here have images of one channel, or vectors.

    Raises:
        FacehallError: an unknown backend, or the file cannot be read.
    """
    if backend not in (None, *BACKENDS):
        raise FacehallError(f"Unknown backend {backend!r} for {path.name}: give {' or '.join(BACKENDS)}.")
    try:
        if backend != "opencv":
            try:
                return _openvino(path, outputs)
            except ImportError:
                if backend == "openvino":
                    raise FacehallError("OpenVINO is not installed: pip install 'facehall[openvino]'.") from None
        return _opencv(path, outputs)
    except FacehallError:
        raise
    except Exception as error:  # both raise their own exceptions, and RuntimeError
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise FacehallError(f"{path} cannot be read as a TensorFlow Lite file ({reason}). Replace the file.") from error


def _openvino(path: Path, outputs: Sequence[str]) -> Network:
    core = openvino_core()
    options = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": "1"}  # small networks: threads only wait
    compiled = core.compile_model(core.read_model(path), "CPU", options)
    request = compiled.create_infer_request()
    ports = [compiled.output(name) for name in outputs]

    def run(image: np.ndarray) -> list[np.ndarray]:
        request.infer([np.ascontiguousarray(image[None], np.float32)])
        return [np.array(request.get_tensor(port).data).ravel() for port in ports]

    return run


def _opencv(path: Path, outputs: Sequence[str]) -> Network:
    import cv2

    # OpenCV 5's new engine drops outputs; earlier versions have but the classic one.
    engine = getattr(cv2.dnn, "ENGINE_CLASSIC", None)
    network: Any = cv2.dnn.readNetFromTFLite(str(path), *([] if engine is None else [engine]))

    def run(image: np.ndarray) -> list[np.ndarray]:
        network.setInput(np.ascontiguousarray(image.transpose(2, 0, 1)[None], np.float32))
        return [np.array(found).ravel() for found in network.forward(list(outputs))]

    return run
