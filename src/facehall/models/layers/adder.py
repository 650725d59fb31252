"""The adder layer, which measures the distance of a window to a filter instead of their correlation."""

from __future__ import annotations

import ctypes
import functools
import logging
import math
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.grad import conv2d_weight

from facehall.errors import FacehallError
from facehall.models.layers.dense import is_capturing_graph
from facehall.models.layers.native import compiled

AdderExecution = Literal["native", "torch"]
EXECUTIONS = get_args(AdderExecution)

RATE = 0.2
"""eta, the norm of a filter bank's rescaled gradient relative to the root of its size."""
CACHED_WINDOWS = 256
"""Windows that plain torch handles at once on a CPU, so that they stay in the cache."""

_log = logging.getLogger(__name__)


class Adder2d(nn.Module):
    """Adder layer (Chen et al. 2020, AdderNet): minus the L1 distance of each window to each filter.

    out(o, p) = - sum over the window's values of |W(o) - X(p)|, with zero padding, stride 1 and no bias. It is trained
    with the gradients of that paper, not with those of the formula:

    - dout/dX = clip(W - X, -1, 1) instead of its sign;
    - dout/dW = X - W instead of its sign; summed, the gradient of the whole filter bank is rescaled to the norm
      eta sqrt(number of weights), as its size varies by orders of magnitude between layers.

    Args:
        in_channels, out_channels: channels.
        kernel_size: side of the window, odd.
        rate: eta.
        execution: ``native``: a C++ kernel, compiled on first use, for float32 on a CPU; otherwise plain torch is used.
            ``torch``: plain torch. None: native, or plain torch with a warning if the kernel cannot be compiled.

    Shapes: (B, C_in, h, w) -> (B, C_out, h, w), with the dtype of the weights; computed in at least float32.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        rate: float = RATE,
        execution: AdderExecution | None = None,
    ) -> None:
        super().__init__()
        if kernel_size % 2 == 0:
            raise ValueError(f"kernel_size must be odd, not {kernel_size}")
        if execution is not None and execution not in EXECUTIONS:
            raise ValueError(f"execution must be one of {', '.join(EXECUTIONS)}, not {execution!r}")
        self.rate = rate
        self.execution = execution
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, kernel_size, kernel_size))

    def forward(self, x: Tensor) -> Tensor:
        if is_capturing_graph() and not torch.is_grad_enabled():
            return _graph_forward(x, self.weight)
        own = self.weight.dtype
        dtype = own if own == torch.float64 else torch.float32  # long sums of large terms
        return _adder(x.to(dtype), self.weight.to(dtype), self.rate, self.execution or "auto").to(own)

    def extra_repr(self) -> str:
        outputs, inputs, side, _ = self.weight.shape
        return f"{inputs}, {outputs}, kernel_size={side}, rate={self.rate}"


def use_native(execution: str, x: Tensor) -> bool:
    """Return whether the C++ kernel computes the layer, compiling it if necessary.

    Args:
        execution: ``native``, ``torch``, or ``auto`` for native if it can be compiled.
        x: the layer's input.

    Raises:
        FacehallError: it is demanded, but cannot be compiled.
    """
    if execution == "torch" or x.device.type != "cpu" or x.dtype != torch.float32:
        return False
    if execution == "native":
        _kernels()
        return True
    return _available()


@functools.cache
def _available() -> bool:
    try:
        _kernels()
    except FacehallError as error:
        _log.warning("Adder layers run in plain torch, many times slower than compiled. %s", error)
        return False
    return True


# Operators of their own, as torch.compile would differentiate the formula instead of using the layer's gradients.
@torch.library.custom_op(
    "facehall::adder", mutates_args=(), schema="(Tensor x, Tensor weight, float rate, str execution) -> Tensor"
)
def _adder(x: Tensor, weight: Tensor, rate: float, execution: str) -> Tensor:
    return (_native_forward if use_native(execution, x) else _torch_forward)(x, weight)


@torch.library.custom_op(
    "facehall::adder_input_gradient",
    mutates_args=(),
    schema="(Tensor x, Tensor weight, Tensor grad, str execution) -> Tensor",
)
def _input_gradient(x: Tensor, weight: Tensor, grad: Tensor, execution: str) -> Tensor:
    return (_native_input_gradient if use_native(execution, x) else _torch_input_gradient)(x, weight, grad)


@_adder.register_fake
def _(x: Tensor, weight: Tensor, rate: float, execution: str) -> Tensor:
    return x.new_empty(x.shape[0], weight.shape[0], *x.shape[2:])


@_input_gradient.register_fake
def _(x: Tensor, weight: Tensor, grad: Tensor, execution: str) -> Tensor:
    return x.new_empty(x.shape)


def _keep(ctx: Any, inputs: tuple[Tensor, Tensor, float, str], output: Tensor) -> None:
    x, weight, ctx.rate, ctx.execution = inputs
    ctx.save_for_backward(x, weight)


def _backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
    x, weight = ctx.saved_tensors
    dx = dw = None
    if ctx.needs_input_grad[0]:
        dx = _input_gradient(x, weight, grad, ctx.execution)
    if ctx.needs_input_grad[1]:
        dw = weight_gradient(x, weight, grad)
        dw = dw * (ctx.rate * math.sqrt(dw.numel()) / dw.norm().clamp(min=1e-12))
    return dx, dw, None, None


_adder.register_autograd(_backward, setup_context=_keep)


def weight_gradient(x: Tensor, weight: Tensor, grad: Tensor) -> Tensor:
    """Return the sum over windows of (X - W) g, before it is rescaled: that of a convolution, less W times sum g."""
    padding = weight.shape[-1] // 2
    products = conv2d_weight(x, list(weight.shape), grad, padding=padding)
    return products - weight * grad.sum(dim=(0, 2, 3))[:, None, None, None]


def _torch_forward(x: Tensor, weight: Tensor) -> Tensor:
    batch, _, height, width = x.shape
    windows, filters = _windows(x, weight), weight.flatten(1)
    out = torch.cat([torch.cdist(part, filters, p=1) for part in windows.split(_group(x))])
    return out.neg_().view(batch, height, width, -1).permute(0, 3, 1, 2).contiguous()


def _torch_input_gradient(x: Tensor, weight: Tensor, grad: Tensor) -> Tensor:
    batch, _, height, width = x.shape
    side = weight.shape[-1]
    windows, size = _windows(x, weight), _group(x)
    gradients = grad.permute(0, 2, 3, 1).reshape(-1, len(weight))
    for part, incoming in zip(windows.split(size), gradients.split(size), strict=True):
        total, term = torch.zeros_like(part), torch.empty_like(part)
        for filter_, of_filter in zip(weight.flatten(1), incoming.T, strict=True):
            torch.sub(filter_, part, out=term)
            total.addcmul_(term.clamp_(-1, 1), of_filter[:, None])
        part.copy_(total)
    of_windows = windows.view(batch, height * width, -1).transpose(1, 2)
    return F.fold(of_windows, (height, width), side, padding=side // 2)


def _windows(x: Tensor, weight: Tensor) -> Tensor:
    """Return the windows of all pixels, row by row: (B, C, h, w) -> (B h w, C k k)."""
    side = weight.shape[-1]
    return F.unfold(x, side, padding=side // 2).transpose(1, 2).reshape(-1, weight[0].numel())


def _group(x: Tensor) -> int:
    return CACHED_WINDOWS if x.device.type == "cpu" else len(x) * x.shape[-2] * x.shape[-1]


def _graph_forward(x: Tensor, weight: Tensor) -> Tensor:
    """Compute the layer in basic operations, one tap of the window after another, for exported graphs."""
    side = weight.shape[-1]
    height, width = x.shape[-2:]
    padded = F.pad(x, (side // 2,) * 4)
    total = x.new_zeros(())
    for i in range(side):
        for j in range(side):
            shifted = padded[:, None, :, i : i + height, j : j + width]
            total = total - (weight[None, :, :, i, j, None, None] - shifted).abs().sum(dim=2)
    return total


# The kernels see a padded image as a vector, its rows of w + 2 p pixels joined: position q = y (w + 2 p) + x is that of
# the output pixel (y, x), and tap (i, j) of its window lies at q + i (w + 2 p) + j. The last 2 p positions of every row
# are computed in vain, and cut off.


def _native_forward(x: Tensor, weight: Tensor) -> Tensor:
    kernels = _kernels()
    outputs, channels, side, _ = weight.shape
    batch, _, height, width = x.shape
    padding = side // 2
    row = width + 2 * padding
    positions = _rounded_up(height * row, kernels.block)
    images = _joined(x, row, padding, positions + (side - 1) * (row + 1))
    groups = _rounded_up(outputs, kernels.outputs) // kernels.outputs
    filters = weight.new_zeros(groups * kernels.outputs, channels, side**2)
    filters[:outputs] = weight.flatten(2)
    filters = filters.view(groups, kernels.outputs, channels, side**2).permute(0, 2, 3, 1).contiguous()
    out = x.new_empty(batch, groups * kernels.outputs, positions)
    kernels.forward(
        *map(_pointer, (images, filters, out)), batch, channels, out.shape[1], images.shape[2], positions,
        _shifts(side, row), side**2, torch.get_num_threads(),
    )  # fmt: skip
    return out[:, :outputs, : height * row].view(batch, outputs, height, row)[..., :width].contiguous()


def _native_input_gradient(x: Tensor, weight: Tensor, grad: Tensor) -> Tensor:
    kernels = _kernels()
    outputs, channels, side, _ = weight.shape
    batch, _, height, width = x.shape
    padding = side // 2
    row = width + 2 * padding
    positions = _rounded_up(height * row, kernels.block)
    groups = _rounded_up(channels, kernels.inputs) // kernels.inputs
    images = _joined(x, row, 0, positions, groups * kernels.inputs)
    # The windows that hold a pixel see it through tap (i, j) from (-i, -j): the same shifts for the turned filters.
    gradients = _joined(grad, row, padding, positions + (side - 1) * (row + 1))
    filters = weight.new_zeros(outputs, groups * kernels.inputs, side**2)
    filters[:, :channels] = weight.flatten(2).flip(2)
    filters = filters.view(outputs, groups, kernels.inputs, side**2).permute(1, 0, 3, 2).contiguous()
    dx = x.new_empty(batch, groups * kernels.inputs, positions)
    kernels.input_gradient(
        *map(_pointer, (images, filters, gradients, dx)), batch, dx.shape[1], outputs, images.shape[2],
        gradients.shape[2], positions, _shifts(side, row), side**2, torch.get_num_threads(),
    )  # fmt: skip
    return dx[:, :channels, : height * row].view(batch, channels, height, row)[..., :width].contiguous()


def _joined(images: Tensor, row: int, corner: int, length: int, channels: int | None = None) -> Tensor:
    """Copy (B, C, h, w) to pixel (corner, corner) of zeros, whose rows are joined: (B, channels or C, length)."""
    batch, own, height, width = images.shape
    joined = images.new_zeros(batch, channels or own, length)
    start = corner * (row + 1)
    rows = joined[:, :own, start : start + height * row].unflatten(2, (height, row))
    rows[..., :width] = images
    return joined


def _rounded_up(number: int, multiple: int) -> int:
    return -(-number // multiple) * multiple


def _pointer(tensor: Tensor) -> ctypes.c_void_p:
    return ctypes.c_void_p(tensor.data_ptr())


@functools.lru_cache(maxsize=64)
def _shifts(side: int, row: int) -> Any:
    return (ctypes.c_int64 * side**2)(*(i * row + j for i in range(side) for j in range(side)))


class _Kernels:
    """The functions of adder.cpp, with the numbers of positions and channels that they handle at once."""

    def __init__(self, library: ctypes.CDLL) -> None:
        numbers = (library.facehall_adder_block, library.facehall_adder_outputs, library.facehall_adder_inputs)
        for number in numbers:
            number.restype = ctypes.c_int64
        self.block, self.outputs, self.inputs = (number() for number in numbers)
        self.forward, self.input_gradient = library.facehall_adder_forward, library.facehall_adder_input_gradient
        for function, tensors, sizes in ((self.forward, 3, 5), (self.input_gradient, 4, 6)):
            shifts_taps_threads = (ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
            function.argtypes = (*(ctypes.c_void_p,) * tensors, *(ctypes.c_int64,) * sizes, *shifts_taps_threads)
            function.restype = None


@functools.cache
def _kernels() -> _Kernels:
    return _Kernels(compiled("adder"))
