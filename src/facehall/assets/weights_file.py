"""Weights files: safetensors with torchvision's key names, validated on reading, written atomically."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from facehall.assets.registry import Asset
from facehall.errors import FacehallError
from facehall.io.atomic import replacing

_FLOATS = {"F16", "BF16", "F32", "F64"}


def read_weights(path: Path, asset: Asset, layers: int | None = None) -> dict[str, Tensor]:
    """Read the convolutions of `asset`, or the first `layers` of them, as float32 under torchvision's names."""
    check_weights(path, asset)
    keys = list(asset.shapes)[: None if layers is None else 2 * layers]
    with safe_open(path, framework="pt") as file:
        return {key: file.get_tensor(key).to(torch.float32).clone() for key in keys}


def check_weights(path: Path, asset: Asset, *, verify_digest: bool = False) -> dict[str, str]:
    """Validate keys, shapes and dtypes of the convolutions of `asset` in a safetensors file; extra keys are allowed.

    Args:
        path: the file.
        asset: the expected content.
        verify_digest: also verify the digest of the tensors in the metadata, which files in the cache have.

    Returns:
        The file's metadata; for files in the cache, `source` is the origin of the tensors.

    Raises:
        FacehallError: on the first mismatch.

    """
    try:
        with safe_open(path, framework="pt") as file:
            keys = set(file.keys())
            for key, shape in asset.shapes.items():
                if key not in keys:
                    raise _invalid(path, asset, f"the tensor '{key}' is missing")
                view = file.get_slice(key)
                found = tuple(view.get_shape())
                if found != shape or view.get_dtype() not in _FLOATS:
                    raise _invalid(path, asset, f"'{key}' is {view.get_dtype()} {found}, not floating point {shape}")
            metadata: dict[str, str] = file.metadata() or {}
            if verify_digest:
                digest = tensors_sha256({key: file.get_tensor(key) for key in asset.shapes})
                if metadata.get("tensors_sha256") != digest or "source" not in metadata:
                    raise _invalid(path, asset, "its tensors do not match the checksum in its metadata")
    except (SafetensorError, OSError) as error:
        raise _invalid(path, asset, f"it is not a readable safetensors file ({error})") from error
    return metadata


def read_pth(path: Path, asset: Asset) -> dict[str, Tensor]:
    """Read the convolutions of `asset` from a state dict saved with torch.save, with weights_only=True.

    Raises:
        FacehallError: if the file is damaged, contains anything but tensors, or is of another network.

    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch and pickle raise almost any exception on a damaged file
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise _invalid(path, asset, f"it cannot be read as a PyTorch weights file ({reason})") from error
    tensors: dict[str, Tensor] = {}
    for key, shape in asset.shapes.items():
        value = state.get(key) if isinstance(state, Mapping) else None
        if not isinstance(value, Tensor):
            raise _invalid(path, asset, f"the tensor '{key}' is missing")
        if tuple(value.shape) != shape or not value.is_floating_point():
            raise _invalid(path, asset, f"'{key}' is {value.dtype} {tuple(value.shape)}, not floating point {shape}")
        tensors[key] = value.detach()
    return tensors


def write_weights(tensors: Mapping[str, Tensor], path: Path, asset: Asset, source: str) -> None:
    """Atomically write the convolutions of `asset` to `path` as float32, with source and digest as metadata.

    Raises:
        FacehallError: if a tensor is missing or has the wrong shape, or the file cannot be written.

    """
    found = {key: tuple(tensor.shape) for key, tensor in tensors.items()}
    if found != asset.shapes:
        wrong = sorted(set(found.items()) ^ set(asset.shapes.items()))
        raise FacehallError(f"The {asset.name} weights from {source} have unexpected tensors: {wrong[:3]}.")
    ready = {key: tensors[key].to(torch.float32).contiguous() for key in asset.shapes}
    data = save(ready, metadata={"format": "pt", "source": source, "tensors_sha256": tensors_sha256(ready)})
    try:
        with replacing(path) as partial:
            partial.write_bytes(data)
    except OSError as error:
        raise FacehallError(
            f"Cannot write {path}: {error.strerror or error}. Set FACEHALL_CACHE to a writable folder with free space."
        ) from error


def tensors_sha256(tensors: Mapping[str, Tensor]) -> str:
    """Return the sha256 of names and float32 values, sorted by name; independent of the file format."""
    digest = hashlib.sha256()
    for key in sorted(tensors):
        digest.update(key.encode())
        digest.update(tensors[key].to(torch.float32).contiguous().numpy().data)
    return digest.hexdigest()


def _invalid(path: Path, asset: Asset, what: str) -> FacehallError:
    return FacehallError(
        f"{path} is not a valid {asset.name} weights file: {what}. It must contain the convolutions of torchvision's "
        f"{asset.name} under torchvision's names; replace the file or give another."
    )
