"""Restored faces as files: written to be edited or restored elsewhere, read back and pasted."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch

from facehall.errors import FacehallError
from facehall.faces.alignment import Similarity
from facehall.faces.detection import Face
from facehall.imaging import Picture, read_picture, resize_bicubic, to_levels, to_tensor, write_picture
from facehall.inference.photographs import PhotoRestorer, Restoration, RestoredFace
from facehall.inference.restoration.crops import cut, grey
from facehall.inference.restoration.planning import Action, PlannedFace
from facehall.inference.restoration.reporting import FaceReport, PhotoReport
from facehall.io.atomic import write_text


def index_file(folder: Path, source: Path) -> Path:
    """Return where the places of a photograph's faces are written."""
    return folder / f"{source.name}.faces.json"


def face_file(folder: Path, source: Path, number: int) -> Path:
    """Return where an aligned face of a photograph is written."""
    return folder / f"{source.name}.face{number:02d}.png"


def write_faces(folder: Path, source: Path, restoration: Restoration) -> None:
    """Write the restored faces of a photograph, aligned, and an index that says where they belong."""
    dtype = restoration.picture.rgb.dtype
    for face in restoration.faces:
        levels = to_levels(face.restored, dtype)
        picture = Picture(levels, grey=restoration.grey, icc=None if restoration.grey else restoration.picture.icc)
        write_picture(face_file(folder, source, face.report.plan.number), picture)
    write_text(index_file(folder, source), json.dumps(restoration.report.as_json(), indent=1) + "\n")


def read_faces(folder: Path, source: Path, picture: Picture, restorer: PhotoRestorer) -> Restoration:
    """Read faces that `write_faces` has written and somebody may have changed since, in any size.

    A face whose file was deleted is left.

    Args:
        folder: of the files.
        source: the photograph.
        picture: its pixels.
        restorer: whose scale and background the result gets.

    Raises:
        FacehallError: the index is missing, damaged or of another picture, or a face cannot be read.
    """
    index = index_file(folder, source)
    try:
        about = json.loads(index.read_text(encoding="utf-8"))
        entries = [_parse(entry) for entry in about["faces"]]
        size = int(about["width"]), int(about["height"])
    except FileNotFoundError:
        raise FacehallError(
            f"{index} does not exist. Write it and the faces first: facehall restore {source} --faces-only {folder}"
        ) from None
    except (OSError, ValueError, KeyError, TypeError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise FacehallError(f"{index} is not an index of faces ({reason}). Write it again with --faces-only.") from None
    height, width = picture.rgb.shape[:2]
    if size != (width, height):
        raise FacehallError(
            f"{index} is for a picture of {size[0]}x{size[1]} pixels, but {source} has {width}x{height}. Write the "
            "faces again with --faces-only."
        )
    without_colour = restorer.is_grey(picture)
    seen = replace(picture, grey=without_colour)
    reports, faces = [], []
    for report in entries:
        file = face_file(folder, source, report.plan.number)
        reports.append(report)
        if report.action == "left":
            continue
        if not file.exists():
            report.action, report.reason = "left", f"{file.name} was removed"
            continue
        crop = cut(seen, report.plan)
        faces.append(RestoredFace(report, crop, _read_face(file, report.plan, restorer.scale, without_colour)))
    faces.sort(key=lambda face: face.report.plan.extent)
    about = PhotoReport(width, height, restorer.scale, f"files in {folder}", restorer.background, reports)
    return Restoration(picture, without_colour, faces, about)


def _read_face(file: Path, plan: PlannedFace, scale: int, without_colour: bool) -> torch.Tensor:
    levels = read_picture(file).rgb
    if levels.shape[0] != levels.shape[1]:
        raise FacehallError(f"{file} is {levels.shape[1]}x{levels.shape[0]} pixels, but an aligned face is a square.")
    image = to_tensor(levels)
    side = max(image.shape[-1], plan.side * plan.reduction * scale)
    image = resize_bicubic(image, (side, side)).clamp(0, 1)
    return grey(image) if without_colour else image


def _parse(entry: dict[str, Any]) -> FaceReport:
    points = np.array(entry["points"], dtype=np.float64)
    left, top, right, bottom = (float(value) for value in entry["box"])
    action: Action = entry["action"]
    if points.shape != (5, 2) or action not in get_args(Action):
        raise ValueError("a face has 5 points and an action")
    to_crop = Similarity.from_matrix(np.array(entry["to_crop"], dtype=np.float64))
    plan = PlannedFace(
        int(entry["number"]),
        Face((left, top, right, bottom), float(entry["score"]), points, entry.get("yaw_degrees")),
        to_crop,
        action,
        str(entry["reason"]),
        int(entry.get("reduction", 1)),
        int(entry.get("crop_side", 0)),
    )
    if action != "left" and not (1 <= plan.reduction <= 8 and 1 <= plan.side <= 4096 and to_crop.scale > 0):
        raise ValueError(f"impossible crop of {plan.side} pixels")
    return FaceReport(plan, plan.action, plan.reason)
