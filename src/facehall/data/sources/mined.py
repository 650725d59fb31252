"""Stored patches as a picture source."""

from __future__ import annotations

from pathlib import Path

from facehall.data.annotations import locator
from facehall.data.sources.base import ImageFile, Split, check_limits, check_split, limit_files
from facehall.data.storage.manifest import MANIFEST, StoredPatch, read_manifest
from facehall.errors import FacehallError


class MinedSource:
    """Patches stored by `python -m facehall.mine`: each is one picture, in the split it was mined from.

    Args:
        root: output folder of facehall.mine, with its manifest.
        scale: s of the training; must equal the scale of the stored patches.
        patch_size: side of training patches in LR pixels, at most that of the stored patches; None if unknown.
        val_limit, test_limit: maximum number of patches, chosen by a hash of their names; None uses all.
        annotations: ``beside`` for those mined with the patches; None ignores them.

    Raises:
        FacehallError: missing manifest or files, different scale, or stored patches too small.
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
                f"{self.root / MANIFEST} lists no {which} patches: mine to another folder with {which} in the splits "
                "of facehall.mine."
            )
        return limit_files(files, self.limits[which])

    def _picture(self, patch: StoredPatch) -> ImageFile:
        hr, lr = _files(self.root, patch)
        return ImageFile(f"{patch.split}/{patch.name}", hr, lr, annotations=self.locate(hr))

    def _check_files(self) -> None:
        missing = [str(path) for patch in self.patches for path in _files(self.root, patch) if not path.is_file()]
        if missing:
            more = f" and {len(missing) - 10} more" if len(missing) > 10 else ""
            raise FacehallError(
                f"{len(missing)} file(s) listed in {self.root / MANIFEST} are missing: "
                f"{', '.join(missing[:10])}{more}. Copy the folder again, or mine the patches again."
            )


def _files(root: Path, patch: StoredPatch) -> tuple[Path, Path]:
    return patch.file(root, "HR"), patch.file(root, "LR")


def check_fit(where: str, stored: tuple[int, int], patch_size: int | None, scale: int) -> None:
    """Check that stored patches (size in LR pixels, scale) fit a training configuration.

    Raises:
        FacehallError: the scale differs, or the stored patches are too small.
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
