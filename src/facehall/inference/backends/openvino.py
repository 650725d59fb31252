"""OpenVINO on the CPU, in float32 or in bfloat16."""

from __future__ import annotations

import functools
import logging
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load, save
from torch import Tensor

from facehall.imaging import upscale_bicubic
from facehall.inference.backends.base import Backend
from facehall.inference.backends.graphs import graph_path, kept
from facehall.inference.export import MIN_SIDE, portable, require
from facehall.models.generators import Generator


def openvino(generator: Generator, device: torch.device) -> Backend:
    """`generator` in float32, with as many threads as torch has.

    Raises:
        FacehallError: the extra `openvino` is not installed.
    """
    return _backend(generator, "f32")


def openvino_bf16(generator: Generator, device: torch.device) -> Backend:
    """The same with convolutions in bfloat16; the bicubic base stays in float32. Where the CPU has no bfloat16 it is
    `openvino`.
    """
    return _backend(generator, "bf16")


def path(generator: Generator) -> Path:
    """Where the converted network is kept."""
    import openvino

    return graph_path(generator, ".openvino", openvino.__version__)


def _backend(generator: Generator, precision: str) -> Backend:
    require("openvino", "openvino")
    import openvino as ov

    parts = load(kept(path(generator), lambda: _converted(generator)))
    core = _core()
    model = core.read_model(parts["graph"].numpy().tobytes(), ov.Tensor(parts["weights"].numpy()))
    compiled = core.compile_model(
        model,
        "CPU",
        {
            "INFERENCE_PRECISION_HINT": precision,
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        },
    )
    request = compiled.create_infer_request()
    based = bool(parts["based"])

    def run(lr: Tensor) -> Tensor:
        if min(lr.shape[-2:]) < MIN_SIDE:
            return generator(lr)
        sr = torch.from_numpy(request.infer([lr.contiguous().numpy()])[0])
        # What infer gives belongs to the request and is overwritten by the next picture; the sum is a new tensor.
        return sr + upscale_bicubic(lr, generator.scale) if based else sr.clone()

    return run


@functools.cache
def _core() -> Any:
    """The process's one OpenVINO.

    Each brings a stack for signal handlers and puts the one that it found back when it goes. Two that go in the order
    in which they came leave a stack that is gone, and the next signal ends the process with a segmentation fault.
    """
    import openvino as ov

    return ov.Core()


def _converted(generator: Generator) -> bytes:
    """OpenVINO's graph and weights, and whether the bicubic base is left out of them, as safetensors."""
    import openvino as ov
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.fx_decoder import TorchFXPythonDecoder

    program, based = portable(generator, base=False)
    # What ov.convert_model does, which would also report its use to its makers over the network.
    frontend = FrontEndManager().load_by_framework("pytorch")
    logging.disable(logging.WARNING)  # OpenVINO's list of operators is not that of every torch, and it says so
    try:
        decoder = TorchFXPythonDecoder.from_exported_program(program)
    finally:
        logging.disable(logging.NOTSET)
    model = frontend.convert(frontend.load(decoder))
    with tempfile.TemporaryDirectory() as folder:
        ov.save_model(model, f"{folder}/net.xml", compress_to_fp16=False)
        graph, weights = (np.fromfile(f"{folder}/net.{suffix}", np.uint8) for suffix in ("xml", "bin"))
    tensors = {"graph": torch.from_numpy(graph), "weights": torch.from_numpy(weights), "based": torch.tensor(based)}
    return save(tensors)
