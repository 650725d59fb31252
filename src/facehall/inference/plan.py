"""Planning of output files: pair inputs with outputs and reject conflicts before any computation."""

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
"""Output formats; ``same`` is the input's format, or PNG if that can be read but not written."""
DEFAULT_SUFFIX = "_x{scale}"
"""Suffix of results that are written beside their inputs."""


# pathlib's equivalents raise on names that are too long and on circular links.
_is_dir, _exists, _is_link_or_file = os.path.isdir, os.path.exists, os.path.lexists


class Job(NamedTuple):
    """An input file and its output file."""

    source: Path
    target: Path

    @property
    def changes_format(self) -> bool:
        """Whether the suffixes of input and output differ."""
        return self.source.suffix != self.target.suffix


def sheet_path(target: Path) -> Path:
    """Return the path of the before/after sheet of a result."""
    return target.with_name(f"{target.stem}.compare.png")


class InputPicture(NamedTuple):
    """An input file; its path relative to `root` is kept below the output folder."""

    file: Path
    root: Path


def find_pictures(sources: str | Path | Sequence[str | Path], recursive: bool = True) -> list[InputPicture]:
    """Expand files, folders and glob patterns to input files, in order, without duplicates.

    Args:
        sources: files with any name; folders, of which files with one of IMAGE_SUFFIXES are used; or names that do not
            exist and contain any of ``* ? [``, which are patterns (``**`` matches any folders).
        recursive: include sub-folders of folders.

    Raises:
        FacehallError: if a source does not exist or contains no images.
    """
    given = [sources] if isinstance(sources, (str, Path)) else list(sources)
    found: dict[Path, InputPicture] = {}
    for source in given:
        for picture in _find_one(Path(source), recursive):
            found.setdefault(Path(os.path.abspath(picture.file)), picture)  # noqa: PTH100 (does not resolve links)
    return list(found.values())


def _find_one(source: Path, recursive: bool) -> list[InputPicture]:
    if _is_dir(source):
        files = list_images(source)
        if not recursive:
            files = [file for file in files if file.parent == source]
            if not files:
                raise FacehallError(f"The folder {source} contains pictures only in sub-folders, and recursive is off.")
        return [InputPicture(file, source) for file in files]
    if _is_link_or_file(source):  # a broken link is not a pattern; reading it reports the error
        return [InputPicture(source, source.parent)]
    if glob.has_magic(str(source)):
        matches = [Path(match) for match in sorted(glob.glob(str(source), recursive=True))]  # noqa: PTH207
        files = [match for match in matches if match.suffix.lower() in IMAGE_SUFFIXES and not _is_dir(match)]
        if not files:
            raise FacehallError(f"No picture matches {source}. Check the pattern.")
        return [InputPicture(file, file.parent) for file in files]
    raise FacehallError(f"input={source}: no such file or folder. Check the path.")


def plan(
    sources: str | Path | Sequence[str | Path] | Iterable[InputPicture],
    target: str | Path | None,
    *,
    suffix: str = "",
    kind: str = SAME,
    recursive: bool = True,
) -> list[Job]:
    """Pair inputs with output files.

    Files below the folder `target`, and results of other inputs, are not used as input, so that a second run with a
    target inside the source folder, or with results beside their inputs, does not upscale the results of the first.

    Args:
        sources: arguments of `find_pictures`, or its result.
        target: a folder, existing or not, in which names and sub-folders are kept; for a single picture also a file
            with a suffix in WRITABLE; None writes each result beside its input.
        suffix: appended to each name, before the extension.
        kind: one of FORMATS.
        recursive: include sub-folders of folders.

    Raises:
        FacehallError: if there are no inputs, the target cannot be written, two inputs have the same output, or an
            output would overwrite an input.
    """
    if kind not in FORMATS:
        raise FacehallError(f"format={kind}: choose one of {', '.join(FORMATS)}.")
    if "/" in suffix or os.sep in suffix or "\0" in suffix:
        raise FacehallError(f"suffix={suffix}: must be part of a file name, without path separators.")
    found = _as_pictures(sources, recursive)
    if target is None:
        jobs = [Job(file, _output_name(file, suffix, kind)) for file, _ in found]
        outputs = [path for job in jobs for path in (job.target, sheet_path(job.target))] if suffix else []
        results = {path.absolute() for path in outputs}
        jobs = [job for job in jobs if job.source.absolute() not in results]
    elif (file := _as_file(Path(target), len(found), kind)) is not None:
        jobs = [Job(found[0].file, file)]
    else:
        jobs = _jobs_into_folder(found, Path(target), suffix, kind)
    _check_clashes(jobs)
    return jobs


def _as_pictures(
    sources: str | Path | Sequence[str | Path] | Iterable[InputPicture], recursive: bool
) -> list[InputPicture]:
    if isinstance(sources, (str, Path)):
        return find_pictures(sources, recursive)
    given = list(sources)
    found = [source for source in given if isinstance(source, InputPicture)]
    return found or find_pictures([source for source in given if not isinstance(source, InputPicture)], recursive)


def _as_file(target: Path, pictures: int, kind: str) -> Path | None:
    """Return the target if it denotes a file, None if it denotes a folder."""
    if _is_dir(target) or target.suffix.lower() not in (*IMAGE_SUFFIXES, ".gif"):
        if _exists(target) and not _is_dir(target):
            raise FacehallError(f"output={target} is a file, but must be a folder. Give another name.")
        return None
    if pictures > 1:
        is_file = "is a file" if _exists(target) else "looks like a file name"
        raise FacehallError(
            f"output={target} {is_file}, but must be a folder for {pictures} pictures. Give another name."
        )
    if target.suffix.lower() not in WRITABLE:
        raise FacehallError(f"output={target} cannot be written. Use one of the suffixes {', '.join(WRITABLE)}.")
    if kind not in (SAME, _format_of(target)):
        raise FacehallError(f"output={target} and format={kind} contradict each other. Set only one of them.")
    return target


def _format_of(path: Path) -> str:
    return path.suffix.lower()[1:].replace("jpeg", "jpg")


def _jobs_into_folder(found: list[InputPicture], target: Path, suffix: str, kind: str) -> list[Job]:
    if not suffix and any(_realpath(target) == _realpath(root) for _, root in found):
        raise FacehallError(
            f"output={target} is the input folder: the inputs would be overwritten. Give another folder, or a suffix."
        )
    folder = _realpath(target)
    outside = [picture for picture in found if not _among_results(picture, folder)]
    if not outside:
        raise FacehallError(
            f"Every picture of input={found[0].root} is below output={target}, which is excluded from the input. Give "
            "another output."
        )
    return [Job(file, _output_name(target / file.relative_to(root), suffix, kind)) for file, root in outside]


def _among_results(picture: InputPicture, folder: Path) -> bool:
    """Return whether a picture is below the output `folder`, which is inside the input folder."""
    root = _realpath(picture.root)
    inside = folder.is_relative_to(root) and folder != root
    return inside and (root / picture.file.relative_to(picture.root)).is_relative_to(folder)


def _output_name(path: Path, suffix: str, kind: str) -> Path:
    ending = path.suffix if path.suffix.lower() in WRITABLE and kind in (SAME, _format_of(path)) else None
    ending = ending or (".png" if kind == SAME else f".{kind}")
    return path.with_name(path.stem + suffix + ending)


def _realpath(path: Path) -> Path:
    return Path(os.path.realpath(path))


def _check_clashes(jobs: list[Job]) -> None:
    sources = {_realpath(job.source) for job in jobs}
    writers: dict[Path, Path] = {}
    for job in jobs:
        if job.target in writers:
            raise FacehallError(
                f"{writers[job.target]} and {job.source} would both be written to {job.target} (only "
                f"{', '.join(WRITABLE)} can be written, other formats become .png). Rename one of them, or use "
                "different output folders."
            )
        writers[job.target] = job.source
        if _realpath(job.target) in sources:
            raise FacehallError(
                f"{job.source} would be written to {job.target}, which is one of the inputs. Give another output."
            )
