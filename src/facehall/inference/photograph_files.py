"""Restoring photographs from files to files, with a progress bar and a report."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from facehall.errors import FacehallError
from facehall.imaging import read_picture, write_picture
from facehall.inference import face_files
from facehall.inference.batch import Report, exists, ignore_pillow_warnings, input_pixels, printable
from facehall.inference.photographs import PhotoRestorer
from facehall.inference.plan import Job
from facehall.inference.predictor import Failure, Outcome
from facehall.inference.restoration import backgrounds
from facehall.inference.restoration.reporting import PhotoReport, draw
from facehall.inference.streaming import write_strips
from facehall.inference.tiling.tiler import TileTooLargeError
from facehall.io.atomic import write_text
from facehall.io.logs import say
from facehall.io.progress import Counted, progress_bar


@dataclass
class PhotoReports(Report):
    """Results of a batch, with what was done with the faces.

    Attributes:
        photos: (source, target, report) of each photograph that was restored.
    """

    photos: list[tuple[Path, Path, PhotoReport]] = field(default_factory=list)

    def write_json(self, path: Path) -> None:
        """Write all faces as JSON.

        Raises:
            FacehallError: the file cannot be written.
        """
        photos = [
            {"source": str(source), "target": str(target), **report.as_json()} for source, target, report in self.photos
        ]
        try:
            write_text(path, json.dumps({"photos": photos}, indent=1) + "\n")
        except OSError as error:
            raise FacehallError(f"The report {path} cannot be written: {error.strerror or error}.") from error


def drawing_path(target: Path) -> Path:
    """Return where the photograph with its faces marked is written."""
    return target.with_name(f"{target.stem}.faces.png")


@ignore_pillow_warnings()
def restore_files(
    restorer: PhotoRestorer,
    jobs: Sequence[Job],
    overwrite: bool,
    drawn: bool = False,
    faces_only: Path | None = None,
    paste: Path | None = None,
    **options: Any,
) -> PhotoReports:
    """Restore files with a progress bar, and say for each what was done with its faces.

    Args:
        restorer: the settings.
        jobs: the result of `plan`.
        overwrite: replace existing files instead of skipping them.
        drawn: write the photograph with its faces marked beside each result, see `drawing_path`.
        faces_only: write the restored faces to this folder instead of photographs, see `write_faces`.
        paste: read the faces from this folder instead of restoring them, see `read_faces`.
        options: passed to `write_picture`.

    Raises:
        FacehallError: if the detector is missing or the device has too little memory for a tile; what concerns single
            photographs goes into the report.
    """
    results = PhotoReports()
    targets = [job.target if faces_only is None else face_files.index_file(faces_only, job.source) for job in jobs]
    pixels = [
        input_pixels(job) if overwrite or not exists(target) else 0 for job, target in zip(jobs, targets, strict=True)
    ]
    if any(pixels) and paste is None:
        restorer.load()
    if restorer.background == backgrounds.WEIGHTS and faces_only is None:
        restorer.predictor.prepare(sum(pixels))
    with progress_bar(
        f"restoring x{restorer.scale} on {restorer.predictor.device}", sum(pixels), pixels=True
    ) as advance:
        for job, target, count in zip(jobs, targets, pixels, strict=True):
            if not overwrite and exists(target):
                results.add(Outcome(job.source, target, written=False))
                continue
            step = Counted(advance)
            try:
                picture = read_picture(job.source)
                prepared = (
                    restorer.prepare(picture)
                    if paste is None
                    else face_files.read_faces(paste, job.source, picture, restorer)
                )
                if faces_only is not None:
                    face_files.write_faces(faces_only, job.source, prepared)
                else:
                    write_strips(target, picture, restorer.scale, restorer.strips(prepared, step), options)
                if drawn:
                    place = faces_only / target.name if faces_only is not None else target
                    write_picture(drawing_path(place), draw(picture, prepared.report.faces))
            except TileTooLargeError:  # further photographs would fail as well
                raise
            except FacehallError as error:
                results.add(Failure(job.source, str(error)))
            except OSError as error:
                results.add(Failure(job.source, f"{target}: {error.strerror or error}."))
            else:
                results.add(Outcome(job.source, target, written=True))
                results.photos.append((job.source, target, prepared.report))
                say(f"{printable(str(job.source))}: {prepared.report.summary}")
            step(count - step.done)
    return results
