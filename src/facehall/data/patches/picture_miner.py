"""Mine patches to disk, one picture at a time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from torch.utils.data import Dataset

from facehall.data.annotations import write_sidecar
from facehall.data.degradations import Degradation
from facehall.data.patches.mining import Corner, Mining
from facehall.data.patches.pairs import load_pair, read_annotations
from facehall.data.sources.base import ImageFile, Split
from facehall.data.storage.manifest import StoredPatch
from facehall.errors import FacehallError
from facehall.imaging import write_picture
from facehall.io.atomic import write_text

MAX_REPEATS = 100
"""Consecutive repeated corners after which a picture is considered exhausted."""


def draw_corners(lr: np.ndarray, size: int, count: int, mining: Mining, rng: np.random.Generator) -> list[Corner]:
    """Draw at most `count` distinct patch corners with the threshold of epoch 0; groups share a rejection budget.

    Returns fewer if the picture has no more, or if mining keeps returning the same corners.

    Args:
        lr: (h, w, 3) uint8 with h, w >= size.
        size: side of a patch in LR pixels.
    """
    index, columns = mining.index(lr, size), lr.shape[1] - size + 1
    corners: dict[tuple[int, int], Corner] = {}
    budget, repeats = mining.max_rejections * mining.group, 0
    while len(corners) < min(count, len(index)) and repeats < MAX_REPEATS:
        corner = mining.draw(index, columns, 0, rng, budget)
        if (corner.top, corner.left) in corners:
            repeats += 1
            continue
        corners[corner.top, corner.left] = corner
        budget, repeats = budget - corner.rejections, 0
        if len(corners) % mining.group == 0:
            budget = mining.max_rejections * mining.group
    return list(corners.values())


class PictureMiner(Dataset):
    """Dataset whose items cut and store the patches of one picture, in any process and order.

    Annotations of the picture are stored in sidecar files next to each HR patch.

    Item i is None, or the reason why picture i cannot be used. A picture's patches depend on the seed and its name
    alone. After its last patch, a picture's manifest rows are written to the file `result`; pictures with a result are
    done.

    Args:
        pictures: pairs of (split, file).
        root: output folder of the pairs, ROOT/SPLIT/HR and ROOT/SPLIT/LR.
        results: folder of the result files.
        scale: s.
        size: side of a patch in LR pixels.
        count: patches per picture.
        mining, degradation: see PatchDataset.
        seed: determines the patches.

    Raises:
        FacehallError: a file cannot be written.
    """

    def __init__(
        self,
        pictures: Sequence[tuple[Split, ImageFile]],
        root: Path,
        results: Path,
        scale: int,
        size: int,
        count: int,
        mining: Mining,
        degradation: Degradation,
        seed: int,
    ) -> None:
        self.pictures = list(pictures)
        self.root = root
        self.results = results
        self.scale = scale
        self.size = size
        self.count = count
        self.mining = mining
        self.degradation = degradation
        self.seed = seed

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: int) -> str | None:
        split, file = self.pictures[index]
        try:
            lr, hr = load_pair(file, self.scale, self.degradation, self.seed)
            annotations = read_annotations(file)
            if min(lr.shape[:2]) < self.size:
                side = self.size * self.scale
                raise FacehallError(f"{file.hr}: {hr.shape[1]}x{hr.shape[0]} pixels are too few for {side}x{side}.")
        except FacehallError as error:
            return str(error)
        digest = hashlib.sha256(file.name.encode()).digest()  # Python's hash() differs between runs
        rng = np.random.default_rng([self.seed, int.from_bytes(digest[:8], "big")])
        corners = draw_corners(lr, self.size, self.count, self.mining, rng)
        digits = len(str(self.count - 1))
        patches = [self._record(f"{file.name}_{k:0{digits}d}", split, file, corner) for k, corner in enumerate(corners)]
        for patch in patches:
            for kind, image, s in (("LR", lr, 1), ("HR", hr, self.scale)):
                top, left, side = patch.top * s, patch.left * s, patch.size * s
                write_picture(patch.file(self.root, kind), image[top : top + side, left : left + side])
                if kind == "HR" and annotations is not None:
                    write_sidecar(patch.file(self.root, kind), annotations.crop((left, top, left + side, top + side)))
        result = self.result(split, file)
        try:
            write_text(result, json.dumps([asdict(patch) for patch in patches]))
        except OSError as error:
            raise FacehallError(f"{result} cannot be written: {error.strerror or error}.") from error
        return None

    def result(self, split: Split, file: ImageFile) -> Path:
        """Return the result file of a picture, which marks it as done."""
        return self.results / split / f"{hashlib.sha256(file.name.encode()).hexdigest()[:32]}.json"

    def patches(self, split: Split, file: ImageFile) -> list[StoredPatch]:
        """Return the patches of a picture; empty if it is not done."""
        path = self.result(split, file)
        return [StoredPatch(**row) for row in json.loads(path.read_text(encoding="utf-8"))] if path.is_file() else []

    def _record(self, name: str, split: Split, file: ImageFile, corner: Corner) -> StoredPatch:
        where = {"top": corner.top, "left": corner.left, "size": self.size, "scale": self.scale}
        mined = {
            "flatness": corner.flatness,
            "rejections": corner.rejections,
            "threshold": self.mining.threshold_at(0),
        }
        return StoredPatch(name, split, str(file.hr), **where, **mined)  # type: ignore[arg-type]
