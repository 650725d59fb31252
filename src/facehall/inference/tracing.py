"""Graphs of generators for other tools: traced by torch.export, with operators that those tools have."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from facehall.imaging import upscale_bicubic
from facehall.imaging.kernels import enlarging_kernel
from facehall.models.generators import Generator

TOLERANCE = 1e-3
"""Largest accepted difference; a quarter of an 8-bit level."""


def min_side(generator: Generator) -> int:
    """Return the smallest side of a graph's input in LR pixels.

    torch.export treats a side of one as a constant, in the input as in strided features, and the bicubic base has
    another code path there.
    """
    return generator.cell + 1


def torch_program(generator: Generator) -> ExportedProgram:
    """Trace `generator` with torch.export, for h and w of at least `min_side`."""
    return _trace(_cpu_copy(generator), min_side(generator))


def _cpu_copy(generator: Generator) -> Generator:
    return copy.deepcopy(generator).cpu().float().eval().requires_grad_(False)


@torch.no_grad()
def _trace(network: nn.Module, smallest: int) -> ExportedProgram:
    sides = {2: Dim("height", min=smallest), 3: Dim("width", min=smallest)}
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
    program = _trace(_PortableBase(_cpu_copy(generator), base, replaced.append), min_side(generator))
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
        self.register_buffer("kernel", enlarging_kernel(generator.scale).float())

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
    from torch.fx.experimental.symbolic_shapes import statically_known_true  # imports SymPy, half a second

    old = images.shape[-2:]
    return next(
        (k for k in range(1, 9) if all(statically_known_true(b == k * a) for a, b in zip(old, size, strict=True))), None
    )
