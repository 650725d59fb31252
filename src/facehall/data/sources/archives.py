"""Zip archives of pictures: fetched, checked, unpacked; interrupted at any moment, the next start goes on there."""

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
from facehall.io.download import check_address, download, matches
from facehall.io.locking import file_lock
from facehall.io.partial import Partial
from facehall.io.progress import progress_bar
from facehall.io.transfer import UnreachableError

_log = logging.getLogger(__name__)

DOWNLOADS = "downloads"
"""Below the root: archives while they are needed."""

_LOCK = ".download.lock"
_PATIENCE = 7 * 24 * 3600.0  # seconds to wait for a process that fetches the same
_ROOM = 1.05  # unpacked over packed size: PNG files do not compress again, but fill whole blocks


@dataclass(frozen=True)
class Archive:
    """A zip archive of pictures and what becomes of it.

    Attributes:
        file: its name on the server.
        size: in bytes.
        sha256: hex digest.
        folder: where its pictures go, below the root; the archive's own folders do not matter.
        pictures: their names, all of them.
    """

    file: str
    size: int
    sha256: str
    folder: str
    pictures: tuple[str, ...]

    def missing(self, root: Path) -> int:
        """How many of the pictures are not there."""
        try:
            there = {entry.name for entry in os.scandir(root / self.folder)}
        except FileNotFoundError:
            there = set()
        return len(set(self.pictures) - there)


def fetch(archives: Sequence[Archive], root: Path, origin: str, keep: bool = False) -> None:
    """Make the folders of the archives complete; whole folders are left alone and cost nothing.

    An archive that lies in `root` itself is used and stays. Others are downloaded into `root`/downloads, and removed
    when each of their pictures is there and has the archive's checksum. Several processes may ask for the same: one
    works, the others wait.

    Args:
        origin: the address of the folder that holds the archives.
        keep: keep what was downloaded.

    Raises:
        FacehallError: there is no room, or an archive cannot be had, or is not what was published.
    """
    try:
        lock = root / _LOCK
        # A lock file outlives a process that was killed: then there may be something to tidy up.
        if lock.exists() or any(archive.missing(root) for archive in archives):
            check_address(origin)  # before anything is measured or made
            root.mkdir(parents=True, exist_ok=True)
            with file_lock(lock, _PATIENCE, on_wait=lambda: _tell(f"another process fetches into {root}; waiting")):
                _fetch(archives, root, origin, keep)
    except OSError as error:
        raise FacehallError(
            f"Cannot write to {error.filename or root}: {error.strerror or error}. Mend that or choose another "
            "data.root, then run the same command again: it goes on from there."
        ) from error


def _fetch(archives: Sequence[Archive], root: Path, origin: str, keep: bool) -> None:
    _check_room([archive for archive in archives if archive.missing(root)], root, keep)
    try:
        for archive in archives:
            _complete(archive, root, origin, keep)
    finally:
        with suppress(OSError):  # it is not empty, or was never there
            (root / DOWNLOADS).rmdir()


def _complete(archive: Archive, root: Path, origin: str, keep: bool) -> None:
    own, ours = root / archive.file, root / DOWNLOADS / archive.file
    if archive.missing(root):
        if own.is_file():
            if not matches(own, archive.sha256):
                raise FacehallError(
                    f"{own} is not the archive that was published: its sha256 does not begin with "
                    f"{archive.sha256[:16]}. Copy it again, or remove it to have it downloaded."
                )
            unpack(own, root / archive.folder, archive.pictures)
            return
        _download(archive, root, origin, ours)
        unpack(ours, root / archive.folder, archive.pictures)
    if not keep:
        ours.unlink(missing_ok=True)


def _download(archive: Archive, root: Path, origin: str, target: Path) -> None:
    try:
        download(f"{origin.rstrip('/')}/{archive.file}", target, sha256=archive.sha256)
    except FacehallError as error:
        if isinstance(error.__cause__, UnreachableError):
            raise FacehallError(
                f"{error} Do this where there is a network, or put {archive.file} into {root}: it is unpacked there."
            ) from error
        raise


def unpack(archive: Path, folder: Path, pictures: Sequence[str]) -> None:
    """Unpack the pictures of a zip file, wherever in it they lie, into one folder.

    Each appears whole and checked; those that are there with the right checksum stay. Nothing else is written: names
    inside the archive never become paths.

    Raises:
        FacehallError: the file is damaged, or lacks a picture.
    """
    for left_over in folder.glob(".*.part"):  # of a process that was killed
        left_over.unlink()
    try:
        with (
            zipfile.ZipFile(archive) as packed,
            progress_bar(f"unpacking {archive.name}", len(pictures)) as advance,
        ):
            entries = {PurePosixPath(entry.filename).name: entry for entry in packed.infolist()}
            lacking = [name for name in pictures if name not in entries]
            if lacking:
                raise FacehallError(
                    f"{archive} lacks {len(lacking)} of {len(pictures)} pictures, {lacking[0]} for one. Remove it and "
                    "run the same command again."
                )
            for name in pictures:
                if not _is_whole(folder / name, entries[name]):
                    with (
                        replacing(folder / name) as partial,
                        packed.open(entries[name]) as source,
                        partial.open("wb") as file,
                    ):
                        shutil.copyfileobj(source, file, 1 << 20)  # checks the checksum at the end
                        file.flush()
                        os.fsync(file.fileno())
                advance()
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise FacehallError(f"{archive} is damaged: {error}. Remove it and run the same command again.") from error


def _is_whole(path: Path, entry: zipfile.ZipInfo) -> bool:
    if not path.is_file() or path.stat().st_size != entry.file_size:
        return False
    return zlib.crc32(path.read_bytes()) == entry.CRC


def _check_room(archives: Sequence[Archive], root: Path, keep: bool) -> None:
    """Archives are worked off one by one, so what must be free is the most that lies there at any time."""
    used = needed = 0.0
    for archive in archives:
        unpacked = _ROOM * archive.size * archive.missing(root) / len(archive.pictures)
        packed = 0 if (root / archive.file).is_file() else archive.size - _there(root / DOWNLOADS / archive.file)
        needed = max(needed, used + packed + unpacked)
        used += unpacked + (packed if keep else 0)
    free = shutil.disk_usage(root).free
    if needed > free:
        names = ", ".join(archive.file for archive in archives)
        raise FacehallError(
            f"There is no room in {root} for {names}: {needed / 1e9:.2f} GB are needed beyond what is there, "
            f"{free / 1e9:.2f} GB are free. Free some space or choose another data.root."
        )


def _there(target: Path) -> int:
    """Bytes of a download, finished or not."""
    return target.stat().st_size if target.is_file() else Partial(target, "").size


def _tell(text: str) -> None:
    _log.info("%s", text)
