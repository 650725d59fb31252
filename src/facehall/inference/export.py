"""Export of generators to ONNX, TorchScript and torch.export files, verified against the network before writing.

Every file takes an image ``lr`` (1, 3, h, w) RGB in [0, 1] with h, w >= 2 and returns ``sr`` (1, 3, s h, s w), roughly
in [0, 1], not clamped; networks of luma or of the bicubic image are wrapped to do so (`as_rgb`). Its metadata are those
of the weights file, and ``scale``.

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
from facehall.systems.rgb import as_rgb

MIN_SIDE = 2
"""LR pixels; torch.export treats a side of one as a constant, and the bicubic base has another code path there."""
CHECK_SIZES = ((2, 2), (2, 19), (33, 3), (16, 16), (57, 40))
"""Input sizes for which an exported file is compared with the network."""
TOLERANCE = 1e-3
"""Largest accepted difference; a quarter of an 8-bit level."""

Run = Callable[[Tensor], Tensor]


def export(weights: Path, output: Path, format: str = "onnx", overwrite: bool = False) -> Path:
    """Atomically export the generator of a weights file.

    Args:
        weights: a file that `load_generator` reads.
        output: the file to write; its folder is created.
        format: ``onnx`` (needs the extra of that name), ``torchscript`` or ``torch_export``.
        overwrite: replace an existing file.

    Returns:
        `output`.

    Raises:
        FacehallError: if the weights are invalid or of a classical method, the format is unknown or its packages are
            missing, `output` exists, or the exported file does not reproduce the network's output.
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


def torch_program(generator: Generator) -> ExportedProgram:
    """Trace `generator` with torch.export, for h and w of at least `MIN_SIDE`."""
    return _trace(_cpu_copy(generator))


def _cpu_copy(generator: Generator) -> Generator:
    return copy.deepcopy(generator).cpu().float().eval().requires_grad_(False)


@torch.no_grad()
def _trace(network: nn.Module) -> ExportedProgram:
    sides = {2: Dim("height", min=MIN_SIDE), 3: Dim("width", min=MIN_SIDE)}
    # strict=False is torch's default since 2.7, and is required for a TorchFunctionMode
    return torch.export.export(network, (torch.rand(1, 3, 40, 48),), dynamic_shapes=(sides,), strict=False)


def portable_program(generator: Generator, base: bool = True) -> tuple[ExportedProgram, bool]:
    """Trace `generator` to a graph of operators that ONNX and OpenVINO support.

    Antialiased bicubic interpolation is the only operator of the generators that neither of them has. The bicubic base
    is therefore computed by a convolution and a pixel shuffle.

    Args:
        generator: the network.
        base: include the bicubic base. Otherwise the graph returns the residual only, for backends with 16-bit
            precision, which would round the base; but a network that also computes with its bicubic image is
            converted as a whole.

    Returns:
        The graph, and whether the network adds a residual to a bicubic base (and, without `base`, the graph omits it).
    """
    replaced: list[torch.Size] = []
    program = _trace(_PortableBase(_cpu_copy(generator), base, replaced.append))
    if not base and replaced and not _is_residual(program, generator):
        return portable_program(generator)[0], False
    return program, bool(replaced)


@torch.no_grad()
def _is_residual(program: ExportedProgram, generator: Generator) -> bool:
    """Whether the graph's output, plus the bicubic image, is the network's output."""
    network = _cpu_copy(generator)
    lr = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    difference = program.module()(lr) + upscale_bicubic(lr, network.scale) - network(lr)
    return float(difference.abs().max()) < TOLERANCE


class _PortableBase(nn.Module):
    """A generator whose bicubic base is computed by a convolution, or is zero.

    The kernel is a registered buffer: `ExportedProgram.run_decompositions` with a kernel created on the fly would be
    shorter, but torch 2.13 loses such a tensor and raises SpecViolationError.
    """

    kernel: Tensor

    def __init__(self, generator: Generator, base: bool, note: Callable[[torch.Size], None]) -> None:
        super().__init__()
        self.generator = generator
        self.base = base
        self.note = note  # a callback, because torch.export reverts changes of attributes in a forward pass
        self.register_buffer("kernel", torch.tensor(_bicubic_kernel(generator.scale)))

    def forward(self, lr: Tensor) -> Tensor:
        with _Interpolations(self._bicubic):
            sr: Tensor = self.generator(lr)
        return sr

    def _bicubic(self, images: Tensor, size: Sequence[int]) -> Tensor | None:
        """Upscale by the network's scale; return None for other scales, which only unused pyramid outputs have.

        The border is wrong, but cropped by the caller.
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
    """Replace interpolations by ones that other tools know.

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


def require_extra(extra: str, *packages: str) -> None:
    """Import the packages of an optional extra.

    Raises:
        FacehallError: if one is missing; the message contains the pip command.
    """
    for package in packages:
        try:
            __import__(package)
        except ImportError as error:
            raise FacehallError(
                f"{package} cannot be imported ({error}). Install it: pip install 'facehall[{extra}]'."
            ) from None


def _bicubic_kernel(scale: int) -> list[Any]:
    """Return bicubic upscaling as convolution weights (s², 1, 5, 5), one filter per subpixel.

    They are the impulse response: bicubic upscaling of a single white pixel.
    """
    impulse = torch.zeros(9, 9, dtype=torch.float64)
    impulse[4, 4] = 1
    response = upscale_bicubic(impulse, scale)[2 * scale : 7 * scale, 2 * scale : 7 * scale]
    kernel = response.reshape(5, scale, 5, scale).flip(0, 2).permute(1, 3, 0, 2)
    return kernel.reshape(scale**2, 1, 5, 5).tolist()


def _source_metadata(weights: Path, generator: Generator) -> dict[str, str]:
    if weights.suffix != ".pth":
        return read_metadata(weights)
    return {"target": type(generator).__name__, "arguments": json.dumps(generator.arguments)}


@torch.no_grad()
def _difference(generator: Generator, run: Run) -> float:
    random = torch.Generator().manual_seed(0)
    pictures = [torch.rand(1, 3, *size, generator=random) for size in CHECK_SIZES]
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


FORMATS: dict[str, tuple[Callable[[Generator, Mapping[str, str]], bytes], Callable[[bytes], Run]]] = {
    "onnx": (onnx_bytes, _read_onnx),
    "torchscript": (_torchscript, _read_torchscript),
    "torch_export": (_torch_export, _read_torch_export),
}
"""Writer and reader of each format."""
