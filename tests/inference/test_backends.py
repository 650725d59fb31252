"""Backends: accuracy at any size, and selection."""

import sys
from pathlib import Path

import pytest
import torch
from small import tiny_generator

from facehall.errors import FacehallError
from facehall.inference.backends import NAMES, build, choose
from facehall.inference.backends import choice as choices
from facehall.inference.backends.choice import parity
from facehall.models.generators import Generator, MultiScaleUNet, RRDBNet, SRResNet3
from facehall.systems import as_rgb

CPU = torch.device("cpu")
SIZES = [(1, 1), (1, 9), (2, 2), (3, 17), (24, 31)]
EXACT = ["eager", "channels_last", "onnxruntime", "openvino"]
NEEDS = {"onnxruntime": ["onnx", "onnxruntime", "onnxscript"], "openvino": ["openvino"], "openvino_bf16": ["openvino"]}


@pytest.fixture(scope="module")
def conversions(tmp_path_factory):
    """Cache shared by tests that use a conversion for something else than testing the cache."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _cached(conversions, monkeypatch):
    monkeypatch.setenv("FACEHALL_CACHE", str(conversions))


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("FACEHALL_CACHE", str(tmp_path / "cache"))


def built(name, generator):
    for package in NEEDS.get(name, []):
        pytest.importorskip(package)
    return build(generator, CPU, name)


def pictures():
    random = torch.Generator().manual_seed(0)
    return [torch.rand(1, 3, *size, generator=random) for size in SIZES]


@pytest.mark.parametrize("name", EXACT)
def test_float32_backends_match_the_network(name):
    generator = tiny_generator(4)
    backend = built(name, generator)
    with torch.inference_mode():
        for lr in pictures():
            sr = backend(lr)
            assert sr.dtype == torch.float32
            torch.testing.assert_close(sr, generator(lr), atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", ["bf16", "openvino_bf16"])
def test_16_bit_backends_keep_the_bicubic_base_in_float32(name):
    backend = built(name, tiny_generator(4))
    generator = tiny_generator(4)
    for stage in generator.stages:  # leave the bicubic base only
        torch.nn.init.zeros_(stage.head.weight)
        torch.nn.init.zeros_(stage.head.bias)
    bicubic = built(name, generator)
    with torch.inference_mode():
        for lr in pictures():
            torch.testing.assert_close(bicubic(lr), generator(lr), atol=1e-5, rtol=0)
    generator = tiny_generator(4)
    with torch.inference_mode():
        for lr in pictures():
            levels, psnr = parity(backend(lr), generator(lr))
            assert levels < 8
            assert psnr > 45  # its residual is far larger than a trained network's


def test_a_result_is_not_overwritten_by_the_next():
    backend = built("openvino", tiny_generator())
    with torch.inference_mode():
        first = backend(torch.zeros(1, 3, 8, 8))
        kept = first.clone()
        backend(torch.ones(1, 3, 8, 8))
    assert torch.equal(first, kept)


SIGNAL = """
import gc, signal, torch
from facehall.inference.backends import build
from small import tiny_generator
received = []
signal.signal(signal.SIGCHLD, lambda *_: received.append(1))
first, second = (build(tiny_generator(), torch.device("cpu"), "openvino") for _ in range(2))
del first; gc.collect()
del second; gc.collect()
signal.raise_signal(signal.SIGCHLD)
assert received
"""


def test_signals_are_handled_after_two_openvino_backends_are_deleted(preloaded):
    pytest.importorskip("openvino")
    done = preloaded.run([sys.executable, "-c", SIGNAL], timeout=240, cwd=Path(__file__).parents[1] / "support")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("generator", [RRDBNet(blocks=1, features=4, growth=2), SRResNet3(2, blocks=1, features=4)])
@pytest.mark.parametrize("name", ["bf16", "openvino"])
def test_networks_without_a_bicubic_base(name, generator):
    generator.eval()
    lr = torch.rand(1, 3, 9, 14, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        levels, _ = parity(built(name, generator)(lr), generator(lr))
    assert levels < 3


@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
def test_pictures_smaller_than_the_cells_of_a_network(name):
    torch.manual_seed(0)
    generator = MultiScaleUNet(2, features=[4, 6, 8], blocks=[1, 1, 1], stage_features=4, gate=4).eval()
    torch.nn.init.normal_(generator.heads[0].weight)
    torch.nn.init.normal_(generator.gate.gain.weight)
    backend = built(name, generator)
    for size in ((1, 1), (3, 30), (4, 4), (5, 6)):
        lr = torch.rand(1, 3, *size)
        with torch.inference_mode():
            torch.testing.assert_close(backend(lr), generator(lr), atol=1e-4, rtol=0)


class Luma(Generator):
    """A residual of the enlarged luma."""

    scale, input, colour, arguments = 2, "bicubic", "y", {}

    def __init__(self):
        super().__init__()
        self.inner, self.last = torch.nn.Conv2d(1, 4, 3, padding=1), torch.nn.Conv2d(4, 1, 3, padding=1)

    def pyramid(self, lr, up_to=None):
        return {2: lr + self.last(self.inner(lr).relu())}


@pytest.mark.parametrize("name", ["channels_last", "bf16", "onnxruntime", "openvino", "openvino_bf16"])
def test_networks_of_the_enlarged_luma(name):
    torch.manual_seed(0)
    generator = as_rgb(Luma()).eval()
    backend = built(name, generator)
    with torch.inference_mode():
        for lr in pictures():
            levels, _ = parity(backend(lr), generator(lr))
            assert levels < (3 if "bf16" in name else 0.05)


def test_a_conversion_is_cached_by_weights(own_cache, tmp_path):
    generator = tiny_generator()
    built("openvino", generator)
    folder = tmp_path / "cache" / "backends"
    assert len(list(folder.iterdir())) == 1
    with torch.no_grad():
        generator.first.bias.add_(1)
    other = built("openvino", generator)
    assert len(list(folder.iterdir())) == 2
    lr = torch.rand(1, 3, 6, 6)
    with torch.inference_mode():
        torch.testing.assert_close(other(lr), generator(lr), atol=1e-4, rtol=0)


@pytest.mark.parametrize(("name", "package", "extra"), [("onnxruntime", "onnxruntime", "onnx"), *[("openvino",) * 3]])
def test_a_missing_package_is_reported_with_its_pip_command(name, package, extra, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(FacehallError, match=rf"pip install 'facehall\[{extra}\]'"):
        build(tiny_generator(), CPU, name)


def test_invalid_backends():
    with pytest.raises(FacehallError, match=r"backend=fast: .*openvino_bf16"):
        choose(tiny_generator(), CPU, "fast")
    with pytest.raises(FacehallError, match="runs on the CPU only"):
        build(tiny_generator(), torch.device("meta"), "openvino")
    assert NAMES[0] == "auto"


def test_a_short_job_is_not_benchmarked(own_cache, tmp_path):
    _, line = choose(tiny_generator(), CPU, "auto", pixels=1000)
    assert "guess" in line
    assert not (tmp_path / "cache").exists()


def test_a_long_job_is_benchmarked_once(own_cache, tmp_path, monkeypatch):
    monkeypatch.setattr(choices, "candidates", lambda: ["eager", "channels_last"])
    generator = tiny_generator()
    backend, line = choose(generator, CPU, "auto", pixels=10**12)
    assert "measured" in line
    assert (tmp_path / "cache" / "backends" / "choices.json").is_file()
    monkeypatch.setattr(choices, "_measure", None)  # called again, it would raise
    assert choose(generator, CPU, "auto", pixels=10**12)[1] == line
    assert choose(generator, CPU, "auto", pixels=1)[1] == line
    lr = torch.rand(1, 3, 5, 5)
    with torch.inference_mode():
        torch.testing.assert_close(backend(lr), generator(lr), atol=1e-5, rtol=0)


def test_a_damaged_cache_of_choices_is_replaced(own_cache, tmp_path, monkeypatch):
    monkeypatch.setattr(choices, "candidates", lambda: ["eager"])
    path = tmp_path / "cache" / "backends" / "choices.json"
    path.parent.mkdir(parents=True)
    path.write_text("{half")
    assert choose(tiny_generator(), CPU, "auto", pixels=10**12)[1].startswith("eager (measured")


def test_inaccurate_and_failing_backends_are_not_chosen(own_cache, monkeypatch):
    def fails(generator, device):
        raise RuntimeError("unsupported operator")

    monkeypatch.setitem(choices.BUILDERS, "wrong", lambda generator, device: lambda lr: generator(lr) + 0.1)
    monkeypatch.setitem(choices.BUILDERS, "fails", fails)
    monkeypatch.setattr(choices, "candidates", lambda: ["eager", "wrong", "fails"])
    monkeypatch.setattr(  # anything but eager would win
        choices, "interleaved", lambda tasks, *_, **__: {name: [1.0 if name == "eager" else 0.1] for name in tasks}
    )
    assert choose(tiny_generator(), CPU, "auto", pixels=10**12)[1].startswith("eager")
