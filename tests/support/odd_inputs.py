"""Unusual inputs, outputs and weights, with the expected behaviour of `facehall upscale`.

The test suite runs them in its own process, experiments/inference/odd_inputs.py in forked ones.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import resource
import struct
import subprocess
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from PIL import Image, ImageCms
from small import Malicious, write_weights

RGB = np.random.default_rng(0).integers(0, 256, (10, 12, 3), dtype=np.uint8)
NOBODY = 65534
SUCCESS, FAILURE = 0, 2
MARK = "executed"
"""The file that code in a malicious weights file would create."""


class Case(NamedTuple):
    """An unusual input.

    `setup` creates files in the current folder; `arguments` follow ``facehall upscale``; `message` must be part of the
    output; `created` are the expected new files. Existing files must not change.
    """

    name: str
    setup: Callable[[], object]
    arguments: list[str]
    status: int
    message: str
    created: tuple[str, ...] = ()
    context: Callable[[], contextlib.AbstractContextManager[object]] = contextlib.nullcontext
    suite: bool = True
    """Whether it is fast, deterministic and harmless enough for the test suite."""


class Result(NamedTuple):
    """The result of a case; `problems` is empty if it is as expected."""

    status: int
    output: str
    created: tuple[str, ...]
    problems: list[str]


def run(case: Case, command: Callable[[list[str]], tuple[int, str]]) -> Result:
    """Run a case in the current folder, which must be empty.

    Args:
        case: the case to run.
        command: calls ``facehall`` with arguments and returns its exit status and output.
    """
    write_weights(Path("w.safetensors"))
    case.setup()
    before = snapshot()
    weights = [] if "-w" in case.arguments else ["-w", "w.safetensors"]
    with case.context():
        status, output = command(["upscale", *weights, "--device", "cpu", "--backend", "eager", *case.arguments])
    after = snapshot()
    created = tuple(sorted(after.keys() - before.keys()))
    checks = {
        f"status {status}": status == case.status,
        f"output lacks {case.message!r}": case.message in output,
        f"created {created}": created == tuple(sorted(case.created)),
        "changed existing files": all(after.get(name) == content for name, content in before.items()),
        "executed code": not Path(MARK).exists(),
        "a traceback": "Traceback" not in output,
    }
    return Result(status, output, created, [problem for problem, passed in checks.items() if not passed])


def snapshot() -> dict[str, str]:
    """Return the digests of all files below the current folder, except those that a case itself removes."""
    found = {}
    for folder, _, names in os.walk("."):
        for name in names:
            path = Path(folder, name)
            content = "a link" if path.is_symlink() else "no file" if not path.is_file() else path.read_bytes()
            digest = content if isinstance(content, str) else hashlib.sha256(content).hexdigest()
            found[path.as_posix()] = digest
    return {name: digest for name, digest in found.items() if name not in VANISHING}


VANISHING = ("many/9.png",)

# ---------------------------------------------------------------- setup helpers


def encoded(kind: str = "PNG", image: Image.Image | None = None, **options: object) -> bytes:
    """Encode an image."""
    buffer = io.BytesIO()
    (image or Image.fromarray(RGB)).save(buffer, kind, **options)
    return buffer.getvalue()


def put(name: str, content: bytes | None = None) -> Callable[[], object]:
    """Return a function that writes a file; a PNG image by default."""

    def make() -> None:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(encoded() if content is None else content)

    return make


def saved(name: str, image: Image.Image, **options: object) -> Callable[[], object]:
    return lambda: image.save(name, **options)


def both(*makers: Callable[[], object]) -> Callable[[], object]:
    return lambda: [make() for make in makers]


def link(name: str, target: str) -> Callable[[], object]:
    return lambda: Path(name).symlink_to(target)


def deep(name: str, channels: int) -> Callable[[], object]:
    levels = np.random.default_rng(0).integers(0, 65536, (10, 12, channels), dtype=np.uint16)
    return lambda: cv2.imwrite(name, levels)


def oriented(value: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = value
    return exif


def claiming(width: int, height: int) -> bytes:
    """Return a PNG file whose header declares this size."""
    data = encoded()
    header = b"IHDR" + struct.pack(">II", width, height) + data[24:29]
    return data[:12] + header + struct.pack(">I", zlib.crc32(header)) + data[33:]


def malicious(name: str) -> Callable[[], object]:
    return both(put("a.png"), lambda: torch.save({"params": Malicious(Path(MARK))}, name))


@contextlib.contextmanager
def unprivileged() -> Iterator[None]:
    """Run as user nobody, because root may write anywhere."""
    for path in Path().iterdir():
        if path.suffix == ".safetensors":
            path.chmod(0o644)
    Path().chmod(0o755)
    root = os.geteuid() == 0
    if root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


@contextlib.contextmanager
def small_files() -> Iterator[None]:
    """Limit the file size, which causes an error during writing like a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextlib.contextmanager
def full_disk() -> Iterator[None]:
    """Mount a full file system; requires root."""
    Path("disk").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8k", "tmpfs", "disk"], check=True)
    try:
        with contextlib.suppress(OSError), Path("disk/filler").open("wb", buffering=0) as filler:
            while True:
                filler.write(bytes(1024))
        yield
    finally:
        subprocess.run(["umount", "disk"], check=True)
        Path("disk").rmdir()


@contextlib.contextmanager
def vanishing() -> Iterator[None]:
    """Remove the last picture as soon as the first result exists."""

    def watch() -> None:
        end = time.monotonic() + 60
        while not Path("out/0.png").exists() and time.monotonic() < end:
            time.sleep(0.001)
        Path(VANISHING[0]).unlink()

    thread = threading.Thread(target=watch)
    thread.start()
    yield
    thread.join()


def many() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8)
    Path("many").mkdir()
    for i in range(10):
        Image.fromarray(noise).save(f"many/{i}.png")


GREY, RGBA = Image.fromarray(RGB[..., 0]), Image.fromarray(np.dstack([RGB, RGB[..., :1]]))
PICTURE, NEXT = Image.fromarray(RGB), Image.fromarray(255 - RGB)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
LONG = "n" * 250
EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 12 10\n(executed) (w) file closefile\nshowpage\n"


def image_case(name: str, setup: Callable[[], object], source: str, message: str = "1 of 1 picture written") -> Case:
    return Case(name, setup, [source, "-o", "out.png"], SUCCESS, message, ("out.png",))


def bad_case(name: str, setup: Callable[[], object], source: str, message: str) -> Case:
    return Case(name, setup, [source, "-o", "out.png"], FAILURE, message)


CASES = [
    # Image formats and modes.
    image_case("greyscale", saved("a.png", GREY), "a.png"),
    image_case("bilevel", saved("a.png", GREY.convert("1")), "a.png"),
    image_case("palette", saved("a.png", PICTURE.quantize(8)), "a.png", "had a palette, converted to RGB: a.png"),
    image_case("palette with transparency", saved("a.png", PICTURE.quantize(8), transparency=2), "a.png"),
    image_case("grey with alpha", saved("a.png", RGBA.convert("LA")), "a.png"),
    image_case("RGBA", saved("a.png", RGBA), "a.png"),
    image_case("CMYK JPEG", saved("a.jpg", PICTURE.convert("CMYK")), "a.jpg", "had CMYK, converted to RGB: a.jpg"),
    image_case("16-bit RGB PNG", deep("a.png", 3), "a.png"),
    image_case("16-bit RGBA PNG", deep("a.png", 4), "a.png"),
    image_case("16-bit grey PNG", deep("a.png", 1), "a.png"),
    image_case("16-bit RGB TIFF", deep("a.tif", 3), "a.tif"),
    image_case("turned by EXIF", saved("a.jpg", PICTURE, exif=oriented(6)), "a.jpg"),
    image_case(
        "damaged EXIF", put("a.jpg", encoded("JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xf0bad")), "a.jpg", "EXIF"
    ),
    image_case(
        "invalid colour profile",
        saved("a.png", PICTURE, icc_profile=b"bad" * 99),
        "a.png",
        "a colour profile that",
    ),
    image_case("sRGB profile", saved("a.png", PICTURE, icc_profile=SRGB), "a.png"),
    image_case(
        "animated GIF",
        saved("a.gif", PICTURE, save_all=True, append_images=[NEXT]),
        "a.gif",
        "several frames",
    ),
    image_case(
        "animated WebP",
        saved("a.webp", PICTURE, save_all=True, append_images=[NEXT]),
        "a.webp",
        "several frames",
    ),
    image_case(
        "TIFF of two pages", saved("a.tif", PICTURE, save_all=True, append_images=[NEXT]), "a.tif", "several frames"
    ),
    image_case("1x1", saved("a.png", PICTURE.resize((1, 1))), "a.png"),
    image_case("1 pixel wide", saved("a.png", PICTURE.resize((1, 99))), "a.png"),
    image_case("JPEG named .png", put("a.png", encoded("JPEG")), "a.png"),
    image_case("no suffix", put("picture"), "picture"),
    # Invalid and damaged images.
    bad_case(
        "float TIFF", saved("a.tif", Image.fromarray(RGB[..., 0].astype(np.float32))), "a.tif", "not 8- or 16-bit"
    ),
    bad_case("truncated PNG", put("a.png", encoded()[:200]), "a.png", "a.png cannot be read"),
    bad_case(
        "truncated 16-bit PNG", lambda: (deep("a.png", 3)(), os.truncate("a.png", 400)), "a.png", "cannot be read"
    ),
    bad_case("truncated JPEG", put("a.jpg", encoded("JPEG")[:400]), "a.jpg", "a.jpg"),
    bad_case("zero bytes", put("a.png", b""), "a.png", "a.png is empty"),
    bad_case("text named .png", put("a.png", b"a shopping list\n"), "a.png", "a.png is not an image"),
    bad_case("PostScript named .png", put("a.png", EPS), "a.png", "a.png is not an image"),
    bad_case("decompression bomb", put("a.png", claiming(60_000, 60_000)), "a.png", "a.png has too many pixels"),
    bad_case("header larger than the data", put("a.png", claiming(8000, 8000)), "a.png", "a.png cannot be read"),
    bad_case("header with a side of 2^31 pixels", put("a.png", claiming(2**31 - 1, 2**31 - 1)), "a.png", "a.png"),
    bad_case("missing", lambda: None, "a.png", "a.png: no such file or folder"),
    bad_case("pattern without a match", put("a.png"), "b*.png", "No picture matches b*.png"),
    bad_case("broken link", link("a.png", "nowhere.png"), "a.png", "a.png does not exist"),
    bad_case("link to itself", link("a.png", "a.png"), "a.png", "a.png cannot be read"),
    bad_case("link to /dev/zero", link("a.png", "/dev/zero"), "a.png", "a pipe or a device"),
    bad_case("named pipe", lambda: os.mkfifo("a.png"), "a.png", "a pipe or a device"),
    bad_case("empty folder named x.png", lambda: Path("x.png").mkdir(), "x.png", "x.png contains no images"),
    Case(
        "no read permission",
        both(put("a.png"), lambda: Path("a.png").chmod(0), lambda: Path().chmod(0o777)),
        ["a.png", "-o", "out.png"],
        FAILURE,
        "a.png cannot be read: Permission denied",
        context=unprivileged,
    ),
    Case(
        "one invalid image among valid ones",
        both(put("in/a.png"), put("in/b.png", b"?"), put("in/c.png")),
        ["in", "-o", "out"],
        FAILURE,
        "in/b.png is not an image",
        ("out/a.png", "out/c.png"),
    ),
    Case(
        "removed during the run",
        many,
        ["many", "-o", "out"],
        FAILURE,
        "many/9.png does not exist",
        tuple(f"out/{i}.png" for i in range(9)),
        context=vanishing,
        suite=False,
    ),
    # Names.
    image_case("spaces and quotes", put('my "best" photo (1).png'), 'my "best" photo (1).png'),
    image_case("Unicode", put("Zoë 日本 🙂.png"), "Zoë 日本 🙂.png"),
    image_case("newline", put("a\nb.png"), "a\nb.png"),
    image_case("not UTF-8", put(os.fsdecode(b"\xff\xfe.png")), os.fsdecode(b"\xff\xfe.png")),
    image_case("leading dash", put("-a.png"), "-a.png"),
    image_case("pattern characters", put("[a]*.png"), "[a]*.png"),
    Case("output name too long", put(f"{LONG}.png"), [f"{LONG}.png"], FAILURE, "File name too long"),
    Case(
        "longest possible name",
        put(f"{LONG}.png"),
        [f"{LONG}.png", "-o", "out"],
        SUCCESS,
        "1 of 1",
        (f"out/{LONG}.png",),
    ),
    # Outputs.
    Case("output is the input", put("a.png"), ["a.png", "-o", "a.png", "--overwrite"], FAILURE, "one of the inputs"),
    Case(
        "output is a link to the input",
        both(put("a.png"), link("b.png", "a.png")),
        ["a.png", "-o", "b.png", "--overwrite"],
        FAILURE,
        "one of the inputs",
    ),
    Case(
        "output folder is the input folder",
        put("in/a.png"),
        ["in", "-o", "in", "--overwrite"],
        FAILURE,
        "would be overwritten",
    ),
    Case(
        "output exists",
        both(put("a.png"), put("out.png", b"precious")),
        ["a.png", "-o", "out.png"],
        FAILURE,
        "out.png already exists",
    ),
    Case(
        "two inputs with the same output",
        both(put("x/a.png"), put("y/a.png")),
        ["x/a.png", "y/a.png", "-o", "out"],
        FAILURE,
        "would both be written to out/a.png",
    ),
    Case(
        "input folder, output file",
        both(put("in/a.png"), put("in/b.png"), put("out", b"precious")),
        ["in", "-o", "out"],
        FAILURE,
        "output=out is a file",
    ),
    Case(
        "file in place of a folder",
        both(put("a.png"), put("out", b"precious")),
        ["a.png", "-o", "out/x/b.png"],
        FAILURE,
        "out/x/b.png",
    ),
    Case(
        "unsupported output format",
        put("a.png"),
        ["a.png", "-o", "out.tif"],
        FAILURE,
        "output=out.tif cannot be written",
    ),
    Case("transparency to JPEG", saved("a.png", RGBA), ["a.png", "-o", "out.jpg"], FAILURE, "has transparency"),
    Case(
        "read-only folder",
        both(put("a.png"), lambda: Path("ro").mkdir(0o555)),
        ["a.png", "-o", "ro/b.png"],
        FAILURE,
        "ro/b.png cannot be written: Permission denied",
        context=unprivileged,
    ),
    Case(
        "file size limit",
        put("a.png"),
        ["a.png", "-o", "out.png"],
        FAILURE,
        "out.png cannot be written: File too large",
        context=small_files,
    ),
    Case(
        "full disk",
        put("a.png"),
        ["a.png", "-o", "disk/a.png"],
        FAILURE,
        "No space left on device",
        context=full_disk,
        suite=False,
    ),
    # Weights.
    Case("weights: malicious pickle", malicious("e.pth"), ["a.png", "-w", "e.pth"], FAILURE, "e.pth: this is not"),
    Case(
        "weights: malicious pickle named .safetensors",
        malicious("e.safetensors"),
        ["a.png", "-w", "e.safetensors"],
        FAILURE,
        "e.safetensors: not a readable safetensors file",
    ),
    Case(
        "weights: malicious pickle named .ckpt",
        malicious("e.ckpt"),
        ["a.png", "-w", "e.ckpt"],
        FAILURE,
        "e.ckpt: this is not",
    ),
    Case(
        "weights: truncated",
        both(put("a.png"), lambda: os.truncate("w.safetensors", 3000)),
        ["a.png"],
        FAILURE,
        "w.safetensors: not a readable safetensors file",
    ),
    Case("weights: a picture", put("a.png"), ["a.png", "-w", "a.png"], FAILURE, "a.png: not a readable"),
    Case(
        "weights: missing",
        put("a.png"),
        ["a.png", "-w", "none.safetensors"],
        FAILURE,
        "none.safetensors: no such weights file",
    ),
]
