"""Stored patches as a source: the manifest against the files and the training."""

import pytest
import torch
from small import make_photographs, run_command

from facehall.config.build import build
from facehall.data import BicubicDegradation, MemoryStore, MinedSource, Mining, PatchDataModule
from facehall.data.storage.manifest import StoredPatch, read_manifest, write_manifest
from facehall.errors import FacehallError
from facehall.imaging import read_rgb, to_tensor
from facehall.mine import main


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Patches of 24x24 LR pixels at x2, large enough not to be near-duplicates."""
    folder = tmp_path_factory.mktemp("mined")
    pictures = make_photographs(folder / "pictures", 8, side=128)
    options = ["scale=2", "patch_size=24", "patches_per_image=3", "workers=0", "data.test_fraction=0.3"]
    assert run_command(main, f"data.root={pictures}", f"output={folder / 'out'}", *options) == 0
    return folder / "out"


def datamodule(source, patch_size=24):
    tools = (Mining(), BicubicDegradation(), MemoryStore())
    return PatchDataModule(source, 2, patch_size, 4, 8, *tools, seed=1, symmetry=False)


def test_the_splits_are_those_of_the_manifest(store):
    source = MinedSource(store, 2, val_limit=2)
    rows = read_manifest(store)
    for which, count in (("train", 15), ("test", 6)):
        files = source.split(which)
        assert len(files) == count
        assert [file.name for file in files] == [f"{which}/{row.name}" for row in rows if row.split == which]
    assert len(source.split("val")) == 2
    assert len({file.name for which in ("train", "val", "test") for file in source.split(which)}) == 23


def test_at_the_stored_size_each_picture_gives_exactly_its_patch(store):
    module = datamodule(MinedSource(store, 2, patch_size=24))
    seen = {}
    for batch in module.train_dataloader():
        seen |= dict(zip(batch["name"], zip(batch["lr"], batch["hr"], strict=True), strict=True))
    assert len(seen) == 15
    for name, (lr, hr) in seen.items():
        which, _, patch = name.partition("/")
        assert torch.equal(lr, to_tensor(read_rgb(store / which / "LR" / f"{patch}.png")))
        assert torch.equal(hr, to_tensor(read_rgb(store / which / "HR" / f"{patch}.png")))


def test_smaller_patches_are_cropped_from_the_stored_ones(store):
    batch = next(iter(datamodule(MinedSource(store, 2, patch_size=16), 16).train_dataloader()))
    assert batch["lr"].shape == (4, 3, 16, 16)


def test_mismatched_patches_are_rejected(store):
    with pytest.raises(
        FacehallError, match=r"patches\.patch_size=25, but .* of 24x24 LR pixels: set patches\.patch_size=24"
    ):
        MinedSource(store, 2, patch_size=25)
    with pytest.raises(FacehallError, match=r"holds patches for x2, which cannot be used with scale=4"):
        MinedSource(store, 4)


def test_missing_files_are_listed_together(store, tmp_path):
    write_manifest(tmp_path, read_manifest(store)[:7])
    with pytest.raises(
        FacehallError,
        match=rf"14 file\(s\) listed in .* are missing: {tmp_path}/train/HR/.*_0\.png, .* and 4 more\. Copy",
    ):
        MinedSource(tmp_path, 2)


def test_a_split_that_was_not_mined_is_rejected(store, tmp_path):
    (tmp_path / "train").symlink_to(store / "train")
    write_manifest(tmp_path, [row for row in read_manifest(store) if row.split == "train"])
    source = MinedSource(tmp_path, 2)
    with pytest.raises(FacehallError, match=r"lists no val patches"):
        source.split("val")


def test_a_folder_without_a_manifest_says_how_to_make_one(tmp_path):
    with pytest.raises(FacehallError, match=r"manifest\.csv is missing: .*facehall\.mine output="):
        MinedSource(tmp_path, 2)


@pytest.mark.parametrize("text", ["", "name,split\na,train\n", "\0\1", "name,top\n"])
def test_a_damaged_manifest_is_rejected_or_empty(tmp_path, text):
    (tmp_path / "manifest.csv").write_text(text)
    with pytest.raises(FacehallError, match=r"manifest\.csv"):
        MinedSource(tmp_path, 2).split("train")


def test_any_name_survives_the_manifest(tmp_path):
    rows = [StoredPatch(name, "train", 'x "y", z', 1, 2, 8, 2, 0.1, 3, 0.04) for name in ("a,b", 'q"q', "ü\nü", " x ")]
    write_manifest(tmp_path, rows)
    assert read_manifest(tmp_path) == rows


def test_a_training_sees_the_size_of_its_patches(compose_config, store):
    cfg = compose_config("train", "data=mined", f"data.root={store}", "scale=2", "patches.patch_size=25")
    with pytest.raises(FacehallError, match=r"patches\.patch_size=25, but"):
        build(cfg.data, "data")
    cfg = compose_config("evaluate", "data=mined", f"data.root={store}", "scale=2")
    assert len(build(cfg.data, "data").split("test")) == 6
