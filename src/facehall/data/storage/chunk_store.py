"""Shards wherever they lie: read in place on a disk, through a cache of chunks from object storage."""

from __future__ import annotations

import contextlib
import hashlib
import mmap
import os
import shutil
import tempfile
import time
from pathlib import Path
from threading import Thread
from typing import Any

from facehall.data.storage.shard_files import INDEX, Chunk, ShardItem, check_litdata, read_index, read_item
from facehall.errors import FacehallError
from facehall.io.cache import cache_dir
from facehall.io.eviction import file_stats, remove_oldest
from facehall.io.locking import file_lock

FETCHING = "facehall fetches ahead"
STALE = 24 * 3600
"""A fetch that is not over after so many seconds is not under way any more."""


class ChunkStore:
    """The patches of one split of shards, by chunk and place in it.

    One chunk is open at a time: readers come chunk by chunk. From object storage whole chunks are fetched by LitData's
    downloader, each once per machine, into facehall's cache (FACEHALL_CACHE); those used longest ago give way.

    Args:
        url: a folder with index.json, or one in object storage (s3://, gs://, azure://, r2://).
        cache_gb: room for fetched chunks, of all stores together; those that come at the same moment may exceed it.

    Raises:
        FacehallError: there is no index, it is not one of ours, or it cannot be fetched.
    """

    def __init__(self, url: str, cache_gb: float = 20) -> None:
        self.url = url.rstrip("/")
        self.room = int(cache_gb * 2**30)
        self.remote = "://" in url or url.startswith("local:")  # the latter is LitData's name for a far away folder
        where = f"{self.url}/{INDEX}"
        text = self._far_index(where) if self.remote else self._near_index(where)
        self.chunks = read_index(text, where)
        # Another index is another store: what was fetched for an earlier one of the same name is not mistaken for it.
        digest = hashlib.sha256(f"{self.url}\n{text}".encode()).hexdigest()[:24]
        self.folder = cache_dir() / "shards" / digest if self.remote else Path(self.url)
        largest = max(chunk.size for chunk in self.chunks)
        # The chunk that is read, the next one, and that of a slower process:
        if self.remote and self.room < 3 * largest:
            raise FacehallError(
                f"patches.cache_gb={cache_gb:g} must have room for three chunks of {self.url}, which have up to "
                f"{largest / 2**30:.2f} GB: give at least {3 * largest / 2**30:.2f}."
            )
        self._open: tuple[int, memoryview] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_open": None}  # what is mapped stays in its process

    def read(self, chunk: int, place: int) -> ShardItem:
        """Item `place` of chunk number `chunk`.

        Raises:
            FacehallError: the chunk is missing, damaged, or cannot be fetched.
        """
        if self._open is None or self._open[0] != chunk:
            self._open = chunk, self._map(self.chunks[chunk])
        return read_item(self._open[1], place, f"{self.url}/{self.chunks[chunk].file}")

    def fetch_ahead(self, chunk: int) -> None:
        """Begin to fetch a chunk that will be wanted next; failures are told when it is."""
        if self.remote:
            Thread(target=self._fetch_quietly, args=(self.chunks[chunk],), name=FETCHING, daemon=True).start()

    def _fetch_quietly(self, chunk: Chunk) -> None:
        with contextlib.suppress(FacehallError):
            self._fetch(chunk)

    def _map(self, chunk: Chunk) -> memoryview:
        path = self.folder / chunk.file
        while True:
            if self.remote:
                self._fetch(chunk)
            try:
                if path.stat().st_size != chunk.size:
                    raise FacehallError(
                        f"{path} has {path.stat().st_size} bytes, but {INDEX} says {chunk.size}: copy it again."
                    )
                with path.open("rb") as file:
                    return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
            except FileNotFoundError:
                if not self.remote:
                    raise FacehallError(f"{path} is missing, but {INDEX} lists it: copy the shards again.") from None
                # Another process made room for its own in between: fetch it once more.

    def _fetch(self, chunk: Chunk) -> None:
        path = self.folder / chunk.file
        self.folder.mkdir(parents=True, exist_ok=True)
        with file_lock(self.folder / f".{chunk.file}.lock"):
            with contextlib.suppress(FileNotFoundError):
                os.utime(path)  # the cache drops what was wanted longest ago
                return
            self._make_room(chunk.size)
            with tempfile.TemporaryDirectory(prefix=".fetch-", dir=self.folder) as folder:
                fetched = Path(folder, chunk.file)
                self._download(f"{self.url}/{chunk.file}", fetched)
                if fetched.stat().st_size != chunk.size:
                    raise FacehallError(f"{self.url}/{chunk.file} is not as long as {INDEX} says: upload it again.")
                fetched.replace(path)

    def _make_room(self, size: int) -> None:
        for path in self.folder.parent.glob("*/.fetch-*"):  # of processes that were killed
            with contextlib.suppress(FileNotFoundError):  # it ended just now
                if path.stat().st_mtime < time.time() - STALE:
                    shutil.rmtree(path, ignore_errors=True)
        found = file_stats(self.folder.parent.glob("*/chunk-*.bin"))
        remove_oldest(found, sum(stat.st_size for _, stat in found) + size - self.room)

    def _near_index(self, where: str) -> str:
        try:
            return Path(where).read_text(encoding="utf-8")
        except OSError as error:
            raise FacehallError(
                f"{where} cannot be read ({error.strerror or error}): patches=shards takes a folder that "
                "`python -m facehall.mine format=shards …` wrote, patches.root=OUT."
            ) from error

    def _far_index(self, where: str) -> str:
        with tempfile.TemporaryDirectory() as folder:
            self._download(where, Path(folder, INDEX))
            return Path(folder, INDEX).read_text(encoding="utf-8")

    def _download(self, url: str, path: Path) -> None:
        check_litdata(f"patches.root={url}")
        from litdata.streaming.downloader import get_downloader

        try:
            get_downloader(self.url, str(path.parent), [], {}, {}).download_file(url, str(path))
            if not path.is_file():
                raise FileNotFoundError("nothing came")
        except Exception as error:  # every storage has errors of its own
            reason = (str(error).splitlines() or [""])[0]
            raise FacehallError(f"{url} cannot be fetched ({type(error).__name__}: {reason}).") from error
