"""Annotations from set files to training batches, through box, size, patch and symmetry."""

import json
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from small import make_photographs

from facehall.config.build import build
from facehall.data import (
    Annotations,
    BicubicDegradation,
    DiskStore,
    FacesSource,
    FolderSource,
    ImageDataset,
    ImageFile,
    MemoryStore,
    MinedSource,
    Mining,
    Pairs,
    PatchDataModule,
    PatchDataset,
)
from facehall.data.annotations import FACES11, FIVE
from facehall.data.patches.pairs import read_annotations, read_hr
from facehall.errors import FacehallError
from facehall.imaging import write_picture

MIRRORED_CLASS = np.array(FACES11.mirror)


def make_set(root, count=4, side=64, splits=("train", "val", "test"), scheme="faces11"):
    """Write pictures that show their annotations: level 20 k for class k, a white 1-px dot at each landmark."""
    entries = {}
    for which in splits:
        for i in range(count):
            rng = np.random.default_rng([i, len(which), ord(which[0])])
            parsing = rng.integers(0, 11, (side, side), dtype=np.uint8)
            places = rng.permutation(side * side)[:5]
            points = np.stack([places % side, places // side], axis=1)
            picture = (parsing * 20)[..., None].repeat(3, axis=2)
            for number, (x, y) in enumerate(points):
                picture[y, x] = 210 + 10 * number
            name = f"{which}/{i}.png"
            (root / which).mkdir(parents=True, exist_ok=True)
            write_picture(root / name, picture)
            (root / ".maps" / which).mkdir(parents=True, exist_ok=True)
            Image.fromarray(parsing).save(root / ".maps" / name)
            entries[name] = {"landmarks": points.tolist(), "parsing": f".maps/{name}", "identity": f"person {i}"}
    (root / "set.json").write_text(json.dumps({"pictures": entries, "parsing_scheme": scheme}))
    return root


def edit(root, change):
    found = json.loads((root / "set.json").read_text())
    change(found["pictures"])
    (root / "set.json").write_text(json.dumps(found))


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return make_set(tmp_path_factory.mktemp("annotated"))


def folder(root, **options):
    return FolderSource(root, annotations=root / "set.json", **options)


def datamodule(source, **options):
    settings = {"scale": 4, "patch_size": 8, "batch_size": 3, "steps_per_epoch": 4, "seed": 3, "store": DiskStore()}
    return PatchDataModule(source, mining=Mining(), degradation=BicubicDegradation(), **settings | options)


def check_agreement(item):
    """Check that pixels and annotations agree, with or without mirroring."""
    levels = (item["hr"][0] * 255).round().numpy().astype(int)
    parsing, points = item["parsing"].numpy(), item["landmarks"].numpy()
    plain = levels <= 200
    shown = levels[plain] // 20
    mirrored = not np.array_equal(shown, parsing[plain])
    if mirrored:
        assert np.array_equal(MIRRORED_CLASS[shown], parsing[plain])
    for number, (x, y) in enumerate(points.round().astype(int)):
        if 0 <= x < levels.shape[1] and 0 <= y < levels.shape[0]:
            assert levels[y, x] == 210 + 10 * (FIVE.mirror[number] if mirrored else number)
    return mirrored


@given(index=st.integers(0, 10_000))
def test_patches_agree_with_their_annotations(root, index):
    pairs = Pairs(4, BicubicDegradation(), MemoryStore())
    check_agreement(PatchDataset(folder(root).split("train"), pairs, 8, 12, Mining(), 3)[index])


def test_half_of_the_patches_are_mirrored_and_none_without_symmetry(root):
    files = folder(root).split("train")
    for symmetry, least, most in ((True, 50, 110), (False, 0, 0)):
        pairs = Pairs(4, BicubicDegradation(), MemoryStore())
        data = PatchDataset(files, pairs, 8, 160, Mining(), 3, symmetry=symmetry)
        assert least <= sum(check_agreement(data[i]) for i in range(160)) <= most


@given(left=st.integers(0, 20), top=st.integers(0, 20), side=st.integers(33, 43), index=st.integers(0, 500))
def test_a_box_crops_both(root, left, top, side, index):
    boxes = (left, top, left + side, top + side)
    files = [
        ImageFile(file.name, file.hr, box=boxes, annotations=file.annotations) for file in folder(root).split("train")
    ]
    pairs = Pairs(4, BicubicDegradation(), MemoryStore())
    item = ImageDataset(files[:1], pairs)[0]  # cropped to a multiple of the scale
    assert item["parsing"].shape == item["hr"].shape[1:] == (side // 4 * 4,) * 2
    check_agreement(item)
    check_agreement(PatchDataset(files, pairs, 8, 12, Mining(), 3)[index])


def test_size_reduces_both(tmp_path):
    """Blobs stay at the landmarks, and blocks keep their class."""
    rows, columns = np.mgrid[:96, :128]
    points = [[30.5, 40.25], [90, 40], [60, 50], [40, 70], [80, 70.75]]
    blobs = sum(np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 18) for x, y in points)
    write_picture(tmp_path / "a.png", (200 * blobs).clip(0, 255).round().astype(np.uint8)[..., None].repeat(3, 2))
    (tmp_path / "set.json").write_text(json.dumps({"pictures": {"a.png": {"landmarks": points}}}))
    options = {"val_fraction": 0, "test_fraction": 1, "annotations": tmp_path / "set.json", "size": 48}
    (file,) = FacesSource(tmp_path, crop=90, **options).split("test")
    hr, found = read_hr(file)[..., 0].astype(float), read_annotations(file)
    assert hr.shape == found.size == (48, 48)
    for x, y in found.landmarks:
        near = np.where(np.hypot(*(np.indices(hr.shape) - np.array([y, x])[:, None, None])) < 4, hr, 0)
        weights = near / near.sum()
        rows, columns = np.indices(hr.shape)
        assert [(weights * columns).sum(), (weights * rows).sum()] == pytest.approx([x, y], abs=0.15)


def test_batches_hold_the_configured_annotations(root):
    module = datamodule(folder(root))
    batch = next(iter(module.train_dataloader()))
    assert module.batch_keys == batch.keys()
    assert {"landmarks", "parsing", "identity"} < module.batch_keys
    assert (batch["landmarks"].shape, batch["landmarks"].dtype) == ((3, 5, 2), torch.float32)
    assert (batch["parsing"].shape, batch["parsing"].dtype) == ((3, 32, 32), torch.int64)
    assert batch["identity"].tolist() == [int(name[-1]) for name in batch["name"]]
    whole = next(iter(module.val_dataloader()))
    assert whole["parsing"].shape == (1, 64, 64)
    assert whole["landmarks"].shape == (1, 5, 2)
    assert whole["identity"].shape == (1,)


def test_without_annotations_pixels_are_the_same(root):
    """Annotations use no random draws, so that training without them is unchanged."""
    asked, plain = datamodule(folder(root)), datamodule(FolderSource(root))
    assert plain.batch_keys == {"lr", "hr", "name", "flatness", "rejections", "threshold"}
    for one, other in zip(asked.train_dataloader(), plain.train_dataloader(), strict=True):
        assert other.keys() == plain.batch_keys
        assert all(torch.equal(one[name], other[name]) for name in other if name != "name")


def test_annotated_batches_do_not_depend_on_workers(root):
    expected = None
    for workers in (0, 2):
        seen = [
            (batch["landmarks"].tolist(), batch["parsing"].sum(dim=(1, 2)).tolist(), batch["identity"].tolist())
            for batch in datamodule(folder(root), workers=workers).train_dataloader()
        ]
        expected = expected or seen
        assert seen == expected


def test_annotations_reach_spawned_workers(root):
    """Spawned workers receive pickles: the store without its open maps, files with their locations."""
    pairs, file = Pairs(4, BicubicDegradation(), DiskStore()), folder(root).split("val")[0]
    expected = pairs.annotations(file)
    pairs, file = pickle.loads(pickle.dumps((pairs, file)))
    assert np.array_equal(pairs.annotations(file).parsing, expected.parsing)
    assert np.array_equal(pairs.annotations(file).landmarks, expected.landmarks)


def test_pictures_without_annotations_are_problems_of_the_check(tmp_path):
    make_set(tmp_path)

    def change(pictures):
        del pictures["train/0.png"]
        del pictures["train/1.png"]["landmarks"]
        pictures["val/2.png"]["landmarks"][0] = [400, 3]
        pictures["train/2.png"]["parsing"] = ".maps/none.png"

    edit(tmp_path, change)
    with pytest.raises(FacehallError) as error:
        _ = datamodule(folder(tmp_path)).survey
    remark = str(error.value)
    assert "train/0.png has no annotations in" in remark
    assert "1.png has no landmarks, unlike other pictures of train" in remark
    assert "val/2.png in" in remark
    assert "none.png does not exist" in remark
    assert "4 of 12 pictures cannot be used" in remark
    module = datamodule(folder(tmp_path), checks="skip")
    assert [file.name for file in module.survey.files["train"]] == ["train/3"]
    assert [file.name for file in module.survey.files["val"]] == ["val/0", "val/1", "val/3"]
    assert next(iter(module.train_dataloader()))["landmarks"].shape == (3, 5, 2)


class LabelledByName:
    """A third-party source: any class with `split`, and its own annotations."""

    def __init__(self, root):
        self.files = FolderSource(root)

    def split(self, which):
        return [
            ImageFile(file.name, file.hr, annotations=OwnLabel(int(file.name[-1]))) for file in self.files.split(which)
        ]


class OwnLabel:
    def __init__(self, person):
        self.person = person

    def read(self, size):
        return Annotations(size, identity=self.person)

    def state(self):
        return str(self.person)


def test_a_third_party_source_has_its_own_annotations(root):
    module = datamodule(LabelledByName(root))
    batch = next(iter(module.train_dataloader()))
    assert batch["identity"].tolist() == [int(name[-1]) for name in batch["name"]]
    assert module.batch_keys >= {"identity"}
    assert "landmarks" not in module.batch_keys


def test_a_changed_map_is_read_again(tmp_path):
    make_set(tmp_path)
    store = DiskStore()
    file = folder(tmp_path).split("val")[0]
    assert Pairs(4, BicubicDegradation(), store).annotations(file).parsing.max() > 0
    Image.fromarray(np.zeros((64, 64), np.uint8)).save(tmp_path / ".maps" / f"{file.name}.png")
    assert Pairs(4, BicubicDegradation(), store).annotations(file).parsing.max() == 0


@pytest.mark.parametrize("name", ["folder", "faces", "images", "paired", "mined"])
def test_every_configured_source_of_files_takes_annotations(compose_config, name):
    assert compose_config("train", f"data={name}", "data.root=somewhere").data.annotations is None


def test_mined_patches_keep_their_annotations(root, compose_config, tmp_path):
    from facehall.mine import mine

    def config(*overrides):
        common = ["scale=4", "patch_size=8", "patches_per_image=3", "workers=0", "mining=none"]
        where = [f"data.root={root}", f"data.annotations={root / 'set.json'}"]
        return compose_config("mine", *common, *where, *overrides)

    mine(config(f"output={tmp_path / 'out'}"))
    source = MinedSource(tmp_path / "out", 4, annotations="beside")
    data = ImageDataset(source.split("train"), Pairs(4, BicubicDegradation(), MemoryStore()))
    assert len(data) == 12
    for item in data:
        assert not check_agreement(item)
        assert item["identity"] == int(item["name"].split("/")[-1][0])
    where = [f"data.root={tmp_path / 'out'}", "data.annotations=beside", "scale=4", "patches.patch_size=8"]
    configured = build(compose_config("train", "data=mined", *where).data, "data")
    assert configured.split("train") == source.split("train")
    plain = FolderSource(tmp_path / "out" / "train" / "HR", 0, 1)
    assert len(plain.split("test")) == 12  # maps are not listed as pictures
    with pytest.raises(FacehallError, match=r"cannot be stored in shards.*format=png"):
        mine(config(f"output={tmp_path / 'shards'}", "format=shards"))


def test_a_missing_excluded_folder_is_a_remark(tmp_path):
    """Recipes may name folders of another machine."""
    for seed, which in enumerate(("train", "val", "test")):
        make_photographs(tmp_path / which / "a", 2, seed=seed)
        make_photographs(tmp_path / which / "b", 2, seed=10 + seed)
    source = FolderSource(tmp_path, exclude=["b", "lfw250"])
    survey = datamodule(source).survey
    remark = f"data.exclude names lfw250, but no picture below {tmp_path} is in a folder of that name."
    assert survey.remarks == [remark]
    assert survey.report() == remark
    assert not survey.problems
    assert [len(survey.files[which]) for which in ("train", "val", "test")] == [2, 2, 2]
    assert datamodule(FolderSource(tmp_path, exclude=["b"])).survey.report() == ""
