"""The streaming PNG writer, read back with other libraries."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from facehall.imaging.png import write_png

RNG = np.random.default_rng(0)


def picture(height, width, channels, dtype):
    """An image with noise, constant and smooth parts, so that every filter is used."""
    levels = RNG.integers(0, np.iinfo(dtype).max, (height, width, channels), dtype=dtype, endpoint=True)
    levels[height // 3 :] = np.linspace(0, 200, width).astype(dtype)[None, :, None]
    levels[height // 2 :] += np.arange(height - height // 2).astype(dtype)[:, None, None]
    return levels


@given(
    height=st.integers(1, 150),
    width=st.integers(1, 40),
    channels=st.sampled_from([1, 2, 3, 4]),
    dtype=st.sampled_from([np.uint8, np.uint16]),
    cut=st.integers(0, 150),
)
@settings(max_examples=60, deadline=None)
def test_round_trip(tmp_path_factory, height, width, channels, dtype, cut):
    path = tmp_path_factory.getbasetemp() / "x.png"
    levels = picture(height, width, channels, dtype)
    write_png(path, (width, height), [part for part in (levels[:cut], levels[cut:]) if len(part)])
    read = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    expected = levels[..., :1].repeat(3, 2) if channels < 3 else levels[..., 2::-1]
    if channels == 1:
        expected = expected[..., 0]
    elif channels in (2, 4):
        expected = np.concatenate([expected, levels[..., -1:]], axis=2)
    assert read.dtype == dtype
    assert np.array_equal(read, expected)


def test_profile_and_exif_are_embedded(tmp_path):
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[0x010E] = "a face"
    path = tmp_path / "x.png"
    write_png(path, (5, 4), [picture(4, 5, 3, np.uint8)], icc, exif.tobytes(), (300, 150))
    with Image.open(path) as image:
        image.verify()
        assert image.info["icc_profile"] == icc
        assert image.getexif()[0x010E] == "a face"
        assert image.info["dpi"] == pytest.approx((300, 150), abs=0.1)


def test_files_are_about_as_small_as_pillows(tmp_path, photograph):
    write_png(tmp_path / "ours.png", photograph.shape[1::-1], [photograph])
    Image.fromarray(photograph).save(tmp_path / "pillow.png")
    assert (tmp_path / "ours.png").stat().st_size < 1.05 * (tmp_path / "pillow.png").stat().st_size


@pytest.fixture
def photograph():
    from facehall.data import SampleSource
    from facehall.imaging import read_rgb

    return read_rgb(SampleSource().split("test")[0].hr)


@pytest.mark.parametrize("strips", [[], [np.zeros((3, 5, 3), np.uint8)], [np.zeros((4, 6, 3), np.uint8)]])
def test_strips_of_the_wrong_size_are_rejected(tmp_path, strips):
    (tmp_path / "x.png").write_bytes(b"old")
    with pytest.raises(ValueError):
        write_png(tmp_path / "x.png", (5, 4), strips)
    assert (tmp_path / "x.png").read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1


def test_an_empty_image_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="at least one pixel, not 5x0"):
        write_png(tmp_path / "x.png", (5, 0), [])
    assert not list(tmp_path.iterdir())
