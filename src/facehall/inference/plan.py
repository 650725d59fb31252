"""Which picture is written where: decided, and checked for clashes, before anything is computed."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from facehall.errors import FacehallError
from facehall.imaging import IMAGE_SUFFIXES, WRITABLE, list_images

SAME = "same"
FORMATS = (SAME, *(suffix[1:] for suffix in WRITABLE if suffix != ".jpeg"))
"""Kinds of files to write; ``same`` is each picture's own, or PNG where that is read but not written."""
BESIDE = "_x{scale}"
"""What is put behind the names of results that lie beside their pictures."""


# Path's own raise on names that are too long, and on links in a circle.
_is_dir, _exists, _is_link_or_file = os.path.isdir, os.path.exists, os.path.lexists


class Job(NamedTuple):
    """A picture to read and the file to write."""

    source: Path
    target: Path

    @property
    def renamed(self) -> bool:
        """Whether the result is another kind of file than its source."""
        return self.source.suffix != self.target.suffix


def sheet(target: Path) -> Path:
    """Where the sheet of before and after lies that belongs to a result."""
    return target.with_name(f"{target.stem}.compare.png")


class Found(NamedTuple):
    """A picture and where it was found: its name below `root` is its name below the output folder."""

    file: Path
    root: Path


def find(sources: str | Path | Sequence[str | Path], recursive: bool = True) -> list[Found]:
    """The pictures that files, folders and patterns stand for, each once, in this order.

    Args:
        sources: a file is taken whatever its name; of a folder, what ends in one of IMAGE_SUFFIXES; a name that does
            not exist and holds any of ``* ? [`` is a pattern, ``**`` any folders.
        recursive: take sub-folders of folders too.

    Raises:
        FacehallError: something does not exist or holds no picture.
    """
    given = [sources] if isinstance(sources, (str, Path)) else list(sources)
    found: dict[Path, Found] = {}
    for source in given:
        for picture in _find(Path(source), recursive):
            found.setdefault(Path(os.path.abspath(picture.file)), picture)  # noqa: PTH100 (links stay links)
    return list(found.values())


def _find(source: Path, recursive: bool) -> list[Found]:
    if _is_dir(source):
        files = list_images(source)
        if not recursive:
            files = [file for file in files if file.parent == source]
            if not files:
                raise FacehallError(f"The folder {source} holds pictures in sub-folders only, which are left out here.")
        return [Found(file, source) for file in files]
    if _is_link_or_file(source):  # a link to nowhere is a picture that will be named, not a pattern
        return [Found(source, source.parent)]
    if glob.has_magic(str(source)):
        matches = [Path(match) for match in sorted(glob.glob(str(source), recursive=True))]  # noqa: PTH207
        files = [match for match in matches if match.suffix.lower() in IMAGE_SUFFIXES and not _is_dir(match)]
        if not files:
            raise FacehallError(f"No picture matches {source}. Check the pattern.")
        return [Found(file, file.parent) for file in files]
    raise FacehallError(f"input={source}: there is no such file or folder.")


def plan(
    sources: str | Path | Sequence[str | Path] | Iterable[Found],
    target: str | Path | None,
    *,
    suffix: str = "",
    kind: str = SAME,
    recursive: bool = True,
) -> list[Job]:
    """Pair pictures with the files to write.

    What lies below the folder `target` already, or is the result of another one of the pictures, is not taken for
    input, so that neither a target inside the source folder nor results beside their pictures feed on themselves.

    Args:
        sources: what `find` takes, or gives.
        target: a folder, there or not, in which names and sub-folders stay; for a single picture also a file, if it
            ends in one of WRITABLE; None puts each result beside its picture.
        suffix: put behind each name, in front of its ending.
        kind: one of FORMATS.
        recursive: take sub-folders of folders too.

    Raises:
        FacehallError: there is nothing to read, the target cannot be written, two pictures would become one file, or a
            picture would be written over one that is to be read.
    """
    if kind not in FORMATS:
        raise FacehallError(f"format={kind}: choose one of {', '.join(FORMATS)}.")
    if "/" in suffix or os.sep in suffix or "\0" in suffix:
        raise FacehallError(f"suffix={suffix}: it is a part of a file's name, without separators.")
    found = _as_found(sources, recursive)
    if target is None:
        jobs = [Job(file, _renamed(file, suffix, kind)) for file, _ in found]
        made = [path for job in jobs for path in (job.target, sheet(job.target))] if suffix else []
        results = {path.absolute() for path in made}
        jobs = [job for job in jobs if job.source.absolute() not in results]
    elif (file := _as_file(Path(target), len(found), kind)) is not None:
        jobs = [Job(found[0].file, file)]
    else:
        jobs = _into_folder(found, Path(target), suffix, kind)
    _check_clashes(jobs)
    return jobs


def _as_found(sources: str | Path | Sequence[str | Path] | Iterable[Found], recursive: bool) -> list[Found]:
    if isinstance(sources, (str, Path)):
        return find(sources, recursive)
    given = list(sources)
    found = [source for source in given if isinstance(source, Found)]
    return found or find([source for source in given if not isinstance(source, Found)], recursive)


def _as_file(target: Path, pictures: int, kind: str) -> Path | None:
    """The target, if it is a file and not a folder."""
    if _is_dir(target) or target.suffix.lower() not in (*IMAGE_SUFFIXES, ".gif"):
        if _exists(target) and not _is_dir(target):
            raise FacehallError(f"output={target} is a file, but the pictures go into a folder. Give another name.")
        return None
    if pictures > 1:
        is_there = "is a file" if _exists(target) else "reads as the name of a file"
        raise FacehallError(f"output={target} {is_there}, but {pictures} pictures go into a folder. Give another name.")
    if target.suffix.lower() not in WRITABLE:
        raise FacehallError(f"output={target} cannot be written. Give a name that ends in {', '.join(WRITABLE)}.")
    if kind not in (SAME, _kind(target)):
        raise FacehallError(f"output={target} and format={kind} contradict each other. Leave one of them out.")
    return target


def _kind(path: Path) -> str:
    return path.suffix.lower()[1:].replace("jpeg", "jpg")


def _into_folder(found: list[Found], target: Path, suffix: str, kind: str) -> list[Job]:
    if not suffix and any(_real(target) == _real(root) for _, root in found):
        raise FacehallError(
            f"output={target} is the folder of the pictures themselves, which keep their names: they would be "
            "overwritten. Give another folder."
        )
    folder = _real(target)
    outside = [picture for picture in found if not _among_results(picture, folder)]
    if not outside:
        raise FacehallError(
            f"Every picture of input={found[0].root} lies below output={target}, where the results go. Give another "
            "output."
        )
    return [Job(file, _renamed(target / file.relative_to(root), suffix, kind)) for file, root in outside]


def _among_results(picture: Found, folder: Path) -> bool:
    """Whether a picture of a folder lies below `folder`, itself below that one."""
    root = _real(picture.root)
    inside = folder.is_relative_to(root) and folder != root
    return inside and (root / picture.file.relative_to(picture.root)).is_relative_to(folder)


def _renamed(path: Path, suffix: str, kind: str) -> Path:
    ending = path.suffix if path.suffix.lower() in WRITABLE and kind in (SAME, _kind(path)) else None
    ending = ending or (".png" if kind == SAME else f".{kind}")
    return path.with_name(path.stem + suffix + ending)


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))


def _check_clashes(jobs: list[Job]) -> None:
    sources = {_real(job.source) for job in jobs}
    writers: dict[Path, Path] = {}
    for job in jobs:
        if job.target in writers:
            raise FacehallError(
                f"{writers[job.target]} and {job.source} would both be written as {job.target} (only "
                f"{', '.join(WRITABLE)} are written, anything else becomes .png). Rename one of them, or write them "
                "to different folders."
            )
        writers[job.target] = job.source
        if _real(job.target) in sources:
            raise FacehallError(
                f"{job.source} would be written to {job.target}, which is one of the pictures to read. Give another "
                "output."
            )
