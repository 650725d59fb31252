"""Networks for the static page: graph and weights apart."""

import numpy as np
import onnxruntime
import pytest
import torch
from small import tiny_generator, write_weights

from facehall.errors import FacehallError
from facehall.inference.fidelity import load_interpolated
from facehall.models.weights import save_generator
from facehall.web import static_page
from facehall.web.browser_network import WEIGHTS_BIN, BrowserNetwork, browser_network

LR = torch.rand(1, 3, 12, 15, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """Weights of a run with both phases, and what the page makes of them."""
    folder = tmp_path_factory.mktemp("run")
    file = write_weights(folder / "generator_ema.safetensors")
    other = tiny_generator()
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.mul_(0.5)
    save_generator(folder / "generator_psnr.safetensors", other)
    return file, browser_network(file)


def test_every_fidelity_is_that_of_the_interpolated_network(pair, tmp_path):
    file, network = pair
    assert network.scale == 2
    assert network.overlap > 0
    a, b = (np.frombuffer(values, "<f4") for values in network.weights)
    assert len(network.graph) < len(network.weights[0]) + 200_000
    (tmp_path / "graph.onnx").write_bytes(network.graph)
    for fidelity in (0.0, 0.4, 1.0):
        (tmp_path / WEIGHTS_BIN).write_bytes((a + np.float32(fidelity) * (b - a)).tobytes())
        session = onnxruntime.InferenceSession(tmp_path / "graph.onnx", providers=["CPUExecutionProvider"])
        with torch.no_grad():
            expected = load_interpolated(file, fidelity)(LR).numpy()
        np.testing.assert_allclose(session.run(None, {"lr": LR.numpy()})[0], expected, atol=1e-4)


def test_nothing_about_its_origin_is_published(pair):
    assert b"facehall" not in pair[1].graph


def test_scales_must_differ(monkeypatch, tmp_path):
    monkeypatch.setattr(static_page, "resolve_npm_files", lambda item: ())
    monkeypatch.setattr(static_page, "browser_network", lambda file: BrowserNetwork(2, 8, 1, b"", (b"",)))
    with pytest.raises(FacehallError, match="one network for each scale"):
        static_page.write_page(tmp_path / "page", ["a.safetensors", "b.safetensors"])
    assert not (tmp_path / "page").exists()
