"""DIV2K: splits, layouts and download."""

import hashlib
import io
import shutil
from types import SimpleNamespace

import pytest
from local_server import Server
from packed_pictures import contents, pack
from picture_folders import make_div2k, make_pairs, names, write
from PIL import Image
from small import run_command, write_weights

from facehall import download
from facehall.data import BicubicDegradation, Div2kSource, FolderSource, load_pair
from facehall.data.sources import div2k
from facehall.data.sources.base import SPLITS, Fetchable
from facehall.data.sources.div2k import OFFICIAL_SCALES, PUBLISHED
from facehall.errors import FacehallError
from facehall.evaluate import main as evaluate


def test_div2k_splits_its_validation_in_two(tmp_path):
    source = Div2kSource(make_div2k(tmp_path), scale=4)
    assert [len(source.split(which)) for which in SPLITS] == [3, 2, 2]
    assert (names(source, "val"), names(source, "test")) == (["0002", "0004"], ["0001", "0003"])


def test_div2k_with_a_test_folder_uses_all_validation_images(tmp_path):
    source = Div2kSource(make_div2k(tmp_path, test=True), scale=4)
    assert [len(source.split(which)) for which in SPLITS] == [3, 4, 2]


def test_official_lr_images_are_found_under_their_own_names(tmp_path):
    file = Div2kSource(make_div2k(tmp_path), scale=4, lr="official").split("train")[0]
    assert file.lr.name == "0001x4.png"
    assert load_pair(file, 4, BicubicDegradation())[0].shape == (8, 8, 3)


def test_official_lr_images_of_x8_have_a_folder_of_their_own(tmp_path):
    root = make_div2k(tmp_path)
    with pytest.raises(FacehallError, match=r"DIV2K_train_LR_x8 does not exist.*data\.lr=make"):
        Div2kSource(root, scale=8, lr="official").split("train")
    for i in (1, 2, 3):
        write(root / "DIV2K_train_LR_x8" / f"{i:04d}x8.png", 4, 4)
    file = Div2kSource(root, scale=8, lr="official").split("train")[0]
    assert load_pair(file, 8, BicubicDegradation())[0].shape == (4, 4, 3)


def test_div2k_limits(tmp_path):
    root = make_div2k(tmp_path)
    assert len(names(Div2kSource(root, scale=4, val_limit=1), "val")) == 1
    with pytest.raises(FacehallError, match=r"data\.val_limit=0: set a number"):
        Div2kSource(root, scale=4, val_limit=0)


def test_missing_div2k_message_explains_the_download(tmp_path):
    with pytest.raises(FacehallError, match=r"DIV2K_train_HR is missing.*https://data\.vision"):
        Div2kSource(tmp_path, scale=4).split("train")
    with pytest.raises(FacehallError, match=r"data\.lr=made"):
        Div2kSource(tmp_path, scale=4, lr="made")


# ---------------------------------------------------------------- test sets


def test_a_custom_test_folder_leaves_all_validation_images(tmp_path):
    make_pairs(tmp_path / "own", scale=4)
    source = Div2kSource(make_div2k(tmp_path, test=True), scale=4, test_root=tmp_path / "own" / "HR")
    assert [len(source.split(which)) for which in SPLITS] == [3, 4, 4]
    assert names(source, "test") == ["0", "1", "2", "3"]
    paired = Div2kSource(tmp_path, scale=4, lr="official", test_root=tmp_path / "own")
    assert paired.split("test")[0].lr == tmp_path / "own" / "LR" / "0.png"
    assert len(Div2kSource(tmp_path, scale=4, test_root=tmp_path / "own" / "HR", test_limit=3).split("test")) == 3
    with pytest.raises(FacehallError, match=r"own/HR/HR is missing: with data\.lr=official, data\.test_root=.*must"):
        Div2kSource(tmp_path, scale=4, lr="official", test_root=tmp_path / "own" / "HR").split("test")


# ---------------------------------------------------------------- from the network


def packed(part, track, mark, numbers, side):
    """Build an archive with DIV2K's names and folders; each picture has one colour."""
    pictures = {}
    for number in numbers:
        buffer = io.BytesIO()
        Image.new("RGB", (side, side), (number % 256, number // 256, side)).save(buffer, "PNG")
        pictures[f"{number:04d}{mark}.png"] = buffer.getvalue()
    return pack(pictures, f"DIV2K_{part}_{track}")


@pytest.fixture
def server(monkeypatch):
    """Serve all archives, with six and four pictures."""
    monkeypatch.setattr(div2k, "NUMBERS", {"train": range(1, 7), "valid": range(801, 805)})
    files = {}
    for part, numbers in div2k.NUMBERS.items():
        files[f"DIV2K_{part}_HR.zip"] = packed(part, "HR", "", numbers, 48)
        for scale in OFFICIAL_SCALES:
            track = "LR_x8" if scale == 8 else f"LR_bicubic/X{scale}"
            archive = f"DIV2K_{part}_{track}.zip".replace("/", "_")
            files[archive] = packed(part, track, f"x{scale}", numbers, 48 // scale)
    for name, data in files.items():
        monkeypatch.setitem(PUBLISHED, name, (len(data), hashlib.sha256(data).hexdigest()))
    server = Server(files=files)
    server.origin = server.url.rpartition("/")[0]
    yield server
    server.close()


def test_checksums_are_known_for_every_archive():
    assert {name: len(digest) for name, (size, digest) in PUBLISHED.items() if size > 8e6} == dict.fromkeys(
        PUBLISHED, 64
    )
    for scale in OFFICIAL_SCALES:
        archives = Div2kSource("x", scale, lr="official")._archives("train", "valid")
        assert [len(archive.pictures) for archive in archives] == [800, 800, 100, 100]
        assert archives[3].pictures[-1] == f"0900x{scale}.png"
    assert len(PUBLISHED) == 2 + 2 * len(OFFICIAL_SCALES)


@pytest.mark.parametrize("scale", OFFICIAL_SCALES)
def test_official_pictures_of_every_scale_are_fetched_and_paired(server, tmp_path, scale):
    source = Div2kSource(tmp_path / "new", scale, lr="official", download=True, origin=server.origin)
    assert [len(source.split(which)) for which in SPLITS] == [6, 2, 2]
    assert len(server.requests) == 4
    for which in SPLITS:
        for file in source.split(which):
            lr, hr = load_pair(file, scale, BicubicDegradation())
            assert lr.shape == (48 // scale, 48 // scale, 3)
            assert (lr[0, 0, :2] == hr[0, 0, :2]).all()  # the colour encodes the number
    again = Div2kSource(tmp_path / "new", scale, lr="official", download=True, origin=server.origin)
    assert again.split("train") == source.split("train")
    assert len(server.requests) == 4
    assert {path.name for path in (tmp_path / "new").iterdir()} == {
        f"DIV2K_{part}_{track}"
        for part in ("train", "valid")
        for track in ("HR", source._lr_folder("")[7:].split("/")[0])
    }


def test_only_what_a_split_needs_is_fetched(server, tmp_path):
    source = Div2kSource(tmp_path, 4, download=True, origin=server.origin)
    assert len(source.split("test")) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["DIV2K_valid_HR"]
    source.split("train")
    assert {path.name for path in tmp_path.iterdir()} == {"DIV2K_train_HR", "DIV2K_valid_HR"}
    assert len(server.requests) == 2


def test_nothing_is_fetched_by_default(server, tmp_path):
    with pytest.raises(FacehallError, match=r"data\.download=true, or on .*`python -m facehall\.download"):
        Div2kSource(tmp_path, 4, origin=server.origin).split("train")
    assert not server.requests


def test_the_download_command(server, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    arguments = ["data=div2k", "data.root=my set (1)", f"data.origin={server.origin}/"]
    assert run_command(download.main, *arguments) == 0
    assert "DIV2K is complete in my set (1): DIV2K_train_HR, DIV2K_valid_HR." in capsys.readouterr().out
    assert run_command(download.main, *arguments, "data.lr=official", "scale=8", "data.keep_archives=true") == 0
    assert len(server.requests) == 4
    here = contents(tmp_path / "my set (1)")
    assert {path.partition("/")[0] for path in here} == {
        *("DIV2K_train_HR", "DIV2K_valid_HR", "DIV2K_train_LR_x8", "DIV2K_valid_LR_x8", "downloads")
    }
    assert here["downloads/DIV2K_valid_LR_x8.zip"] == server.files["DIV2K_valid_LR_x8.zip"]
    assert [path.name for path in tmp_path.iterdir()] == ["my set (1)"]


def test_evaluate_fetches_its_split(server, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    weights = write_weights(tmp_path / "w.safetensors")
    where = ["data=div2k", "data.root=DIV2K", "data.download=true", f"data.origin={server.origin}", "data.lr=official"]
    assert run_command(evaluate, f"weights={weights}", *where, "metrics.lpips=none", "repeats=1") == 0
    assert "2 images" in capsys.readouterr().out
    assert sorted(path.name for path in (tmp_path / "DIV2K").iterdir()) == ["DIV2K_valid_HR", "DIV2K_valid_LR_bicubic"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["data=folder", "data.root=."], "FolderSource reads existing files and cannot be downloaded; data=div2k can."),
        (["data=div2k"], "data.root has no value yet"),
        (
            ["data=div2k", "data.root=x", "data.lr=official", "scale=5"],
            "scale=5: DIV2K has official LR images for 2, 3",
        ),
        (["data=div2k", "data.root=x", "data.origin=ftp://host"], "only http:// and https:// addresses"),
    ],
)
def test_errors_are_one_paragraph(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        shutil, "disk_usage", lambda path: SimpleNamespace(free=0)
    )  # a full disk must not hide other errors
    assert run_command(download.main, *arguments) == 2
    stderr = capsys.readouterr().err
    assert message in stderr
    assert len([line for line in stderr.strip().splitlines() if not line.startswith("downloading")]) == 1


def test_local_sources_are_not_fetchable(photographs):
    assert isinstance(Div2kSource("x", 4), Fetchable)
    assert not isinstance(FolderSource(photographs), Fetchable)
