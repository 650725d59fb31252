"""Stored patches as a source of pictures."""

from __future__ import annotations

from pathlib import Path

from facehall.data.annotations import locator
from facehall.data.sources.base import ImageFile, Split, check_limits, check_split, limited
from facehall.data.storage.manifest import MANIFEST, StoredPatch, read_manifest
from facehall.errors import FacehallError


class MinedSource:
    """What `python -m facehall.mine` stored: each patch is a picture of its own, split as it was mined.

    Args:
        root: the folder, with its manifest.
        scale: s of the training; the store's must be the same.
        patch_size: side of the training's patches in LR pixels, where it is known: not larger than the stored ones.
        val_limit, test_limit: at most so many patches of a split, drawn by name; None takes all.
        annotations: ``beside`` for those that were mined with the patches; None leaves them.

    Raises:
        FacehallError: no manifest, another scale, patches too small, files that are missing.
    """

    def __init__(
        self,
        root: str | Path,
        scale: int,
        patch_size: int | None = None,
        val_limit: int | None = None,
        test_limit: int | None = None,
        annotations: str | Path | None = None,
    ) -> None:
        self.root = Path(root)
        self.limits: dict[Split, int | None] = {"train": None, "val": val_limit, "test": test_limit}
        check_limits(self.limits)
        self.locate = locator(annotations, self.root)
        self.patches = read_manifest(self.root)
        for patch in self.patches:
            check_fit(str(self.root), (patch.size, patch.scale), patch_size, scale)
        self._check_files()

    def split(self, which: Split) -> list[ImageFile]:
        check_split(which)
        files = [self._picture(patch) for patch in self.patches if patch.split == which]
        if not files:
            raise FacehallError(
                f"{self.root / MANIFEST} lists no {which} patches: mine them into another folder, with {which} among "
                "the splits of facehall.mine."
            )
        return limited(files, self.limits[which])

    def _picture(self, patch: StoredPatch) -> ImageFile:
        hr, lr = _files(self.root, patch)
        return ImageFile(f"{patch.split}/{patch.name}", hr, lr, annotations=self.locate(hr))

    def _check_files(self) -> None:
        missing = [str(path) for patch in self.patches for path in _files(self.root, patch) if not path.is_file()]
        if missing:
            more = f" and {len(missing) - 10} more" if len(missing) > 10 else ""
            raise FacehallError(
                f"{len(missing)} file(s) of {self.root / MANIFEST} are missing: {', '.join(missing[:10])}{more}. Copy "
                "the folder again, or mine the patches again."
            )


def _files(root: Path, patch: StoredPatch) -> tuple[Path, Path]:
    return patch.file(root, "HR"), patch.file(root, "LR")


def check_fit(where: str, stored: tuple[int, int], patch_size: int | None, scale: int) -> None:
    """See that stored patches (size in LR pixels, scale) serve a training.

    Raises:
        FacehallError: another scale, or smaller than the patches of the training.
    """
    stored_size, stored_scale = stored
    if stored_scale != scale:
        raise FacehallError(
            f"{where} holds patches for x{stored_scale}, which cannot be used with scale={scale}. Set "
            f"scale={stored_scale}, or mine patches with scale={scale}."
        )
    if patch_size is not None and patch_size > stored_size:
        raise FacehallError(
            f"patches.patch_size={patch_size}, but {where} holds patches of {stored_size}x{stored_size} LR pixels: set "
            f"patches.patch_size={stored_size} or smaller, or mine patches with patch_size={patch_size}."
        )
