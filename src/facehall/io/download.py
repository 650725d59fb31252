"""Download one file: whole and checked, or not at all."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from facehall.errors import FacehallError
from facehall.io.locking import file_lock
from facehall.io.logs import is_quiet
from facehall.io.partial import Partial
from facehall.io.transfer import BrokenTransferError, StaleError, UnreachableError, transfer

_log = logging.getLogger(__name__)


def download(
    url: str,
    target: str | Path,
    *,
    sha256: str | None = None,
    connect_timeout: float = 10.0,
    timeout: float = 30.0,
    retries: int = 4,
) -> Path:
    """Fetch `url` into the file `target`, which appears only when it is whole and checked.

    The bytes gather in `<target>.part`; an interrupted download is continued from there, by this call or a
    later one, unless the file has changed on the server. Several processes may ask for the same target: one
    downloads, the others wait for it. A target that exists is returned as it is if `sha256` fits or is None,
    and replaced otherwise.

    Args:
        url: http or https address.
        target: the file to write; its folder is created.
        sha256: the hex digest, or its first digits; None checks the length only.
        connect_timeout: seconds until the server must have begun to answer, name look-up included.
        timeout: seconds without data after which a connection counts as broken.
        retries: how often a broken transfer is continued before giving up.

    Returns:
        `target` as a Path.

    Raises:
        FacehallError: if the bytes cannot be had; the text says why, and what is kept.

    """
    target = Path(target)
    check_address(url)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with file_lock(target.with_name(f".{target.name}.lock")):
            if target.is_file() and matches(target, sha256):
                return target
            part = Partial(target, url)
            with _progress(target.name) as on_progress:
                _gather(url, part, sha256, connect_timeout, timeout, retries, on_progress)
            part.finish(target)
    except OSError as error:
        raise FacehallError(
            f"Cannot write {target} while downloading {url}: {error.strerror or error}. Free some space or "
            "choose another folder; what has arrived is kept beside it as .part and will be continued."
        ) from error
    return target


def check_address(url: str) -> None:
    """Raise FacehallError if nothing can be downloaded from there."""
    if not url.startswith(("http://", "https://")):
        raise FacehallError(f"Cannot download '{url}': only http:// and https:// addresses are supported.")


def file_sha256(path: Path) -> str:
    """Hex digest of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def matches(path: Path, sha256: str | None) -> bool:
    """Whether the digest of the file begins with `sha256`; True if that is None."""
    return sha256 is None or file_sha256(path).startswith(sha256.lower())


def _gather(
    url: str,
    part: Partial,
    sha256: str | None,
    connect_timeout: float,
    timeout: float,
    retries: int,
    on_progress: Callable[[int, int | None], None],
) -> None:
    """Make transfers until `part` is whole and checked."""
    obstacle: Exception | str = "its content changed meanwhile"
    for attempt in range(retries + 1):
        if attempt:
            time.sleep(min(0.1 * 2**attempt, 5.0))
        continued = part.validator is not None
        try:
            length_known = transfer(url, part, connect_timeout, timeout, on_progress)
        except UnreachableError as error:
            if attempt == 0:  # waiting helps only where it has worked before
                raise FacehallError(f"Cannot download {url}: {error}.") from error
            obstacle = error
        except BrokenTransferError as error:
            obstacle = error
        except StaleError:
            part.discard()
        else:
            if sha256 is None and not length_known:
                part.discard()
                raise FacehallError(
                    f"Cannot download {url} reliably: the server does not tell the file's length, and no "
                    "checksum is known. Fetch it by hand, or from another address."
                )
            if matches(part.path, sha256):
                return
            found = file_sha256(part.path)
            part.discard()
            if not continued:  # wrong from the first byte: another attempt would bring the same
                raise FacehallError(
                    f"{url} does not deliver the expected file: its sha256 begins with {found[:16]}, "
                    f"expected {sha256}. Nothing was kept. A proxy or log-in page may stand in between, or "
                    "the file has changed there."
                )
            obstacle = "the continued file had a wrong checksum"
    raise FacehallError(
        f"The download of {url} failed {retries + 1} times, last because {obstacle}. {part.size} bytes are "
        f"kept in {part.path}; run the same command again to continue."
    )


@contextmanager
def _progress(name: str) -> Iterator[Callable[[int, int | None], None]]:
    """A rich progress bar on stderr; a single line where stderr is no terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        _log.info("downloading %s", name)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    speed = (TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(
        *columns, *speed, console=console, transient=True, disable=not console.is_terminal or is_quiet()
    ) as progress:
        task = progress.add_task(name, total=None)
        yield lambda have, total: progress.update(task, completed=have, total=total)
