"""Exported files match the network at any size and have its metadata."""

import io
import json

import pytest
import torch
from small import tiny_generator, write_weights

from facehall.errors import FacehallError
from facehall.imaging import upscale_bicubic
from facehall.inference import export as module
from facehall.inference.export import FORMATS, export, portable_program
from facehall.models.generators import Generator, MultiScaleUNet, RRDBNet, records_arguments
from facehall.models.weights import load_generator, save_generator
from facehall.systems import as_rgb


class Luma(Generator):
    """A convolution without a skip on the enlarged luma."""

    input, colour = "bicubic", "y"

    @records_arguments
    def __init__(self, scale=2):
        super().__init__()
        self.scale = scale
        torch.manual_seed(0)
        self.conv = torch.nn.Conv2d(1, 1, 3, padding=1, padding_mode="replicate")

    def pyramid(self, lr, up_to=None):
        return {self.scale: self.conv(lr)}


@pytest.fixture
def weights(tmp_path):
    return write_weights(tmp_path / "weights.safetensors", scale=4)


def assert_same(run, generator):
    for size in ((2, 5), (13, 8), (41, 30)):
        lr = torch.rand(1, 3, *size)
        with torch.no_grad():
            torch.testing.assert_close(run(lr), generator(lr), atol=1e-4, rtol=0)


def test_onnx(weights, tmp_path):
    onnx, ort = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    path = export(weights, tmp_path / "out" / "net.onnx", "onnx")
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    assert_same(lambda lr: torch.from_numpy(session.run(None, {"lr": lr.numpy()})[0]), load_generator(weights))
    assert session.get_inputs()[0].shape == [1, 3, "height", "width"]
    metadata = session.get_modelmeta().custom_metadata_map
    assert metadata["scale"] == "4"
    assert metadata["target"] == "MultiScaleRRDB"
    assert metadata["step"] == "7"
    onnx.checker.check_model(onnx.load(path), full_check=True)
    assert b".py" not in path.read_bytes()  # no stack traces with local paths


def test_torchscript(weights, tmp_path):
    path = export(weights, tmp_path / "net.pt", "torchscript")
    metadata = {"scale": "", "arguments": ""}
    assert_same(torch.jit.load(path, _extra_files=metadata), load_generator(weights))
    assert metadata["scale"] == b"4"
    assert json.loads(metadata["arguments"])["scale"] == 4


def test_torch_export(weights, tmp_path):
    path = export(weights, tmp_path / "net.pt2", "torch_export")
    metadata = {"scale": "", "step": ""}
    program = torch.export.load(io.BytesIO(path.read_bytes()), extra_files=metadata)
    assert_same(program.module(), load_generator(weights))
    assert metadata.items() >= {"scale": "4", "step": "7"}.items()


@pytest.mark.parametrize("scale", [2, 3, 8])
def test_the_bicubic_base_as_a_convolution(scale):
    generator = tiny_generator(scale)
    program, adds_base = portable_program(generator)
    assert adds_base
    assert_same(program.module(), generator)


def test_rrdbnet(tmp_path):
    save_generator(tmp_path / "rrdb.safetensors", RRDBNet(blocks=1, features=4, growth=2))
    path = export(tmp_path / "rrdb.safetensors", tmp_path / "net.pt2", "torch_export")
    assert_same(
        torch.export.load(io.BytesIO(path.read_bytes())).module(), load_generator(tmp_path / "rrdb.safetensors")
    )


@pytest.mark.parametrize("format", sorted(FORMATS.keys() - {"esrgan"}))
def test_a_luma_network_is_exported_with_its_colour_conversion(tmp_path, format):
    if format == "onnx":
        pytest.importorskip("onnxscript")
        pytest.importorskip("onnxruntime")
    save_generator(tmp_path / "luma.safetensors", Luma(2))
    path = export(tmp_path / "luma.safetensors", tmp_path / "net", format)
    assert_same(FORMATS[format][1](path.read_bytes()), as_rgb(load_generator(tmp_path / "luma.safetensors")))


@pytest.mark.parametrize("format", sorted(FORMATS.keys() - {"esrgan"}))
def test_a_network_with_strides_takes_any_size_from_one_cell_up(tmp_path, format):
    if format == "onnx":
        pytest.importorskip("onnxscript")
        pytest.importorskip("onnxruntime")
    torch.manual_seed(0)
    generator = MultiScaleUNet(2, features=[4, 6, 8], blocks=[1, 1, 1], stage_features=4, gate=4).eval()
    torch.nn.init.normal_(generator.heads[0].weight)
    torch.nn.init.normal_(generator.gate.gain.weight)
    save_generator(tmp_path / "w.safetensors", generator)
    run = FORMATS[format][1](export(tmp_path / "w.safetensors", tmp_path / "net", format).read_bytes())
    for size in ((5, 5), (6, 23), (16, 16)):
        lr = torch.rand(1, 3, *size)
        with torch.no_grad():
            torch.testing.assert_close(run(lr), generator(lr), atol=1e-4, rtol=0)


def test_a_gate_needs_no_bicubic_image():
    torch.manual_seed(0)
    generator = MultiScaleUNet(4, features=[4, 6], blocks=[1, 1], stage_features=4, gate=4).eval()
    torch.nn.init.normal_(generator.gate.gain.weight)
    program, adds_base = portable_program(generator, base=False)
    assert adds_base
    lr = torch.rand(1, 3, 11, 20)
    with torch.no_grad():
        torch.testing.assert_close(program.module()(lr) + upscale_bicubic(lr, 4), generator(lr), atol=1e-4, rtol=0)


def test_a_network_that_computes_with_its_bicubic_image_keeps_it():
    program, adds_base = portable_program(as_rgb(Luma(3)), base=False)
    assert not adds_base
    assert_same(program.module(), as_rgb(Luma(3)))


def test_invalid_arguments(weights, tmp_path):
    with pytest.raises(FacehallError, match=r"format=tflite: .* onnx, torchscript, torch_export"):
        export(weights, tmp_path / "net", "tflite")
    with pytest.raises(FacehallError, match="is a folder"):
        export(weights, tmp_path, "torchscript")
    existing = tmp_path / "existing.pt"
    existing.write_text("precious")
    with pytest.raises(FacehallError, match="already exists"):
        export(weights, existing, "torchscript")
    assert existing.read_text() == "precious"
    export(weights, existing, "torchscript", overwrite=True)
    assert existing.read_bytes() != b"precious"


def test_an_esrgan_checkpoint(tmp_path):
    path = tmp_path / "rrdb.safetensors"
    save_generator(path, RRDBNet(blocks=1, features=4, growth=32))
    written = export(path, tmp_path / "net.pth", "esrgan")
    assert_same(load_generator(written), load_generator(path))
    assert torch.load(written, weights_only=True).keys() == {"params"}


def test_other_networks_have_no_esrgan_checkpoint(weights, tmp_path):
    with pytest.raises(FacehallError, match=r"only an RRDBNet .* not a MultiScaleRRDB"):
        export(weights, tmp_path / "net.pth", "esrgan")
    save_generator(tmp_path / "rrdb.safetensors", RRDBNet(blocks=1, features=4, growth=2))
    with pytest.raises(FacehallError, match="expect growth=32, but this network has growth=2"):
        export(tmp_path / "rrdb.safetensors", tmp_path / "net.pth", "esrgan")
    assert not (tmp_path / "net.pth").exists()


def test_an_inaccurate_file_is_not_written(weights, tmp_path, monkeypatch):
    write, read = module.FORMATS["torchscript"]
    monkeypatch.setitem(module.FORMATS, "torchscript", (write, lambda content: lambda lr: read(content)(lr) + 0.01))
    with pytest.raises(FacehallError, match=r"differs from the network's by 0\.01"):
        export(weights, tmp_path / "net.pt", "torchscript")
    assert [path.name for path in tmp_path.iterdir()] == ["weights.safetensors"]
