"""Training patches streamed from shards in a deterministic order."""

from __future__ import annotations

import io
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from PIL import Image
from torch.utils.data import Dataset

from facehall.data.degradations import Degradation
from facehall.data.patches.checks import Survey, source_remarks
from facehall.data.patches.datamodule import PatchDataModule
from facehall.data.patches.datasets import Images, Item, pair_item
from facehall.data.patches.mining import Mining
from facehall.data.sources.base import Source, Split
from facehall.data.sources.mined import check_fit
from facehall.data.storage.chunk_store import ChunkStore
from facehall.data.storage.shard_files import ShardItem
from facehall.data.storage.store import Store
from facehall.errors import FacehallError
from facehall.imaging.symmetry import Symmetry, draw_symmetry, transform


class ShardDataset(Dataset):
    """Stored training patches, indexed by a global sample index that increases across epochs.

    Item g depends on the seed and g alone, as in PatchDataset. Each pass over the patches shuffles the chunks and the
    patches within each chunk. Because facehall.mine assigned patches to chunks at random, this suffices, and chunks can
    be fetched one after another.

    Args:
        store: the shards.
        scale: s.
        patch_size: side in LR pixels; smaller patches are cropped from stored ones and keep the latter's flatness.
        samples_per_epoch: number of indices per epoch.
        seed: determines order, crops and symmetries.
        symmetry: augmentation, see `facehall.imaging.symmetry.Symmetry`.
    """

    def __init__(
        self,
        store: ChunkStore,
        scale: int,
        patch_size: int,
        samples_per_epoch: int,
        seed: int,
        symmetry: Symmetry = True,
    ) -> None:
        self.store = store
        self.scale = scale
        self.patch_size = patch_size
        self.samples_per_epoch = samples_per_epoch
        self.seed = seed
        self.symmetry = symmetry
        self.items = np.array([chunk.items for chunk in store.chunks])
        # Cached for the latest pass: its number, order of the chunks, cumulative item counts.
        self._chunks: tuple[int, np.ndarray, np.ndarray] | None = None
        # Cached for the latest chunk: pass, chunk, order of the items.
        self._positions: tuple[int, int, np.ndarray] | None = None

    def __len__(self) -> int:
        return self.samples_per_epoch

    def __getitem__(self, index: int) -> Item:
        stored = self.store.read(*self.locate(index))
        lr, hr = decode(stored, self.store.url, self.scale, self.patch_size)
        rng = np.random.default_rng([self.seed, index])
        size, s = self.patch_size, self.scale
        top, left = (int(rng.integers(side - size + 1)) for side in lr.shape[:2])
        lr = lr[top : top + size, left : left + size]
        hr = hr[top * s : (top + size) * s, left * s : (left + size) * s]
        which = draw_symmetry(rng, self.symmetry)
        lr, hr = transform(lr, which), transform(hr, which)
        mined = {name: torch.tensor(float(getattr(stored, name))) for name in ("flatness", "rejections", "threshold")}
        return pair_item(stored.name, lr, hr) | mined

    def locate(self, index: int) -> tuple[int, int]:
        """Return the chunk of sample `index` and the position in it; each patch comes once per pass."""
        number, position = divmod(index, int(self.items.sum()))
        if self._chunks is None or self._chunks[0] != number:
            order = np.random.default_rng([self.seed, number, len(self.items)]).permutation(len(self.items))
            self._chunks = number, order, np.cumsum(self.items[order])
        _, order, ends = self._chunks
        turn = int(np.searchsorted(ends, position, side="right"))
        chunk = int(order[turn])
        if self._positions is None or self._positions[:2] != (number, chunk):
            rng = np.random.default_rng([self.seed, number, len(self.items), chunk])
            self._positions = number, chunk, rng.permutation(int(self.items[chunk]))
            if turn + 1 < len(order):
                self.store.prefetch(int(order[turn + 1]))
        return chunk, int(self._positions[2][position - int(ends[turn]) + int(self.items[chunk])])


class StoredImages(Images):
    """Whole stored patches in order, as evaluation images."""

    def __init__(self, store: ChunkStore, scale: int) -> None:
        self.store = store
        self.scale = scale
        self.positions = [(i, item) for i, chunk in enumerate(store.chunks) for item in range(chunk.items)]

    def __len__(self) -> int:
        return len(self.positions)

    def __getitem__(self, index: int) -> Item:
        stored = self.store.read(*self.positions[index])
        return pair_item(stored.name, *decode(stored, self.store.url, self.scale))


def decode(stored: ShardItem, where: str, scale: int, patch_size: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Decode a stored patch to lr (p, p, 3) and hr (s p, s p, 3), uint8.

    Raises:
        FacehallError: the PNG data are damaged, the scale differs, or the patch is smaller than `patch_size`.
    """
    try:
        lr, hr = (
            np.array(Image.open(io.BytesIO(png), formats=["PNG"]).convert("RGB")) for png in (stored.lr, stored.hr)
        )
    except Exception as error:  # decoders raise almost anything on damaged bytes
        raise FacehallError(
            f"{where}: the patch {stored.name} cannot be decoded ({error}): mine the patches again."
        ) from error
    check_fit(where, (min(lr.shape[:2]), hr.shape[0] // lr.shape[0]), patch_size, scale)
    return lr, hr


class ShardDataModule(PatchDataModule):
    """Training patches from shards written by facehall.mine, on disk or in object storage.

    Batches, determinism, ranks and resuming are as in PatchDataModule, except that training batches have no
    annotations, which shards do not store.

    Args:
        root: output folder of facehall.mine, or a copy of it in object storage (s3://bucket/folder).
        scale, patch_size, batch_size, steps_per_epoch, workers, seed, symmetry: see PatchDataModule.
        degradation, store: degradation and store for the pictures of `source`.
        source: pictures for validation and testing.
        images: ``data``: validate and test on `source`. ``shards``: on the stored patches of val and test.
        cache_gb: disk space for chunks fetched from object storage.
    """

    def __init__(
        self,
        root: str,
        scale: int,
        patch_size: int,
        batch_size: int,
        steps_per_epoch: int,
        degradation: Degradation,
        source: Source,
        store: Store,
        images: Literal["data", "shards"] = "data",
        workers: int = 0,
        seed: int = 0,
        symmetry: Symmetry = True,
        cache_gb: float = 20,
    ) -> None:
        if images not in ("data", "shards"):
            raise ValueError(f"images must be data or shards, not {images!r}")
        sizes = (scale, patch_size, batch_size, steps_per_epoch)
        options = {"workers": workers, "seed": seed, "symmetry": symmetry}
        super().__init__(source, *sizes, Mining(), degradation, store, **options)  # type: ignore[arg-type]
        self.root = str(root).rstrip("/")
        self.images = images
        self.cache_gb = cache_gb
        self._stores: dict[Split, ChunkStore] = {}

    @cached_property
    def survey(self) -> Survey:
        """Result of checking all val pictures and one stored patch; the patches were checked when they were mined.

        Raises:
            FacehallError: one of these cannot be used.
        """
        store = self._store("train")
        if not store.remote:  # reading one patch would fetch a whole chunk before training starts
            decode(store.read(0, 0), store.url, self.scale, self.patch_size)
        files = self.source.split("val") if self.images == "data" else []
        with self.pairs.store.exclusive():
            for file in files:
                self.pairs(file)
                self.pairs.annotations(file)
        store_warning, remarks = self.pairs.store.warning, source_remarks(self.source)
        return Survey({"train": [], "val": files, "test": []}, store_warning=store_warning, remarks=remarks)

    @property
    def description(self) -> str:
        images = self._items("val") if self.images == "shards" else len(self.survey.files["val"])
        side = self.patch_size * self.scale
        batches = f"{self.steps_per_epoch} batches of {self.batch_size} patches of {side}x{side} per epoch"
        return f"{self._items('train')} stored patches of {self.root}, {images} val images; {batches}"

    def _patch_dataset(self, samples_per_epoch: int) -> Dataset:
        options = (self.scale, self.patch_size, samples_per_epoch, self.seed, self.symmetry)
        return ShardDataset(self._store("train"), *options)

    def _image_dataset(self, which: Split) -> Images:
        if self.images == "shards":
            return StoredImages(self._store(which), self.scale)
        return super()._image_dataset(which)

    def _store(self, which: Split) -> ChunkStore:
        if which not in self._stores:
            self._stores[which] = ChunkStore(f"{self.root}/{which}", self.cache_gb)
        return self._stores[which]

    def _items(self, which: Split) -> int:
        return sum(chunk.items for chunk in self._store(which).chunks)
