"""The adder layer: its values, its two unusual gradients, and that the compiled kernel agrees with plain torch."""

import logging
import math
import stat

import pytest
import torch
from torch.nn import functional as F

from facehall.errors import FacehallError
from facehall.models.layers import adder, native
from facehall.models.layers.adder import Adder2d, use_native, weight_gradient

try:
    use_native("native", torch.zeros(1))
    EXECUTIONS = ("native", "torch")
except FacehallError:
    EXECUTIONS = ("torch",)
needs_compiler = pytest.mark.skipif("native" not in EXECUTIONS, reason="no C++ compiler")

SIZES = [(2, 3, 5, 6, 7, 3), (1, 8, 4, 3, 33, 5), (2, 5, 3, 1, 1, 3), (3, 2, 9, 4, 8, 1)]
"""Batch, channels in and out, height, width, side of the window."""


def layer_and_data(batch, inputs, outputs, height, width, side, execution):
    torch.manual_seed(0)
    layer = Adder2d(inputs, outputs, side, execution=execution)
    x = torch.randn(batch, inputs, height, width, requires_grad=True)
    return layer, x, torch.randn(batch, outputs, height, width)


def differences(layer, x):
    """W - X of each filter, window value and pixel: (B, C_out, C_in k k, h w)."""
    side = layer.weight.shape[-1]
    windows = F.unfold(x, side, padding=side // 2)
    return layer.weight.flatten(1)[None, :, :, None] - windows[:, None]


@pytest.mark.parametrize("execution", EXECUTIONS)
def test_a_window_equal_to_the_filter_has_distance_zero(execution):
    layer = Adder2d(4, 3, execution=execution)
    out = layer(layer.weight[1:2])
    assert out[0, 1, 1, 1] == 0
    assert (out[0, [0, 2], 1, 1] < -1).all()


@pytest.mark.parametrize("execution", EXECUTIONS)
def test_by_hand(execution):
    layer = Adder2d(1, 1, execution=execution)
    with torch.no_grad():
        layer.weight.fill_(1.0)
    # a corner sees four pixels of 3 and five zeros of the padding
    expected = torch.tensor([[-13.0, -15.0, -13.0], [-15.0, -18.0, -15.0], [-13.0, -15.0, -13.0]])
    assert torch.equal(layer(torch.full((1, 1, 3, 3), 3.0))[0, 0], expected)


@pytest.mark.parametrize("execution", EXECUTIONS)
@pytest.mark.parametrize("sizes", SIZES)
def test_values_and_gradients(sizes, execution):
    layer, x, g = layer_and_data(*sizes, execution)
    difference = differences(layer, x.detach()).detach()
    out = layer(x)
    torch.testing.assert_close(out.flatten(2), -difference.abs().sum(dim=2), rtol=1e-5, atol=1e-5)

    out.backward(g)
    of_windows = (difference.clamp(-1, 1) * g.flatten(2)[:, :, None]).sum(dim=1)
    expected = F.fold(of_windows, x.shape[-2:], sizes[-1], padding=sizes[-1] // 2)
    torch.testing.assert_close(x.grad, expected, rtol=1e-5, atol=1e-5)

    gradient = layer.weight.grad
    direction = -(difference * g.flatten(2)[:, :, None]).sum(dim=(0, 3)).view_as(gradient)
    torch.testing.assert_close(gradient.norm().item(), 0.2 * math.sqrt(gradient.numel()), rtol=1e-5, atol=0)
    torch.testing.assert_close(gradient / gradient.norm(), direction / direction.norm(), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(weight_gradient(x.detach(), layer.weight.detach(), g), direction, rtol=1e-4, atol=1e-4)


def test_dtypes():
    """Double stays double; half-precision weights are computed in float32; other inputs take the weights' dtype."""
    x, exact = torch.randn(1, 3, 4, 5, dtype=torch.float64), Adder2d(3, 2).double()
    torch.testing.assert_close(exact(x).flatten(2), -differences(exact, x).abs().sum(dim=2))
    half = Adder2d(3, 2).bfloat16()
    expected = Adder2d(3, 2, execution="torch")
    expected.weight.data = half.weight.float()
    assert half(x.bfloat16()).dtype == torch.bfloat16
    torch.testing.assert_close(half(x.bfloat16()), expected(x.bfloat16()).bfloat16())


def test_the_rate_scales_the_gradient_of_the_weights_alone():
    gradients = []
    for rate in (0.2, 0.05):
        layer, x, g = layer_and_data(*SIZES[0], "torch")
        layer.rate = rate
        layer(x).backward(g)
        gradients.append((x.grad, layer.weight.grad))
    assert torch.equal(gradients[0][0], gradients[1][0])
    torch.testing.assert_close(gradients[0][1], 4 * gradients[1][1])


def test_no_gradient_where_nothing_comes_in():
    layer, x, g = layer_and_data(*SIZES[0], "torch")
    layer(x).backward(0 * g)
    assert not x.grad.any()
    assert not layer.weight.grad.any()  # not 0 / 0


@needs_compiler
def test_threads_and_memory_formats_do_not_matter():
    layer, x, g = layer_and_data(2, 6, 5, 9, 11, 3, "native")
    threads, results = torch.get_num_threads(), []
    try:
        for count, memory_format in ((1, torch.contiguous_format), (2, torch.channels_last)):
            torch.set_num_threads(count)
            image = x.detach().to(memory_format=memory_format).requires_grad_()
            out = layer(image)
            (dx,) = torch.autograd.grad(out, image, g)
            results.append((out.detach(), dx))
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(results[0][0], results[1][0])
    assert torch.equal(results[0][1], results[1][1])


@pytest.mark.filterwarnings("ignore:.*jit.trace.*")
@torch.no_grad()
def test_a_captured_graph_holds_basic_operations():
    layer, x, _ = layer_and_data(*SIZES[0], "torch")
    traced = torch.jit.trace(layer, x, check_trace=False)
    assert "facehall::" not in str(traced.inlined_graph)
    other = torch.randn_like(x)
    torch.testing.assert_close(traced(other), layer(other), rtol=1e-5, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("execution", EXECUTIONS)
def test_compiled_training_has_the_gradients_of_the_layer(execution):
    """torch.compile, without the machine code, must not differentiate the formula."""
    layer, x, g = layer_and_data(*SIZES[0], execution)
    (dx,), (dw,) = (torch.autograd.grad(layer(x), of, g) for of in (x, layer.weight))
    torch.compile(layer, backend="aot_eager", fullgraph=True)(x).backward(g)
    torch.testing.assert_close(x.grad, dx)
    torch.testing.assert_close(layer.weight.grad, dw)


def test_bad_arguments():
    with pytest.raises(ValueError, match="odd"):
        Adder2d(1, 1, 2)
    with pytest.raises(ValueError, match="native, torch"):
        Adder2d(1, 1, execution="cuda")


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    """A cache without compiled libraries; nothing of it is remembered after the test."""
    monkeypatch.setenv("FACEHALL_CACHE", str(tmp_path / "cache"))
    functions = (native.compiled, adder._kernels, adder._available)
    for function in functions:
        function.cache_clear()
    yield tmp_path
    for function in functions:
        function.cache_clear()


def test_without_a_compiler_plain_torch_is_used_and_named(empty_cache, monkeypatch, caplog):
    monkeypatch.setenv("CXX", "no-such-compiler")
    with caplog.at_level(logging.WARNING, logger="facehall"):
        assert not use_native("auto", torch.zeros(1))
        assert not use_native("auto", torch.zeros(1))
    (record,) = caplog.records
    assert "plain torch" in record.message
    assert "CXX=no-such-compiler" in record.message
    with pytest.raises(FacehallError, match="No C\\+\\+ compiler"):
        use_native("native", torch.zeros(1))


def test_a_compiler_that_fails_is_quoted(empty_cache, monkeypatch):
    script = empty_cache / "cxx"
    script.write_text("#!/bin/sh\necho 'note: x' >&2\necho 'error: no OpenMP here' >&2\nexit 1\n")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("CXX", str(script))
    with pytest.raises(FacehallError, match=r"cannot compile .*: error: no OpenMP here"):
        use_native("native", torch.zeros(1))
    assert not list((empty_cache / "cache" / "native").iterdir())


@needs_compiler
def test_a_compiled_library_is_found_again(empty_cache, monkeypatch):
    assert use_native("native", torch.zeros(1))
    (library,) = (empty_cache / "cache" / "native").iterdir()
    written = library.stat().st_mtime_ns
    native.compiled.cache_clear()
    monkeypatch.setattr(native, "_compile", None)
    native.compiled("adder")
    assert library.stat().st_mtime_ns == written
