"""Run `facehall restore` on 32 odd inputs, with the detector, the mesh and the recogniser, and write a table.

python experiments/faces/odd_photographs.py [--results experiments/faces/odd_photographs.csv]

The faces are the two portraits of data=sample. Each case runs in a forked process and in a folder of its own.
"""

from __future__ import annotations

import csv
import os
import struct
import sys
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image, ImageDraw

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))

from forked import command  # noqa: E402
from rich.progress import track  # noqa: E402

from facehall.cli.experiments import experiment_parser  # noqa: E402
from facehall.data.sources.sample import SampleSource  # noqa: E402
from facehall.inference import restoration  # noqa: E402, F401 (imported before forking)

COLUMNS = ("input", "status", "new files", "output", "as expected")
SUCCESS, FAILURE = 0, 2


def sample(split: str, name: str) -> Image.Image:
    """Return a whole photograph of data=sample."""
    files = {file.name: file.hr for file in SampleSource().split(split)}  # type: ignore[arg-type]
    return Image.open(files[name]).convert("RGB")


ASTRONAUT, ADMIRAL = sample("val", "astronaut"), sample("test", "grace_hopper")
CAT, COFFEE = sample("val", "chelsea"), sample("train", "coffee")


class Case(NamedTuple):
    """An odd input: `make` writes files into the current folder, `message` must be part of the output.

    `check` reads what was written and returns whether it is as it should be.
    """

    name: str
    make: Callable[[], object]
    arguments: list[str]
    status: int
    message: str
    created: tuple[str, ...] = ("out.png",)
    check: Callable[[], bool] = lambda: True


def size(image: Image.Image) -> tuple[int, int]:
    return image.width * 4, image.height * 4


def written(expected: Image.Image, mode: str = "RGB") -> Callable[[], bool]:
    """Return a check that out.png has four times the size of a picture, and a mode of Pillow."""

    def check() -> bool:
        with Image.open("out.png") as image:
            return image.size == size(expected) and image.mode == mode

    return check


def drawing() -> Image.Image:
    image = Image.new("RGB", (256, 256), "white")
    pen = ImageDraw.Draw(image)
    pen.ellipse((48, 32, 208, 224), outline="black", width=4)
    for x in (96, 160):
        pen.ellipse((x - 10, 90, x + 10, 110), fill="black")
    pen.arc((90, 130, 166, 190), 20, 160, fill="black", width=4)
    return image


def wall() -> Image.Image:
    face = ADMIRAL.crop((170, 100, 350, 300)).resize((72, 80), Image.Resampling.LANCZOS)
    image = Image.new("RGB", (20 * 80, 10 * 90), (90, 90, 90))
    for index in range(200):
        image.paste(face, (index % 20 * 80 + 4, index // 20 * 90 + 5))
    return image


def deep(image: Image.Image, grey: bool = False) -> Callable[[], object]:
    """Write a picture with 16 bits a channel, in levels that 8 bits lack."""
    levels = np.asarray(image.convert("L") if grey else image).astype(np.uint16) * 257
    return lambda: cv2.imwrite("in.png", levels if grey else levels[..., ::-1])


def with_bits(channels: int) -> Callable[[], bool]:
    def check() -> bool:
        levels = cv2.imread("out.png", cv2.IMREAD_UNCHANGED)
        return levels.dtype == np.uint16 and (1 if levels.ndim == 2 else levels.shape[2]) == channels

    return check


def transparent() -> Image.Image:
    image = ASTRONAUT.copy()
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    return image


def turned_by_exif() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown rotated by 90 degrees clockwise
    ASTRONAUT.rotate(90, expand=True).save("in.jpg", quality=95, exif=exif)


def truncated() -> None:
    ASTRONAUT.save("whole.jpg", quality=90)
    content = Path("whole.jpg").read_bytes()
    Path("whole.jpg").unlink()
    Path("in.jpg").write_bytes(content[: len(content) // 2])


def bomb() -> None:
    """Write a PNG of a few bytes that claims 60,000 x 60,000 pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    data = zlib.compress(b"")
    Path("in.png").write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )


def animation() -> None:
    small = ASTRONAUT.resize((128, 128))
    small.save("in.gif", save_all=True, append_images=[small.rotate(5)], duration=100)


def save(image: Image.Image, name: str = "in.png", **options: object) -> Callable[[], object]:
    return lambda: image.save(name, **options)  # type: ignore[arg-type]


def masked() -> Image.Image:
    image = ASTRONAUT.copy()
    ImageDraw.Draw(image).rectangle((175, 120, 275, 185), fill=(70, 120, 170))
    return image


def small_face(side: int) -> Image.Image:
    """A photograph whose only face is `side` pixels high, in an empty landscape."""
    face = ADMIRAL.crop((170, 100, 350, 300))
    image = Image.new("RGB", (320, 240), (140, 150, 160))
    image.paste(face.resize((round(0.9 * side), side), Image.Resampling.LANCZOS), (100, 90))
    return image


NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (240, 320, 3), dtype=np.uint8))
OUT = ["in.png", "-o", "out.png"]
NOBODY, ONE = "no face found", "1 face found"
CASES = [
    Case("no face: a cup of coffee", save(COFFEE), OUT, SUCCESS, NOBODY, check=written(COFFEE)),
    Case("a cat", save(CAT), OUT, SUCCESS, NOBODY, check=written(CAT)),
    Case("a drawing", save(drawing()), OUT, SUCCESS, "found"),
    Case("noise", save(NOISE), OUT, SUCCESS, NOBODY),
    Case("a black picture", save(Image.new("RGB", (320, 240))), OUT, SUCCESS, NOBODY),
    Case("half a face", save(ASTRONAUT.crop((224, 0, 512, 512))), OUT, SUCCESS, "found"),
    Case("a face cut off at the brows", save(ASTRONAUT.crop((0, 100, 512, 512))), OUT, SUCCESS, "found"),
    Case("upside down", save(ASTRONAUT.rotate(180)), OUT, SUCCESS, "found"),
    Case("on its side", save(ASTRONAUT.rotate(90)), OUT, SUCCESS, "found"),
    Case("turned by EXIF", turned_by_exif, ["in.jpg", "-o", "out.png"], SUCCESS, "1 restored"),
    Case("eyes and nose covered", save(masked()), OUT, SUCCESS, "found"),
    Case("a face of 14 pixels", save(small_face(14)), OUT, SUCCESS, "found"),
    Case("a face of 40 pixels", save(small_face(40)), OUT, SUCCESS, ONE),
    Case("a face of 1,400 pixels", save(ASTRONAUT.crop((130, 20, 330, 220)).resize((2000, 2000))), [*OUT, "-s", "1"],
         SUCCESS, "found"),
    Case("a wall of 200 faces", save(wall()), [*OUT, "-s", "1"], SUCCESS, "200 faces found"),
    Case("16 bits", deep(ASTRONAUT), OUT, SUCCESS, "1 restored", check=with_bits(3)),
    Case("grey", save(ASTRONAUT.convert("L")), OUT, SUCCESS, "1 restored", check=written(ASTRONAUT, "L")),
    Case("grey, 16 bits", deep(ASTRONAUT, grey=True), OUT, SUCCESS, "1 restored", check=with_bits(1)),
    Case("alpha", save(transparent()), OUT, SUCCESS, "1 restored", check=written(ASTRONAUT, "RGBA")),
    Case("a palette", save(ASTRONAUT.quantize(64)), OUT, SUCCESS, "1 restored"),
    Case("CMYK JPEG", save(ASTRONAUT.convert("CMYK"), "in.jpg"), ["in.jpg", "-o", "out.png"], SUCCESS, "1 restored"),
    Case("an animation", animation, ["in.gif", "-o", "out.png"], SUCCESS, "only the first is used"),
    Case("one pixel", save(Image.new("RGB", (1, 1))), OUT, SUCCESS, NOBODY),
    Case("a strip of 2000x3", save(Image.new("RGB", (2000, 3), "white")), OUT, SUCCESS, NOBODY),
    Case("a truncated JPEG", truncated, ["in.jpg", "-o", "out.png"], FAILURE, "in.jpg", ()),
    Case("an empty file", lambda: Path("in.png").write_bytes(b""), OUT, FAILURE, "in.png", ()),
    Case("text named .png", lambda: Path("in.png").write_text("hello"), OUT, FAILURE, "in.png", ()),
    Case("60,000 x 60,000 pixels claimed", bomb, OUT, FAILURE, "in.png", ()),
    Case("no such file", lambda: None, OUT, FAILURE, "in.png", ()),
    Case("an empty folder", lambda: Path("in.png").mkdir(), OUT, FAILURE, "in.png", ()),
    Case("output exists", lambda: [ASTRONAUT.save("in.png"), Path("out.png").write_bytes(b"mine")], OUT, FAILURE,
         "out.png already exists", ()),
    Case("--paste without faces", save(ASTRONAUT), [*OUT, "--paste", "faces"], FAILURE, "faces", ()),
]  # fmt: skip


def run(case: Case) -> tuple[int, str, tuple[str, ...], list[str]]:
    """Run a case in the current folder; return status, output, new files and what is not as expected."""
    case.make()
    before = {path.name for path in Path().iterdir()}
    status, output = command(["restore", *case.arguments])
    created = tuple(sorted({path.name for path in Path().iterdir()} - before))
    passed = {
        f"status {status}": status == case.status,
        f"output lacks {case.message!r}": case.message in output,
        f"created {created}": created == case.created,
        "a traceback": "Traceback" not in output,
        "the file written": created != case.created or case.check(),
    }
    return status, output, created, [problem for problem, right in passed.items() if not right]


def main() -> int:
    """Write the table; return 1 if anything is not as expected."""
    parser = experiment_parser(__doc__, results=Path(__file__).with_suffix(".csv"))
    results = parser.parse_args().results.resolve()
    rows, home = [], Path.cwd()
    for case in track(CASES, "odd inputs"):
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            status, output, created, problems = run(case)
            os.chdir(home)
        text = " ".join(output.split())
        rows.append((case.name, status, " ".join(created), text, "; ".join(problems) or "yes"))
        print(f"{case.name}: {status}, {text}{' PROBLEM: ' + '; '.join(problems) if problems else ''}")
    with results.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows((COLUMNS, *rows))
    wrong = sum(row[-1] != "yes" for row in rows)
    print(f"{len(rows) - wrong} of {len(rows)} as expected")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
