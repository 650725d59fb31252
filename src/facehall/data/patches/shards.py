"""Training patches from shards: a data set that is streamed, in an order that is known for ever."""

from __future__ import annotations

import io
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from PIL import Image
from torch.utils.data import Dataset

from facehall.data.degradations import Degradation
from facehall.data.patches.checks import Survey, remarks_of
from facehall.data.patches.datamodule import PatchDataModule
from facehall.data.patches.datasets import Images, Item, pair_item
from facehall.data.patches.mining import Mining
from facehall.data.sources.base import Source, Split
from facehall.data.sources.mined import check_fit
from facehall.data.storage.chunk_store import ChunkStore
from facehall.data.storage.shard_files import ShardItem
from facehall.data.storage.store import Store
from facehall.errors import FacehallError
from facehall.imaging.symmetry import COUNT, transform


class ShardDataset(Dataset):
    """Stored patches for training, addressed by a global sample index that counts on through the epochs.

    Item g is a function of the seed and g alone, as in PatchDataset. Each pass over the patches goes from chunk to
    chunk in an order of its own, and through each chunk in an order of its own: facehall.mine dealt the patches out to
    the chunks at random, and whole chunks can be fetched one after the other.

    Args:
        store: the shards.
        scale: s.
        patch_size: side in LR pixels; smaller patches are cut out of the stored ones, with these's flatness.
        samples_per_epoch: how many indices make an epoch.
        seed: what decides.
        symmetry: apply one of the eight symmetries, drawn uniformly.
    """

    def __init__(
        self, store: ChunkStore, scale: int, patch_size: int, samples_per_epoch: int, seed: int, symmetry: bool = True
    ) -> None:
        self.store = store
        self.scale = scale
        self.patch_size = patch_size
        self.samples_per_epoch = samples_per_epoch
        self.seed = seed
        self.symmetry = symmetry
        self.items = np.array([chunk.items for chunk in store.chunks])
        self._chunks: tuple[int, np.ndarray, np.ndarray] | None = None  # of the pass met last: order, where each ends
        self._places: tuple[int, int, np.ndarray] | None = None  # of the pass and chunk met last

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
        if self.symmetry:
            which = int(rng.integers(COUNT))
            lr, hr = transform(lr, which), transform(hr, which)
        mined = {name: torch.tensor(float(getattr(stored, name))) for name in ("flatness", "rejections", "threshold")}
        return pair_item(stored.name, lr, hr) | mined

    def locate(self, index: int) -> tuple[int, int]:
        """Chunk and place in it of sample `index`: each patch once per pass."""
        number, position = divmod(index, int(self.items.sum()))
        if self._chunks is None or self._chunks[0] != number:
            order = np.random.default_rng([self.seed, number, len(self.items)]).permutation(len(self.items))
            self._chunks = number, order, np.cumsum(self.items[order])
        _, order, ends = self._chunks
        turn = int(np.searchsorted(ends, position, side="right"))
        chunk = int(order[turn])
        if self._places is None or self._places[:2] != (number, chunk):
            rng = np.random.default_rng([self.seed, number, len(self.items), chunk])
            self._places = number, chunk, rng.permutation(int(self.items[chunk]))
            if turn + 1 < len(order):
                self.store.fetch_ahead(int(order[turn + 1]))
        return chunk, int(self._places[2][position - int(ends[turn]) + int(self.items[chunk])])


class StoredImages(Images):
    """The patches of shards, whole and in order, as images to measure."""

    def __init__(self, store: ChunkStore, scale: int) -> None:
        self.store = store
        self.scale = scale
        self.places = [(i, place) for i, chunk in enumerate(store.chunks) for place in range(chunk.items)]

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> Item:
        stored = self.store.read(*self.places[index])
        return pair_item(stored.name, *decode(stored, self.store.url, self.scale))


def decode(stored: ShardItem, where: str, scale: int, patch_size: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Lr (p, p, 3) and hr (s p, s p, 3), uint8.

    Raises:
        FacehallError: no pictures, of another scale, or smaller than `patch_size`.
    """
    try:
        lr, hr = (
            np.array(Image.open(io.BytesIO(png), formats=["PNG"]).convert("RGB")) for png in (stored.lr, stored.hr)
        )
    except Exception as error:  # damaged bytes make decoders raise almost anything
        raise FacehallError(f"{where}: the patch {stored.name} cannot be decoded ({error}): mine anew.") from error
    check_fit(where, (min(lr.shape[:2]), hr.shape[0] // lr.shape[0]), patch_size, scale)
    return lr, hr


class ShardDataModule(PatchDataModule):
    """Feeds a training from shards that facehall.mine stored, on a disk or in object storage.

    Batches are those of PatchDataModule, and so are determinism, ranks and resuming; training batches hold no
    annotations, which shards have no place for.

    Args:
        root: what facehall.mine wrote: a folder, or a copy of it in object storage (s3://bucket/folder).
        scale, patch_size, batch_size, steps_per_epoch, workers, seed, symmetry: see PatchDataModule.
        degradation, store: of the pictures of `source`.
        source: pictures to validate and test on.
        images: ``data``: validate and test on those. ``shards``: on the stored patches of val and test.
        cache_gb: room on disk for what was fetched from object storage.
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
        symmetry: bool = True,
        cache_gb: float = 20,
    ) -> None:
        if images not in ("data", "shards"):
            raise ValueError(f"images is data or shards, not {images!r}")
        sizes = (scale, patch_size, batch_size, steps_per_epoch)
        options = {"workers": workers, "seed": seed, "symmetry": symmetry}
        super().__init__(source, *sizes, Mining(), degradation, store, **options)  # type: ignore[arg-type]
        self.root = str(root).rstrip("/")
        self.images = images
        self.cache_gb = cache_gb
        self._stores: dict[Split, ChunkStore] = {}

    @cached_property
    def survey(self) -> Survey:
        """The pictures of val, decoded; of the stored patches, which were looked at when they were mined, one.

        Raises:
            FacehallError: one of these cannot be used.
        """
        store = self._store("train")
        if not store.remote:  # or a whole chunk would be fetched before the training begins
            decode(store.read(0, 0), store.url, self.scale, self.patch_size)
        files = self.source.split("val") if self.images == "data" else []
        with self.pairs.store.exclusive():
            for file in files:
                self.pairs(file)
                self.pairs.annotations(file)
        complaint, remarks = self.pairs.store.complaint, remarks_of(self.source)
        return Survey({"train": [], "val": files, "test": []}, complaint=complaint, remarks=remarks)

    @property
    def description(self) -> str:
        images = self._items("val") if self.images == "shards" else len(self.survey.files["val"])
        side = self.patch_size * self.scale
        batches = f"{self.steps_per_epoch} batches of {self.batch_size} patches of {side}x{side} an epoch"
        return f"{self._items('train')} stored patches of {self.root}, {images} val images; {batches}"

    def _patches(self, samples_per_epoch: int) -> Dataset:
        options = (self.scale, self.patch_size, samples_per_epoch, self.seed, self.symmetry)
        return ShardDataset(self._store("train"), *options)

    def _images(self, which: Split) -> Images:
        return StoredImages(self._store(which), self.scale) if self.images == "shards" else super()._images(which)

    def _store(self, which: Split) -> ChunkStore:
        if which not in self._stores:
            self._stores[which] = ChunkStore(f"{self.root}/{which}", self.cache_gb)
        return self._stores[which]

    def _items(self, which: Split) -> int:
        return sum(chunk.items for chunk in self._store(which).chunks)
