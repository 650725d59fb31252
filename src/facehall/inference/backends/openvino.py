"""Backends with OpenVINO on the CPU, float32 or bfloat16."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load, save
from torch import Tensor

from facehall.imaging import upscale_bicubic
from facehall.inference.backends.base import Backend
from facehall.inference.backends.graphs import cached, graph_path
from facehall.inference.tracing import min_side, portable_program
from facehall.io.extras import require_extra
from facehall.io.openvino import openvino_core
from facehall.models.generators import Generator
from facehall.systems.rgb import is_luma


def openvino(generator: Generator, device: torch.device) -> Backend:
    """Convert `generator` to OpenVINO in float32, with as many threads as torch uses.

    Raises:
        FacehallError: if the extra `openvino` is not installed.
    """
    return _backend(generator, "f32")


def openvino_bf16(generator: Generator, device: torch.device) -> Backend:
    """Convert `generator` to OpenVINO with convolutions in bfloat16 and the bicubic base in float32.

    Equals `openvino` on CPUs without bfloat16, and for networks of luma, whose colour conversion would be rounded, too.
    """
    return _backend(generator, "f32" if is_luma(generator) else "bf16")


def path(generator: Generator) -> Path:
    """Return the cache path of the converted network."""
    import openvino

    return graph_path(generator, ".openvino", openvino.__version__)


def _backend(generator: Generator, precision: str) -> Backend:
    require_extra("openvino", "openvino")
    import openvino as ov

    parts = load(cached(path(generator), lambda: _converted(generator)))
    core = openvino_core()
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
    adds_base = bool(parts["based"])

    def run(lr: Tensor) -> Tensor:
        if min(lr.shape[-2:]) < min_side(generator):
            return generator(lr)
        sr = torch.from_numpy(request.infer([lr.contiguous().numpy()])[0])
        # The result of infer is overwritten by the next image, hence the copy; the sum is a new tensor.
        return sr + upscale_bicubic(lr, generator.scale) if adds_base else sr.clone()

    return run


def _converted(generator: Generator) -> bytes:
    """Return OpenVINO's graph and weights without the bicubic base, and whether there is a base, as safetensors."""
    import openvino as ov
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.fx_decoder import TorchFXPythonDecoder

    program, adds_base = portable_program(generator, base=False)
    # The steps of ov.convert_model, without its telemetry.
    frontend = FrontEndManager().load_by_framework("pytorch")
    logging.disable(logging.WARNING)  # it warns about operators that differ between versions of torch
    try:
        decoder = TorchFXPythonDecoder.from_exported_program(program)
    finally:
        logging.disable(logging.NOTSET)
    model = frontend.convert(frontend.load(decoder))
    with tempfile.TemporaryDirectory() as folder:
        ov.save_model(model, f"{folder}/net.xml", compress_to_fp16=False)
        graph, weights = (np.fromfile(f"{folder}/net.{suffix}", np.uint8) for suffix in ("xml", "bin"))
    parts = {"graph": torch.from_numpy(graph), "weights": torch.from_numpy(weights), "based": torch.tensor(adds_base)}
    return save(parts)
