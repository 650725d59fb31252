"""Resumable, verified download of a single file."""

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
    """Download `url` to the file `target`, which appears only when it is complete and verified.

    Data is collected in `<target>.part`; an interrupted download is resumed by this call or a later one, unless the
    file has changed on the server. When several processes request the same target, one downloads and the others wait.
    An existing target is returned unchanged if it matches `sha256` or that is None, and replaced otherwise.

    Args:
        url: http or https address.
        target: the file to write; its folder is created.
        sha256: the hex digest, or its first digits; None checks the length only.
        connect_timeout: seconds until the server must start to answer, including name resolution.
        timeout: seconds without data after which a connection counts as broken.
        retries: how often a broken transfer is resumed before giving up.

    Returns:
        `target` as a Path.

    Raises:
        FacehallError: if the download fails; the message gives the reason and what was kept.

    """
    target = Path(target)
    check_url(url)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with file_lock(target.with_name(f".{target.name}.lock")):
            if target.is_file() and matches_sha256(target, sha256):
                return target
            part = Partial(target, url)
            with _progress(target.name) as on_progress:
                _transfer_with_retries(url, part, sha256, connect_timeout, timeout, retries, on_progress)
            part.finish(target)
    except OSError as error:
        raise FacehallError(
            f"Cannot write {target} while downloading {url}: {error.strerror or error}. Free some space or "
            "choose another folder. The data received so far is kept beside it as .part and will be reused."
        ) from error
    return target


def check_url(url: str) -> None:
    """Raise FacehallError unless the URL is http or https."""
    if not url.startswith(("http://", "https://")):
        raise FacehallError(f"Cannot download '{url}': only http:// and https:// addresses are supported.")


def file_sha256(path: Path) -> str:
    """Return the hex digest of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def matches_sha256(path: Path, sha256: str | None) -> bool:
    """Return whether the digest of the file starts with `sha256`; True if that is None."""
    return sha256 is None or file_sha256(path).startswith(sha256.lower())


def _transfer_with_retries(
    url: str,
    part: Partial,
    sha256: str | None,
    connect_timeout: float,
    timeout: float,
    retries: int,
    on_progress: Callable[[int, int | None], None],
) -> None:
    """Transfer until `part` is complete and verified."""
    last_error: Exception | str = "the file changed on the server"
    for attempt in range(retries + 1):
        if attempt:
            time.sleep(min(0.1 * 2**attempt, 5.0))
        resumed = part.validator is not None
        try:
            length_known = transfer(url, part, connect_timeout, timeout, on_progress)
        except UnreachableError as error:
            if attempt == 0:  # retrying helps only after the server has been reached once
                raise FacehallError(f"Cannot download {url}: {error}.") from error
            last_error = error
        except BrokenTransferError as error:
            last_error = error
        except StaleError:
            part.discard()
        else:
            if sha256 is None and not length_known:
                part.discard()
                raise FacehallError(
                    f"Cannot download {url} reliably: the server does not send the file's length, and no checksum is "
                    "known. Download it manually, or from another address."
                )
            if matches_sha256(part.path, sha256):
                return
            found = file_sha256(part.path)
            part.discard()
            if not resumed:  # a complete download from the start: another attempt would give the same
                raise FacehallError(
                    f"{url} does not serve the expected file: its sha256 starts with {found[:16]}, expected {sha256}. "
                    "Nothing was kept. A proxy or login page may have answered instead, or the file on the server has "
                    "changed."
                )
            last_error = "the resumed file had a wrong checksum"
    raise FacehallError(
        f"The download of {url} failed {retries + 1} times; last error: {last_error}. {part.size} bytes are kept in "
        f"{part.path}; run the same command again to resume."
    )


@contextmanager
def _progress(name: str) -> Iterator[Callable[[int, int | None], None]]:
    """Show a progress bar on stderr, or log a single line if stderr is not a terminal."""
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
