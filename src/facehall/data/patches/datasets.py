"""Datasets: mined patches for training, whole images for evaluation."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from facehall.data.patches.mining import Corner, Mining
from facehall.data.patches.pairs import Pairs
from facehall.data.sources.base import ImageFile
from facehall.imaging import to_tensor
from facehall.imaging.symmetry import Symmetry, draw_symmetry, transform

Item = dict[str, Any]


def pair_item(name: str, lr: np.ndarray, hr: np.ndarray) -> Item:
    """Build an item of lr (3, h, w) and hr (3, s h, s w), float32 in [0, 1], from uint8 arrays, and the name."""
    return {"lr": to_tensor(lr), "hr": to_tensor(hr), "name": name}


class PatchDataset(Dataset):
    """Mined patches with their flatness, preceding rejections, threshold of the epoch and annotations.

    Patches are indexed by a global sample index g that increases across epochs. Item g depends on the seed and g alone:
    the image comes from a permutation drawn for each pass over the images, followed by corner, symmetry and random
    degradation parameters. Batches are therefore independent of workers, ranks and interruptions, and the threshold
    schedule also reaches workers that are already running.

    Args:
        files: the pictures.
        pairs: loads their LR and HR.
        patch_size: side in LR pixels.
        samples_per_epoch: number of indices per epoch, from which the threshold schedule derives the epoch.
        mining: selects patches.
        seed: determines every patch.
        symmetry: augmentation, see `facehall.imaging.symmetry.Symmetry`.
    """

    def __init__(
        self,
        files: Sequence[ImageFile],
        pairs: Pairs,
        patch_size: int,
        samples_per_epoch: int,
        mining: Mining,
        seed: int,
        symmetry: Symmetry = True,
    ) -> None:
        self.files = list(files)
        self.pairs = pairs.for_mining()
        self.degradation = pairs.degradation
        self.patch_size = patch_size
        self.samples_per_epoch = samples_per_epoch
        self.mining = mining
        self.seed = seed
        self.symmetry = symmetry
        self._order: tuple[int, np.ndarray] | None = None  # permutation of the latest pass, cached

    def __len__(self) -> int:
        return self.samples_per_epoch

    def __getitem__(self, index: int) -> Item:
        file, epoch = self.file_of(index), index // self.samples_per_epoch
        lr, hr = self.pairs(file)
        size, s = self.patch_size, self.pairs.scale
        corner, rng = self._draw(index, file, lr.shape[1] - size + 1, epoch)
        lr = lr[corner.top : corner.top + size, corner.left : corner.left + size]
        top, left = corner.top * s, corner.left * s
        hr = hr[top : top + size * s, left : left + size * s]
        which = draw_symmetry(rng, self.symmetry)
        lr, hr = transform(lr, which), transform(hr, which)
        mined = {
            "flatness": corner.flatness,
            "rejections": float(corner.rejections),
            "threshold": self.mining.threshold_at(epoch),
        }
        # Tensors, because Python floats are collated to float64, which not every device has.
        item: Item = {"name": file.name, "hr": to_tensor(hr)} | {
            name: torch.tensor(value) for name, value in mined.items()
        }
        annotations = self.pairs.annotations(file)
        if annotations is not None:
            item |= annotations.crop((left, top, left + size * s, top + size * s)).symmetry(which).tensors()
        if file.lr is not None or not self.degradation.random:
            return item | {"lr": to_tensor(lr)}
        recipe = self.degradation.draw(rng, s)
        return item | {"lr": self.degradation(item["hr"], s, recipe)}

    def _draw(self, index: int, file: ImageFile, columns: int, epoch: int) -> tuple[Corner, np.random.Generator]:
        """Draw the sample's corner after replaying its group, whose earlier rejections reduce the shared budget."""
        corners, group = self.pairs.index(file, self.mining, self.patch_size), self.mining.group
        budget = self.mining.max_rejections * group
        for each in range(index - index % group, index + 1):
            rng = np.random.default_rng([self.seed, each])
            corner = self.mining.draw(corners, columns, epoch, rng, budget)
            budget -= corner.rejections
        return corner, rng

    def file_of(self, index: int) -> ImageFile:
        """Return the picture of sample `index`: one per group, each picture once per pass, reshuffled every pass."""
        images_pass, position = divmod(index // self.mining.group, len(self.files))
        if self._order is None or self._order[0] != images_pass:
            rng = np.random.default_rng([self.seed, images_pass, len(self.files)])
            self._order = images_pass, rng.permutation(len(self.files))
        return self.files[self._order[1][position]]


class PatchSampler(Sampler[int]):
    """Global indices of one rank's samples in an epoch: rank, rank + world, …, offset by earlier epochs.

    The index encodes the epoch, so running worker processes need no update.
    """

    def __init__(self, samples_per_epoch: int, rank: int = 0, world: int = 1) -> None:
        self.samples_per_epoch = samples_per_epoch
        self.rank = rank
        self.world = world
        self.epoch = 0
        self.skip = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning before each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(range(self.rank, self.samples_per_epoch, self.world))

    def __iter__(self) -> Iterator[int]:
        """Iterate over the epoch without this rank's first `skip` samples."""
        first = self.epoch * self.samples_per_epoch
        return iter(range(first + self.rank, first + self.samples_per_epoch, self.world)[self.skip :])


class PatchLoader(DataLoader):
    """DataLoader for a PatchDataset with a PatchSampler that resumes exactly after an interruption.

    A stock DataLoader sends indices to its workers as soon as an iterator is created, and Lightning creates the first
    iterator of a resumed training before it sets the sampler's epoch, so the workers would load epoch 0 again. This
    loader starts at the first request for a batch. Its state, the position within the epoch, is saved and loaded by
    Lightning for mid-epoch checkpoints.
    """

    _handed_out = 0
    _resume_at: tuple[int, int] | None = None

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]  # only iteration is used, by Lightning and here
        sampler: PatchSampler = self.sampler  # type: ignore[assignment]
        resume_at, self._resume_at = self._resume_at, None
        epoch, batches = resume_at or (sampler.epoch, 0)
        self._handed_out = batches if epoch == sampler.epoch else 0
        sampler.skip = self._handed_out * (self.batch_size or 1)
        for batch in super().__iter__():
            self._handed_out += 1
            yield batch

    def state_dict(self) -> dict[str, int]:
        """Return the epoch and the number of its batches yielded so far."""
        return {"epoch": self.sampler.epoch, "batches": self._handed_out}  # type: ignore[attr-defined]

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Resume after the saved batch if the next epoch is the saved one."""
        self._resume_at = state["epoch"], state["batches"]


class Images(Dataset):
    """Whole images in fixed order, as items of lr, hr, name and any annotations."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def __getitem__(self, index: int) -> Item: ...


class ImageDataset(Images):
    """Whole images from files.

    Args:
        files: the pictures.
        pairs: loads their LR and HR.
    """

    def __init__(self, files: Sequence[ImageFile], pairs: Pairs) -> None:
        self.files = list(files)
        self.pairs = pairs

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Item:
        file = self.files[index]
        annotations = self.pairs.annotations(file)
        known = {} if annotations is None else annotations.tensors()
        return pair_item(file.name, *self.pairs(file)) | known
