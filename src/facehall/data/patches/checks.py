"""Data check before training: find unusable pictures, report conversions, and fill the store."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from torch.utils.data import DataLoader, Dataset

from facehall.data.patches.mining import Mining
from facehall.data.patches.pairs import ARRAYS_VERSION, Pairs, file_version, missing_partner, read_hr
from facehall.data.sources.base import SPLITS, HasRemarks, ImageFile, Source, Split
from facehall.errors import FacehallError
from facehall.imaging import rgb_conversions
from facehall.io.machine import cores
from facehall.io.progress import progress_bar

Policy = Literal["strict", "skip"]

MAX_LISTED = 200
"""Maximum number of problems listed in a report."""

FACTS_VERSION = "1"
"""Increase when the notes or the fingerprint of an unchanged picture change."""

DUPLICATE_BITS = 32
"""Maximum number of differing bits, of 255, between fingerprints of near-duplicates. Measured on 120 faces and
photographs: JPEG 30, halving, brightening and a crop of 1 % change at most 30 bits in 95 of 100 pictures; the most
similar two of 1,600 aligned faces differ in 56."""


@dataclass
class Survey:
    """Result of the data check.

    Attributes:
        files: usable pictures, by split.
        checked: number of pictures checked.
        problems: one sentence for each unusable picture, naming the file.
        notes: conversion on decoding -> the affected files.
        store_warning: why some pictures are not in the store, or None.
        annotations: kinds of annotation of every picture, by split: landmarks, parsing, identity.
        remarks: remarks of the source, one sentence each.
    """

    files: dict[Split, list[ImageFile]]
    checked: int = 0
    problems: list[str] = field(default_factory=list)
    notes: dict[str, list[Path]] = field(default_factory=dict)
    store_warning: str | None = None
    annotations: dict[Split, frozenset[str]] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)

    def report(self) -> str:
        """Return a human-readable report; empty if there is nothing to report."""
        lines = []
        if self.problems:
            lines.append(f"{len(self.problems)} of {self.checked} pictures cannot be used:")
            lines += [f"  {problem}" for problem in self.problems[:MAX_LISTED]]
            if len(self.problems) > MAX_LISTED:
                lines.append(f"  and {len(self.problems) - MAX_LISTED} more")
        for note, paths in self.notes.items():
            more = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
            lines.append(f"{len(paths)} with {note}: {', '.join(path.name for path in paths[:3])}{more}")
        lines += self.remarks
        if self.store_warning:
            lines.append(f"Some pictures are not stored decoded, which slows loading down: {self.store_warning}.")
        return "\n".join(lines)


def survey(source: Source, pairs: Pairs, mining: Mining, patch_size: int, policy: Policy) -> Survey:
    """Decode every picture once and fill the store of `pairs` with what training and validation need.

    Problems are files that cannot be decoded completely, are smaller than a patch or their box, have no matching LR or
    HR file, lack annotations that others of their split have, or are near-duplicates in train of pictures in val or
    test.

    Args:
        source: the pictures.
        pairs: loads LR and HR through its store.
        mining, patch_size: patch mining of the training; the size is in LR pixels.
        policy: ``strict`` raises on any problem; ``skip`` excludes the affected files.

    Raises:
        FacehallError: problems with ``strict``, or no usable picture in train or val; the message is the report.
    """
    listed = [(which, file) for which in SPLITS for file in _files(source, which)]
    dataset = _PictureChecks(listed, pairs, mining, patch_size)
    loader = DataLoader(dataset, batch_size=None, num_workers=_worker_count(len(listed)), collate_fn=_no_collate)
    found = Survey({"train": [], "val": [], "test": []}, checked=len(listed), remarks=source_remarks(source))
    kinds: dict[ImageFile, frozenset[str]] = {}
    fingerprints: dict[Split, list[np.ndarray]] = {"train": [], "val": [], "test": []}
    with progress_bar("checking and decoding pictures", len(listed)) as advance:
        for (which, file), facts in zip(listed, loader, strict=True):
            advance()
            found.store_warning = facts.get("store_warning") or found.store_warning
            if "problem" in facts:
                found.problems.append(facts["problem"])
                continue
            found.files[which].append(file)
            kinds[file] = frozenset(facts.get("annotations", ()))
            fingerprints[which].append(np.unpackbits(np.frombuffer(bytes.fromhex(facts["print"]), np.uint8)))
            for note in facts["notes"]:
                found.notes.setdefault(note, []).append(file.hr)
    _remove_duplicates(found, fingerprints)
    _remove_incomplete(found, "train", kinds)
    _remove_incomplete(found, "val", kinds)
    _raise_problems(found, policy)
    return found


def source_remarks(source: Source) -> list[str]:
    """Return the remarks of a source, if it has any."""
    return source.remarks() if isinstance(source, HasRemarks) else []


def _files(source: Source, which: Split) -> list[ImageFile]:
    try:
        return source.split(which)
    except FacehallError:
        if which == "test":  # training needs test only to find duplicates
            return []
        raise


def _worker_count(pictures: int) -> int:
    """Return the number of decoding workers: at most one per core, and none for a few pictures."""
    return min(cores(), pictures // 16)


def _no_collate(item: Any) -> Any:
    return item


class _PictureChecks(Dataset):
    """Check results of each picture, as plain values; reading an item also stores the picture's arrays."""

    def __init__(
        self, listed: Sequence[tuple[Split, ImageFile]], pairs: Pairs, mining: Mining, patch_size: int
    ) -> None:
        self.listed, self.mining, self.patch_size = listed, mining, patch_size
        self.pairs = {"train": pairs.for_mining(), "val": pairs, "test": pairs}

    def __len__(self) -> int:
        return len(self.listed)

    def __getitem__(self, index: int) -> dict[str, Any]:
        which, file = self.listed[index]
        pairs = self.pairs[which]
        if problem := missing_partner(file):
            return {"problem": problem}
        try:
            key = f"{ARRAYS_VERSION} {file_version(file.hr)} {file.box} {file.size} facts {FACTS_VERSION}"
            facts = json.loads(pairs.store.get(key, lambda: _facts(file)).tobytes())
            if which != "test":
                lr, hr = pairs(file)
                annotations = pairs.annotations(file)
            if which == "train":
                side = self.patch_size * pairs.scale
                if min(lr.shape[:2]) < self.patch_size:
                    raise FacehallError(
                        f"{file.hr}: {hr.shape[1]}x{hr.shape[0]} pixels are too few for HR patches of {side}x{side} "
                        "(patches.patch_size times scale). Remove it, or reduce patches.patch_size."
                    )
                pairs.index(file, self.mining, self.patch_size)
        except FacehallError as error:
            return {"problem": str(error)}
        if which != "test" and annotations is not None:
            facts["annotations"] = sorted(annotations.kinds)
        return facts | {"store_warning": pairs.store.warning}


def _facts(file: ImageFile) -> np.ndarray:
    """Return notes and fingerprint as JSON bytes."""
    facts = {"notes": rgb_conversions(file.hr), "print": np.packbits(fingerprint(read_hr(file))).tobytes().hex()}
    return np.frombuffer(json.dumps(facts).encode(), np.uint8)


def fingerprint(picture: np.ndarray) -> np.ndarray:
    """Compute a perceptual hash: which of the 255 lowest DCT coefficients at 64x64 pixels exceed their median.

    Args:
        picture: (H, W, 3) uint8.

    Returns:
        (255,) bool.
    """
    grey = cv2.resize(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), (64, 64), interpolation=cv2.INTER_AREA)
    low = cv2.dct(grey.astype(np.float32))[:16, :16].ravel()[1:]
    return low > np.median(low)


def _remove_duplicates(found: Survey, fingerprints: dict[Split, list[np.ndarray]]) -> None:
    """Remove pictures from train that are near-duplicates of pictures in val or test."""
    if not fingerprints["train"]:
        return
    duplicates: dict[int, str] = {}
    train = np.stack(fingerprints["train"]).astype(np.float32)
    for which in ("val", "test"):
        for other, bits in zip(found.files[which], fingerprints[which], strict=True):
            different = train @ (1 - bits) + (1 - train) @ bits
            for i in np.flatnonzero(different <= DUPLICATE_BITS):
                duplicates.setdefault(
                    int(i),
                    f"{found.files['train'][i].hr} in train is a near-duplicate of {other.hr} in {which}, which would "
                    "bias the measures. Remove one of them.",
                )
    found.problems += [duplicates[i] for i in sorted(duplicates)]
    found.files["train"] = [file for i, file in enumerate(found.files["train"]) if i not in duplicates]


def _remove_incomplete(found: Survey, which: Split, kinds: dict[ImageFile, frozenset[str]]) -> None:
    """Remove pictures that lack annotations which others of the split have, because batches need equal keys."""
    files = found.files[which]
    every = frozenset().union(*(kinds[file] for file in files))
    for file in files:
        if lacking := sorted(every - kinds[file]):
            found.problems.append(
                f"{file.hr} has no {' and no '.join(lacking)}, unlike other pictures of {which}: add the annotation, "
                "or remove the picture."
            )
    found.files[which] = [file for file in files if kinds[file] == every]
    found.annotations[which] = every


def _raise_problems(found: Survey, policy: Policy) -> None:
    if found.problems and policy == "strict":
        raise FacehallError(f"{found.report()}\nFix these files, or skip them with patches.checks=skip.")
    for which in ("train", "val"):
        if not found.files[which]:
            raise FacehallError(f"{found.report()}\nNo usable {which} picture is left.")
