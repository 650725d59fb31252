"""spandrel, which chaiNNer and others load models with, reads RRDBNet weights of facehall and gives the same output."""

import pytest
import torch

from facehall.inference.export import export
from facehall.models.generators import RRDBNet
from facehall.models.weights import load_generator, save_generator

spandrel = pytest.importorskip("spandrel", reason="spandrel is not installed")


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "rrdb.safetensors"
    save_generator(path, RRDBNet(blocks=2, features=16), {"step": "7"})
    return path


@pytest.mark.parametrize("as_exported", [False, True], ids=["file of a training", "export"])
def test_rrdbnet(weights, tmp_path, as_exported):
    path = export(weights, tmp_path / "net.pth", "esrgan") if as_exported else weights
    model = spandrel.ModelLoader(device="cpu").load_from_file(path)
    assert (model.architecture.id, model.scale, model.input_channels) == ("ESRGAN", 4, 3)
    lr = torch.rand(1, 3, 21, 13)
    with torch.no_grad():
        expected = load_generator(weights)(lr)
        assert expected.std() > 1e-3
        torch.testing.assert_close(model.model(lr), expected, atol=1e-5, rtol=0)
