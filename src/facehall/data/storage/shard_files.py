"""Shards of patches on disk: LitData's chunks, written by LitData and read without trusting them.

Of LitData's format (0.2) we use one kind of item, the tuple of ITEM_FORMAT. A chunk is the number of its items n, n + 1
offsets and the items, an item the sizes of its parts and the parts; all numbers are little-endian uint32. index.json
names the chunks and the deserializer of each part. LitData's own reader would call whichever index.json names,
unpickling among them, and loses chunks under random access with a limited cache (0.2.76); this one reads ITEM_FORMAT and
nothing else.
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
"""LitData's names for the parts of an item: LR and HR as PNG, the name in UTF-8, flatness, rejections
and threshold.

The name is bytes because LitData stores a str that happens to be a file's path in another way; a tuple and no dict
because dicts are stored in another way where pyarrow is installed.
"""


@dataclass(frozen=True)
class ShardItem:
    """A patch out of a shard: PNG files of both halves, and what mining said of it."""

    lr: bytes
    hr: bytes
    name: str
    flatness: float
    rejections: int
    threshold: float


@dataclass(frozen=True)
class Chunk:
    """A chunk as the index has it: its file, its size in bytes, how many items."""

    file: str
    size: int
    items: int


def check_litdata(asked: str) -> None:
    """Raises FacehallError where LitData is not installed."""
    try:
        import litdata  # noqa: F401
    except ImportError as error:
        raise FacehallError(f"{asked} needs LitData: pip install 'facehall[shards]'.") from error


def write_shards(folder: Path, store: Path, patches: Sequence[StoredPatch], chunk_mb: float, seed: int) -> None:
    """Pack stored patches into LitData chunks; the folder appears when it is whole.

    Those of train are dealt out at random, so that each chunk is a sample of them all: a training may then read one
    chunk after the other. The others stay in order.

    Args:
        folder: where to; if it is there already it is left alone.
        store: the root of the pairs.
        patches: what to pack, of one split.
        chunk_mb: size of a chunk in megabytes.
        seed: decides the dealing.
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
        for place, i in enumerate(order):
            patch = patches[i]
            lr, hr = (patch.file(store, kind).read_bytes() for kind in ("LR", "HR"))
            writer[place] = (lr, hr, patch.name.encode(), patch.flatness, patch.rejections, patch.threshold)
        writer.done()
        writer.merge(1)
    partial.rename(folder)


@contextmanager
def _single_process() -> Iterator[None]:
    """Hide what a cluster's job says of its processes: LitData would wait for the shards of the others."""
    names = ("WORLD_SIZE", "GLOBAL_RANK", "NNODES", "DATA_OPTIMIZER_GLOBAL_RANK")
    hidden = {name: os.environ.pop(name) for name in names if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(hidden)


def read_index(text: str, where: str) -> list[Chunk]:
    """The chunks that an index.json lists.

    Args:
        where: for messages.

    Raises:
        FacehallError: it is not one of ours; above all, it asks for a deserializer that runs foreign code.
    """
    try:
        index = json.loads(text)
        config: dict[str, Any] = index["config"]
        if config["data_format"] != ITEM_FORMAT:
            raise FacehallError(
                f"{where} asks for {', '.join(map(str, config['data_format']))} to read an item, but facehall.mine "
                f"writes {', '.join(ITEM_FORMAT)}, and nothing else is read: a deserializer such as pickle would run foreign "
                "code. Write the shards with `python -m facehall.mine format=shards …`."
            )
        for key in ("compression", "encryption"):
            if config.get(key) is not None:
                raise FacehallError(f"{where} asks for {key}, which facehall.mine does not write: write them anew.")
        chunks = [
            Chunk(_checked_name(each["filename"]), each["chunk_bytes"], each["chunk_size"]) for each in index["chunks"]
        ]
        if not chunks or any(not (isinstance(n, int) and n > 0) for chunk in chunks for n in (chunk.size, chunk.items)):
            raise ValueError("it lists no chunks, or empty ones")
    except (ValueError, KeyError, TypeError) as error:
        raise FacehallError(f"{where} is not an index of shards ({type(error).__name__}: {error}).") from error
    return chunks


def _checked_name(name: str) -> str:
    if not re.fullmatch(r"chunk-\d+-\d+\.bin", name):  # a path could lead anywhere
        raise ValueError(f"{name!r} is no name of a chunk")
    return name


def read_item(chunk: memoryview, index: int, where: str) -> ShardItem:
    """Item `index` of a chunk.

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
