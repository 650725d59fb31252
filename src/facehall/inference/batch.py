"""Batch upscaling of files with a progress bar and a summary, shared by both commands."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import os
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from facehall.errors import FacehallError
from facehall.imaging import WRITABLE, conversions, read_picture, read_size, write_picture
from facehall.inference.before_after import compare as compare_sheet
from facehall.inference.plan import Job, sheet_path
from facehall.inference.predictor import Failure, Outcome, Predictor
from facehall.io.logs import say
from facehall.io.progress import Counted, progress_bar

MAX_LISTED = 20
"""How many failures, or pictures with the same conversion, are listed individually."""


@dataclasses.dataclass
class Report:
    """Results of a batch.

    Attributes:
        outcomes: pictures that were written, or skipped because their result existed.
        failures: pictures that could not be read or written.
        converted: description of a lossy conversion -> the pictures affected.
    """

    outcomes: list[Outcome] = dataclasses.field(default_factory=list)
    failures: list[Failure] = dataclasses.field(default_factory=list)
    converted: dict[str, list[Path]] = dataclasses.field(default_factory=lambda: collections.defaultdict(list))

    @property
    def written(self) -> int:
        """Number of pictures written."""
        return sum(outcome.written for outcome in self.outcomes)

    def add(self, result: Outcome | Failure) -> None:
        """Add the result of one picture, and what reading it converts."""
        if isinstance(result, Failure):
            self.failures.append(result)
            return
        self.outcomes.append(result)
        if result.written:
            with contextlib.suppress(FacehallError):  # the source has been removed meanwhile
                for conversion in conversions(result.source):
                    self.converted[conversion].append(result.source)

    def print_summary(self, destination: str, overwrite_option: str) -> None:
        """Print the numbers of pictures written and skipped, and lossy conversions.

        Args:
            destination: text that follows "N of M pictures written".
            overwrite_option: the option that replaces existing results.

        Raises:
            FacehallError: if pictures failed; the message lists them.
        """
        total = len(self.outcomes) + len(self.failures)
        say(f"{self.written} of {_count_pictures(total)} written{printable(destination if self.written else '')}")
        if skipped := len(self.outcomes) - self.written:
            say(f"{skipped} skipped because the output exists; {overwrite_option} replaces it")
        suffixes = sorted({o.source.suffix or "no suffix" for o in self.outcomes if _became_png(o)})
        if suffixes:
            say(f"Formats that cannot be written ({printable(', '.join(suffixes))}) became .png")
        for conversion, files in sorted(self.converted.items()):
            names = _join_limited([printable(str(file)) for file in files], ", ")
            say(f"{_count_pictures(len(files))} had {conversion}: {names}")
        if self.failures:
            reasons = _join_limited([f"  {printable(failure.reason)}" for failure in self.failures], "\n")
            raise FacehallError(f"{len(self.failures)} of {_count_pictures(total)} failed:\n{reasons}")


@contextlib.contextmanager
def ignore_pillow_warnings() -> Iterator[None]:
    """Silence Pillow's warnings; damaged metadata and oversized images are reported separately."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="PIL")
        yield


@ignore_pillow_warnings()
def upscale_files(
    predictor: Predictor,
    jobs: Sequence[Job],
    overwrite: bool,
    compare: bool = False,
    **options: Any,
) -> Report:
    """Upscale files with a progress bar.

    Args:
        predictor: the network.
        jobs: the result of `plan`.
        overwrite: replace existing files instead of skipping them.
        compare: write a before/after sheet beside each result (`sheet_path`), replacing one only with `overwrite`.
        options: passed to `write_picture`.

    Raises:
        FacehallError: if the device has too little memory for a tile; other failures go into the report.
    """
    report = Report()
    pixels = [input_pixels(job) if overwrite or not exists(job.target) else 0 for job in jobs]
    predictor.prepare(sum(pixels))
    title = f"upscaling x{predictor.scale} on {predictor.device}, {predictor.backend.partition(' ')[0]}"
    with progress_bar(title, sum(pixels), pixels=True) as advance:
        for job, count in zip(jobs, pixels, strict=True):
            if not overwrite and exists(job.target):
                report.outcomes.append(Outcome(job.source, job.target, written=False))
                continue
            step = Counted(advance)
            for result in predictor.run([job], overwrite=overwrite, advance=step, **options):
                if compare and isinstance(result, Outcome) and (overwrite or not exists(sheet_path(job.target))):
                    result = _write_sheet(predictor, result)
                report.add(result)
            step(count - step.done)
    return report


def _write_sheet(predictor: Predictor, outcome: Outcome) -> Outcome | Failure:
    try:
        write_picture(sheet_path(outcome.target), compare_sheet(predictor, read_picture(outcome.source)))
    except FacehallError as error:
        return Failure(outcome.source, str(error))
    return outcome


def printable(text: str) -> str:
    """Escape control and unencodable characters, which file names may contain."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


def _became_png(outcome: Outcome) -> bool:
    return outcome.source.suffix.lower() not in WRITABLE and outcome.target.suffix.lower() == ".png"


def _join_limited(items: list[str], separator: str) -> str:
    indent = "  " if separator == "\n" else ""
    more = [f"{indent}and {len(items) - MAX_LISTED} more"] if len(items) > MAX_LISTED else []
    return separator.join(items[:MAX_LISTED] + more)


def _count_pictures(count: int) -> str:
    return f"{count} picture{'' if count == 1 else 's'}"


def exists(path: Path) -> bool:
    """Return whether the path is a file, folder or link, even a broken one."""
    return os.path.lexists(path)  # Path.exists raises on names that are too long, which writing reports


def input_pixels(job: Job) -> int:
    """Return the number of input pixels; 0 for unreadable files, which are reported later."""
    try:
        width, height = read_size(job.source)
    except FacehallError:
        return 0
    return width * height
