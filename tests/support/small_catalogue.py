"""A catalogue of a few tiny systems in place of conf/system."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from facehall.systems.catalogue import load_catalogue

SYSTEMS = {
    "bicubic": "title: bicubic\nscales: [2, 4]\nkind: interpolation\n"
    "published: [{set: Set5, scale: 2, channel: y, psnr: 33.66, ssim: 0.9299}]\n",
    "tiny": "title: a tiny network\nscales: [2, 4]\nrecipe: esrgan_vgg16s\ntables: [1]\n"
    "own_optimizer: [optimizer=sgd, optimizer.generator.lr=0.1]\n"
    "published: [{set: Set5, scale: 2, channel: rgb, psnr: 20.5}, {set: Set5, scale: 2, channel: y, psnr: 21.25}]\n",
    "faces": "title: for faces\nscales: [2]\nrecipe: release_x4_psnr\nfaces_only: true\n",
    "secret": "title: never released\nscales: [2]\nobtain: write to its authors\n",
    "gan": "title: from tiny\nscales: [4]\nrecipe: release_x4\nstarts_from: tiny\n",
    "large": "title: another scale\nscales: [8]\n",
}


@pytest.fixture
def small_catalogue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder that holds system/NAME.yaml; its systems are the catalogue during the test."""
    folder = tmp_path / "conf"
    (folder / "system").mkdir(parents=True)
    for name, text in SYSTEMS.items():
        (folder / "system" / f"{name}.yaml").write_text(text, encoding="utf-8")
    monkeypatch.setattr("facehall.systems.catalogue.conf_dir", lambda: folder)
    load_catalogue.cache_clear()
    yield folder
    load_catalogue.cache_clear()
