"""Networks in TensorFlow.js files: their weights, and a small interpreter of their graphs in PyTorch.

A graph is run node by node on tensors in PyTorch's layout, differentiably. Only the operations of convolutional
classifiers are known; any other is an error when the file is read.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from facehall.errors import FacehallError

_DTYPES = {"float32": np.float32, "float16": np.float16, "int32": np.int32, "uint8": np.uint8, "uint16": np.uint16}


def read_weights(manifest: Sequence[Mapping[str, Any]], data: bytes, where: str) -> dict[str, Tensor]:
    """Decode the weights of a manifest, in the order of the file; quantised ones become float32.

    Args:
        manifest: the list ``weightsManifest`` of a model file, or the content of a ``-weights_manifest.json``.
        data: the content of the .bin file.
        where: what messages call the file.

    Raises:
        FacehallError: the manifest and the data do not belong together.
    """
    tensors, offset = {}, 0
    try:
        for entry in (entry for group in manifest for entry in group["weights"]):
            quantization = entry.get("quantization", {})
            dtype = np.dtype(_DTYPES[quantization.get("dtype", entry["dtype"])]).newbyteorder("<")
            count = int(np.prod(entry["shape"], dtype=np.int64))
            values = np.frombuffer(data, dtype, count, offset).reshape(entry["shape"])
            offset += values.nbytes
            if "scale" in quantization:
                values = values.astype(np.float32) * quantization["scale"] + quantization["min"]
            stored = _DTYPES[entry["dtype"]]
            tensors[entry["name"]] = torch.from_numpy(np.array(values, stored))
    except (KeyError, TypeError, ValueError) as error:
        raise FacehallError(f"{where}: not the weights that its manifest describes ({error}). Replace it.") from error
    if offset != len(data):
        raise FacehallError(f"{where}: {len(data)} bytes, but its manifest describes {offset}. Replace it.")
    return tensors


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        FacehallError: it is missing or damaged.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FacehallError(f"{path} cannot be read as JSON ({error}). Replace the file.") from error


class GraphNetwork(nn.Module):
    """A graph model as a frozen network: images (B, 3, H, W) -> the output, differentiable with respect to the images.

    Args:
        model: the .json file.
        weights: the .bin file.
        output: name of the node whose value is returned.

    Raises:
        FacehallError: a file is damaged, or the graph has an operation that is not known here.
    """

    def __init__(self, model: Path, weights: Path, output: str) -> None:
        super().__init__()
        described = read_json(model)
        try:
            nodes = {node["name"]: node for node in described["modelTopology"]["node"]}
            tensors = read_weights(described["weightsManifest"], weights.read_bytes(), str(weights))
        except (KeyError, TypeError, OSError) as error:
            raise FacehallError(f"{model} is not a TensorFlow.js graph model ({error}). Replace the file.") from error
        if output not in nodes:
            raise FacehallError(f"{model} has no node {output!r}. Replace the file.")
        self._output = output
        self._nodes = [node for node in _ordered(nodes, output) if node["op"] not in ("Const", "Placeholder")]
        (self._input,) = [node["name"] for node in nodes.values() if node["op"] == "Placeholder"]
        unknown = sorted({node["op"] for node in self._nodes} - _OPERATIONS.keys())
        if unknown:
            raise FacehallError(f"{model} has the operation {unknown[0]}, which this reader does not know.")
        used = {name for node in self._nodes for name in node["input"]}
        self._constants = [name for name in tensors if name in used]
        for number, name in enumerate(self._constants):
            self.register_buffer(f"constant{number}", tensors[name])

    def forward(self, images: Tensor) -> Tensor:
        values: dict[str, Tensor] = {self._input: images}
        values |= {name: self.get_buffer(f"constant{number}") for number, name in enumerate(self._constants)}
        for node in self._nodes:
            inputs = [values[name] for name in node["input"]]
            values[node["name"]] = _OPERATIONS[node["op"]](node.get("attr", {}), *inputs)
        return values[self._output]


def _ordered(nodes: Mapping[str, Any], output: str) -> list[Any]:
    """Return the nodes that `output` needs, each after its inputs."""
    found: dict[str, Any] = {}
    stack = [output]
    while stack:
        name = stack[-1]
        missing = [each for each in nodes[name].get("input", []) if each not in found]
        if missing:
            stack += missing
        else:
            found[stack.pop()] = nodes[name]
    return list(found.values())


def _text(attribute: Mapping[str, str]) -> str:
    return base64.b64decode(attribute["s"]).decode()


def _convolve(attributes: Mapping[str, Any], x: Tensor, weight: Tensor, groups: int) -> Tensor:
    """Convolve with a weight (out, in, height, width), with TensorFlow's padding: the odd pixel goes to the end."""
    stride = int(attributes["strides"]["list"]["i"][1])
    if _text(attributes["padding"]) == "SAME":
        pads = []
        for size, kernel in ((x.shape[3], weight.shape[3]), (x.shape[2], weight.shape[2])):
            total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
            pads += [total // 2, total - total // 2]
        x = F.pad(x, pads)
    return F.conv2d(x, weight, stride=stride, groups=groups)


def _conv2d(attributes: Mapping[str, Any], x: Tensor, weight: Tensor) -> Tensor:
    return _convolve(attributes, x, weight.permute(3, 2, 0, 1), 1)


def _depthwise(attributes: Mapping[str, Any], x: Tensor, weight: Tensor) -> Tensor:
    height, width, channels, multiplier = weight.shape
    kernels = weight.permute(2, 3, 0, 1).reshape(channels * multiplier, 1, height, width)
    return _convolve(attributes, x, kernels, channels)


def _binary(function: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Tensor]:
    def run(attributes: Mapping[str, Any], a: Tensor, b: Tensor) -> Tensor:
        return function(*(_channels_first(each, max(a.ndim, b.ndim)) for each in (a, b)))

    return run


def _channels_first(x: Tensor, ndim: int) -> Tensor:
    """Give a constant over channels, which are TensorFlow's last axis, the axes after the channels of an image."""
    return x.view(-1, 1, 1) if ndim == 4 and x.ndim == 1 else x


def _pad(attributes: Mapping[str, Any], x: Tensor, paddings: Tensor) -> Tensor:
    (_, (top, bottom), (left, right), _) = paddings.tolist()
    return F.pad(x, (left, right, top, bottom))


def _reshape(attributes: Mapping[str, Any], x: Tensor, shape: Tensor) -> Tensor:
    return (x.permute(0, 2, 3, 1) if x.ndim == 4 else x).reshape(shape.tolist())


def _mean(attributes: Mapping[str, Any], x: Tensor, axes: Tensor) -> Tensor:
    if x.ndim != 4 or sorted(axes.tolist()) != [1, 2]:
        raise FacehallError("A mean over other axes than height and width is not known to the reader of graphs.")
    return x.mean((2, 3))


_OPERATIONS: dict[str, Callable[..., Tensor]] = {
    "Add": _binary(torch.add),
    "AddV2": _binary(torch.add),
    "Sub": _binary(torch.sub),
    "Mul": _binary(torch.mul),
    "Maximum": _binary(torch.maximum),
    "Minimum": _binary(torch.minimum),
    "Relu": lambda attributes, x: F.relu(x),
    "Conv2D": _conv2d,
    "DepthwiseConv2dNative": _depthwise,
    "Pad": _pad,
    "Reshape": _reshape,
    "MatMul": lambda attributes, x, weight: x @ weight,
    "Mean": _mean,
}
