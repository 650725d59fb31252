"""Access to shards: read in place on disk, or through a cache of chunks from object storage."""

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

PREFETCH_THREAD = "facehall-prefetch"
STALE_SECONDS = 24 * 3600
"""Age after which an unfinished download is considered abandoned."""


class ChunkStore:
    """Patches of one split in shards, addressed by chunk and position.

    One chunk is open at a time, because readers go chunk by chunk. From object storage, LitData's downloader fetches
    whole chunks, once per machine, into facehall's cache (FACEHALL_CACHE); the least recently used are evicted.

    Args:
        url: a folder with index.json, on disk or in object storage (s3://, gs://, azure://, r2://).
        cache_gb: capacity for fetched chunks of all stores together; concurrent fetches may exceed it.

    Raises:
        FacehallError: the index is missing, was not written by facehall.mine, or cannot be fetched.
    """

    def __init__(self, url: str, cache_gb: float = 20) -> None:
        self.url = url.rstrip("/")
        self.capacity = int(cache_gb * 2**30)
        self.remote = "://" in url or url.startswith("local:")  # LitData's prefix for a folder treated as remote
        where = f"{self.url}/{INDEX}"
        text = self._remote_index(where) if self.remote else self._local_index(where)
        self.chunks = read_index(text, where)
        # The index is part of the key, so that chunks cached for an earlier store with the same URL are not reused.
        digest = hashlib.sha256(f"{self.url}\n{text}".encode()).hexdigest()[:24]
        self.folder = cache_dir() / "shards" / digest if self.remote else Path(self.url)
        largest = max(chunk.size for chunk in self.chunks)
        # The current chunk, the prefetched one, and that of a slower process:
        if self.remote and self.capacity < 3 * largest:
            raise FacehallError(
                f"patches.cache_gb={cache_gb:g} is too small for three chunks of {self.url} with up to "
                f"{largest / 2**30:.2f} GB each: set at least {3 * largest / 2**30:.2f}."
            )
        self._open: tuple[int, memoryview] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_open": None}  # memory maps are not sent to other processes

    def read(self, chunk: int, position: int) -> ShardItem:
        """Read item `position` of chunk number `chunk`.

        Raises:
            FacehallError: the chunk is missing, damaged, or cannot be fetched.
        """
        if self._open is None or self._open[0] != chunk:
            self._open = chunk, self._map(self.chunks[chunk])
        return read_item(self._open[1], position, f"{self.url}/{self.chunks[chunk].file}")

    def prefetch(self, chunk: int) -> None:
        """Start fetching the next chunk in the background; failures surface when it is read."""
        if self.remote:
            Thread(target=self._fetch_quietly, args=(self.chunks[chunk],), name=PREFETCH_THREAD, daemon=True).start()

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
                        f"{path} has {path.stat().st_size} bytes, but {INDEX} lists {chunk.size}: copy it again."
                    )
                with path.open("rb") as file:
                    return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
            except FileNotFoundError:
                if not self.remote:
                    raise FacehallError(f"{path} is missing, but {INDEX} lists it: copy the shards again.") from None
                # Another process evicted it in the meantime: fetch it again.

    def _fetch(self, chunk: Chunk) -> None:
        path = self.folder / chunk.file
        self.folder.mkdir(parents=True, exist_ok=True)
        with file_lock(self.folder / f".{chunk.file}.lock"):
            with contextlib.suppress(FileNotFoundError):
                os.utime(path)  # the cache evicts the least recently used
                return
            self._make_room(chunk.size)
            with tempfile.TemporaryDirectory(prefix=".fetch-", dir=self.folder) as folder:
                fetched = Path(folder, chunk.file)
                self._download(f"{self.url}/{chunk.file}", fetched)
                if fetched.stat().st_size != chunk.size:
                    raise FacehallError(f"{self.url}/{chunk.file} does not have the size in {INDEX}: upload it again.")
                fetched.replace(path)

    def _make_room(self, size: int) -> None:
        for path in self.folder.parent.glob("*/.fetch-*"):  # from killed processes
            with contextlib.suppress(FileNotFoundError):  # just finished
                if path.stat().st_mtime < time.time() - STALE_SECONDS:
                    shutil.rmtree(path, ignore_errors=True)
        found = file_stats(self.folder.parent.glob("*/chunk-*.bin"))
        remove_oldest(found, sum(stat.st_size for _, stat in found) + size - self.capacity)

    def _local_index(self, where: str) -> str:
        try:
            return Path(where).read_text(encoding="utf-8")
        except OSError as error:
            raise FacehallError(
                f"{where} cannot be read ({error.strerror or error}): patches=shards needs patches.root=OUT, a folder "
                "written by `python -m facehall.mine format=shards …`."
            ) from error

    def _remote_index(self, where: str) -> str:
        with tempfile.TemporaryDirectory() as folder:
            self._download(where, Path(folder, INDEX))
            return Path(folder, INDEX).read_text(encoding="utf-8")

    def _download(self, url: str, path: Path) -> None:
        check_litdata(f"patches.root={url}")
        from litdata.streaming.downloader import get_downloader

        try:
            get_downloader(self.url, str(path.parent), [], {}, {}).download_file(url, str(path))
            if not path.is_file():
                raise FileNotFoundError("the download produced no file")
        except Exception as error:  # each storage backend has its own exceptions
            reason = (str(error).splitlines() or [""])[0]
            raise FacehallError(f"{url} cannot be fetched ({type(error).__name__}: {reason}).") from error
