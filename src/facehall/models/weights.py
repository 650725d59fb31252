"""Weights files: one safetensors file holds a generator whole, its numbers and how to build it. No pickle.

The metadata are strings: ``facehall.target`` names the class, ``facehall.arguments`` holds its arguments as JSON,
and anything else under ``facehall.`` says where the weights come from.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor

from facehall.errors import FacehallError
from facehall.io.atomic import replacing
from facehall.models.generators import Generator, RRDBNet
from facehall.models.generators.base import target_name
from facehall.models.generators.rrdbnet import public_state_dict, rrdbnet_arguments

SUFFIX = ".safetensors"


def save_generator(
    path: Path, generator: Generator, origin: Mapping[str, str] | None = None, dtype: torch.dtype | None = None
) -> None:
    """Write a generator atomically.

    Args:
        path: the file to write; its folder is made.
        generator: the network, on any device.
        origin: what to say of it (data, step, …), kept in the metadata.
        dtype: of the numbers in the file, None: as they are; whoever loads them has float32 again.
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
    with replacing(path, durable=True) as partial:  # by way of memory: save_file answers a full disk with no OSError
        partial.write_bytes(_sorted_header(save(state, metadata=metadata)))


def _sorted_header(file: bytes) -> bytes:
    """A safetensors file with its header's keys in order, which safetensors shuffles: equal networks, equal files."""
    end = 8 + int.from_bytes(file[:8], "little")
    header = json.dumps(json.loads(file[8:end]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)  # the numbers stay aligned
    return len(header).to_bytes(8, "little") + header + file[end:]


def read_metadata(path: Path) -> dict[str, str]:
    """The metadata of a weights file, without the ``facehall.`` prefix.

    Raises:
        FacehallError: the file is missing, is no safetensors file, or is not one of facehall's.
    """
    if not path.is_file():
        raise FacehallError(f"{path}: there is no such weights file.")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise FacehallError(
            f"{path}: this is not a readable safetensors file ({error}). Give a weights file that training wrote, "
            "for instance runs/…/weights/generator_ema.safetensors."
        ) from None
    if "facehall.target" not in metadata:
        raise FacehallError(
            f"{path}: this safetensors file does not say which generator it holds (no facehall.target in its "
            "metadata), so it was not written by facehall. Give a file from a run's weights/ folder."
        )
    return {key.removeprefix("facehall."): value for key, value in metadata.items() if key.startswith("facehall.")}


def load_generator(path: Path) -> Generator:
    """Build the generator that a weights file describes and fill it; in eval mode, on the CPU.

    A .pth file is taken for a public ESRGAN or Real-ESRGAN x4 checkpoint and read without unpickling code.

    Raises:
        FacehallError: the file is missing or unreadable, names a class that is not a facehall generator, or its
            numbers do not fit that class.
    """
    if path.suffix == ".pth":
        return load_public_rrdbnet(path)
    metadata = read_metadata(path)
    target = metadata["target"]
    network_class = Generator.registry.get(target)  # what is imported: a file never makes us import anything
    if network_class is None:
        package = target.partition(".")[0]
        hint = f" If it is of a package of yours, name it: plugins=[{package}] or FACEHALL_PLUGINS={package}."
        raise FacehallError(
            f"{path}: it holds a {target!r}, which is not a generator of this version "
            f"({', '.join(sorted(Generator.registry))}).{hint if '.' in target else ''}"
        )
    try:
        generator = network_class(**json.loads(metadata["arguments"]))
    except (KeyError, TypeError, ValueError) as error:
        raise FacehallError(f"{path}: its metadata do not build a {target}: {error}.") from None
    load_into(generator, path)
    return generator.eval()


def load_public_rrdbnet(path: Path) -> RRDBNet:
    """Read a public ESRGAN or Real-ESRGAN x4 checkpoint, of any layout; in eval mode, on the CPU.

    Raises:
        FacehallError: the file is missing, is not a checkpoint of plain tensors, or holds another network.
    """
    if not path.is_file():
        raise FacehallError(f"{path}: there is no such weights file.")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        state = state.get("params_ema", state.get("params", state))  # Real-ESRGAN keeps both
        state = public_state_dict(state)
        generator = RRDBNet(**rrdbnet_arguments(state))
        generator.load_state_dict(state)
    except (RuntimeError, OSError, EOFError, KeyError, AttributeError, pickle.UnpicklingError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        if isinstance(error, pickle.UnpicklingError):  # whose text tells how to run the file's code nevertheless
            reason = "it is damaged, or holds code, which is never run"
        raise FacehallError(
            f"{path}: this is not the checkpoint of an x4 RRDBNet ({reason}). Of .pth files, the public ESRGAN and "
            "Real-ESRGAN x4 ones are understood; everything else is read from safetensors files that training wrote."
        ) from None
    return generator.eval()


def differing_tensors(state: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> list[str]:
    """The names that only one of two state dicts has, or that have another shape in each, sorted."""
    names = {*state, *own}
    return sorted(n for n in names if n not in state or n not in own or state[n].shape != own[n].shape)


def load_into(generator: Generator, path: Path) -> None:
    """Fill an existing generator from a weights file of the same network, or an `RRDBNet` from a public .pth file.

    Raises:
        FacehallError: names or shapes differ; the paragraph names the first few.
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
            f"{path}: these are weights of another network: it holds a {held}, but the generator asked for is a "
            f"{type(generator).__name__} with {json.dumps(generator.arguments)}; {len(differing)} tensors differ, "
            f"first {', '.join(differing[:3])}. Set generator.* to what the file holds (of a public ESRGAN checkpoint: "
            "generator=rrdbnet), as in the config.yaml of the run that wrote it."
        )
    generator.load_state_dict(state)
