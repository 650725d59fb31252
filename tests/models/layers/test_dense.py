"""Dense blocks: all memory and execution modes give the same result, with the expected memory use."""

import copy
import os
import subprocess
import sys
import threading

import pytest
import torch
from small import TINY_NETWORK
from torch import nn
from torch.autograd.graph import saved_tensors_hooks

from facehall.errors import FacehallError
from facehall.models.generators import MultiScaleRRDB, RRDBNet
from facehall.models.layers.blocks import RRDB
from facehall.models.layers.dense import dense, dense_branches, dense_grouped
from facehall.models.layers.execution import run_on_threads, runner

WAYS = [
    {"memory": "efficient"},
    {"memory": "recompute"},
    {"execution": "threads"},
    {"execution": "threads", "memory": "recompute"},
    {"execution": "grouped"},
]
FORMATS = [torch.contiguous_format, torch.channels_last]


@pytest.fixture(autouse=True)
def _enough_threads(request):
    threads = torch.get_num_threads()
    torch.set_num_threads(2 if "threads" in request.node.name else 1)
    yield
    torch.set_num_threads(threads)


def networks(way: dict, scale: int = 4) -> tuple[nn.Module, nn.Module]:
    """Return a naive generator and one with the same weights and other memory or execution modes."""
    naive = MultiScaleRRDB(scale, topology="parallel", memory="naive", **TINY_NETWORK)
    other = MultiScaleRRDB(scale, topology="parallel", **TINY_NETWORK | way)
    for stage in naive.stages:
        nn.init.normal_(stage.head.weight, std=0.1)
    other.load_state_dict(naive.state_dict())
    return naive, other


def outcome(network: nn.Module, lr: torch.Tensor, autocast: bool = False) -> list[torch.Tensor]:
    """Return the image, and the gradients of the input and of each parameter."""
    lr = lr.to(next(network.parameters()).device).requires_grad_()
    with torch.autocast(lr.device.type, torch.bfloat16, enabled=autocast):
        sr = network(lr)
    return [sr, *torch.autograd.grad(sr.float().square().mean(), [lr, *network.parameters()], materialize_grads=True)]


@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("way", WAYS, ids=str)
def test_images_and_all_gradients_match_the_naive_ones(way, memory_format):
    naive, other = (network.to(memory_format=memory_format) for network in networks(way))
    lr = torch.rand(2, 3, 7, 6).contiguous(memory_format=memory_format)
    torch.testing.assert_close(outcome(other, lr), outcome(naive, lr), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_under_autocast_too(way):
    naive, other = networks(way)
    lr = torch.rand(2, 3, 7, 6)
    found, expected = outcome(other, lr, autocast=True), outcome(naive, lr, autocast=True)
    for a, b in zip(found, expected, strict=True):
        assert a.dtype == b.dtype
        assert (a - b).norm() <= 0.02 * b.norm() + 1e-6


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_the_same_under_no_grad_and_inference_mode(way):
    naive, other = networks(way)
    lr = torch.rand(1, 3, 5, 6, device=next(naive.parameters()).device)
    expected = naive(lr).detach()
    for mode in (torch.no_grad, torch.inference_mode):
        with mode():
            torch.testing.assert_close(other(lr.clone()), expected)


def convolutions(*channels: int) -> list[nn.Conv2d]:
    """Return dense convolutions of these widths in double precision; the last has a 1x1 kernel."""
    inputs = [sum(channels[: i + 1]) for i in range(len(channels) - 1)]
    kernels = [3] * (len(inputs) - 1) + [1]
    return [
        nn.Conv2d(i, o, k, padding=k // 2, dtype=torch.double)
        for i, o, k in zip(inputs, channels[1:], kernels, strict=True)
    ]


@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("way", ["one", "threads", "grouped"])
def test_first_and_second_derivatives_match_finite_differences(way, memory_format):
    branches = [convolutions(2, 1, 2, 3) for _ in range(2)]
    functions = {
        "one": lambda x: dense(x, branches[0]),
        "threads": lambda x: torch.cat(dense_branches(x, branches, run_on_threads)),
        "grouped": lambda x: torch.cat(dense_grouped(x, branches)),
    }
    x = torch.randn(1, 2, 3, 2, dtype=torch.double).contiguous(memory_format=memory_format).requires_grad_()
    used = branches[:1] if way == "one" else branches
    inputs = (x, *(p for convs in used for conv in convs for p in conv.parameters()))
    assert torch.autograd.gradcheck(lambda x, *_: functions[way](x), inputs, check_batched_grad=False)
    assert torch.autograd.gradgradcheck(
        lambda x, *_: functions[way](x), inputs, check_batched_grad=False, fast_mode=True
    )


@pytest.mark.parametrize("frozen", ["input", "weights", "some"])
def test_gradients_of_a_subset_of_tensors(frozen):
    convs = convolutions(2, 2, 2, 2)
    x = torch.randn(1, 2, 4, 4, dtype=torch.double, requires_grad=frozen != "input")
    for conv in convs if frozen == "weights" else convs[:1] if frozen == "some" else []:
        conv.requires_grad_(False)
    inputs = [t for t in (x, *(p for conv in convs for p in conv.parameters())) if t.requires_grad]
    grads = [torch.autograd.grad(dense(x, convs, memory).sum(), inputs) for memory in ("naive", "efficient")]
    torch.testing.assert_close(*grads)


def test_a_retained_graph_gives_the_same_gradients_again():
    convs = convolutions(2, 2, 2)
    x = torch.randn(1, 2, 4, 4, dtype=torch.double, requires_grad=True)
    loss = dense(x, convs).square().sum()
    first = torch.autograd.grad(loss, [x, convs[0].weight], retain_graph=True)
    torch.testing.assert_close(torch.autograd.grad(loss, [x, convs[0].weight]), first, rtol=0, atol=0)


def kept_bytes(network: nn.Module) -> int:
    """Return the bytes that autograd keeps between forward and backward, without weights, each storage once."""
    weights = {p.untyped_storage().data_ptr() for p in network.parameters()}
    storages = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    with saved_tensors_hooks(pack, lambda tensor: tensor):
        out = network(torch.rand(1, 3, 16, 16))
    assert out.requires_grad
    return sum(storages.values())


def test_efficient_keeps_less_than_a_third_and_recompute_less_than_a_tenth():
    naive, efficient, recompute = (
        nn.Sequential(nn.Conv2d(3, 64, 1), *(RRDB(64, 32, 4, memory=memory) for _ in range(4)))
        for memory in ("naive", "efficient", "recompute")
    )
    assert kept_bytes(efficient) <= 0.32 * kept_bytes(naive)
    assert kept_bytes(recompute) <= 0.10 * kept_bytes(naive)


@pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning", "ignore::torch.jit.TracerWarning")
@pytest.mark.parametrize(
    "way", [{}, {"execution": "threads"}, {"execution": "grouped"}, {"memory": "recompute"}], ids=str
)
def test_captured_graphs_contain_only_plain_ops(way):
    _, network = networks(way, scale=2)  # one stage: another would be captured in the same way
    lr = torch.rand(1, 3, 6, 6)
    expected = network(lr)
    compiled = torch.compile(copy.deepcopy(network), backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(outcome(compiled, lr), outcome(network, lr), rtol=1e-4, atol=1e-6)
    for captured in (torch.jit.trace(network, lr), torch.export.export(network, (lr,)).module()):
        torch.testing.assert_close(captured(lr), expected)


def test_threads_run_in_parallel_and_keep_the_number_of_threads():
    together = threading.Barrier(2, timeout=120)

    def task() -> list:
        together.wait()  # a single thread would wait forever
        assert not torch.is_grad_enabled()
        return [torch.get_num_threads()]

    assert run_on_threads([task, task]) == [[1], [1]]
    assert torch.get_num_threads() == 2


def test_an_error_on_a_thread_is_raised():
    def task() -> list:
        raise MemoryError("no more")

    with pytest.raises(MemoryError, match="no more"):
        run_on_threads([task, task])


FORK = """
import os
from facehall.models.layers.execution import run_on_threads, runner
import torch
torch.set_num_threads(2)
run_on_threads([list, list])
child = os.fork()
if not child:
    os._exit(run_on_threads([lambda: [1], lambda: [2]]) != [[1], [2]])
raise SystemExit(os.waitpid(child, 0)[1])
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_process_creates_its_own_threads():
    """Runs in a subprocess, as other libraries loaded by the tests may not survive a fork."""
    subprocess.run([sys.executable, "-W", "ignore", "-c", FORK], check=True, timeout=240)


@pytest.mark.parametrize("execution", ["threads", "grouped"])
@pytest.mark.parametrize("way", [{"topology": "sequential"}, {"topology": "parallel", "memory": "naive"}], ids=str)
def test_parallel_execution_needs_parallel_topology(execution, way):
    with pytest.raises(ValueError, match=f"execution={execution} needs topology=parallel"):
        RRDB(4, 2, 2, execution=execution, **way)


def test_unknown_modes_are_refused():
    with pytest.raises(ValueError, match="memory must be one of naive, efficient, recompute, not 'less'"):
        RRDBNet(blocks=1, memory="less")
    with pytest.raises(ValueError, match=r"execution must be one of .*, not 'fast'"):
        MultiScaleRRDB(execution="fast", **TINY_NETWORK)


def test_an_execution_on_an_unsupported_device_is_refused():
    with pytest.raises(FacehallError, match=r"generator\.execution=threads requires CPU, but the network runs on CUDA"):
        runner("threads", torch.device("cuda"))
