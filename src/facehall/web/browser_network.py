"""A network for the static page: one graph, and the weights of which the page's worker makes any fidelity."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from facehall.errors import FacehallError
from facehall.inference.export import export
from facehall.inference.fidelity import gan_and_psnr_files
from facehall.inference.tiling import receptive_field
from facehall.inference.tracing import TOLERANCE
from facehall.models.generators import Generator
from facehall.models.weights import load_generator
from facehall.systems.rgb import as_rgb

if TYPE_CHECKING:
    from onnx import ModelProto

WEIGHTS_BIN = "weights.bin"
"""The location that graphs name as that of their weights."""
_PREFIX = "generator."
"""What precedes a network's own names in an exported graph."""


@dataclass(frozen=True)
class BrowserNetwork:
    """A network as the page's worker loads it.

    Attributes:
        scale: its upscaling factor.
        overlap: context of its tiles, in input pixels.
        cell: its tiles begin at multiples of this, in input pixels.
        graph: an ONNX file, whose weights are in `WEIGHTS_BIN`.
        weights: float32 values, little endian, in the same order: of the network, and of that of the PSNR phase of the
            same run if there is one. All that lies between them is a network, too (`load_interpolated`).
    """

    scale: int
    overlap: int
    cell: int
    graph: bytes
    weights: tuple[bytes, ...]


def browser_network(weights: Path) -> BrowserNetwork:
    """Export a network, and that of the PSNR phase if there is one, and check them.

    Raises:
        FacehallError: if it cannot be exported, needs the whole picture at once, or the result is not the network's.
    """
    files = [weights, *_faithful(weights)]
    generators = [as_rgb(load_generator(file)) for file in files]
    if generators[0].whole_picture:
        raise FacehallError(f"{weights}: this network needs the whole picture at once, which a browser cannot hold.")
    import onnx

    with tempfile.TemporaryDirectory() as folder:
        model = onnx.load(export(weights, Path(folder, "network.onnx")))
        graph, names = _separate(model, set(generators[0].state_dict()))
        binaries = tuple(_values(generator, names) for generator in generators)
        Path(folder, "graph.onnx").write_bytes(graph)
        for file, generator, values in zip(files, generators, binaries, strict=True):
            Path(folder, WEIGHTS_BIN).write_bytes(values)
            _check(Path(folder, "graph.onnx"), file, generator)
    overlap = receptive_field.overlap(generators[0], torch.device("cpu"))
    return BrowserNetwork(generators[0].scale, overlap, generators[0].cell, graph, binaries)


def _faithful(weights: Path) -> list[Path]:
    """Return the file of the PSNR phase of the same run, if there is another one with the same network."""
    if weights.suffix == ".pth" or weights.stem.endswith("_psnr"):
        return []
    try:
        _, psnr = gan_and_psnr_files(weights)
        same = load_generator(psnr).arguments == load_generator(weights).arguments
    except FacehallError:
        return []
    return [psnr] if same else []


def _separate(model: ModelProto, parameters: set[str]) -> tuple[bytes, list[str]]:
    """Take the values of parameters out of a graph, and its metadata; return it and the parameters in their order."""
    import onnx

    del model.metadata_props[:]
    names, offset = [], 0
    for tensor in model.graph.initializer:
        name = tensor.name.removeprefix(_PREFIX)
        if name in parameters and tensor.data_type == onnx.TensorProto.FLOAT:
            place = {"location": WEIGHTS_BIN, "offset": offset, "length": len(tensor.raw_data)}
            for key, value in place.items():
                tensor.external_data.add(key=key, value=str(value))
            names.append(name)
            offset += len(tensor.raw_data)
            tensor.ClearField("raw_data")
            tensor.data_location = onnx.TensorProto.EXTERNAL
    return model.SerializeToString(), names


def _values(generator: Generator, names: Sequence[str]) -> bytes:
    state = generator.state_dict()
    return b"".join(state[name].float().contiguous().numpy().astype("<f4").tobytes() for name in names)


@torch.no_grad()
def _check(graph: Path, weights: Path, generator: Generator) -> None:
    """Refuse files whose output is not the network's, such as of a graph that keeps some of the weights."""
    import onnxruntime

    lr = torch.rand(1, 3, 17, 24, generator=torch.Generator().manual_seed(0))
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    difference = float(np.abs(session.run(None, {"lr": lr.numpy()})[0] - generator(lr).numpy()).max())
    if not difference < TOLERANCE:
        raise FacehallError(
            f"{weights}: with these weights the exported graph differs from the network by {difference:.2g}, so the "
            "page was not written. Use another version of torch, or weights without those of a PSNR phase beside them."
        )
