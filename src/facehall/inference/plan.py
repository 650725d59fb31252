"""Which picture is written where: decided, and checked for clashes, before anything is computed."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from facehall.errors import FacehallError
from facehall.imaging import list_images

WRITABLE = (".png", ".jpg", ".jpeg", ".webp")
"""What `write_picture` writes; a picture of any other kind becomes a PNG file."""


class Job(NamedTuple):
    """A picture to read and the file to write."""

    source: Path
    target: Path

    @property
    def renamed(self) -> bool:
        """Whether the result is another kind of file than its source."""
        return self.source.name != self.target.name


def plan(source: str | Path, target: str | Path) -> list[Job]:
    """Pair a file, or every image below a folder, with a file of the same name and sub-folder below `target`.

    What lies below `target` already is not taken for input, so that a target inside the source folder does not feed
    on its own results. Kinds of files that are read but not written (BMP, TIFF, PPM, …) become .png.

    Args:
        source: an image file or a folder.
        target: a folder, there or not.

    Raises:
        FacehallError: there is nothing to read, the target is a file, two pictures would become one file, or a
            picture would be written over one that is to be read.
    """
    source, target = Path(source), Path(target)
    if not source.exists():
        raise FacehallError(f"input={source}: there is no such file or folder.")
    if target.exists() and not target.is_dir():
        raise FacehallError(f"output={target} is a file, but the pictures go into a folder. Give another name.")
    root = source.parent if source.is_file() else source
    if target.resolve() == root.resolve():
        raise FacehallError(
            f"output={target} is the folder of the pictures themselves, which keep their names: they would be "
            "overwritten. Give another folder."
        )
    files = [source] if source.is_file() else _outside(target, list_images(source), root)
    jobs = [Job(file, _writable(target / file.relative_to(root))) for file in files]
    _check_clashes(jobs)
    return jobs


def _outside(target: Path, files: list[Path], root: Path) -> list[Path]:
    folder = target.resolve()
    if not folder.is_relative_to(root.resolve()):
        return files
    outside = [file for file in files if not (root.resolve() / file.relative_to(root)).is_relative_to(folder)]
    if not outside:
        raise FacehallError(
            f"Every picture of input={root} lies below output={target}, where the results go. Give another output."
        )
    return outside


def _writable(path: Path) -> Path:
    return path if path.suffix.lower() in WRITABLE else path.with_suffix(".png")


def _check_clashes(jobs: list[Job]) -> None:
    sources = {job.source.resolve() for job in jobs}
    writers: dict[Path, Path] = {}
    for job in jobs:
        if job.target in writers:
            raise FacehallError(
                f"{writers[job.target]} and {job.source} would both be written as {job.target}, because only "
                f"{', '.join(WRITABLE)} are written and anything else becomes .png. Rename one of them."
            )
        writers[job.target] = job.source
        if job.target.resolve() in sources:
            raise FacehallError(
                f"{job.source} would be written to {job.target}, which is one of the pictures to read. Give another "
                "output folder."
            )
