"""Costs of a network: parameters, multiply-accumulates, time and memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial

import torch
from torch import Tensor, nn

from facehall.io.timing import interleaved, medians


def count_parameters(net: nn.Module) -> int:
    """Return the number of parameters, including frozen ones; shared ones count once, buffers do not count."""
    return sum(parameter.numel() for parameter in net.parameters())


def count_gmacs(net: nn.Module, example: Tensor) -> float:
    """Return the multiply-accumulates of one forward pass over `example`, the whole batch, in 10^9.

    As usual, convolutions, matrix products and attention count; element-wise operations and resampling do not. This is
    half the figure of `torch.utils.flop_counter`, which counts a multiply-accumulate as two operations.
    """
    from torch.utils.flop_counter import FlopCounterMode  # it imports Triton, for which every command would wait

    with _eval_mode(net), FlopCounterMode(display=False) as counter:
        net(example)
    return counter.get_total_flops() / 2 / 1e9


def milliseconds(
    nets: Mapping[str, nn.Module], example: Tensor, repeats: int = 10, warmup: int = 2
) -> dict[str, float]:
    """Return the median wall-clock time of a forward pass of each network over `example`, in milliseconds.

    The passes are interleaved, so that background load affects all alike. Networks and example must be on one device.
    """
    with ExitStack() as stack:
        for net in nets.values():
            stack.enter_context(_eval_mode(net))
        tasks = {name: partial(net, example) for name, net in nets.items()}
        found = interleaved(tasks, repeats, warmup, partial(_synchronize, example))
    return {name: 1000 * median for name, median in medians(found).items()}


def peak_memory_mib(net: nn.Module, example: Tensor) -> float | None:
    """Return the peak memory allocated during a forward pass, in MiB, including weights and input.

    CUDA only: None on other devices, which have no such counter.
    """
    if not example.is_cuda:
        return None
    _synchronize(example)
    torch.cuda.reset_peak_memory_stats(example.device)
    with _eval_mode(net):
        net(example)
    _synchronize(example)
    return torch.cuda.max_memory_allocated(example.device) / 2**20


def _synchronize(example: Tensor) -> None:
    if example.is_cuda:
        torch.cuda.synchronize(example.device)
    elif example.device.type == "mps":
        torch.mps.synchronize()


@contextmanager
def _eval_mode(net: nn.Module) -> Iterator[None]:
    """Switch to evaluation mode without gradients; restore each submodule's mode afterwards."""
    training = [module for module in net.modules() if module.training]
    net.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module in training:
            module.training = True
