"""Download, verify and unpack zip archives of pictures; interrupted work resumes on the next call."""

from __future__ import annotations

import logging
import os
import shutil
import zipfile
import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from facehall.errors import FacehallError
from facehall.io.atomic import replacing
from facehall.io.download import check_url, download, matches_sha256
from facehall.io.locking import file_lock
from facehall.io.partial import Partial
from facehall.io.progress import progress_bar
from facehall.io.transfer import UnreachableError

_log = logging.getLogger(__name__)

DOWNLOADS = "downloads"
"""Folder below the root for downloaded archives."""

_LOCK = ".download.lock"
_LOCK_TIMEOUT = 7 * 24 * 3600.0  # seconds to wait for another process that downloads the same archives
_UNPACKED_RATIO = 1.05  # unpacked over packed size: PNG files do not compress again, but fill whole blocks


@dataclass(frozen=True)
class Archive:
    """A zip archive of pictures.

    Attributes:
        file: file name on the server.
        size: in bytes.
        sha256: hex digest.
        folder: target folder below the root; folders inside the archive are ignored.
        pictures: names of all its pictures.
    """

    file: str
    size: int
    sha256: str
    folder: str
    pictures: tuple[str, ...]

    def missing(self, root: Path) -> int:
        """Return the number of pictures missing from the target folder."""
        try:
            present = {entry.name for entry in os.scandir(root / self.folder)}
        except FileNotFoundError:
            present = set()
        return len(set(self.pictures) - present)


def fetch(archives: Sequence[Archive], root: Path, origin: str, keep: bool = False) -> None:
    """Complete the folders of the archives; complete folders are skipped at no cost.

    An archive already present in `root` is used and kept. Others are downloaded to `root`/downloads and removed once
    all their pictures are unpacked and match the archive's checksums. If several processes call this, one works and
    the others wait.

    Args:
        origin: URL of the folder that holds the archives.
        keep: keep downloaded archives.

    Raises:
        FacehallError: not enough disk space, or an archive cannot be downloaded or has the wrong checksum.
    """
    try:
        lock = root / _LOCK
        # A leftover lock file means that a process was killed, so there may be something to clean up.
        if lock.exists() or any(archive.missing(root) for archive in archives):
            check_url(origin)  # before anything is created
            root.mkdir(parents=True, exist_ok=True)
            with file_lock(
                lock, _LOCK_TIMEOUT, on_wait=lambda: _log_info(f"another process fetches into {root}; waiting")
            ):
                _fetch(archives, root, origin, keep)
    except OSError as error:
        raise FacehallError(
            f"Cannot write to {error.filename or root}: {error.strerror or error}. Fix that or set another data.root, "
            "then run the same command again to resume."
        ) from error


def _fetch(archives: Sequence[Archive], root: Path, origin: str, keep: bool) -> None:
    _check_disk_space([archive for archive in archives if archive.missing(root)], root, keep)
    try:
        for archive in archives:
            _complete(archive, root, origin, keep)
    finally:
        with suppress(OSError):  # not empty, or never created
            (root / DOWNLOADS).rmdir()


def _complete(archive: Archive, root: Path, origin: str, keep: bool) -> None:
    provided, downloaded = root / archive.file, root / DOWNLOADS / archive.file
    if archive.missing(root):
        if provided.is_file():
            if not matches_sha256(provided, archive.sha256):
                raise FacehallError(
                    f"{provided} is not the published archive: its sha256 does not start with {archive.sha256[:16]}. "
                    "Copy it again, or remove it to download it."
                )
            unpack(provided, root / archive.folder, archive.pictures)
            return
        _download(archive, root, origin, downloaded)
        unpack(downloaded, root / archive.folder, archive.pictures)
    if not keep:
        downloaded.unlink(missing_ok=True)


def _download(archive: Archive, root: Path, origin: str, target: Path) -> None:
    try:
        download(f"{origin.rstrip('/')}/{archive.file}", target, sha256=archive.sha256)
    except FacehallError as error:
        if isinstance(error.__cause__, UnreachableError):
            raise FacehallError(
                f"{error} Run this on a machine with network access, or copy {archive.file} to {root} to have it "
                "unpacked."
            ) from error
        raise


def unpack(archive: Path, folder: Path, pictures: Sequence[str]) -> None:
    """Unpack the pictures of a zip file, regardless of its folders, into one folder.

    Each picture is written atomically and verified; those already present with the right checksum are kept. Nothing
    else is written: names inside the archive are never used as paths.

    Raises:
        FacehallError: the file is damaged, or lacks a picture.
    """
    for leftover in folder.glob(".*.part"):  # from a killed process
        leftover.unlink()
    try:
        with (
            zipfile.ZipFile(archive) as packed,
            progress_bar(f"unpacking {archive.name}", len(pictures)) as advance,
        ):
            entries = {PurePosixPath(entry.filename).name: entry for entry in packed.infolist()}
            lacking = [name for name in pictures if name not in entries]
            if lacking:
                raise FacehallError(
                    f"{archive} lacks {len(lacking)} of {len(pictures)} pictures, for example {lacking[0]}. Remove it "
                    "and run the same command again."
                )
            for name in pictures:
                if not _is_intact(folder / name, entries[name]):
                    with (
                        replacing(folder / name) as partial,
                        packed.open(entries[name]) as source,
                        partial.open("wb") as file,
                    ):
                        shutil.copyfileobj(source, file, 1 << 20)  # verifies the CRC at the end
                        file.flush()
                        os.fsync(file.fileno())
                advance()
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise FacehallError(f"{archive} is damaged: {error}. Remove it and run the same command again.") from error


def _is_intact(path: Path, entry: zipfile.ZipInfo) -> bool:
    if not path.is_file() or path.stat().st_size != entry.file_size:
        return False
    return zlib.crc32(path.read_bytes()) == entry.CRC


def _check_disk_space(archives: Sequence[Archive], root: Path, keep: bool) -> None:
    """Check for the peak disk usage; archives are processed one by one."""
    used = needed = 0.0
    for archive in archives:
        unpacked = _UNPACKED_RATIO * archive.size * archive.missing(root) / len(archive.pictures)
        packed = (
            0 if (root / archive.file).is_file() else archive.size - _downloaded_bytes(root / DOWNLOADS / archive.file)
        )
        needed = max(needed, used + packed + unpacked)
        used += unpacked + (packed if keep else 0)
    free = shutil.disk_usage(root).free
    if needed > free:
        names = ", ".join(archive.file for archive in archives)
        raise FacehallError(
            f"Not enough disk space in {root} for {names}: {needed / 1e9:.2f} GB more are needed, "
            f"{free / 1e9:.2f} GB are free. Free some space or set another data.root."
        )


def _downloaded_bytes(target: Path) -> int:
    """Return the size in bytes of a complete or partial download."""
    return target.stat().st_size if target.is_file() else Partial(target, "").size


def _log_info(text: str) -> None:
    _log.info("%s", text)
