"""Weights files: a generator's weights and constructor arguments in one safetensors file. No pickle.

The metadata are strings: ``facehall.target`` names the class, ``facehall.arguments`` holds its arguments as JSON, and
anything else under ``facehall.`` records the origin of the weights.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor

from facehall.errors import FacehallError
from facehall.io.atomic import replacing
from facehall.models.generators import Generator, RRDBNet
from facehall.models.generators.base import target_name
from facehall.models.generators.rrdbnet import public_state_dict, rrdbnet_arguments
from facehall.models.hub_folder import config_metadata

SUFFIX = ".safetensors"

UNREADABLE = (
    RuntimeError,
    OSError,
    EOFError,
    KeyError,
    TypeError,
    ValueError,
    AttributeError,
    pickle.UnpicklingError,
)
"""What torch.load and load_state_dict raise for a .pth file of something else than a network's tensors."""


def save_generator(
    path: Path, generator: Generator, origin: Mapping[str, str] | None = None, dtype: torch.dtype | None = None
) -> None:
    """Write a generator atomically.

    Args:
        path: the file to write; its folder is created.
        generator: the network, on any device.
        origin: origin of the weights (data, step, …), stored in the metadata.
        dtype: dtype of the weights in the file; None: unchanged. They are loaded as float32 again.
    """
    metadata = {
        "facehall.target": target_name(type(generator)),
        "facehall.arguments": json.dumps(generator.arguments),
        **{f"facehall.{key}": value for key, value in (origin or {}).items()},
    }
    state = {
        key: value.detach().cpu().to(dtype if value.is_floating_point() else None).contiguous()
        for key, value in generator.state_dict().items()
    }
    with replacing(path, durable=True) as partial:  # via memory: save_file raises no OSError on a full disk
        partial.write_bytes(_sorted_header(save(state, metadata=metadata)))


def _sorted_header(file: bytes) -> bytes:
    """Sort the header keys of a safetensors file, whose order varies, so that equal networks give equal files."""
    end = 8 + int.from_bytes(file[:8], "little")
    header = json.dumps(json.loads(file[8:end]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)  # keeps the tensors aligned
    return len(header).to_bytes(8, "little") + header + file[end:]


def read_metadata(path: Path) -> dict[str, str]:
    """Return the metadata of a weights file, without the ``facehall.`` prefix.

    If the file has none, those in the config.json beside it (`facehall.models.hub_folder`).

    Raises:
        FacehallError: the file is missing, is not a safetensors file, or was not written by facehall.
    """
    if not path.is_file():
        raise FacehallError(f"{path}: no such weights file.")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise FacehallError(
            f"{path}: not a readable safetensors file ({error}). Give a weights file written by training, "
            "for instance runs/…/weights/generator_ema.safetensors."
        ) from None
    if "facehall.target" not in metadata:
        if (found := config_metadata(path)) is not None:
            return found
        raise FacehallError(
            f"{path}: this safetensors file was not written by facehall, as its metadata have no facehall.target. "
            "Give a file from a run's weights/ folder."
        )
    return {key.removeprefix("facehall."): value for key, value in metadata.items() if key.startswith("facehall.")}


def load_generator(path: Path) -> Generator:
    """Build the generator described by a weights file and load its weights; in eval mode, on the CPU.

    A .pth file is read as a public ESRGAN or Real-ESRGAN x4 checkpoint, without unpickling code.

    Raises:
        FacehallError: the file is missing or unreadable, its class is not a known generator, or the tensors do not
            match that class.
    """
    if path.suffix == ".pth":
        return load_public_rrdbnet(path)
    metadata = read_metadata(path)
    target = metadata["target"]
    network_class = Generator.registry.get(target)  # only classes already imported: a file never triggers an import
    if network_class is None:
        package = target.partition(".")[0]
        hint = f" If it is from your own package, set plugins=[{package}] or FACEHALL_PLUGINS={package}."
        raise FacehallError(
            f"{path}: it holds a {target!r}, which is not a known generator "
            f"({', '.join(sorted(Generator.registry))}).{hint if '.' in target else ''}"
        )
    try:
        generator = network_class(**json.loads(metadata["arguments"]))
    except (KeyError, TypeError, ValueError) as error:
        raise FacehallError(f"{path}: cannot build a {target} from its metadata: {error}.") from None
    load_into(generator, path)
    return generator.eval()


def load_public_rrdbnet(path: Path) -> RRDBNet:
    """Load a public ESRGAN or Real-ESRGAN x4 checkpoint of any layout; in eval mode, on the CPU.

    Raises:
        FacehallError: the file is missing, is not a checkpoint of plain tensors, or holds another network.
    """
    if not path.is_file():
        raise FacehallError(f"{path}: no such weights file.")
    try:
        return public_rrdbnet(torch.load(path, map_location="cpu", weights_only=True))
    except UNREADABLE as error:
        raise FacehallError(
            f"{path}: not a checkpoint of an x4 RRDBNet ({why_unreadable(error)}). The only supported .pth files are "
            "the public ESRGAN and Real-ESRGAN x4 checkpoints; otherwise give a safetensors file written by training."
        ) from None


def public_rrdbnet(checkpoint: Mapping[str, Any]) -> RRDBNet:
    """Build the network of a public checkpoint's content, of any layout; in eval mode.

    Raises:
        One of `UNREADABLE`: it is not the state of an x4 RRDBNet.
    """
    state = checkpoint.get("params_ema", checkpoint.get("params", checkpoint))  # Real-ESRGAN stores both
    state = public_state_dict(state)
    generator = RRDBNet(**rrdbnet_arguments(state))
    generator.load_state_dict(state)
    return generator.eval()


def why_unreadable(error: Exception) -> str:
    """Return the reason for one of `UNREADABLE`, on one line."""
    if isinstance(error, pickle.UnpicklingError):  # its message explains how to run the file's code anyway
        return "it is damaged, or holds code, which is never run"
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


def differing_tensors(state: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> list[str]:
    """Return the sorted names that are missing from one of two state dicts or differ in shape."""
    names = {*state, *own}
    return sorted(n for n in names if n not in state or n not in own or state[n].shape != own[n].shape)


def load_into(generator: Generator, path: Path) -> None:
    """Load weights into an existing generator from a file of the same network, or an `RRDBNet` from a public .pth file.

    Raises:
        FacehallError: names or shapes differ; the message lists the first few.
    """
    if path.suffix == ".pth":
        source = load_public_rrdbnet(path)
        state, held = source.state_dict(), f"{type(source).__name__} with {json.dumps(source.arguments)}"
    else:
        metadata = read_metadata(path)
        state, held = load_file(path), f"{metadata['target']} with {metadata.get('arguments', '?')}"
    differing = differing_tensors(state, generator.state_dict())
    if differing:
        raise FacehallError(
            f"{path}: these are weights of another network: it holds a {held}, but the configured generator is a "
            f"{type(generator).__name__} with {json.dumps(generator.arguments)}; {len(differing)} tensors differ, "
            f"first {', '.join(differing[:3])}. Set generator.* to match the file (for a public ESRGAN checkpoint: "
            "generator=rrdbnet), as in the config.yaml of the run that wrote it."
        )
    generator.load_state_dict(state)
