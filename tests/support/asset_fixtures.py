"""Fixtures of an empty machine: no caches, no settings, one tiny asset."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from local_server import Server
from torch import Tensor

from facehall.assets.registry import ASSETS, Asset
from facehall.assets.wheel_files import WHEEL_FILES


@dataclass
class Tiny:
    """An asset with two convolutions, and the file served by its publisher."""

    asset: Asset
    tensors: dict[str, Tensor]
    pth: bytes


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the (empty) caches."""
    for name in ("FACEHALL_WEIGHTS", "FACEHALL_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("FACEHALL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    return tmp_path


@pytest.fixture
def tiny(machine: Path) -> Iterator[Tiny]:
    generator = torch.Generator().manual_seed(1)
    shapes = {"features.0.weight": (4, 3, 3, 3), "features.0.bias": (4,)}
    shapes |= {"features.2.weight": (5, 4, 3, 3), "features.2.bias": (5,)}
    tensors = {key: torch.randn(shape, generator=generator) for key, shape in shapes.items()}
    buffer = io.BytesIO()
    torch.save(tensors | {"classifier.weight": torch.ones(2, 2)}, buffer)
    digest = hashlib.sha256(buffer.getvalue()).hexdigest()
    asset = Asset(
        name="tiny",
        file=f"tiny-{digest[:8]}.pth",
        weights="none",
        mirror_file="tiny.ckpt",
        mirror_scope="Tiny_0",
        convolutions=((0, 3, 4, 3), (2, 4, 5, 3)),
    )
    real, real_files = dict(ASSETS), dict(WHEEL_FILES)
    ASSETS.clear()
    WHEEL_FILES.clear()
    ASSETS["tiny"] = asset
    yield Tiny(asset, tensors, buffer.getvalue())
    ASSETS.clear()
    ASSETS.update(real)
    WHEEL_FILES.update(real_files)


@pytest.fixture
def publisher(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """The publisher's server, which serves the tiny asset's file."""
    server = Server(tiny.pth)
    monkeypatch.setattr(Asset, "url", property(lambda self: server.url))
    yield server
    server.close()
