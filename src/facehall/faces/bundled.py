"""Our own small networks: their weights come with the package, in half precision."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from facehall.errors import FacehallError
from facehall.io.atomic import replacing

N = TypeVar("N", bound=nn.Module)


def load_weights(network: N, path: Path, what: str) -> N:
    """Load weights into a network, in float32, and freeze it in evaluation mode.

    Args:
        network: built with the sizes of the weights.
        path: a file written by `save_weights`.
        what: what messages call the network.

    Raises:
        FacehallError: the file is missing, damaged, or of another network.
    """
    if not path.is_file():
        raise FacehallError(f"{path}: no such weights file of the {what}.")
    try:
        state = load_file(path)
    except (SafetensorError, OSError) as error:
        raise FacehallError(f"{path}: not a readable safetensors file ({error}).") from None
    own = {name: value.shape for name, value in network.state_dict().items() if not name.endswith(_UNSAVED)}
    wrong = [name for name, shape in own.items() if name not in state or state[name].shape != shape]
    if wrong:
        raise FacehallError(f"{path}: not weights of the {what}: {wrong[0]} is missing or has another shape.")
    network.load_state_dict({name: state[name].float() for name in own}, strict=False)
    return network.requires_grad_(False).eval()


def save_weights(network: nn.Module, path: Path, source: str) -> None:
    """Write a network's weights atomically in half precision, with a note on their origin."""
    state = {name: value for name, value in network.state_dict().items() if not name.endswith(_UNSAVED)}
    tensors = {name: value.detach().cpu().to(torch.float16).contiguous() for name, value in state.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as partial:
        partial.write_bytes(save(tensors, {"format": "pt", "source": source}))


_UNSAVED = "num_batches_tracked"
"""A counter of batch norm that evaluation does not read."""
