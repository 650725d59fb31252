"""The DataModule: mined patches of one split, whole images of the others."""

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

PATCH_KEYS = frozenset({"lr", "hr", "name", "flatness", "rejections", "threshold"})
"""What every training batch holds."""


class PatchDataModule(L.LightningDataModule):
    """Feeds a training from a source of pictures.

    A training batch is {lr (B, 3, p, p), hr (B, 3, s p, s p), name}, float32 in [0, 1], with the flatness, rejections
    and threshold (B,) of its patches; val and test batches hold one whole image. Where the pictures have annotations,
    batches hold them too: landmarks (B, N, 2) float32, x and y in pixels of the HR patch, which may lie outside of it;
    parsing (B, s p, s p) int64; identity (B,) int64. The Trainer must leave the samplers alone
    (use_distributed_sampler=False): they know their rank.

    Args:
        source: the pictures.
        scale: s.
        patch_size: p, side of a patch in LR pixels.
        batch_size: patches per batch and process.
        steps_per_epoch: batches per epoch and process: an epoch is a length, not a pass over the pictures.
        mining: which patches are worth training on.
        degradation: how LR is made.
        store: keeps what is decoded.
        checks: what a problem with a picture does, see `survey`.
        workers: processes that load; 0 loads in the training process.
        seed: decides every patch.
        symmetry: train on all eight symmetries.
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
        symmetry: bool = True,
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
                raise ValueError(f"{name} is at least {least}, not {value}")
        if checks not in get_args(Policy):
            raise ValueError(f"checks is one of {', '.join(get_args(Policy))}, not {checks!r}")
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
        """What there is to train and validate on; looks at every picture, and decodes what is not in the store yet."""
        with self.pairs.store.exclusive():  # one rank decodes, the others find it done
            return survey(self.source, self.pairs, self.mining, self.patch_size, self.checks)

    @property
    def batch_keys(self) -> frozenset[str]:
        """What a training batch holds, by name: what loss terms can ask for."""
        return PATCH_KEYS | self.survey.annotations.get("train", frozenset())

    @property
    def description(self) -> str:
        """What a run is fed, in one line."""
        counts = ", ".join(f"{len(self.survey.files[which])} {which}" for which in ("train", "val"))
        side = self.patch_size * self.scale
        batches = f"{self.steps_per_epoch} batches of {self.batch_size} patches of {side}x{side} an epoch"
        return f"{type(self.source).__name__}: {counts} images; {batches}"

    def train_dataloader(self) -> DataLoader:
        rank, world = self._rank_and_world()
        samples = self.batch_size * self.steps_per_epoch * world
        return PatchLoader(
            self._patches(samples),
            batch_size=self.batch_size,
            sampler=PatchSampler(samples, rank, world),
            num_workers=self.workers,
            persistent_workers=self.workers > 0,
            pin_memory=self._on_gpu(),
        )

    def _patches(self, samples_per_epoch: int) -> Dataset:
        """What training draws from, addressed by global sample indices; a sibling with other patches says otherwise."""
        settings = (self.patch_size, samples_per_epoch, self.mining, self.seed, self.symmetry)
        return PatchDataset(self.survey.files["train"], self.pairs, *settings)

    def val_dataloader(self) -> DataLoader:
        return self._share("val")

    def test_dataloader(self) -> DataLoader:
        return self._share("test")

    def _images(self, which: Split) -> Images:
        """The whole images of val or test; a sibling with other images says otherwise."""
        return ImageDataset(self.survey.files["val"] if which == "val" else self.source.split(which), self.pairs)

    def _share(self, which: Split) -> DataLoader:
        """The images of this process, one a batch."""
        rank, world = self._rank_and_world()
        images = self._images(which)
        if len(images) < world:  # on every process alike: an error on some of them would leave the others waiting
            raise FacehallError(
                f"{len(images)} {which} image(s) cannot be shared by {world} processes, each needs one: use fewer "
                f"devices (trainer.devices={len(images)}) or more {which} images."
            )
        return DataLoader(Subset(images, range(rank, len(images), world)), batch_size=1, pin_memory=self._on_gpu())

    def _rank_and_world(self) -> tuple[int, int]:
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)

    def _on_gpu(self) -> bool:
        return self.trainer is not None and self.trainer.strategy.root_device.type == "cuda"
