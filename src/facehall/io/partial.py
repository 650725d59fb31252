"""The .part file of an unfinished download and its metadata."""

from __future__ import annotations

import json
from pathlib import Path


class Partial:
    """`<target>.part`, and `<target>.part.json` with the URL and the server's validator.

    The validator (ETag or Last-Modified, RFC 9110 section 8.8) identifies the version of the file that the received
    bytes belong to; a download without one cannot be resumed.
    """

    def __init__(self, target: Path, url: str) -> None:
        self.path = target.with_name(target.name + ".part")
        self._state_file = target.with_name(target.name + ".part.json")
        self._url = url

    @property
    def size(self) -> int:
        """Number of bytes received; 0 without a file."""
        return self.path.stat().st_size if self.path.exists() else 0

    @property
    def validator(self) -> str | None:
        """Value of the If-Range header to resume with; None if the download cannot be resumed."""
        try:
            state = json.loads(self._state_file.read_text())
            url, validator = state["url"], state["validator"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return validator if url == self._url and isinstance(validator, str) and self.size else None

    def restart(self, validator: str | None) -> None:
        """Discard the received bytes; the following ones belong to `validator`."""
        self.discard()
        if validator and not validator.startswith("W/"):  # a weak ETag does not guarantee identical bytes
            self._state_file.write_text(json.dumps({"url": self._url, "validator": validator}))

    def finish(self, target: Path) -> None:
        """Move the complete file to `target`."""
        self.path.replace(target)
        self.discard()

    def discard(self) -> None:
        """Remove both files."""
        self.path.unlink(missing_ok=True)
        self._state_file.unlink(missing_ok=True)
