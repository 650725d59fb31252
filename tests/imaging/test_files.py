"""Reading, writing and listing image files of many formats."""

import dataclasses
import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms, ImageFile

from facehall.errors import FacehallError
from facehall.imaging import (
    Picture,
    conversions,
    decode_picture,
    decode_size,
    encode_picture,
    list_images,
    png,
    read_picture,
    read_rgb,
    read_size,
    rgb_conversions,
    write_picture,
)

RGB = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
GREY = RGB[..., 0]
ALPHA = RGB[..., 1]


def save(path, image, **options):
    image.save(path, **options)
    return path


# ---------------------------------------------------------------- reading


def test_plain_rgb(tmp_path):
    picture = read_picture(save(tmp_path / "a.png", Image.fromarray(RGB)))
    assert np.array_equal(picture.rgb, RGB)
    assert picture.alpha is None
    assert not picture.grey


@pytest.mark.parametrize("mode", ["L", "1", "I;16"])
def test_grey_modes(tmp_path, mode):
    image = Image.fromarray(GREY.astype(np.uint16) * 257) if mode == "I;16" else Image.fromarray(GREY).convert(mode)
    path = save(tmp_path / "a.png", image)
    assert read_picture(path).grey
    expected = np.asarray(image.convert("L")) if mode != "I;16" else GREY  # scaled, not clipped
    assert np.array_equal(read_rgb(path), np.repeat(expected[..., None], 3, axis=2))


def test_transparency_in_each_mode(tmp_path):
    rgba = Image.fromarray(np.dstack([RGB, ALPHA]))
    assert np.array_equal(read_picture(save(tmp_path / "rgba.png", rgba)).alpha, ALPHA)
    la = Image.merge("LA", [Image.fromarray(GREY), Image.fromarray(ALPHA)])
    picture = read_picture(save(tmp_path / "la.png", la))
    assert picture.grey
    assert np.array_equal(picture.alpha, ALPHA)
    palette = Image.fromarray(GREY % 4, mode=None).convert("P")
    picture = read_picture(save(tmp_path / "p.png", palette, transparency=2))
    assert set(np.unique(picture.alpha)) == {0, 255}


def test_palette_and_cmyk_become_rgb(tmp_path):
    palette = Image.fromarray(RGB).quantize(16)
    assert np.array_equal(read_rgb(save(tmp_path / "p.png", palette)), np.asarray(palette.convert("RGB")))
    cmyk = Image.fromarray(RGB).convert("CMYK")
    assert read_rgb(save(tmp_path / "c.jpg", cmyk, quality=100)).shape == RGB.shape


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(tmp_path / "a.png", Image.fromarray(RGB), exif=exif)
    upright = {1: RGB, 2: RGB[:, ::-1], 3: RGB[::-1, ::-1], 4: RGB[::-1], 5: RGB.swapaxes(0, 1)}
    upright |= {6: np.rot90(RGB, -1), 7: np.rot90(RGB, 2).swapaxes(0, 1), 8: np.rot90(RGB)}
    assert np.array_equal(read_rgb(path), upright[orientation])
    assert read_size(path) == upright[orientation].shape[1::-1]
    assert ("an EXIF orientation, applied" in rgb_conversions(path)) == (orientation > 1)


def encoded(kind="PNG", size=(64, 64)):
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)).save(buffer, kind)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("empty.png", b"", "is empty"),
        ("text.png", b"this is text", "not an image"),
        ("cut.png", encoded()[:3000], "cannot be read"),
        ("cut.jpg", encoded("JPEG")[:1500], "cannot be read"),
    ],
)
def test_errors_for_unreadable_files(tmp_path, name, content, says):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(FacehallError, match=says) as error:
        read_picture(tmp_path / name)
    assert str(tmp_path / name) in str(error.value)


def test_errors_for_missing_files_and_decompression_bombs(tmp_path, monkeypatch):
    with pytest.raises(FacehallError, match=r"none\.png does not exist"):
        read_picture(tmp_path / "none.png")
    with pytest.raises(FacehallError, match=r"none\.png does not exist"):
        rgb_conversions(tmp_path / "none.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with pytest.raises(FacehallError, match="too many pixels"):
        read_picture(save(tmp_path / "a.png", Image.fromarray(RGB)))


# ---------------------------------------------------------------- writing


@pytest.mark.parametrize("name", ["a.png", "a.webp", "sub/a.PNG"])
def test_lossless_round_trip(tmp_path, name):
    for picture in (Picture(RGB), Picture(RGB, ALPHA)):
        write_picture(tmp_path / name, picture)
        again = read_picture(tmp_path / name)
        assert np.array_equal(again.rgb, RGB)
        assert (again.alpha is None) == (picture.alpha is None)
    assert [path.name for path in (tmp_path / name).parent.iterdir() if path.is_file()] == [Path(name).name]


def test_grey_is_written_as_one_channel(tmp_path):
    write_picture(tmp_path / "a.png", Picture(np.repeat(GREY[..., None], 3, 2), grey=True))
    with Image.open(tmp_path / "a.png") as image:
        assert image.mode == "L"


def test_jpeg_is_accurate_and_rejects_transparency(tmp_path):
    smooth = np.linspace(0, 255, 32 * 32).reshape(32, 32, 1).repeat(3, 2).astype(np.uint8)
    write_picture(tmp_path / "a.jpg", smooth)
    assert np.abs(read_rgb(tmp_path / "a.jpg").astype(int) - smooth).mean() < 2
    with pytest.raises(FacehallError, match="transparency"):
        write_picture(tmp_path / "b.jpg", Picture(RGB, ALPHA))
    assert not (tmp_path / "b.jpg").exists()


@pytest.mark.parametrize("name", ["old.png", "old.jpg"])
def test_errors_in_writing_keep_the_old_file(tmp_path, monkeypatch, name):
    with pytest.raises(FacehallError, match=r"a\.gif cannot be written"):
        write_picture(tmp_path / "a.gif", RGB)
    write_picture(tmp_path / name, RGB)
    before = (tmp_path / name).read_bytes()

    def full(*args, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    monkeypatch.setattr(png, "_chunk", full)
    with pytest.raises(FacehallError, match=f"{name} cannot be written: No space left"):
        write_picture(tmp_path / name, RGB[::-1])
    assert (tmp_path / name).read_bytes() == before  # the old file is intact
    assert [path.name for path in tmp_path.iterdir()] == [name]


DEEP = np.random.default_rng(1).integers(0, 65536, (6, 8, 3), dtype=np.uint16)
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def deep_pictures():
    grey = np.repeat(DEEP[..., :1], 3, axis=2)
    return [
        Picture(DEEP),
        Picture(DEEP, DEEP[..., 1]),
        Picture(grey, grey=True),
        Picture(grey, DEEP[..., 1], grey=True),
    ]


@pytest.mark.parametrize("number", range(4))
def test_sixteen_bits_are_preserved_in_png(tmp_path, number):
    picture = dataclasses.replace(deep_pictures()[number], dpi=(300, 300))
    write_picture(tmp_path / "a.png", picture)
    again = read_picture(tmp_path / "a.png")
    assert again.rgb.dtype == np.uint16
    assert np.array_equal(again.rgb, picture.rgb)
    assert again.grey == picture.grey
    assert (again.alpha is None) == (picture.alpha is None)
    assert picture.alpha is None or np.array_equal(again.alpha, picture.alpha)
    assert again.dpi == pytest.approx((300, 300), abs=0.1)
    assert np.array_equal(read_rgb(tmp_path / "a.png"), np.rint(picture.rgb / 257).astype(np.uint8))
    write_picture(tmp_path / "a.webp", picture)
    assert np.array_equal(read_picture(tmp_path / "a.webp").rgb, read_rgb(tmp_path / "a.png"))


def test_sixteen_bit_tiff_with_exif_orientation(tmp_path):
    cv2.imwrite(str(tmp_path / "a.tif"), DEEP[..., ::-1])
    assert np.array_equal(read_picture(tmp_path / "a.tif").rgb, DEEP)
    write_picture(tmp_path / "a.png", Picture(DEEP, exif=rich_exif(orientation=6)))
    assert np.array_equal(read_picture(tmp_path / "a.png").rgb, np.rot90(DEEP, -1))


def rich_exif(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = orientation, "a camera"
    exif.get_ifd(0x8769).update({0xA002: 8, 0xA003: 6, 0x9003: "2026:01:02 03:04:05"})
    return exif.tobytes()


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp", "deep.png"])
def test_metadata_are_copied(tmp_path, name):
    source = save(tmp_path / "s.jpg", Image.fromarray(RGB), exif=rich_exif(6), icc_profile=PROFILE, dpi=(72, 72))
    picture = read_picture(source)
    large = picture.rgb.repeat(2, 0).repeat(2, 1)
    large = large.astype(np.uint16) * 257 if name == "deep.png" else large
    write_picture(tmp_path / name, dataclasses.replace(picture, rgb=large))
    with Image.open(tmp_path / name) as image:
        exif = image.getexif()
        inner = exif.get_ifd(0x8769)
        assert image.size == (12, 16)  # upright
        assert (exif[0x0112], exif[0x010F]) == (1, "a camera")
        assert (inner[0xA002], inner[0xA003], inner[0x9003]) == (12, 16, "2026:01:02 03:04:05")
        assert image.info["icc_profile"] == PROFILE
        assert name == "a.webp" or image.info["dpi"] == pytest.approx((72, 72), abs=0.1)


def test_tiff_layout_tags_are_removed(tmp_path):
    exif = Image.Exif()
    exif[0x010F] = "a camera"
    picture = read_picture(save(tmp_path / "a.tif", Image.fromarray(RGB), exif=exif))
    found = Image.Exif()
    found.load(picture.exif)
    assert dict(found) == {0x010F: "a camera", 0x0112: 1}
    assert read_picture(save(tmp_path / "b.tif", Image.fromarray(RGB))).exif is None


def test_dropped_metadata_are_reported(tmp_path):
    bad = save(tmp_path / "a.jpg", Image.fromarray(RGB), exif=b"Exif\0\0bad", icc_profile=b"bad" * 99)
    assert (read_picture(bad).exif, read_picture(bad).icc) == (None, None)
    assert conversions(bad) == [
        "a colour profile that does not match its pixels, dropped",
        "damaged EXIF data, dropped",
    ]
    assert conversions(save(tmp_path / "b.png", Image.fromarray(RGB), icc_profile=PROFILE)) == []
    cmyk = save(tmp_path / "c.jpg", Image.fromarray(RGB).convert("CMYK"))
    assert conversions(cmyk) == ["CMYK, converted to RGB"]


def test_quality_and_compression(tmp_path):
    for name, low, high in (("a.jpg", {"quality": 10}, {"quality": 90}), ("a.webp", {"quality": 10}, {})):
        sizes = []
        for options in (low, high):
            write_picture(tmp_path / name, RGB.repeat(8, 0).repeat(8, 1), **options)
            sizes.append((tmp_path / name).stat().st_size)
        assert sizes[0] < sizes[1]
    for options in ({"quality": 0}, {"compression": 10}):
        with pytest.raises(FacehallError, match=r"=(0|10): must be from"):
            write_picture(tmp_path / "b.png", RGB, **options)


# ---------------------------------------------------------------- listing


def test_listing_is_recursive_sorted_and_skips_hidden_files(tmp_path):
    for name in ("b.png", "a/c.JPG", "a/b.webp", ".hidden.png", ".cache/x.png", "notes.txt"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    assert [path.relative_to(tmp_path).as_posix() for path in list_images(tmp_path)] == ["a/b.webp", "a/c.JPG", "b.png"]


def test_listing_survives_a_link_to_itself(tmp_path):
    (tmp_path / "a.png").touch()
    (tmp_path / "loop").symlink_to(tmp_path)
    assert [path.name for path in list_images(tmp_path)] == ["a.png"]


def test_errors_for_folders_without_images(tmp_path):
    (tmp_path / "file").touch()
    for path, says in (
        (tmp_path, "contains no images"),
        (tmp_path / "x", "does not exist"),
        (tmp_path / "file", "is a file"),
    ):
        with pytest.raises(FacehallError, match=says):
            list_images(path)


def test_content_is_decoded_as_the_file_is(tmp_path):
    image = Image.new("RGB", (6, 4), (1, 2, 3))
    exif = Image.Exif()
    exif[0x0112] = 6
    file = tmp_path / "a.png"
    image.save(file, exif=exif)
    from_file, from_content = read_picture(file), decode_picture(file.read_bytes(), "it")
    np.testing.assert_array_equal(from_content.rgb, from_file.rgb)
    assert from_content.exif == from_file.exif
    assert encode_picture(from_content, ".png") == encode_picture(from_file, ".png")
    with pytest.raises(FacehallError, match=r"^it is not an image"):
        decode_picture(b"text", "it")


def test_size_in_the_header_is_read_without_decoding(tmp_path, monkeypatch):
    file = tmp_path / "a.png"
    Image.new("RGB", (6, 4)).save(file)

    def load(image):
        raise AssertionError("decoded")

    monkeypatch.setattr(ImageFile.ImageFile, "load", load)
    assert decode_size(file.read_bytes(), "it") == (6, 4)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_encoded_picture_is_what_is_written(tmp_path, suffix):
    picture = Picture(np.arange(72, dtype=np.uint8).reshape(4, 6, 3), dpi=(72.0, 72.0))
    write_picture(tmp_path / f"a{suffix}", picture)
    assert (tmp_path / f"a{suffix}").read_bytes() == encode_picture(picture, suffix)
