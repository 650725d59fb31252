"""Annotation files: sidecar files and set files; errors name the file."""

import json
import pickle

import numpy as np
import pytest
from picture_folders import write
from PIL import Image

from facehall.data import FolderSource
from facehall.data.annotations import FACES11, FIVE, IBUG68, Annotations, Entry, Sidecar, read_set, write_sidecar
from facehall.errors import FacehallError

SIZE = (24, 32)
POINTS = [[10, 8], [20, 8.5], [15, 12], [11, 16], [19, 16]]


def set_file(path, pictures, **declared):
    path.write_text(json.dumps({"pictures": pictures} | declared), encoding="utf-8")
    return path


def save_map(path, parsing):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(parsing).save(path)
    return path


def parsing_map(classes=11):
    return np.random.default_rng(0).integers(0, classes, SIZE, dtype=np.uint8)


def test_a_json_file_of_a_set(tmp_path):
    save_map(tmp_path / "maps" / "a.png", parsing_map())
    entries = {
        "x/a.png": {"landmarks": POINTS, "parsing": "maps/a.png", "identity": "zoe"},
        "b.png": {"identity": "ada"},
    }
    file = set_file(tmp_path / "set.json", entries, parsing_scheme="faces11")
    found = Entry(file, "x/a.png").read(SIZE)
    assert np.array_equal(found.landmarks, np.float32(POINTS))
    assert found.landmark_scheme is FIVE
    assert np.array_equal(found.parsing, parsing_map())
    assert found.parsing_scheme is FACES11
    assert found.identity == 1
    other = Entry(file, "b.png").read(SIZE)
    assert (other.kinds, other.identity) == ({"identity"}, 0)


def test_an_npz_file_of_a_set_in_eighths_of_a_pixel(tmp_path):
    """The output of dense detectors: names, and pts as 16-bit integers."""
    pts = np.random.default_rng(0).integers(0, 24 * 8, (2, 68, 2)).astype(np.int16)
    np.savez(tmp_path / "set.npz", names=np.array(["a.webp", "b.webp"]), pts=pts)
    found = Entry(tmp_path / "set.npz", "b.webp").read(SIZE)
    assert np.array_equal(found.landmarks, pts[1].astype(np.float32) / 8)
    assert found.landmarks.dtype == np.float32
    assert found.landmark_scheme is IBUG68


def test_an_npz_file_in_pixels_with_identities_and_a_scheme_of_its_own(tmp_path):
    names, labels = np.array(["a", "b"]), np.array(["left_eye", "right_eye", "nose"])
    np.savez(
        tmp_path / "set.npz",
        names=names,
        landmarks=np.full((2, 3, 2), 5.5),
        identity=np.array([4, 2]),
        landmark_scheme=labels,
    )
    found = Entry(tmp_path / "set.npz", "b").read(SIZE)
    assert found.landmarks.tolist() == [[5.5, 5.5]] * 3
    assert found.landmark_scheme.mirror == (1, 0, 2)
    assert found.identity == 2


def test_sidecar_files(tmp_path):
    picture = write(tmp_path / "a.b.png", 32, 24)
    (tmp_path / "a.b.annotations.json").write_text(json.dumps({"landmarks": POINTS, "identity": 3}), encoding="utf-8")
    save_map(tmp_path / "a.b.parsing.png", parsing_map(3))
    (tmp_path / "annotations.json").write_text('{"parsing_scheme": ["background", "left_half", "right_half"]}')
    (file,) = FolderSource(tmp_path, 0, 1, annotations="beside").split("test")  # the map is not listed as a picture
    assert file.hr == picture
    found = file.annotations.read(SIZE)
    assert found.kinds == {"landmarks", "parsing", "identity"}
    assert found.parsing_scheme.mirror == (0, 2, 1)
    assert [file.annotations for file in FolderSource(tmp_path, 0, 1).split("test")] == [None]


def test_written_sidecar_files_are_read_back(tmp_path):
    picture = write(tmp_path / "a.png", 32, 24)
    own = type(FACES11)("own", ("background", "left_half", "right_half"))
    points = np.array([[-70, 3.125], [5, 6], [7, 8], [200, 9], [300, 400]], np.float32)  # far outside a small patch
    written = Annotations(SIZE, points, parsing_map(3), 9, FIVE, own)
    write_sidecar(picture, written)
    found = Sidecar(picture).read(SIZE)
    assert np.array_equal(found.landmarks, points)
    assert np.array_equal(found.parsing, written.parsing)
    assert (found.identity, found.landmark_scheme, found.parsing_scheme.labels) == (9, FIVE, own.labels)


@pytest.mark.parametrize("mode", ["L", "P"])
def test_a_map_is_grey_or_a_palette(tmp_path, mode):
    picture = write(tmp_path / "a.png", 32, 24)
    image = Image.fromarray(parsing_map())
    if mode == "P":
        image.putpalette([7, 77, 177] * 256)
    image.save(tmp_path / "a.parsing.png")
    (tmp_path / "a.annotations.json").write_text('{"parsing_scheme": "faces11"}')
    assert np.array_equal(Sidecar(picture).read(SIZE).parsing, parsing_map())


def test_a_file_that_changes_is_read_again(tmp_path):
    file = set_file(tmp_path / "set.json", {"a.png": {"identity": 1}})
    entry = Entry(file, "a.png")
    before = entry.state()
    assert entry.read(SIZE).identity == 1
    set_file(file, {"a.png": {"identity": 23}})
    assert entry.read(SIZE).identity == 23
    assert entry.state() != before


def test_a_missing_file_is_named_by_the_source(tmp_path):
    with pytest.raises(FacehallError, match=r"none\.json cannot be read: No such file.*data\.annotations"):
        FolderSource(tmp_path, annotations=tmp_path / "none.json")
    with pytest.raises(FacehallError, match=r"none\.npz cannot be read: No such file"):
        FolderSource(tmp_path, annotations=tmp_path / "none.npz")
    with pytest.raises(FacehallError, match="is a folder"):
        FolderSource(tmp_path, annotations=tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "are not JSON"),
        ("[]", "hold a list, not an object"),
        ("{}", "no valid 'pictures'"),
        ('{"pictures": {"a": []}}', "no valid 'pictures'"),
        ('{"pictures": {"a": {"landmark": []}}}', "a in .*: unknown key 'landmark'"),
        ('{"pictures": {"a": {"landmarks": [[1, 2, 3]]}}}', "a in .*N pairs of numbers"),
        ('{"pictures": {"a": {"landmarks": [[1, 2], [3]]}}}', "a in .*N pairs of numbers"),
        ('{"pictures": {"a": {"landmarks": [["1", "2"]]}}}', "a in .*N pairs of numbers"),
        ('{"pictures": {"a": {"landmarks": [[1, NaN]]}}}', "a in .*finite"),
        ('{"pictures": {"a": {"parsing": 3}}}', "a in .*path of a PNG"),
        ('{"pictures": {"a": {"parsing": "a.png"}}}', "declares no parsing_scheme"),
        ('{"pictures": {"a": {"identity": -1}}}', "a in .*non-negative integer, not -1"),
        ('{"pictures": {"a": {"identity": 1}, "b": {"identity": "x"}}}', "b in .*non-negative integer, not 'x'"),
        ('{"pictures": {"a": {"landmarks": [[1, 2]]}, "b": {"landmarks": [[1, 2], [2, 2]]}}}', "a has 1 but b has 2"),
    ],
)
def test_errors_in_a_json_file(tmp_path, content, message):
    (tmp_path / "set.json").write_text(content)
    with pytest.raises(FacehallError, match=message):
        read_set(tmp_path / "set.json")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"pts": np.zeros((1, 5, 2), np.int16)}, "no valid names"),
        ({"names": np.array(["a"])}, "no landmarks, pts or identity"),
        ({"names": np.array(["a", "a"]), "identity": np.array([1, 2])}, "list a picture twice"),
        ({"names": np.array(["a"]), "pts": np.zeros((1, 5, 2))}, r"pts in the annotations .* are not integers"),
        ({"names": np.array(["a"]), "landmarks": np.zeros((2, 5, 2))}, r"landmarks of shape \(2, 5, 2\) for 1 names"),
        ({"names": np.array(["a"]), "landmarks": np.full((1, 5, 2), np.inf)}, "a in .*finite"),
        ({"names": np.array(["a"]), "identity": np.zeros((1, 2), int)}, r"identity of shape \(1, 2\) for 1 names"),
    ],
)
def test_errors_in_an_npz_file(tmp_path, arrays, message):
    np.savez(tmp_path / "set.npz", **arrays)
    with pytest.raises(FacehallError, match=message):
        read_set(tmp_path / "set.npz")


class Trap:
    def __reduce__(self):
        return (pytest.fail, ("unpickled",))


def test_nothing_is_unpickled(tmp_path):
    np.savez(tmp_path / "set.npz", names=np.array(["a"]), landmarks=np.array([Trap()], object))
    with pytest.raises(FacehallError, match="cannot be read"):
        read_set(tmp_path / "set.npz")
    (tmp_path / "raw.npz").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(FacehallError, match="cannot be read"):
        read_set(tmp_path / "raw.npz")


def test_a_picture_without_an_entry_is_named(tmp_path):
    file = set_file(tmp_path / "set.json", {"b.png": {"identity": 1}})
    with pytest.raises(FacehallError, match=r"x/a\.png has no annotations in .*set\.json"):
        Entry(file, "x/a.png").read(SIZE)
    with pytest.raises(FacehallError, match=r"a\.png has no annotations: neither a\.annotations\.json nor a\.parsing"):
        Sidecar(tmp_path / "a.png").read(SIZE)


@pytest.mark.parametrize(
    ("points", "fits"),
    [
        (POINTS, True),
        ([[-9, 8], [20, 8], [15, 12], [11, 16], [19, 30]], True),  # a cropped face
        (np.multiply(POINTS, 8).tolist(), False),  # eighths of a pixel read as pixels
        ([[-40, 8], *POINTS[1:]], False),
    ],
)
def test_landmarks_far_outside_are_rejected(tmp_path, points, fits):
    file = set_file(tmp_path / "set.json", {"a.png": {"landmarks": points}})
    if fits:
        assert len(Entry(file, "a.png").read(SIZE).landmarks) == 5
        return
    with pytest.raises(
        FacehallError, match=r"a\.png in .*set\.json: landmark \d is at .*outside its 32x24 pixels.*check their unit"
    ):
        Entry(file, "a.png").read(SIZE)


@pytest.mark.parametrize(
    ("parsing", "message"),
    [
        (np.zeros((24, 31), np.uint8), "31x24 pixels, its picture 32x24"),
        (np.full(SIZE, 11, np.uint8), "class 11, but its scheme has 11 classes"),
        (np.zeros((*SIZE, 3), np.uint8), "PNG of mode RGB"),
        (None, "does not exist"),
    ],
)
def test_mismatched_maps_are_named(tmp_path, parsing, message):
    if parsing is not None:
        save_map(tmp_path / "a.png", parsing)
    file = set_file(tmp_path / "set.json", {"x.png": {"parsing": "a.png"}}, parsing_scheme="faces11")
    with pytest.raises(FacehallError, match=rf"a\.png .*{message}"):
        Entry(file, "x.png").read(SIZE)


def test_a_damaged_map_is_named(tmp_path):
    (tmp_path / "a.png").write_bytes(b"no pixels")
    file = set_file(tmp_path / "set.json", {"x.png": {"parsing": "a.png"}}, parsing_scheme="faces11")
    with pytest.raises(FacehallError, match=r"a\.png cannot be read as PNG"):
        Entry(file, "x.png").read(SIZE)
