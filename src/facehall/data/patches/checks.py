"""Look at every picture before a training does: what cannot be used, what is changed on the way, what is stored."""

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
from facehall.data.patches.pairs import MADE_BY, Pairs, identity, read_hr, stands_alone
from facehall.data.sources.base import SPLITS, ImageFile, Remarking, Source, Split
from facehall.errors import FacehallError
from facehall.imaging import peculiarities
from facehall.io.machine import cores
from facehall.io.progress import progress_bar

Policy = Literal["strict", "skip"]

LISTED = 200
"""How many problems a report tells one by one."""

FACTS_MADE_BY = "1"
"""Counts up when the notes or the fingerprint of the same picture change."""

ALIKE = 32
"""Of the 255 bits of a fingerprint, so many may differ between two versions of one picture. Measured on 120 faces and
photographs: JPEG 30, halving, brightening and a crop of 1 % change 30 at most in 95 of 100 pictures; among 1,600
aligned faces the most similar two differ in 56."""


@dataclass
class Survey:
    """What was found.

    Attributes:
        files: what can be used, by split.
        checked: how many pictures were looked at.
        problems: a sentence for each that cannot be used; it names the file.
        notes: what is changed when a file is decoded -> the files.
        complaint: why not everything is in the store; None where it is.
        annotations: what every picture of a split comes with: landmarks, parsing, identity.
        remarks: what the source has to say, a sentence each.
    """

    files: dict[Split, list[ImageFile]]
    checked: int = 0
    problems: list[str] = field(default_factory=list)
    notes: dict[str, list[Path]] = field(default_factory=dict)
    complaint: str | None = None
    annotations: dict[Split, frozenset[str]] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)

    def report(self) -> str:
        """Everything worth telling, for people; empty where there is nothing."""
        lines = []
        if self.problems:
            lines.append(f"{len(self.problems)} of {self.checked} pictures cannot be used:")
            lines += [f"  {problem}" for problem in self.problems[:LISTED]]
            if len(self.problems) > LISTED:
                lines.append(f"  and {len(self.problems) - LISTED} more")
        for note, paths in self.notes.items():
            more = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
            lines.append(f"{len(paths)} with {note}: {', '.join(path.name for path in paths[:3])}{more}")
        lines += self.remarks
        if self.complaint:
            lines.append(f"Not all pictures are stored decoded, which makes loading slower: {self.complaint}.")
        return "\n".join(lines)


def survey(source: Source, pairs: Pairs, mining: Mining, patch_size: int, policy: Policy) -> Survey:
    """Decode every picture once and leave in the store of `pairs` what training and validation will ask for.

    A problem is: a file that cannot be read to its end, is smaller than a patch or what is to be cut out of it, has no
    sibling or does not fit it, lacks annotations that others of its split have, or is nearly the same picture in train
    as one in val or test.

    Args:
        source: the pictures.
        pairs: LR and HR of pictures, with their store.
        mining, patch_size: what training draws patches by, in LR pixels.
        policy: ``strict`` raises if there is any problem; ``skip`` leaves these files out.

    Raises:
        FacehallError: problems under ``strict``, or no picture of train or val is left; the text is the report.
    """
    listed = [(which, file) for which in SPLITS for file in _files(source, which)]
    examine = _Examine(listed, pairs, mining, patch_size)
    loader = DataLoader(examine, batch_size=None, num_workers=_processes(len(listed)), collate_fn=_as_it_is)
    found = Survey({"train": [], "val": [], "test": []}, checked=len(listed), remarks=remarks_of(source))
    kinds: dict[ImageFile, frozenset[str]] = {}
    prints: dict[Split, list[np.ndarray]] = {"train": [], "val": [], "test": []}
    with progress_bar("checking and decoding pictures", len(listed)) as advance:
        for (which, file), facts in zip(listed, loader, strict=True):
            advance()
            found.complaint = facts.get("complaint") or found.complaint
            if "problem" in facts:
                found.problems.append(facts["problem"])
                continue
            found.files[which].append(file)
            kinds[file] = frozenset(facts.get("annotations", ()))
            prints[which].append(np.unpackbits(np.frombuffer(bytes.fromhex(facts["print"]), np.uint8)))
            for note in facts["notes"]:
                found.notes.setdefault(note, []).append(file.hr)
    _part_twins(found, prints)
    _part_unlabelled(found, "train", kinds)
    _part_unlabelled(found, "val", kinds)
    _judge(found, policy)
    return found


def remarks_of(source: Source) -> list[str]:
    return source.remarks() if isinstance(source, Remarking) else []


def _files(source: Source, which: Split) -> list[ImageFile]:
    try:
        return source.split(which)
    except FacehallError:
        if which == "test":  # no concern of a training, except for pictures that train has too
            return []
        raise


def _processes(pictures: int) -> int:
    """How many decode: one a core, but none beside this one for a handful."""
    return min(cores(), pictures // 16)


def _as_it_is(item: Any) -> Any:
    return item


class _Examine(Dataset):
    """What there is to know of each picture, as plain values; a look at it stores its arrays."""

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
        if alone := stands_alone(file):
            return {"problem": alone}
        try:
            key = f"{MADE_BY} {identity(file.hr)} {file.box} {file.size} facts {FACTS_MADE_BY}"
            facts = json.loads(pairs.store.get(key, lambda: _facts(file)).tobytes())
            if which != "test":
                lr, hr = pairs(file)
                annotations = pairs.annotations(file)
            if which == "train":
                side = self.patch_size * pairs.scale
                if min(lr.shape[:2]) < self.patch_size:
                    raise FacehallError(
                        f"{file.hr}: {hr.shape[1]}x{hr.shape[0]} pixels are too few for patches of {side}x{side} in HR "
                        "(patches.patch_size times scale). Remove it or choose smaller patches."
                    )
                pairs.index(file, self.mining, self.patch_size)
        except FacehallError as error:
            return {"problem": str(error)}
        if which != "test" and annotations is not None:
            facts["annotations"] = sorted(annotations.kinds)
        return facts | {"complaint": pairs.store.complaint}


def _facts(file: ImageFile) -> np.ndarray:
    """Notes and fingerprint as the bytes of a JSON text."""
    facts = {"notes": peculiarities(file.hr), "print": np.packbits(fingerprint(read_hr(file))).tobytes().hex()}
    return np.frombuffer(json.dumps(facts).encode(), np.uint8)


def fingerprint(picture: np.ndarray) -> np.ndarray:
    """A perceptual hash: which of the 255 lowest frequencies of the picture, brought to 64x64, are above their median.

    Args:
        picture: (H, W, 3) uint8.

    Returns:
        (255,) bool.
    """
    grey = cv2.resize(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), (64, 64), interpolation=cv2.INTER_AREA)
    low = cv2.dct(grey.astype(np.float32))[:16, :16].ravel()[1:]
    return low > np.median(low)


def _part_twins(found: Survey, prints: dict[Split, list[np.ndarray]]) -> None:
    """Take pictures out of train that val or test has too."""
    if not prints["train"]:
        return
    twins: dict[int, str] = {}
    train = np.stack(prints["train"]).astype(np.float32)
    for which in ("val", "test"):
        for other, bits in zip(found.files[which], prints[which], strict=True):
            different = train @ (1 - bits) + (1 - train) @ bits
            for i in np.flatnonzero(different <= ALIKE):
                twins.setdefault(
                    int(i),
                    f"{found.files['train'][i].hr} of train shows nearly the same as {other.hr} of {which}: a model "
                    "that has seen it would be measured too well. Remove one of them.",
                )
    found.problems += [twins[i] for i in sorted(twins)]
    found.files["train"] = [file for i, file in enumerate(found.files["train"]) if i not in twins]


def _part_unlabelled(found: Survey, which: Split, kinds: dict[ImageFile, frozenset[str]]) -> None:
    """Take pictures out of a split that lack what others have: the samples of a batch hold the same things."""
    files = found.files[which]
    every = frozenset().union(*(kinds[file] for file in files))
    for file in files:
        if lacking := sorted(every - kinds[file]):
            found.problems.append(
                f"{file.hr} has no {' and no '.join(lacking)}, but other pictures of {which} have: add the annotation, "
                "or remove the picture."
            )
    found.files[which] = [file for file in files if kinds[file] == every]
    found.annotations[which] = every


def _judge(found: Survey, policy: Policy) -> None:
    if found.problems and policy == "strict":
        raise FacehallError(f"{found.report()}\nMend these, or leave them out: patches.checks=skip.")
    for which in ("train", "val"):
        if not found.files[which]:
            raise FacehallError(f"{found.report()}\nNo {which} picture is left.")
