"""TensorFlow.js files: quantised weights, and graphs run in PyTorch."""

import base64
import json

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from facehall.errors import FacehallError
from facehall.faces.tfjs import GraphNetwork, read_weights


def node(name, op, *inputs, **attributes):
    return {"name": name, "op": op, "input": list(inputs), "attr": attributes}


def text(value):
    return {"s": base64.b64encode(value.encode()).decode()}


def strides(stride):
    return {"list": {"i": ["1", str(stride), str(stride), "1"]}}


WEIGHTS = {
    "kernel": (np.random.default_rng(0).normal(size=(3, 3, 3, 4)).astype("f4")),
    "depth": (np.random.default_rng(1).normal(size=(3, 3, 4, 1)).astype("f4")),
    "bias": np.arange(4, dtype="f4"),
    "six": np.array(6, "f4"),
    "axes": np.array([1, 2], "i4"),
    "dense": np.random.default_rng(2).normal(size=(4, 2)).astype("f4"),
}
NODES = [
    node("image", "Placeholder"),
    *(node(name, "Const") for name in WEIGHTS),
    node("out", "MatMul", "mean", "dense"),  # not in the order of computation
    node("conv", "Conv2D", "image", "kernel", padding=text("SAME"), strides=strides(2)),
    node("added", "AddV2", "conv", "bias"),
    node("positive", "Relu", "added"),
    node("clipped", "Minimum", "positive", "six"),
    node("deep", "DepthwiseConv2dNative", "clipped", "depth", padding=text("VALID"), strides=strides(1)),
    node("mean", "Mean", "deep", "axes"),
    node("unused", "Softmax", "out"),
]


def write(folder, nodes=NODES, drop=0):
    manifest = [{"name": name, "shape": list(v.shape), "dtype": str(v.dtype)} for name, v in WEIGHTS.items()]
    model = {"modelTopology": {"node": nodes}, "weightsManifest": [{"paths": ["w.bin"], "weights": manifest}]}
    (folder / "m.json").write_text(json.dumps(model))
    data = b"".join(value.tobytes() for value in WEIGHTS.values())
    (folder / "w.bin").write_bytes(data[: len(data) - drop])
    return folder / "m.json", folder / "w.bin"


@pytest.mark.parametrize("side", [8, 9])
def test_a_graph_gives_what_the_same_network_gives(tmp_path, side):
    network = GraphNetwork(*write(tmp_path), output="out")
    images = torch.rand(2, 3, side, side, requires_grad=True)
    found = network(images)
    kernel, depth = (torch.from_numpy(WEIGHTS[name]) for name in ("kernel", "depth"))
    # TensorFlow pads an even side by a pixel at the end only, an odd one on both sides.
    padded = F.pad(images, (0, 1, 0, 1) if side == 8 else (1, 1, 1, 1))
    x = F.conv2d(padded, kernel.permute(3, 2, 0, 1), stride=2) + torch.arange(4.0).view(-1, 1, 1)
    x = F.conv2d(x.clamp(0, 6), depth.permute(2, 3, 0, 1), groups=4)
    assert torch.allclose(found, x.mean((2, 3)) @ torch.from_numpy(WEIGHTS["dense"]), atol=1e-4)
    found.sum().backward()
    assert images.grad.abs().sum() > 0


def test_quantised_weights():
    entries = [
        {"name": "a", "shape": [2], "dtype": "float32", "quantization": {"dtype": "uint8", "scale": 0.5, "min": -1}},
        {"name": "b", "shape": [1], "dtype": "float32", "quantization": {"dtype": "float16"}},
        {"name": "c", "shape": [], "dtype": "int32"},
    ]
    data = bytes([0, 4]) + np.array([1.5], "<f2").tobytes() + np.array(7, "<i4").tobytes()
    found = read_weights([{"weights": entries}], data, "x")
    assert found["a"].tolist() == [-1, 1]
    assert found["b"].tolist() == [1.5]
    assert found["b"].dtype == torch.float32
    assert found["c"].item() == 7
    with pytest.raises(FacehallError, match="x: 9 bytes, but its manifest describes 8"):
        read_weights([{"weights": entries}], data + b"0", "x")


def test_damaged_and_unknown_files_are_named(tmp_path):
    with pytest.raises(FacehallError, match=r"w\.bin: not the weights that its manifest describes"):
        GraphNetwork(*write(tmp_path, drop=4), output="out")
    with pytest.raises(FacehallError, match=r"m\.json has the operation Softmax"):
        GraphNetwork(*write(tmp_path), output="unused")
    with pytest.raises(FacehallError, match=r"m\.json has no node 'other'"):
        GraphNetwork(*write(tmp_path), output="other")
    (tmp_path / "m.json").write_text("{")
    with pytest.raises(FacehallError, match=r"m\.json cannot be read as JSON"):
        GraphNetwork(tmp_path / "m.json", tmp_path / "w.bin", output="out")
