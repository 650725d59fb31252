"""Random degradations in the datasets: reproducible, with LR aligned to HR."""

import pytest
import torch
from picture_folders import make_pairs
from small import make_photographs

from facehall.config.build import build
from facehall.data import (
    BicubicDegradation,
    BlindFaceDegradation,
    DiskStore,
    FolderSource,
    MemoryStore,
    Mining,
    PairedSource,
    Pairs,
    PatchDataModule,
    PatchDataset,
)

MILD = BlindFaceDegradation(kernel_size=7, sigma=(0.2, 2.0), downsample=(1.0, 2.0))


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return FolderSource(make_photographs(tmp_path_factory.mktemp("pictures"), 8, side=96), 0.2, 0.2)


def module(source, degradation=MILD, **options):
    settings = {"scale": 4, "patch_size": 8, "batch_size": 3, "steps_per_epoch": 4, "seed": 3} | options
    return PatchDataModule(
        source, mining=Mining(threshold=0.02), degradation=degradation, store=DiskStore(), **settings
    )


def test_patches_are_those_of_bicubic_with_a_random_degradation(source):
    plain, random = (list(module(source, each).train_dataloader()) for each in (BicubicDegradation(), MILD))
    for one, other in zip(plain, random, strict=True):
        assert torch.equal(one["hr"], other["hr"])
        assert torch.equal(one["flatness"], other["flatness"])
        assert one["lr"].shape == other["lr"].shape
        assert not torch.equal(one["lr"], other["lr"])
        assert (one["lr"] - other["lr"]).abs().mean() < 0.25  # the same crop
    assert len({batch["lr"].numpy().tobytes() for batch in random}) == 4


@pytest.mark.parametrize("workers", [0, 2])
def test_every_patch_is_reproducible(source, workers):
    one, other = (list(module(source, workers=n).train_dataloader()) for n in (0, workers))
    assert all(torch.equal(a["lr"], b["lr"]) for a, b in zip(one, other, strict=True))


def test_validation_is_fixed_by_seed_and_name(source):
    def images(seed):
        return [batch["lr"] for batch in module(source, seed=seed).val_dataloader()]

    one, again, other = images(3), images(3), images(4)
    assert all(torch.equal(a, b) for a, b in zip(one, again, strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_lr_files_take_precedence_over_the_degradation(tmp_path):
    files = PairedSource(make_pairs(tmp_path, scale=4), 0.25, 0.25).split("train")
    plain, random = (
        PatchDataset(files, Pairs(4, each, MemoryStore()), 4, 10, Mining(), seed=0)
        for each in (BicubicDegradation(), MILD)
    )
    assert all(torch.equal(plain[i]["lr"], random[i]["lr"]) for i in range(10))


@pytest.mark.parametrize("name", ["blind_face", "photo", "real", "grainy", "low_light", "mixed"])
def test_configured_degradations_produce_batches(compose_config, source, tmp_path, name):
    cfg = compose_config("train", f"degradation={name}", f"run_dir={tmp_path}", "patches.batch_size=2")
    batch = next(iter(build(cfg.patches, "patches", source=source).train_dataloader()))
    assert batch["lr"].shape == (2, 3, 24, 24)
    assert batch["hr"].shape == (2, 3, 96, 96)


def test_seeds_have_separate_store_entries(source):
    store, file = MemoryStore(), source.split("val")[0]
    first, second = (Pairs(4, MILD, store, seed)(file)[0] for seed in (1, 2))
    assert (first != second).any()
