"""CenterFace: decoding its outputs, and the same results on every engine."""

import numpy as np
import pytest

from facehall.errors import FacehallError
from facehall.faces import centerface
from facehall.faces.centerface import BACKENDS, CenterFace, decode


def outputs(height=8, width=8):
    return [np.zeros((1, channels, height, width), np.float32) for channels in (1, 2, 2, 10)]


def test_a_cell_is_decoded():
    scores, sizes, offsets, points = outputs()
    scores[0, 0, 3, 5] = 0.8
    sizes[0, :, 3, 5] = np.log([6, 4])  # cells: 24 high, 16 wide
    offsets[0, :, 3, 5] = 0.25, -0.5
    points[0, :, 3, 5] = [0.25, 0.25, 0.25, 0.75, 0.5, 0.5, 0.75, 0.3, 0.75, 0.7]
    found = decode(scores, sizes, offsets, points, 0.5)
    middle_x, middle_y = 4 * (5 - 0.5 + 0.5), 4 * (3 + 0.25 + 0.5)
    assert found.boxes == pytest.approx(np.array([[middle_x - 8, middle_y - 12, middle_x + 8, middle_y + 12]]))
    assert found.scores == pytest.approx(0.8)
    left, top = found.boxes[0, :2]
    assert found.points[0] == pytest.approx(
        np.array([left, top]) + np.array([(4, 6), (12, 6), (8, 12), (4.8, 18), (11.2, 18)])
    )


def test_nothing_found_has_the_same_shapes():
    found = decode(*outputs(), 0.5)
    assert (found.boxes.shape, found.scores.shape, found.points.shape) == ((0, 4), (0,), (0, 5, 2))


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory):
    """A file like the published one, for ten images of 32x32, but one convolution for each output."""
    onnx = pytest.importorskip("onnx")
    random = np.random.default_rng(0)
    names, channels = ("537", "538", "539", "540"), (1, 2, 2, 10)
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    weights = [
        onnx.numpy_helper.from_array((random.normal(size=(c, 3, 4, 4)) / 2000).astype(np.float32), f"w{name}")
        for name, c in zip(names, channels, strict=True)
    ]
    nodes = [
        helper.make_node("Conv", ["in", f"w{name}"], [name], strides=[4, 4], kernel_shape=[4, 4]) for name in names
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("in", kind, [10, 3, 32, 32])],
        [helper.make_tensor_value_info(n, kind, [10, c, 8, 8]) for n, c in zip(names, channels, strict=True)],
        weights,
    )
    path = tmp_path_factory.mktemp("model") / "centerface.onnx"
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 9)], ir_version=6)
    path.write_bytes(model.SerializeToString())
    return path


def test_all_engines_agree_on_any_size(tiny_model):
    rgb = np.random.default_rng(1).integers(0, 256, (50, 71, 3), dtype=np.uint8)
    found = {}
    for backend in BACKENDS:
        if centerface._is_installed(backend):
            network = CenterFace(tiny_model, backend)
            found[backend] = [network(rgb, -9.0), network(rgb[:1, :1], -9.0)]
    assert "opencv" in found
    for whole, pixel in found.values():
        assert whole.boxes.shape == (16 * 24, 4)  # padded to 64x96
        assert pixel.boxes.shape == (64, 4)
        for result, expected in zip((*whole, *pixel), (*found["opencv"][0], *found["opencv"][1]), strict=True):
            assert np.allclose(result, expected, atol=1e-3)


def test_damaged_files_and_unknown_engines_are_named(tmp_path, tiny_model):
    path = tmp_path / "centerface.onnx"
    path.write_bytes(b"no model")
    for backend in ("opencv", "openvino", "onnxruntime"):
        if centerface._is_installed(backend):
            with pytest.raises(FacehallError, match=f"centerface.onnx cannot be read as a face detector by {backend}"):
                CenterFace(path, backend)
    with pytest.raises(FacehallError, match="no backend 'paper'"):
        CenterFace(tiny_model, "paper")


def test_a_missing_engine_is_named(tiny_model, monkeypatch):
    monkeypatch.setitem(centerface._PACKAGES, "openvino", ("no_such_package",))
    with pytest.raises(FacehallError, match="cannot run on openvino"):
        CenterFace(tiny_model, "openvino")
    assert CenterFace(tiny_model).backend != "openvino"
