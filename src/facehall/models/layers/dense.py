"""Memory-efficient densely connected convolutions: each feature map is stored once for the backward pass.

With `torch.cat`, autograd saves every concatenation: map i is stored C + 1 - i times, and once more before its
activation. Here a concatenation exists only while its convolution runs and is rebuilt by copying in the backward pass
(the idea of Pleiss et al. 2017, without recomputing any convolution).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from facehall.models.layers.execution import Runner, run_in_turn

Memory = Literal["naive", "efficient", "recompute"]
MEMORIES = ("naive", "efficient", "recompute")

NEGATIVE_SLOPE = 0.2


def is_capturing_graph() -> bool:
    """Return whether a graph is being captured (torch.compile, torch.export, ONNX, TorchScript) and needs plain ops."""
    return torch.compiler.is_compiling() or torch.jit.is_tracing()


def dense(x: Tensor, convs: Sequence[nn.Conv2d], memory: Memory = "efficient") -> Tensor:
    """Return the last convolution's output; each convolution reads `x` and the activated outputs of the previous ones.

    Args:
        x: (B, C_0, h, w).
        convs: convolutions with odd kernels, "same" padding and biases; all but the last are followed by leaky ReLU.
        memory: ``naive`` calls the modules one by one, including hooks; otherwise their weights are used directly.

    Shapes: -> (B, C_n, h, w), in x's memory format.
    """
    if memory == "naive" or is_capturing_graph():
        maps = [x]
        for conv in convs[:-1]:
            maps.append(F.leaky_relu(conv(torch.cat(maps, dim=1)), NEGATIVE_SLOPE))
        return convs[-1](torch.cat(maps, dim=1))
    return dense_branches(x, [convs])[0]


def dense_branches(x: Tensor, branches: Sequence[Sequence[nn.Conv2d]], run: Runner = run_in_turn) -> tuple[Tensor, ...]:
    """Compute `dense` for several branches that read the same input; `run` executes forward and backward."""
    parameters = [p for convs in branches for conv in convs for p in conv.parameters(recurse=False)]
    return _Dense.apply(run, 1, len(branches), *_autocast([x, *parameters]))


def dense_grouped(x: Tensor, branches: Sequence[Sequence[nn.Conv2d]]) -> tuple[Tensor, ...]:
    """Compute `dense` for several branches of equal shapes at once, with convolutions grouped by branch."""
    layers = list(zip(*branches, strict=True))
    parameters = [torch.cat([getattr(conv, p) for conv in layer]) for layer in layers for p in ("weight", "bias")]
    (stacked,) = _Dense.apply(run_in_turn, len(branches), 1, *_autocast([x, *parameters]))
    return stacked.chunk(len(branches), dim=1)


def checkpointed(module: Any, *arguments: Any) -> Any:
    """Call a function without storing its intermediate results; they are recomputed in the backward pass."""
    if not torch.is_grad_enabled() or torch.jit.is_tracing():
        return module(*arguments)
    return checkpoint(module, *arguments, use_reentrant=False, preserve_rng_state=False)  # no random numbers involved


def _autocast(tensors: list[Tensor]) -> list[Tensor]:
    """Cast as autocast does for convolutions; autocast does not apply inside a Function's backward."""
    kind = tensors[0].device.type
    if not torch.is_autocast_enabled(kind):
        return tensors
    dtype = torch.get_autocast_dtype(kind)
    return [t if t.dtype == torch.float64 else t.to(dtype) for t in tensors]


class _Dense(torch.autograd.Function):
    """(run, groups, branches, x, weight and bias of each convolution of each branch) -> one output per branch."""

    @staticmethod
    def forward(ctx: Any, run: Runner, groups: int, branches: int, x: Tensor, *parameters: Tensor) -> Any:
        size = len(parameters) // branches
        parts = [parameters[i : i + size] for i in range(0, len(parameters), size)]
        results = run([partial(_forward, x, part, groups) for part in parts])
        ctx.run, ctx.groups, ctx.size = run, groups, size
        ctx.save_for_backward(x, *parameters, *(m for _, *maps in results for m in maps))
        return tuple(out for out, *_ in results)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        size, groups, branches = ctx.size, ctx.groups, len(gradients)
        x, *saved = ctx.saved_tensors
        parts = [saved[i * size : (i + 1) * size] for i in range(branches)]
        needs_x, *needs = ctx.needs_input_grad[3:]
        if torch.is_grad_enabled():  # create_graph: second derivatives are requested, so use plain ops
            inputs = [t for t in (x, *saved[: branches * size]) if t.requires_grad]
            with torch.enable_grad():
                outputs = [_forward(x, part, groups)[0] for part in parts]
                found = iter(torch.autograd.grad(outputs, inputs, gradients, create_graph=True))
            return None, None, None, *(next(found) if need else None for need in (needs_x, *needs))
        maps, count = saved[branches * size :], size // 2 - 1
        results = ctx.run(
            [
                partial(_backward, gradients[i], x, maps[i * count : (i + 1) * count], parts[i], groups, needs_x, needs)
                for i in range(branches)
            ]
        )
        for x_gradient, *_ in results[1:] if needs_x else []:
            results[0][0].add_(x_gradient)
        return None, None, None, results[0][0], *(g for _, *rest in results for g in rest)


def _forward(x: Tensor, parameters: Sequence[Tensor], groups: int) -> list[Tensor]:
    """Return output and inner maps. With `groups` g the maps of g branches are concatenated along the channels."""
    maps: list[Tensor] = []
    for i in range(0, len(parameters), 2):
        weight, bias = parameters[i : i + 2]
        out = F.conv2d(_gather(x, maps, groups), weight, bias, padding=weight.shape[-1] // 2, groups=groups if i else 1)
        maps.append(F.leaky_relu_(out, NEGATIVE_SLOPE) if i + 2 < len(parameters) else out)
    return [maps.pop(), *maps]


def _gather(x: Tensor, maps: Sequence[Tensor], groups: int) -> Tensor:
    """Return a convolution's input: for each branch x and its part of all previous maps; only x for the first."""
    if not maps:
        return x
    shares = [m.chunk(groups, dim=1) for m in maps]
    return torch.cat([part for g in range(groups) for part in (x, *(share[g] for share in shares))], dim=1)


def _backward(
    gradient: Tensor,
    x: Tensor,
    maps: Sequence[Tensor],
    parameters: Sequence[Tensor],
    groups: int,
    needs_x: bool,
    needs: Sequence[bool],
) -> list[Tensor | None]:
    """Return the gradients of x and of each parameter, computed from the last convolution to the first.

    `totals` accumulates, for each of `groups` branches, the gradients of x and of all maps, (B, channels, h, w).
    """
    totals: list[Tensor] = []
    found: list[Tensor | None] = []
    features, needs_weight = x.shape[1], any(needs)
    x_gradient: Tensor | None = None
    for i in reversed(range(len(parameters) // 2)):
        weight = parameters[2 * i]
        inner, weight_gradient, bias_gradient = torch.ops.aten.convolution_backward(
            gradient,
            _gather(x, maps[:i], groups),
            weight,
            [weight.shape[0]],
            [1, 1],
            [weight.shape[-1] // 2] * 2,
            [1, 1],
            False,
            [0, 0],
            groups if i else 1,
            (i > 0 or needs_x, needs_weight, needs_weight),
        )
        found[:0] = [weight_gradient, bias_gradient]
        if not i:
            x_gradient = inner
            break
        parts = inner.chunk(groups, dim=1)
        if not totals:
            totals = list(parts)
        else:
            for total, part in zip(totals, parts, strict=True):
                total[:, : part.shape[1]].add_(part)
        end = weight.shape[1]
        shares = [total[:, end - maps[i - 1].shape[1] // groups : end] for total in totals]
        gradient = torch.cat(shares, dim=1) if groups > 1 else shares[0]
        # A leaky ReLU keeps the sign, so its output determines the slope as well as its input.
        gradient = torch.ops.aten.leaky_relu_backward(gradient, maps[i - 1], NEGATIVE_SLOPE, True)
    if x_gradient is not None:
        for total in totals:
            x_gradient.add_(total[:, :features])
    return [x_gradient, *found]
