"""Generators for other tools: ONNX, TorchScript and torch.export files, checked against the network before they appear.

Every file takes one picture, ``lr`` (1, 3, h, w) RGB in [0, 1], of any h and w from 2 on, and gives ``sr``
(1, 3, s h, s w), about [0, 1], not clamped; its metadata hold what the weights file says of itself, and ``scale``.

    onnxruntime.InferenceSession("net.onnx").run(None, {"lr": lr})[0]       # scale: get_modelmeta().custom_metadata_map
    torch.jit.load("net.pt")(lr)                                            # in C++ too: torch::jit::load
    torch.export.load("net.pt2").module()(lr)
"""

from __future__ import annotations

import copy
import io
import json
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram
from torch.fx.experimental.symbolic_shapes import statically_known_true
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from facehall.errors import FacehallError
from facehall.imaging import upscale_bicubic
from facehall.io.atomic import replacing
from facehall.models.generators import Generator
from facehall.models.weights import load_generator, read_metadata

MIN_SIDE = 2
"""LR pixels; torch.export takes a side of one for a constant, and the bicubic base goes another way there."""
CHECKED = ((2, 2), (2, 19), (33, 3), (16, 16), (57, 40))
"""Sizes at which a file is compared with the network."""
TOLERANCE = 1e-3
"""How far the two may be apart there; a quarter of a level of 8 bits."""

Run = Callable[[Tensor], Tensor]


def export(weights: Path, output: Path, format: str = "onnx", overwrite: bool = False) -> Path:
    """Write the generator of a weights file for other tools, whole or not at all.

    Args:
        weights: what `load_generator` reads.
        output: the file to write; its folder is made.
        format: ``onnx`` (needs the extra of that name), ``torchscript`` or ``torch_export``.
        overwrite: replace a file that is there.

    Returns:
        `output`.

    Raises:
        FacehallError: the weights are not usable, the format is unknown or its packages are missing, `output` is
            there already, or what was made does not compute what the network does.
    """
    weights, output = Path(weights), Path(output)
    if format not in FORMATS:
        raise FacehallError(f"format={format}: there is no such format to export to. Give {', '.join(FORMATS)}.")
    if output.is_dir() or (output.exists() and not overwrite):
        mend = "is a folder. Name a file." if output.is_dir() else "is there already. Give overwrite, or another name."
        raise FacehallError(f"{output} {mend}")
    generator = load_generator(weights)
    write, read = FORMATS[format]
    content = write(generator, {**_origin(weights, generator), "scale": str(generator.scale)})
    difference = _difference(generator, read(content))
    if not difference < TOLERANCE:
        raise FacehallError(
            f"{weights}: the {format} file would differ from the network by {difference:.2g} (at most {TOLERANCE:g} is "
            "allowed), so it was not written. Export to another format, or with another version of torch."
        )
    try:
        with replacing(output) as partial:
            partial.write_bytes(content)
    except OSError as error:
        raise FacehallError(f"{output} cannot be written: {error.strerror or error}.") from None
    return output


def exported(generator: Generator) -> ExportedProgram:
    """`generator` as torch's own graph, for h and w from `MIN_SIDE` on."""
    return _traced(_plain(generator))


def _plain(generator: Generator) -> Generator:
    return copy.deepcopy(generator).cpu().float().eval().requires_grad_(False)


@torch.no_grad()
def _traced(network: nn.Module) -> ExportedProgram:
    sides = {2: Dim("height", min=MIN_SIDE), 3: Dim("width", min=MIN_SIDE)}
    # strict=False is torch's default since 2.7, and sees a TorchFunctionMode
    return torch.export.export(network, (torch.rand(1, 3, 40, 48),), dynamic_shapes=(sides,), strict=False)


def portable(generator: Generator, base: bool = True) -> tuple[ExportedProgram, bool]:
    """`generator` as a graph of operators that other tools know.

    Of all that the generators do, antialiased bicubic interpolation is the one operator that neither ONNX nor OpenVINO
    has. Here the bicubic base of a network is a convolution and a pixel shuffle instead.

    Args:
        generator: the network.
        base: keep the bicubic base. Without it the graph gives the residual over it alone, for those who compute in 16
            bits and would round the picture itself.

    Returns:
        The graph, and whether the network adds its output to the bicubic enlargement of its input at all.
    """
    replaced: list[torch.Size] = []
    program = _traced(_PortableBase(_plain(generator), base, replaced.append))
    return program, bool(replaced)


class _PortableBase(nn.Module):
    """A generator whose bicubic base is computed by a convolution, or is zero.

    The kernel is a buffer that the trace finds. `ExportedProgram.run_decompositions` with a kernel made on the way is
    shorter, but torch 2.13 forgets such a tensor and raises SpecViolationError.
    """

    kernel: Tensor

    def __init__(self, generator: Generator, base: bool, note: Callable[[torch.Size], None]) -> None:
        super().__init__()
        self.generator = generator
        self.base = base
        self.note = note  # a call, because torch.export undoes what a forward pass does to attributes
        self.register_buffer("kernel", torch.tensor(_bicubic_kernel(generator.scale)))

    def forward(self, lr: Tensor) -> Tensor:
        with _Interpolations(self._bicubic):
            sr: Tensor = self.generator(lr)
        return sr

    def _bicubic(self, images: Tensor, size: Sequence[int]) -> Tensor | None:
        """The enlargement by the network's scale, wrong at the rim, which is cut off afterwards; None for other scales:
        images of the pyramid that the output does not depend on.
        """
        scale = self.generator.scale
        if _factor(images, size) != scale:
            return None
        self.note(images.shape)
        channels = images.shape[1]
        if not self.base:
            return images.new_zeros(*images.shape[:2], *size)
        weight = self.kernel.repeat(channels, 1, 1, 1)
        return F.pixel_shuffle(F.conv2d(images, weight, padding=2, groups=channels), scale)


class _Interpolations(TorchFunctionMode):
    """Within it interpolations are those that other tools know.

    Args:
        bicubic: called as bicubic(images, size) for antialiased bicubic interpolation; where it gives None, torch's own
            is called. Nearest neighbours by a whole factor get that instead of a size, because the ONNX exporter of
            torch 2.6 refuses sizes that depend on the input's.
    """

    def __init__(self, bicubic: Callable[[Tensor, Sequence[int]], Tensor | None]) -> None:
        super().__init__()
        self.bicubic = bicubic

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is F.interpolate and kwargs.get("size") is not None:
            images, mode = args[0], kwargs.get("mode", "nearest")
            if mode == "bicubic" and kwargs.get("antialias"):
                enlarged = self.bicubic(images, kwargs["size"])
                if enlarged is not None:
                    return enlarged
            elif mode == "nearest" and (factor := _factor(images, kwargs["size"])):
                return func(images, scale_factor=factor, mode=mode)
        return func(*args, **kwargs)


def _factor(images: Tensor, size: Sequence[int]) -> int | None:
    """By how much `size` enlarges images whatever their own size is; None unless it is a whole factor up to 8."""
    old = images.shape[-2:]
    return next(
        (k for k in range(1, 9) if all(statically_known_true(b == k * a) for a, b in zip(old, size, strict=True))), None
    )


def onnx_bytes(generator: Generator, metadata: Mapping[str, str]) -> bytes:
    """An ONNX file of `generator`, with `metadata` as its properties.

    Raises:
        FacehallError: the extra `onnx` is not installed.
    """
    require("onnx", "onnx", "onnxruntime", "onnxscript")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's exporter warns of its own deprecations
        program = torch.onnx.export(
            portable(generator)[0],
            dynamo=True,
            input_names=["lr"],
            output_names=["sr"],
            verbose=False,
        )
    assert program is not None  # dynamo=True gives one
    model = program.model_proto
    for node in model.graph.node:
        del node.metadata_props[:]  # stack traces, with the paths of this machine
    del model.graph.value_info[:]
    height, width = (dim.dim_param for dim in model.graph.input[0].type.tensor_type.shape.dim[2:])
    names = {height: "height", width: "width"}
    for value in (*model.graph.input, *model.graph.output):
        for dim in value.type.tensor_type.shape.dim[2:]:
            dim.dim_param = re.sub(r"\w+", lambda match: names.get(match[0], match[0]), dim.dim_param)
    for key, text in metadata.items():
        model.metadata_props.add(key=key, value=text)
    return model.SerializeToString()


def require(extra: str, *packages: str) -> None:
    """Import packages of an optional extra.

    Raises:
        FacehallError: one is missing; the paragraph holds the pip line.
    """
    for package in packages:
        try:
            __import__(package)
        except ImportError as error:
            raise FacehallError(
                f"{package} cannot be imported ({error}). Install it: pip install 'facehall[{extra}]'."
            ) from None


def _bicubic_kernel(scale: int) -> list[Any]:
    """(s², 1, 5, 5): the weights that each of the s² pixels of an enlarged one gives to its neighbourhood of 5x5.

    Read off what bicubic enlargement makes of a single white pixel.
    """
    impulse = torch.zeros(9, 9, dtype=torch.float64)
    impulse[4, 4] = 1
    response = upscale_bicubic(impulse, scale)[2 * scale : 7 * scale, 2 * scale : 7 * scale]
    kernel = response.reshape(5, scale, 5, scale).flip(0, 2).permute(1, 3, 0, 2)
    return kernel.reshape(scale**2, 1, 5, 5).tolist()


def _origin(weights: Path, generator: Generator) -> dict[str, str]:
    if weights.suffix != ".pth":
        return read_metadata(weights)
    return {"target": type(generator).__name__, "arguments": json.dumps(generator.arguments)}


@torch.no_grad()
def _difference(generator: Generator, run: Run) -> float:
    random = torch.Generator().manual_seed(0)
    pictures = [torch.rand(1, 3, *size, generator=random) for size in CHECKED]
    return max(float((run(picture) - generator(picture)).abs().max()) for picture in pictures)


def _read_onnx(content: bytes) -> Run:
    import onnxruntime

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return lambda lr: torch.from_numpy(session.run(None, {"lr": lr.numpy()})[0])


def _torchscript(generator: Generator, metadata: Mapping[str, str]) -> bytes:
    content = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # deprecated in favour of torch.export, and the tracer's doubts: it is checked
        traced = torch.jit.trace(generator, torch.rand(1, 3, 40, 48), check_trace=False)
        torch.jit.save(traced, content, _extra_files={key: text.encode() for key, text in metadata.items()})
    return content.getvalue()


def _read_torchscript(content: bytes) -> Run:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.jit.load(io.BytesIO(content))


def _torch_export(generator: Generator, metadata: Mapping[str, str]) -> bytes:
    content = io.BytesIO()
    torch.export.save(exported(generator), content, extra_files=dict(metadata))
    return content.getvalue()


def _read_torch_export(content: bytes) -> Run:
    return torch.export.load(io.BytesIO(content)).module()


FORMATS: dict[str, tuple[Callable[[Generator, Mapping[str, str]], bytes], Callable[[bytes], Run]]] = {
    "onnx": (onnx_bytes, _read_onnx),
    "torchscript": (_torchscript, _read_torchscript),
    "torch_export": (_torch_export, _read_torch_export),
}
"""How each format is written and read back."""
