"""Pictures from file to file with a bar, and what is to be said at the end: the work of both commands."""

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
from facehall.inference.before_after import compare as compared
from facehall.inference.plan import Job, sheet
from facehall.inference.predictor import Failure, Outcome, Predictor
from facehall.io.logs import say
from facehall.io.progress import progress_bar

LISTED = 20
"""How many failures, or pictures of one peculiarity, are told one by one."""


@dataclasses.dataclass
class Report:
    """What became of each picture.

    Attributes:
        outcomes: written, or there already and left alone.
        failures: those that could not be.
        converted: what of a picture could not be kept, and of which ones.
    """

    outcomes: list[Outcome] = dataclasses.field(default_factory=list)
    failures: list[Failure] = dataclasses.field(default_factory=list)
    converted: dict[str, list[Path]] = dataclasses.field(default_factory=lambda: collections.defaultdict(list))

    @property
    def written(self) -> int:
        """How many pictures were written."""
        return sum(outcome.written for outcome in self.outcomes)

    def tell(self, destination: str, kept: str) -> None:
        """Print how it went.

        Args:
            destination: what follows after "N of M pictures written".
            kept: how those that were there already would have been replaced.

        Raises:
            FacehallError: pictures failed; it names them.
        """
        total = len(self.outcomes) + len(self.failures)
        say(f"{self.written} of {_pictures(total)} written{printable(destination if self.written else '')}")
        if there := len(self.outcomes) - self.written:
            say(f"{there} already there and left alone; {kept} replaces them")
        renamed = sorted({o.source.suffix or "no suffix" for o in self.outcomes if _became_png(o)})
        if renamed:
            say(f"Files that are read but not written ({printable(', '.join(renamed))}) became .png")
        for what, files in sorted(self.converted.items()):
            say(f"{_pictures(len(files))} had {what}: {_listed([printable(str(file)) for file in files], ', ')}")
        if self.failures:
            reasons = _listed([f"  {printable(failure.reason)}" for failure in self.failures], "\n")
            raise FacehallError(f"{len(self.failures)} of {_pictures(total)} failed:\n{reasons}")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without Pillow's warnings: what matters of damaged metadata and large pictures is told."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="PIL")
        yield


@_quiet()
def upscale_files(
    predictor: Predictor,
    jobs: Sequence[Job],
    overwrite: bool,
    compare: bool = False,
    **options: Any,
) -> Report:
    """Upscale pictures from file to file behind a progress bar.

    Args:
        predictor: what computes them.
        jobs: what `plan` gives.
        overwrite: replace files that are there already instead of leaving them alone.
        compare: put a sheet of before and after beside each result (`sheet`), where there is none or with `overwrite`.
        options: of `write_picture`.

    Raises:
        FacehallError: nothing further can be done; one bad picture does not stop the rest, it is in the report.
    """
    report = Report()
    pixels = [_pixels(job) if overwrite or not exists(job.target) else 0 for job in jobs]
    predictor.prepare(sum(pixels))
    title = f"upscaling x{predictor.scale} on {predictor.device}, {predictor.backend.partition(' ')[0]}"
    with progress_bar(title, sum(pixels), pixels=True) as advance:
        for job, count in zip(jobs, pixels, strict=True):
            if not overwrite and exists(job.target):
                report.outcomes.append(Outcome(job.source, job.target, written=False))
                continue
            done = 0

            def step(steps: int) -> None:
                nonlocal done
                done += steps
                advance(steps)

            for result in predictor.run([job], overwrite=overwrite, advance=step, **options):
                if compare and isinstance(result, Outcome) and (overwrite or not exists(sheet(job.target))):
                    result = _compared(predictor, result)
                _note(report, result)
            step(count - done)
    return report


def _note(report: Report, result: Outcome | Failure) -> None:
    if isinstance(result, Failure):
        report.failures.append(result)
        return
    report.outcomes.append(result)
    if result.written:
        with contextlib.suppress(FacehallError):  # the picture is gone by now
            for what in conversions(result.source):
                report.converted[what].append(result.source)


def _compared(predictor: Predictor, outcome: Outcome) -> Outcome | Failure:
    try:
        write_picture(sheet(outcome.target), compared(predictor, read_picture(outcome.source)))
    except FacehallError as error:
        return Failure(outcome.source, str(error))
    return outcome


def printable(text: str) -> str:
    """Text without what moves a terminal's cursor or cannot be encoded: file names may hold anything."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


def _became_png(outcome: Outcome) -> bool:
    return outcome.source.suffix.lower() not in WRITABLE and outcome.target.suffix.lower() == ".png"


def _listed(items: list[str], separator: str) -> str:
    indent = "  " if separator == "\n" else ""
    more = [f"{indent}and {len(items) - LISTED} more"] if len(items) > LISTED else []
    return separator.join(items[:LISTED] + more)


def _pictures(count: int) -> str:
    return f"{count} picture{'' if count == 1 else 's'}"


def exists(path: Path) -> bool:
    """Whether there is such a file, or a link to nowhere."""
    return os.path.lexists(path)  # Path's own raises on names that are too long, which writing will tell


def _pixels(job: Job) -> int:
    """Of the input; 0 for what cannot be read, which reading will tell."""
    try:
        width, height = read_size(job.source)
    except FacehallError:
        return 0
    return width * height
