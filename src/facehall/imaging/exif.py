"""EXIF transfer from an image to its upscaled version: upright, without thumbnail, with the new size."""

from __future__ import annotations

from PIL import Image

ORIENTATION = 0x0112
"""EXIF tag: 1 is upright, 5 to 8 include a quarter turn."""
_EXIF_FOLDER = 0x8769
_WIDTH, _HEIGHT = 0xA002, 0xA003
# In a TIFF file the EXIF directory also describes the pixel layout (TIFF 6.0), SubIFDs, XMP, IPTC, Photoshop data and
# the colour profile; 0x0201 and 0x0202 locate a thumbnail.
_LAYOUT_TAGS = (
    *(0x00FE, 0x00FF, 0x0100, 0x0101, 0x0102, 0x0103, 0x0106, 0x010A, 0x0111, 0x0115, 0x0116, 0x0117, 0x0118, 0x0119),
    *(0x011C, 0x0122, 0x0123, 0x0124, 0x0125, 0x013D, 0x0140, 0x0142, 0x0143, 0x0144, 0x0145, 0x014A, 0x0152, 0x0153),
    *(0x0154, 0x0155, 0x015B, 0x0200, 0x0201, 0x0202, 0x0211, 0x0212, 0x0213, 0x0214),
    *(0x02BC, 0x83BB, 0x8649, 0x8773),
)


def orientation(image: Image.Image) -> int:
    """Return the EXIF orientation of an opened file, 1 to 8; 1 if it is missing or unreadable."""
    try:
        value = image.getexif().get(ORIENTATION, 1)
    except Exception:  # damaged EXIF data raises almost any exception, but the pixels are intact
        return 1
    return value if value in range(1, 9) else 1


def read_exif(image: Image.Image) -> bytes | None:
    """Return the EXIF data of an opened file for an upright image of another size; None if there is none.

    The orientation is set to 1; thumbnail, width, height and TIFF layout tags are removed.

    Raises:
        Exception: of any type, if the data is damaged.
    """
    found = image.getexif()
    if not found:
        return None
    exif = _parsed(found.tobytes())
    for tag in _LAYOUT_TAGS:
        exif.pop(tag, None)
    exif.pop(ORIENTATION, None)
    if _EXIF_FOLDER in exif:  # get_ifd would create it
        inner = exif.get_ifd(_EXIF_FOLDER)
        inner.pop(_WIDTH, None)
        inner.pop(_HEIGHT, None)
    if not exif:
        return None
    exif[ORIENTATION] = 1
    return exif.tobytes()


def sized_exif(exif: bytes, width: int, height: int) -> bytes:
    """Set width and height in EXIF data from `read_exif`, if it has an EXIF IFD."""
    parsed = _parsed(exif)
    if _EXIF_FOLDER in parsed:
        inner = parsed.get_ifd(_EXIF_FOLDER)
        inner[_WIDTH], inner[_HEIGHT] = width, height
    return parsed.tobytes()


def _parsed(data: bytes) -> Image.Exif:
    exif = Image.Exif()
    exif.load(data)
    return exif
