"""Patch shards on disk in LitData's chunk format: written with LitData, read as untrusted data.

Of LitData's format (0.2) only one kind of item is used, the tuple of ITEM_FORMAT. A chunk consists of the item count n,
n + 1 offsets and the items; an item consists of the sizes of its parts and the parts. All numbers are little-endian
uint32. index.json lists the chunks and the deserializer of each part. LitData's own reader calls any deserializer named
in index.json, including pickle, and loses chunks under random access with a limited cache (0.2.76); this reader accepts
ITEM_FORMAT only.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from facehall.data.storage.manifest import StoredPatch
from facehall.errors import FacehallError

INDEX = "index.json"
ITEM_FORMAT = ["bytes", "bytes", "bytes", "float", "int", "float"]
"""LitData's types of the parts of an item: LR and HR as PNG, the name in UTF-8, flatness, rejections and threshold.

The name is bytes because LitData stores a str differently if it happens to be a file path; the item is a tuple because
LitData stores dicts differently if pyarrow is installed.
"""


@dataclass(frozen=True)
class ShardItem:
    """A patch read from a shard: LR and HR as PNG bytes, its name, and mining statistics."""

    lr: bytes
    hr: bytes
    name: str
    flatness: float
    rejections: int
    threshold: float


@dataclass(frozen=True)
class Chunk:
    """A chunk listed in the index: file name, size in bytes, number of items."""

    file: str
    size: int
    items: int


def check_litdata(asked: str) -> None:
    """Raise a FacehallError if LitData, which setting `asked` needs, is not installed."""
    try:
        import litdata  # noqa: F401
    except ImportError as error:
        raise FacehallError(f"{asked} needs LitData: pip install 'facehall[shards]'.") from error


def write_shards(folder: Path, store: Path, patches: Sequence[StoredPatch], chunk_mb: float, seed: int) -> None:
    """Pack stored patches into LitData chunks; the folder is created atomically.

    Train patches are assigned to chunks at random, so that each chunk is a random sample and training may read chunk by
    chunk. Other splits stay in order.

    Args:
        folder: output folder; if it exists already, nothing is done.
        store: root of the pairs.
        patches: patches to pack, all of one split.
        chunk_mb: size of a chunk in megabytes.
        seed: seed of the random assignment.
    """
    from litdata.streaming.writer import BinaryWriter

    if (folder / INDEX).is_file() or not patches:
        return
    partial = folder.with_name(f".{folder.name}.shards")
    shutil.rmtree(partial, ignore_errors=True)
    train = patches[0].split == "train"
    order = np.random.default_rng(seed).permutation(len(patches)) if train else range(len(patches))
    with _single_process():
        writer = BinaryWriter(str(partial), chunk_bytes=int(chunk_mb * 2**20))
        for position, i in enumerate(order):
            patch = patches[i]
            lr, hr = (patch.file(store, kind).read_bytes() for kind in ("LR", "HR"))
            writer[position] = (lr, hr, patch.name.encode(), patch.flatness, patch.rejections, patch.threshold)
        writer.done()
        writer.merge(1)
    partial.rename(folder)


@contextmanager
def _single_process() -> Iterator[None]:
    """Hide the environment variables of distributed jobs, because LitData would wait for shards of other processes."""
    names = ("WORLD_SIZE", "GLOBAL_RANK", "NNODES", "DATA_OPTIMIZER_GLOBAL_RANK")
    hidden = {name: os.environ.pop(name) for name in names if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(hidden)


def read_index(text: str, where: str) -> list[Chunk]:
    """Parse the chunks listed in an index.json.

    Args:
        where: path or URL of the index, for messages.

    Raises:
        FacehallError: the index is malformed, or names another deserializer, which could run arbitrary code.
    """
    try:
        index = json.loads(text)
        config: dict[str, Any] = index["config"]
        if config["data_format"] != ITEM_FORMAT:
            raise FacehallError(
                f"{where} declares the item format {', '.join(map(str, config['data_format']))}, but only "
                f"{', '.join(ITEM_FORMAT)} is read, because deserializers such as pickle can run arbitrary code. Write "
                "the shards with `python -m facehall.mine format=shards …`."
            )
        for key in ("compression", "encryption"):
            if config.get(key) is not None:
                raise FacehallError(
                    f"{where} uses {key}, which is not supported: write the shards with facehall.mine again."
                )
        chunks = [
            Chunk(_checked_name(each["filename"]), each["chunk_bytes"], each["chunk_size"]) for each in index["chunks"]
        ]
        if not chunks or any(not (isinstance(n, int) and n > 0) for chunk in chunks for n in (chunk.size, chunk.items)):
            raise ValueError("it lists no chunks, or empty ones")
    except (ValueError, KeyError, TypeError) as error:
        raise FacehallError(f"{where} is not a valid shard index ({type(error).__name__}: {error}).") from error
    return chunks


def _checked_name(name: str) -> str:
    if not re.fullmatch(r"chunk-\d+-\d+\.bin", name):  # rejects paths that leave the folder
        raise ValueError(f"{name!r} is not a chunk name")
    return name


def read_item(chunk: memoryview, index: int, where: str) -> ShardItem:
    """Read item `index` of a chunk.

    Raises:
        FacehallError: the bytes are damaged.
    """
    try:
        (count,) = struct.unpack_from("<I", chunk)
        if not 0 <= index < count:
            raise ValueError(f"item {index} of {count}")
        begin, end = struct.unpack_from("<2I", chunk, 4 * (1 + index))
        head = struct.calcsize("<6I")
        sizes = struct.unpack_from("<6I", chunk, begin)
        if begin + head + sum(sizes) != end or end > len(chunk):
            raise ValueError("sizes do not add up")
        cuts = begin + head + np.cumsum([0, *sizes])
        lr, hr, name, *numbers = (bytes(chunk[a:b]) for a, b in pairwise(cuts))
        flatness, rejections, threshold = struct.unpack("<dqd", b"".join(numbers))
        return ShardItem(lr, hr, name.decode(), flatness, rejections, threshold)
    except (struct.error, ValueError) as error:
        raise FacehallError(f"{where} is damaged ({error}): copy it again, or mine the patches again.") from error
