"""Lightning DataModule: mined patches for training, whole images for validation and testing."""

from __future__ import annotations

from functools import cached_property
from typing import get_args

import lightning as L
from torch.utils.data import DataLoader, Dataset, Subset

from facehall.data.degradations import Degradation
from facehall.data.patches.checks import Policy, Survey, survey
from facehall.data.patches.datasets import ImageDataset, Images, PatchDataset, PatchLoader, PatchSampler
from facehall.data.patches.mining import Mining
from facehall.data.patches.pairs import Pairs
from facehall.data.sources.base import Source, Split
from facehall.data.storage.store import Store
from facehall.errors import FacehallError
from facehall.imaging.symmetry import Symmetry, check_symmetry

PATCH_KEYS = frozenset({"lr", "hr", "name", "flatness", "rejections", "threshold"})
"""Keys of every training batch."""


class PatchDataModule(L.LightningDataModule):
    """Training patches and evaluation images from a source of pictures.

    A training batch is {lr (B, 3, p, p), hr (B, 3, s p, s p), name}, float32 in [0, 1], with the flatness, rejections
    and threshold (B,) of its patches; val and test batches hold one whole image. Annotations are included if the
    pictures have them: landmarks (B, N, 2) float32, x and y in pixels of the HR patch, possibly outside it; parsing
    (B, s p, s p) int64; identity (B,) int64. The Trainer must not replace the samplers (use_distributed_sampler=False),
    because they handle ranks themselves.

    Args:
        source: the pictures.
        scale: s.
        patch_size: p, side of a patch in LR pixels.
        batch_size: patches per batch and process.
        steps_per_epoch: batches per epoch and process; an epoch is not a pass over the pictures.
        mining: selects patches.
        degradation: makes LR from HR.
        store: caches decoded pictures.
        checks: policy for unusable pictures, see `survey`.
        workers: loader processes; 0 loads in the training process.
        seed: determines every patch.
        symmetry: augmentation, see `facehall.imaging.symmetry.Symmetry`.
    """

    def __init__(
        self,
        source: Source,
        scale: int,
        patch_size: int,
        batch_size: int,
        steps_per_epoch: int,
        mining: Mining,
        degradation: Degradation,
        store: Store,
        checks: Policy = "strict",
        workers: int = 0,
        seed: int = 0,
        symmetry: Symmetry = True,
    ) -> None:
        super().__init__()
        for name, value, least in (
            ("patch_size", patch_size, 1),
            ("batch_size", batch_size, 1),
            ("steps_per_epoch", steps_per_epoch, 1),
            ("workers", workers, 0),
            ("seed", seed, 0),
        ):
            if value < least:
                raise ValueError(f"{name} must be at least {least}, not {value}")
        check_symmetry(symmetry)
        if checks not in get_args(Policy):
            raise ValueError(f"checks must be one of {', '.join(get_args(Policy))}, not {checks!r}")
        self.source = source
        self.scale = scale
        self.patch_size = patch_size
        self.batch_size = batch_size
        self.steps_per_epoch = steps_per_epoch
        self.mining = mining
        self.degradation = degradation
        self.pairs = Pairs(scale, degradation, store, seed)
        self.checks = checks
        self.workers = workers
        self.seed = seed
        self.symmetry = symmetry

    @cached_property
    def survey(self) -> Survey:
        """Result of the data check, which reads every picture and decodes those not yet in the store."""
        with self.pairs.store.exclusive():  # one rank decodes, the others then find everything stored
            return survey(self.source, self.pairs, self.mining, self.patch_size, self.checks)

    @property
    def batch_keys(self) -> frozenset[str]:
        """Keys of a training batch, as available to loss terms."""
        return PATCH_KEYS | self.survey.annotations.get("train", frozenset())

    @property
    def description(self) -> str:
        """One-line summary of the training data."""
        counts = ", ".join(f"{len(self.survey.files[which])} {which}" for which in ("train", "val"))
        side = self.patch_size * self.scale
        batches = f"{self.steps_per_epoch} batches of {self.batch_size} patches of {side}x{side} per epoch"
        return f"{type(self.source).__name__}: {counts} images; {batches}"

    def train_dataloader(self) -> DataLoader:
        rank, world = self._rank_and_world()
        samples = self.batch_size * self.steps_per_epoch * world
        return PatchLoader(
            self._patch_dataset(samples),
            batch_size=self.batch_size,
            sampler=PatchSampler(samples, rank, world),
            num_workers=self.workers,
            persistent_workers=self.workers > 0,
            pin_memory=self._on_gpu(),
        )

    def _patch_dataset(self, samples_per_epoch: int) -> Dataset:
        """Return the training patches, indexed by global sample index; subclasses with other patches override it."""
        settings = (self.patch_size, samples_per_epoch, self.mining, self.seed, self.symmetry)
        return PatchDataset(self.survey.files["train"], self.pairs, *settings)

    def val_dataloader(self) -> DataLoader:
        return self._image_loader("val")

    def test_dataloader(self) -> DataLoader:
        return self._image_loader("test")

    def _image_dataset(self, which: Split) -> Images:
        """Return the whole images of val or test; subclasses with other images override it."""
        return ImageDataset(self.survey.files["val"] if which == "val" else self.source.split(which), self.pairs)

    def _image_loader(self, which: Split) -> DataLoader:
        """Return a loader of this rank's share of the images, one per batch."""
        rank, world = self._rank_and_world()
        images = self._image_dataset(which)
        if len(images) < world:  # raised on all ranks, because an error on some would leave the others waiting
            raise FacehallError(
                f"{len(images)} {which} image(s) are too few for {world} processes, which need one each: use fewer "
                f"devices (trainer.devices={len(images)}) or more {which} images."
            )
        return DataLoader(Subset(images, range(rank, len(images), world)), batch_size=1, pin_memory=self._on_gpu())

    def _rank_and_world(self) -> tuple[int, int]:
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)

    def _on_gpu(self) -> bool:
        return self.trainer is not None and self.trainer.strategy.root_device.type == "cuda"
