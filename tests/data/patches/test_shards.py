"""Shards: written with LitData, streamed in a deterministic order, read as untrusted data."""

import json
import os
import re
import shutil
import sys
import threading
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from batch_recorder import fingerprint, fit
from lightning.pytorch.callbacks import ModelCheckpoint
from small import LIGHT, TINY_PSNR, Malicious, make_photographs, run_command

from facehall.config.build import build
from facehall.data import BicubicDegradation, FolderSource, MemoryStore, ShardDataModule
from facehall.data.patches.shards import ShardDataset
from facehall.data.storage.chunk_store import PREFETCH_THREAD, ChunkStore
from facehall.data.storage.manifest import read_manifest
from facehall.errors import FacehallError
from facehall.mine import main
from facehall.train import train

litdata = pytest.importorskip("litdata", reason="LitData is not installed: pip install 'facehall[shards]'")

OPTIONS = ["scale=2", "patch_size=8", "patches_per_image=9", "workers=0"]
GB = 22e3 / 2**30  # capacity for four of the chunks below


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return make_photographs(tmp_path_factory.mktemp("pictures") / "all", 12)


@pytest.fixture(scope="module")
def mined(pictures):
    """Mine the same patches as pairs and as shards of about 5 kB; 8x8 LR pixels at x2."""
    folder = pictures.parent
    common = [f"data.root={pictures}", *OPTIONS]
    assert run_command(main, *common, f"output={folder / 'pairs'}") == 0
    assert run_command(main, *common, f"output={folder / 'shards'}", "format=shards", "chunk_mb=0.005") == 0
    return folder / "pairs", folder / "shards"


@pytest.fixture
def shards(mined):
    return mined[1]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("FACEHALL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def datamodule(root, **options):
    settings = {"scale": 2, "patch_size": 8, "batch_size": 4, "steps_per_epoch": 5, "seed": 3, "cache_gb": GB} | options
    return ShardDataModule(
        str(root), degradation=BicubicDegradation(), source=None, store=MemoryStore(), images="shards", **settings
    )


def epochs(module, numbers):
    """Return fingerprints of the batches of the given epochs."""
    loader = module.train_dataloader()
    seen = []
    for epoch in numbers:
        loader.sampler.set_epoch(epoch)
        seen += [fingerprint(batch) for batch in loader]
    return seen


def test_shards_hold_the_same_patches_as_the_pairs(mined):
    pairs, shards = mined
    assert (pairs / "manifest.csv").read_bytes() == (shards / "manifest.csv").read_bytes()
    assert {path.name for path in shards.iterdir()} == {
        *("train", "val", "test", "manifest.csv", "settings.json", "contact_sheet.png")
    }
    rows = read_manifest(pairs)
    for which in ("train", "val", "test"):
        stored = [patch for patch in rows if patch.split == which]
        store = ChunkStore(str(shards / which))
        items = [store.read(i, place) for i, chunk in enumerate(store.chunks) for place in range(chunk.items)]
        assert sorted(item.name for item in items) == sorted(patch.name for patch in stored)
        assert ([item.name for item in items] == [patch.name for patch in stored]) == (which != "train")
        by_name = {patch.name: patch for patch in stored}
        for item in items:
            patch = by_name[item.name]
            mined = ("flatness", "rejections", "threshold")
            assert [getattr(item, name) for name in mined] == [getattr(patch, name) for name in mined]
            assert item.hr == patch.file(pairs, "HR").read_bytes()
            assert item.lr == patch.file(pairs, "LR").read_bytes()
    assert len(ChunkStore(str(shards / "train")).chunks) > 4


def test_litdata_can_read_them(shards):
    ours, theirs = ChunkStore(str(shards / "val")), litdata.StreamingDataset(str(shards / "val"))
    assert len(theirs) == sum(chunk.items for chunk in ours.chunks)
    for i in range(len(theirs)):
        lr, hr, name, flatness, rejections, threshold = theirs[i]
        item = ours.read(0, i)
        assert (bytes(lr), bytes(hr), bytes(name).decode()) == (item.lr, item.hr, item.name)
        assert (flatness, rejections, threshold) == (item.flatness, item.rejections, item.threshold)


def test_batches_follow_the_contract(shards):
    batch = next(iter(datamodule(shards).train_dataloader()))
    assert batch["lr"].shape == (4, 3, 8, 8)
    assert batch["hr"].shape == (4, 3, 16, 16)
    assert {batch[key].dtype for key in ("lr", "hr", "flatness", "rejections", "threshold")} == {torch.float32}
    assert 0 <= batch["lr"].min() <= batch["hr"].max() <= 1
    assert batch["flatness"].shape == batch["rejections"].shape == (4,)
    assert all(isinstance(name, str) for name in batch["name"])


def test_each_pass_shows_every_patch_once_in_its_own_order(shards):
    data = ShardDataset(ChunkStore(str(shards / "train")), 2, 8, 20, seed=3)
    count = int(data.items.sum())
    passes = [[data.locate(p * count + i) for i in range(count)] for p in range(3)]
    assert all(len(set(places)) == count for places in passes)
    assert passes[0] != passes[1] != passes[2]
    for places in passes:  # chunk by chunk, so that each is fetched once
        chunks = [chunk for chunk, _ in places]
        assert len([i for i in range(1, count) if chunks[i] != chunks[i - 1]]) == len(data.items) - 1
    assert [data.locate(i) for i in (5, 250, 0)] == [passes[0][5], passes[250 // count][250 % count], passes[0][0]]


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_depend_on_the_seed_alone(shards, workers):
    """Local or remote, with any workers, and across chunks: 3 epochs of 20 exceed one chunk."""
    expected = epochs(datamodule(shards), (0, 1, 2, 40))
    assert len(set(expected)) == 20
    assert epochs(datamodule(shards, workers=workers), (40,)) == expected[-5:]
    assert epochs(datamodule(f"local:{shards}", workers=workers), (0, 1, 2, 40)) == expected
    assert epochs(datamodule(shards, seed=4), (0, 1, 2, 40)) != expected


def test_two_ranks_see_the_batches_of_one_with_twice_the_size(shards):
    def of(rank, world, batch_size):
        module = datamodule(shards, batch_size=batch_size)
        strategy = SimpleNamespace(root_device=torch.device("cpu"))
        module.trainer = SimpleNamespace(global_rank=rank, world_size=world, strategy=strategy)
        return list(module.train_dataloader())

    for whole, even, odd in zip(of(0, 1, 6), of(0, 2, 3), of(1, 2, 3), strict=True):
        assert torch.equal(whole["hr"][::2], even["hr"])
        assert torch.equal(whole["hr"][1::2], odd["hr"])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("workers", [0, 2])
def test_a_resumed_training_sees_the_remaining_batches(shards, tmp_path, workers):
    saved = ModelCheckpoint(dirpath=tmp_path, filename="saved", every_n_train_steps=7)
    images = {"limit_val_batches": 0}
    whole = fit(datamodule(shards, workers=workers), 4, **images)
    assert len(set(whole)) == 20
    assert fit(datamodule(shards, workers=workers), 2, [saved], **images) == whole[:10]
    far = datamodule(f"local:{shards}", workers=workers)
    assert fit(far, 4, resume=tmp_path / "saved.ckpt", **images) == whole[7:]


def test_a_training_on_shards_that_is_resumed_equals_one_that_is_not(compose_config, shards, pictures, tmp_path):
    def start(folder, *overrides):
        data = [
            "patches=shards",
            f"patches.root={shards}",
            "data=folder",
            f"data.root={pictures}",
            "data.val_limit=1",
            "scale=2",
        ]
        base = [*TINY_PSNR, *LIGHT, *data, "curriculum.psnr.steps=4", "patches.steps_per_epoch=2"]
        return train(compose_config("train", *base, *overrides, f"run_dir={tmp_path / folder}"))

    whole = start("whole")
    start("parts", "trainer.max_epochs=1")
    resumed = start("parts", f"resume={tmp_path / 'parts'}")
    ours, theirs = resumed.training.module.state_dict(), whole.training.module.state_dict()
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs if isinstance(theirs[key], torch.Tensor))
    metrics = [(run.run_dir / "metrics.csv").read_text() for run in (whole, resumed)]
    assert metrics[0] == metrics[1]
    assert "stored patches" in resumed.training.datamodule.description


def test_val_and_test_are_stored_patches_or_pictures(mined, pictures):
    pairs, shards = mined
    names = [patch.name for patch in read_manifest(pairs) if patch.split == "val"]
    batches = list(datamodule(shards).val_dataloader())
    assert [batch["name"][0] for batch in batches] == names
    assert batches[0]["hr"].shape == (1, 3, 16, 16)
    source = FolderSource(pictures)
    module = ShardDataModule(str(shards), 2, 8, 4, 5, BicubicDegradation(), source, MemoryStore())
    assert [batch["name"][0] for batch in module.test_dataloader()] == [file.name for file in source.split("test")]
    assert next(iter(module.val_dataloader()))["hr"].shape == (1, 3, 64, 64)


def test_mismatched_patches_are_rejected(shards):
    with pytest.raises(FacehallError, match=r"patches\.patch_size=9, but .* of 8x8 LR pixels"):
        next(iter(datamodule(shards, patch_size=9).train_dataloader()))
    with pytest.raises(FacehallError, match=r"holds patches for x2, which cannot be used with scale=4"):
        next(iter(datamodule(shards, scale=4).train_dataloader()))
    batch = next(iter(datamodule(shards, patch_size=4).train_dataloader()))
    assert batch["hr"].shape == (4, 3, 8, 8)


def test_the_cache_respects_its_limit(shards, cache, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    epochs(datamodule(f"local:{shards}"), range(8))
    for thread in threading.enumerate():
        if thread.name == PREFETCH_THREAD:
            thread.join()
    kept = [path for path in cache.rglob("*") if path.is_file() and not path.name.endswith(".lock")]
    assert {re.sub(r"\d+", "0", path.name) for path in kept} == {"chunk-0-0.bin"}
    assert 2 <= len(kept) < len(ChunkStore(str(shards / "train")).chunks)
    assert sum(path.stat().st_size for path in kept) <= 22e3 + 6e3  # plus one prefetched at the same time
    assert not list((tmp_path / "temporary").iterdir())
    assert not (tmp_path / "home").exists()
    assert {path.name for path in (shards / "train").iterdir()} == {
        "index.json",
        *(chunk.file for chunk in ChunkStore(str(shards / "train")).chunks),
    }


def test_a_cache_too_small_for_the_chunks_is_rejected(shards):
    with pytest.raises(FacehallError, match=r"patches\.cache_gb=1e-06 is too small for three chunks"):
        ChunkStore(f"local:{shards}/train", 1e-6)


def copy_of(shards, tmp_path, change=None):
    shutil.copytree(shards / "train", tmp_path / "copy" / "train")
    index = tmp_path / "copy" / "train" / "index.json"
    if change is not None:
        content = json.loads(index.read_text())
        change(content)
        index.write_text(json.dumps(content))
    return tmp_path / "copy" / "train"


def test_nothing_is_unpickled(shards, tmp_path):
    """LitData itself would run the code in these shards."""
    from litdata.streaming.writer import BinaryWriter

    folder = tmp_path / "evil"
    writer = BinaryWriter(str(folder), chunk_bytes=1000)
    writer[0] = (b"", b"", b"", 0.5, 1, Malicious(tmp_path / "mark"))
    writer.done()
    writer.merge(1)
    with pytest.raises(FacehallError, match=r"declares the item format bytes, bytes, bytes, float, int, pickle, but"):
        ChunkStore(str(folder))
    with pytest.raises(FacehallError, match=r"pickle can run arbitrary code"):
        ChunkStore(f"local:{folder}")
    assert not (tmp_path / "mark").exists()
    litdata.StreamingDataset(str(folder))[0]
    assert (tmp_path / "mark").exists()  # the attack works on LitData


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda index: index["chunks"][0].update(filename="../../evil.bin"), "is not a chunk name"),
        (lambda index: index["chunks"][0].update(filename=7), "TypeError"),
        (lambda index: index.update(chunks=[]), "lists no chunks"),
        (lambda index: index.pop("config"), "KeyError"),
        (lambda index: index["config"].update(data_format=None), "TypeError"),
        (lambda index: index["config"].update(compression="zstd"), "uses compression, which is not supported"),
        (lambda index: index["chunks"][0].update(chunk_size=0), "empty ones"),
    ],
)
def test_an_invalid_index_is_rejected(shards, tmp_path, change, message):
    with pytest.raises(FacehallError, match=message):
        ChunkStore(str(copy_of(shards, tmp_path, change)))


def test_missing_or_damaged_files_are_named(shards, tmp_path):
    with pytest.raises(FacehallError, match=r"index\.json cannot be read.*format=shards"):
        ChunkStore(str(tmp_path / "nowhere"))
    with pytest.raises(FacehallError, match=r"nowhere/index\.json cannot be fetched"):
        ChunkStore(f"local:{tmp_path}/nowhere")
    folder = copy_of(shards, tmp_path)
    local, remote = ChunkStore(str(folder)), ChunkStore(f"local:{folder}", GB)
    path = folder / local.chunks[0].file
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    with pytest.raises(FacehallError, match=r"chunk-0-0\.bin has \d+ bytes, but index\.json lists"):
        local.read(0, 0)
    with pytest.raises(FacehallError, match=r"chunk-0-0\.bin does not have the size in"):
        remote.read(0, 0)
    path.unlink()
    with pytest.raises(FacehallError, match=r"chunk-0-0\.bin is missing"):
        local.read(0, 0)
    with pytest.raises(FacehallError, match=r"chunk-0-0\.bin cannot be fetched"):
        remote.read(0, 0)


def test_damaged_bytes_never_crash(shards, tmp_path):
    folder = copy_of(shards, tmp_path)
    path = folder / "chunk-0-0.bin"
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    errors = []
    for _ in range(200):
        damaged = bytearray(whole)
        damaged[int(rng.integers(100))] = int(rng.integers(256))  # the offsets and the first item's sizes
        path.write_bytes(damaged)
        try:
            ChunkStore(str(folder)).read(0, 0)
        except FacehallError as error:
            errors.append(str(error))
    assert len(errors) > 5
    assert all("chunk-0-0.bin is damaged" in text for text in errors)


def test_shards_without_litdata_say_what_to_install(pictures, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "litdata", None)
    out = f"output={tmp_path / 'out'}"
    assert run_command(main, f"data.root={pictures}", out, *OPTIONS, "format=shards") == 2
    assert "format=shards needs LitData: pip install 'facehall[shards]'." in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_interrupted_packing_resumes(mined, pictures, tmp_path, monkeypatch):
    """Val was packed and test was in progress; finished shards are kept. Also in a distributed job."""
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("GLOBAL_RANK", "1")
    out = tmp_path / "out"
    command = [f"data.root={pictures}", *OPTIONS, f"output={out}", "format=shards", "chunk_mb=0.005"]
    shutil.copytree(mined[1], out)
    (out / "manifest.csv").unlink()
    (out / "test").rename(out / ".test.shards")
    os.truncate(out / ".test.shards" / "chunk-0-0.bin", 10)
    before = (out / "val" / "index.json").stat().st_mtime_ns
    assert run_command(main, *command) == 0
    assert (out / "val" / "index.json").stat().st_mtime_ns == before
    for which in ("train", "val", "test"):
        for path in (mined[1] / which).glob("*.bin"):
            assert path.read_bytes() == (out / which / path.name).read_bytes()
    assert not [path for path in out.iterdir() if path.name.startswith(".")]
    assert os.environ["WORLD_SIZE"] == "2"


@pytest.mark.parametrize("images", ["data", "shards"])
def test_the_configured_datamodule_produces_batches(compose_config, shards, pictures, images):
    source = FolderSource(pictures)
    more = [f"patches.root={shards}", "scale=2", "patches.patch_size=8", f"patches.images={images}"]
    module = build(compose_config("train", "patches=shards", *more).patches, "patches", source=source)
    assert next(iter(module.train_dataloader()))["hr"].shape == (8, 3, 16, 16)
    assert len(module.val_dataloader()) == {"data": 1, "shards": 9}[images]
    cfg = compose_config("train", "patches=shards", *more[:3], "patches.images=both")
    with pytest.raises(FacehallError, match="images must be data or shards, not 'both'"):
        build(cfg.patches, "patches", source=source)
