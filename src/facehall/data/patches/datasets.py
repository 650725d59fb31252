"""Datasets: mined patches for training, whole images for measuring."""

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
from facehall.imaging.symmetry import COUNT, transform

Item = dict[str, Any]


def pair_item(name: str, lr: np.ndarray, hr: np.ndarray) -> Item:
    """Lr (3, h, w) and hr (3, s h, s w), float32 in [0, 1], out of uint8 arrays, and the name."""
    return {"lr": to_tensor(lr), "hr": to_tensor(hr), "name": name}


class PatchDataset(Dataset):
    """Mined patches, each with its flatness, the rejections before it, the threshold of its epoch and its annotations.

    A global sample index g that counts on through the epochs addresses them.
    Item g is a function of the seed and g alone: the image by a permutation that is drawn anew for each pass over
    the images, then corner, symmetry and what is random in the degradation. So batches do not depend on worker
    processes, ranks or interruptions, and the threshold's schedule reaches workers that are already running.

    Args:
        files: the pictures.
        pairs: their LR and HR.
        patch_size: side in LR pixels.
        samples_per_epoch: how many indices make an epoch; it dates a sample for the threshold's schedule.
        mining: which patches are worth training on.
        seed: what decides.
        symmetry: apply one of the eight symmetries, drawn uniformly.
    """

    def __init__(
        self,
        files: Sequence[ImageFile],
        pairs: Pairs,
        patch_size: int,
        samples_per_epoch: int,
        mining: Mining,
        seed: int,
        symmetry: bool = True,
    ) -> None:
        self.files = list(files)
        self.pairs = pairs.for_mining()
        self.degradation = pairs.degradation
        self.patch_size = patch_size
        self.samples_per_epoch = samples_per_epoch
        self.mining = mining
        self.seed = seed
        self.symmetry = symmetry
        self._order: tuple[int, np.ndarray] | None = None  # of the pass met last: dealing one out costs as its length

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
        which = int(rng.integers(COUNT)) if self.symmetry else 0
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
        """The sample's corner, behind those of its group, whose rejections have used up their budget."""
        corners, group = self.pairs.index(file, self.mining, self.patch_size), self.mining.group
        budget = self.mining.max_rejections * group
        for each in range(index - index % group, index + 1):
            rng = np.random.default_rng([self.seed, each])
            corner = self.mining.draw(corners, columns, epoch, rng, budget)
            budget -= corner.rejections
        return corner, rng

    def file_of(self, index: int) -> ImageFile:
        """The picture of sample `index`: each once per pass (one a group), in an order of the pass's own."""
        images_pass, position = divmod(index // self.mining.group, len(self.files))
        if self._order is None or self._order[0] != images_pass:
            rng = np.random.default_rng([self.seed, images_pass, len(self.files)])
            self._order = images_pass, rng.permutation(len(self.files))
        return self.files[self._order[1][position]]


class PatchSampler(Sampler[int]):
    """The global indices of one rank's samples in an epoch: rank, rank + world, …, offset by the epochs before.

    The epoch travels inside the index, so nothing has to reach worker processes that are already running.
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
        """What is left of the epoch behind the first `skip` samples of this rank."""
        first = self.epoch * self.samples_per_epoch
        return iter(range(first + self.rank, first + self.samples_per_epoch, self.world)[self.skip :])


class PatchLoader(DataLoader):
    """The DataLoader of a PatchDataset under a PatchSampler: goes on after an interruption as if there had been none.

    A stock DataLoader hands indices to its workers as soon as an iterator is made, and Lightning makes the first one
    of a resumed training before it sets the sampler's epoch: the workers would load epoch 0 once more. This one
    starts when the first batch is asked for. Its state is the place within the epoch, for checkpoints in mid-epoch;
    Lightning saves and loads it.
    """

    _handed_out = 0
    _resume_at: tuple[int, int] | None = None

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]  # Lightning and we only ask for the next batch
        sampler: PatchSampler = self.sampler  # type: ignore[assignment]
        resume_at, self._resume_at = self._resume_at, None
        epoch, batches = resume_at or (sampler.epoch, 0)
        self._handed_out = batches if epoch == sampler.epoch else 0
        sampler.skip = self._handed_out * (self.batch_size or 1)
        for batch in super().__iter__():
            self._handed_out += 1
            yield batch

    def state_dict(self) -> dict[str, int]:
        """The epoch, and how many of its batches have been handed out."""
        return {"epoch": self.sampler.epoch, "batches": self._handed_out}  # type: ignore[attr-defined]

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on behind that batch, if the next epoch asked for is that epoch."""
        self._resume_at = state["epoch"], state["batches"]


class Images(Dataset):
    """Whole images in fixed order, as items of lr, hr and name, and of annotations where there are some."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def __getitem__(self, index: int) -> Item: ...


class ImageDataset(Images):
    """Whole images of files.

    Args:
        files: the pictures.
        pairs: their LR and HR.
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
