"""Datasets and the DataModule: alignment, determinism, ranks, contracts."""

from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from batch_recorder import fingerprint, fit
from hypothesis import given, settings
from hypothesis import strategies as st
from lightning.pytorch.callbacks import ModelCheckpoint
from small import make_photographs

from facehall.config.build import build
from facehall.data import (
    BicubicDegradation,
    DiskStore,
    FolderSource,
    MemoryStore,
    Mining,
    Pairs,
    PatchDataModule,
    PatchDataset,
    PatchSampler,
)
from facehall.errors import FacehallError
from facehall.imaging import downscale_bicubic
from facehall.imaging.symmetry import transform


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return FolderSource(make_photographs(tmp_path_factory.mktemp("pictures"), 8, side=96), 0.2, 0.2)


def dataset(source, **options):
    settings = {"patch_size": 8, "samples_per_epoch": 12, "seed": 3, "mining": Mining()} | options
    return PatchDataset(source.split("train"), Pairs(4, BicubicDegradation(), MemoryStore()), **settings)


def datamodule(source, **options):
    settings = {"scale": 4, "patch_size": 8, "batch_size": 3, "steps_per_epoch": 4, "seed": 3} | options
    mining = Mining(threshold=0.02)
    return PatchDataModule(source, mining=mining, degradation=BicubicDegradation(), store=DiskStore(), **settings)


def fingerprints(batches):
    return [fingerprint(batch) for batch in batches]


def test_batches_follow_the_contract(source):
    batch = next(iter(datamodule(source).train_dataloader()))
    assert batch["lr"].shape == (3, 3, 8, 8)
    assert batch["hr"].shape == (3, 3, 32, 32)
    assert batch["lr"].dtype == batch["hr"].dtype == torch.float32
    assert 0 <= batch["lr"].min() <= batch["hr"].max() <= 1
    assert len(batch["name"]) == 3
    assert all(isinstance(name, str) for name in batch["name"])
    assert batch["flatness"].shape == batch["rejections"].shape == (3,)
    assert batch["flatness"].dtype == batch["rejections"].dtype == torch.float32
    assert (batch["flatness"] >= 0.02).all()  # the threshold is reached within the budget on these pictures


@settings(max_examples=25, deadline=None)
@given(index=st.integers(0, 10_000))
def test_lr_and_hr_patches_show_the_same_place(source, index):
    """Away from the border, downscaling HR gives LR; the blocks of 8 px make the position unique."""
    item = dataset(source)[index]
    made = downscale_bicubic(item["hr"], 4).clamp(0, 1)  # bicubic overshoots at edges; files are clipped
    inner = (slice(None), slice(2, -2), slice(2, -2))
    torch.testing.assert_close(made[inner], item["lr"][inner], atol=0.51 / 255, rtol=0)


def test_an_item_is_a_function_of_seed_and_index(source):
    one, other = dataset(source), dataset(source)
    other[5]  # order does not matter
    for index in (0, 7, 1234):
        assert torch.equal(one[index]["hr"], other[index]["hr"])
    assert not torch.equal(one[0]["hr"], one[1]["hr"])
    assert not torch.equal(one[0]["hr"], dataset(source, seed=4)[0]["hr"])


def test_each_pass_shows_every_picture_once_in_its_own_order(source):
    data = dataset(source)
    count = len(data.files)
    passes = [[data.file_of(p * count + i).name for i in range(count)] for p in range(6)]
    assert all(sorted(names) == sorted(passes[0]) for names in passes)
    assert len({tuple(names) for names in passes}) > 1


def test_all_symmetries_are_drawn_and_can_be_disabled(source):
    data, plain = dataset(source), dataset(source, symmetry=False)
    drawn = Counter()
    for i in range(400):
        before, after = (item["lr"].permute(1, 2, 0).numpy() for item in (plain[i], data[i]))
        drawn[next(which for which in range(8) if np.array_equal(transform(before, which), after))] += 1
    # Symmetric patches would favour the first; expected are 50 each with a standard deviation of 6.6.
    assert set(drawn) == set(range(8))
    assert max(drawn.values()) < 90
    assert min(drawn.values()) > 20


def test_mirror_keeps_pictures_upright(source):
    mirrored, plain = dataset(source, symmetry="mirror"), dataset(source, symmetry=False)
    drawn = Counter()
    for i in range(100):
        before, after = plain[i]["lr"], mirrored[i]["lr"]
        drawn[next(f for f in (False, True) if torch.equal(before.flip(2) if f else before, after))] += 1
    assert min(drawn.values()) > 25  # 50 each expected, with a standard deviation of 5


def test_items_hold_mining_statistics(source):
    flat = dataset(source, mining=Mining(threshold=0.5, max_threshold=0.5, max_rejections=3))
    free = dataset(source, mining=Mining())
    assert {float(flat[i]["rejections"]) for i in range(10)} == {3.0}  # no patch reaches this threshold
    assert {float(free[i]["rejections"]) for i in range(10)} == {0.0}
    item = dataset(source, mining=Mining(), symmetry=False)[0]
    assert float(item["flatness"]) == pytest.approx(item["lr"].numpy().std(), abs=1e-5)


def test_the_sampler_carries_the_epoch_in_the_index():
    sampler = PatchSampler(6)
    assert list(sampler) == [0, 1, 2, 3, 4, 5]
    sampler.set_epoch(3)
    assert list(sampler) == [18, 19, 20, 21, 22, 23]


@given(world=st.integers(1, 5), samples=st.integers(1, 40), epoch=st.integers(0, 3))
def test_ranks_share_an_epoch_without_overlap(world, samples, epoch):
    parts = []
    for rank in range(world):
        sampler = PatchSampler(samples, rank, world)
        sampler.set_epoch(epoch)
        parts.append(list(sampler))
        assert len(parts[-1]) == len(sampler)
    assert sorted(index for part in parts for index in part) == list(range(epoch * samples, (epoch + 1) * samples))


def test_batches_do_not_depend_on_workers(source):
    expected = None
    for workers in (0, 1, 2):
        loader = datamodule(source, workers=workers).train_dataloader()
        seen = []
        for epoch in (0, 1):
            loader.sampler.set_epoch(epoch)
            seen += fingerprints(loader)
        expected = expected or seen
        assert seen == expected
    assert len(set(expected)) == 8


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("when", "batches", "workers"),
    [
        ({"every_n_epochs": 1, "save_on_train_epoch_end": True}, 8, 0),
        ({"every_n_epochs": 1, "save_on_train_epoch_end": False}, 8, 0),
        ({"every_n_train_steps": 6}, 6, 0),
        ({"every_n_train_steps": 6}, 6, 2),  # they have prepared batches that are not yet used
    ],
    ids=["epoch-end", "validation-end", "mid-epoch", "mid-epoch-workers"],
)
def test_a_resumed_training_sees_the_remaining_batches(source, tmp_path, when, batches, workers):
    saved = ModelCheckpoint(dirpath=tmp_path, filename="saved", **when)
    fit(datamodule(source, workers=workers), 2, [saved])
    whole = fit(datamodule(source, workers=workers), 4)
    assert len(set(whole)) == 16
    assert fit(datamodule(source, workers=workers), 4, resume=tmp_path / "saved.ckpt") == whole[batches:]


def test_a_saved_position_of_another_epoch_is_ignored(source):
    loader = datamodule(source).train_dataloader()
    loader.load_state_dict({"epoch": 0, "batches": 3})
    loader.sampler.set_epoch(1)
    assert len(list(loader)) == 4


def test_two_ranks_see_the_batches_of_one_with_twice_the_size(source):
    def of(rank, world, batch_size):
        module = datamodule(source, batch_size=batch_size)
        device = torch.device("cpu")
        module.trainer = SimpleNamespace(
            global_rank=rank, world_size=world, strategy=SimpleNamespace(root_device=device)
        )
        return list(module.train_dataloader())

    alone, first, second = of(0, 1, 6), of(0, 2, 3), of(1, 2, 3)
    for whole, even, odd in zip(alone, first, second, strict=True):
        assert torch.equal(whole["hr"][::2], even["hr"])
        assert torch.equal(whole["hr"][1::2], odd["hr"])


def test_two_ranks_see_no_patch_twice_in_an_epoch(tmp_path):
    """Ranks draw different samples; with 160,000 patches per picture, accidental repeats are unlikely."""
    large = FolderSource(make_photographs(tmp_path, 4, side=600), 0.25, 0.25)

    def of(rank):
        module = datamodule(large, batch_size=8, steps_per_epoch=10)
        device = torch.device("cpu")
        module.trainer = SimpleNamespace(global_rank=rank, world_size=2, strategy=SimpleNamespace(root_device=device))
        return {patch.numpy().tobytes() for batch in module.train_dataloader() for patch in batch["hr"]}

    first, second = of(0), of(1)
    assert len(first) == len(second) == 80
    assert not first & second


def test_val_and_test_hold_whole_pictures_in_order(source):
    module = datamodule(source)
    for which, loader in (("val", module.val_dataloader()), ("test", module.test_dataloader())):
        batches = list(loader)
        assert [batch["name"][0] for batch in batches] == [file.name for file in source.split(which)]
        assert batches[0]["hr"].shape == (1, 3, 96, 96)
        assert batches[0]["lr"].shape == (1, 3, 24, 24)
        assert "rejections" not in batches[0]


def test_pictures_are_shared_by_the_processes_once_each(source):
    def of(rank, world):
        module = datamodule(source)
        device = torch.device("cpu")
        module.trainer = SimpleNamespace(
            global_rank=rank, world_size=world, strategy=SimpleNamespace(root_device=device)
        )
        return [batch["name"][0] for batch in module.val_dataloader()]

    names = [file.name for file in source.split("val")]
    assert len(names) == 2
    assert of(0, 2) + of(1, 2) == names
    for rank in range(3):  # on all ranks, so that none waits for another
        with pytest.raises(FacehallError, match=r"2 val image\(s\) are too few for 3 processes"):
            of(rank, 3)


def test_the_threshold_follows_the_epoch_in_persistent_workers(source):
    mining = Mining(threshold=0.0, increase=0.2, increase_every=1, max_threshold=0.4, max_rejections=0)
    module = PatchDataModule(source, 4, 8, 3, 4, mining, BicubicDegradation(), DiskStore(), workers=1)
    loader, seen = module.train_dataloader(), []
    for epoch in range(4):
        loader.sampler.set_epoch(epoch)
        seen.append({round(float(value), 6) for batch in loader for value in batch["threshold"]})
    assert seen == [{0.0}, {0.2}, {0.4}, {0.4}]


def test_a_group_shares_a_picture_and_a_budget(source):
    """As in the ISR library: one picture per batch, and everything is accepted once its budget is spent."""
    hopeless = Mining(threshold=0.5, max_threshold=0.5, max_rejections=3, group=4)
    data = dataset(source, mining=hopeless)
    items = [data[i] for i in (5, 7, 4, 6)]  # in any order
    assert len({item["name"] for item in items}) == 1
    assert sorted(float(item["rejections"]) for item in items) == [0, 0, 0, 12]
    assert float(items[2]["rejections"]) == 12  # the first of the group
    names = [data.file_of(4 * i).name for i in range(len(data.files))]
    assert sorted(names) == sorted(file.name for file in data.files)


def test_a_shared_budget_follows_the_definition(source):
    mining = Mining(threshold=0.28, max_threshold=0.5, max_rejections=2, group=5)
    data = dataset(source, mining=mining)
    spent = np.array([[float(data[5 * g + i]["rejections"]) for i in range(5)] for g in range(40)])
    assert spent.sum(1).max() <= 10
    assert (spent.cumsum(1)[:, :-1] == 10).any()  # some group spends it early
    assert (spent.sum(1) < 10).any()


def test_pictures_too_small_for_a_patch_are_named_before_training(source):
    with pytest.raises(FacehallError, match=r"96x96 pixels are too few for HR patches of 100x100"):
        datamodule(source, patch_size=25).train_dataloader()


@pytest.mark.parametrize("name", ["patch_size", "batch_size", "steps_per_epoch"])
def test_sizes_must_be_at_least_one(source, name):
    with pytest.raises(ValueError, match=f"{name} must be at least 1, not 0"):
        datamodule(source, **{name: 0})


@pytest.mark.parametrize("name", ["workers", "seed"])
def test_other_settings_must_not_be_negative(source, name):
    with pytest.raises(ValueError, match=f"{name} must be at least 0, not -1"):
        datamodule(source, **{name: -1})


def test_a_restart_in_a_later_epoch_gives_the_same_batches(source):
    whole = datamodule(source).train_dataloader()
    epochs = []
    for epoch in range(3):
        whole.sampler.set_epoch(epoch)
        epochs.append(fingerprints(whole))
    restarted = datamodule(source, workers=1).train_dataloader()
    restarted.sampler.set_epoch(2)
    assert fingerprints(restarted) == epochs[2]
    assert not set(epochs[2]) & set(epochs[0] + epochs[1])


@pytest.mark.parametrize("mining", ["none", "std", "isr"])
def test_the_configured_datamodule_produces_batches(compose_config, source, tmp_path, mining):
    cfg = compose_config("train", f"mining={mining}", f"run_dir={tmp_path}")
    module = build(cfg.patches, "patches", source=source)
    assert next(iter(module.train_dataloader()))["hr"].shape == (8, 3, 96, 96)
