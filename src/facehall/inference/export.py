"""Export of generators to ONNX, TorchScript, torch.export and ESRGAN files, verified before writing.

Every file takes an image ``lr`` (1, 3, h, w) RGB in [0, 1] with h and w of at least `min_side`, 2 for most networks,
and returns ``sr`` (1, 3, s h, s w), roughly in [0, 1], not clamped; networks of luma or of the bicubic image are
wrapped to do so (`as_rgb`). Its metadata are those of the weights file, and ``scale``.

    onnxruntime.InferenceSession("net.onnx").run(None, {"lr": lr})[0]       # scale: get_modelmeta().custom_metadata_map
    torch.jit.load("net.pt")(lr)                                            # in C++ too: torch::jit::load
    torch.export.load("net.pt2").module()(lr)

An ESRGAN file (.pth) holds the tensors of an `RRDBNet` alone, for programs that read public ESRGAN checkpoints; it has
no metadata.
"""

from __future__ import annotations

import io
import json
import re
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from facehall.errors import FacehallError
from facehall.inference.tracing import TOLERANCE, min_side, portable_program, torch_program
from facehall.io.atomic import replacing
from facehall.io.extras import require_extra
from facehall.models.generators import Generator, RRDBNet
from facehall.models.weights import load_generator, public_rrdbnet, read_metadata
from facehall.systems.rgb import as_rgb

CHECK_SIZES = ((2, 2), (2, 19), (33, 3), (16, 16), (57, 40))
"""Input sizes for which an exported file is compared with the network; sides below `min_side` are raised to it."""
PUBLIC_GROWTH = 32
"""Growth of all public ESRGAN checkpoints; readers infer blocks and features from a file, but not this."""
Run = Callable[[Tensor], Tensor]


def export(weights: Path, output: Path, format: str = "onnx", overwrite: bool = False) -> Path:
    """Atomically export the generator of a weights file.

    Args:
        weights: a file that `load_generator` reads.
        output: the file to write; its folder is created.
        format: ``onnx`` (needs the extra of that name), ``torchscript``, ``torch_export``, or ``esrgan``, for an
            `RRDBNet` with a growth of `PUBLIC_GROWTH`.
        overwrite: replace an existing file.

    Returns:
        `output`.

    Raises:
        FacehallError: if the weights are invalid or of a classical method, the format is unknown or does not fit the
            network, its packages are missing, `output` exists, or the exported file does not reproduce the network's
            output.
    """
    weights, output = Path(weights), Path(output)
    if format not in FORMATS:
        raise FacehallError(f"format={format}: unknown export format. Choose one of {', '.join(FORMATS)}.")
    if output.is_dir() or (output.exists() and not overwrite):
        problem = "is a folder. Give a file." if output.is_dir() else "already exists. Give overwrite, or another name."
        raise FacehallError(f"{output} {problem}")
    loaded = load_generator(weights)
    if loaded.eager_only:
        raise FacehallError(
            f"{weights} holds {type(loaded).__name__}, a classical method, which cannot be exported. "
            "facehall upscale and facehall evaluate run it."
        )
    generator = as_rgb(loaded)
    write, read = FORMATS[format]
    content = write(generator, {**_source_metadata(weights, loaded), "scale": str(generator.scale)})
    difference = _difference(generator, read(content))
    if not difference < TOLERANCE:
        raise FacehallError(
            f"{weights}: the output of the {format} file differs from the network's by {difference:.2g} (more than "
            f"{TOLERANCE:g}), so it was not written. Export to another format, or use another version of torch."
        )
    try:
        with replacing(output) as partial:
            partial.write_bytes(content)
    except OSError as error:
        raise FacehallError(f"{output} cannot be written: {error.strerror or error}.") from None
    return output


def onnx_bytes(generator: Generator, metadata: Mapping[str, str]) -> bytes:
    """Return an ONNX file of `generator`, with `metadata` as its properties.

    Raises:
        FacehallError: if the extra `onnx` is not installed.
    """
    require_extra("onnx", "onnx", "onnxruntime", "onnxscript")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecation warnings of torch's own exporter
        program = torch.onnx.export(
            portable_program(generator)[0],
            dynamo=True,
            input_names=["lr"],
            output_names=["sr"],
            verbose=False,
        )
    assert program is not None  # guaranteed by dynamo=True
    model = program.model_proto
    for node in model.graph.node:
        del node.metadata_props[:]  # stack traces, which contain local paths
    del model.graph.value_info[:]
    height, width = (dim.dim_param for dim in model.graph.input[0].type.tensor_type.shape.dim[2:])
    names = {height: "height", width: "width"}
    for value in (*model.graph.input, *model.graph.output):
        for dim in value.type.tensor_type.shape.dim[2:]:
            dim.dim_param = re.sub(r"\w+", lambda match: names.get(match[0], match[0]), dim.dim_param)
    for key, text in metadata.items():
        model.metadata_props.add(key=key, value=text)
    return model.SerializeToString()


def _source_metadata(weights: Path, generator: Generator) -> dict[str, str]:
    if weights.suffix != ".pth":
        return read_metadata(weights)
    return {"target": type(generator).__name__, "arguments": json.dumps(generator.arguments)}


@torch.no_grad()
def _difference(generator: Generator, run: Run) -> float:
    random = torch.Generator().manual_seed(0)
    sizes = [[max(side, min_side(generator)) for side in size] for size in CHECK_SIZES]
    pictures = [torch.rand(1, 3, *size, generator=random) for size in sizes]
    return max(float((run(picture) - generator(picture)).abs().max()) for picture in pictures)


def _read_onnx(content: bytes) -> Run:
    import onnxruntime

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return lambda lr: torch.from_numpy(session.run(None, {"lr": lr.numpy()})[0])


def _torchscript(generator: Generator, metadata: Mapping[str, str]) -> bytes:
    content = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # deprecation and tracer warnings; the result is verified
        traced = torch.jit.trace(generator, torch.rand(1, 3, 40, 48), check_trace=False)
        torch.jit.save(traced, content, _extra_files={key: text.encode() for key, text in metadata.items()})
    return content.getvalue()


def _read_torchscript(content: bytes) -> Run:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.jit.load(io.BytesIO(content))


def _torch_export(generator: Generator, metadata: Mapping[str, str]) -> bytes:
    content = io.BytesIO()
    torch.export.save(torch_program(generator), content, extra_files=dict(metadata))
    return content.getvalue()


def _read_torch_export(content: bytes) -> Run:
    return torch.export.load(io.BytesIO(content)).module()


def _esrgan(generator: Generator, metadata: Mapping[str, str]) -> bytes:
    if not isinstance(generator, RRDBNet):
        raise FacehallError(
            f"format=esrgan: only an RRDBNet can be written as an ESRGAN checkpoint, not a {metadata.get('target')}. "
            "Choose onnx, torchscript, torch_export or hub."
        )
    growth = generator.arguments["growth"]
    if growth != PUBLIC_GROWTH:
        raise FacehallError(
            f"format=esrgan: programs that read ESRGAN checkpoints expect growth={PUBLIC_GROWTH}, but this network has "
            f"growth={growth}. Choose onnx, torchscript, torch_export or hub."
        )
    content = io.BytesIO()
    torch.save({"params": generator.state_dict()}, content)
    return content.getvalue()


def _read_esrgan(content: bytes) -> Run:
    return public_rrdbnet(torch.load(io.BytesIO(content), map_location="cpu", weights_only=True))


FORMATS: dict[str, tuple[Callable[[Generator, Mapping[str, str]], bytes], Callable[[bytes], Run]]] = {
    "onnx": (onnx_bytes, _read_onnx),
    "torchscript": (_torchscript, _read_torchscript),
    "torch_export": (_torch_export, _read_torch_export),
    "esrgan": (_esrgan, _read_esrgan),
}
"""Writer and reader of each format."""
