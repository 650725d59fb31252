"""The .part file of an unfinished download, and the memory of whose bytes it holds."""

from __future__ import annotations

import json
from pathlib import Path


class Partial:
    """`<target>.part`, and `<target>.part.json` that remembers the address and the server's validator.

    The validator (ETag or Last-Modified, RFC 9110 section 8.8) tells whether the file on the server is still
    the one that the first bytes came from; without one nothing can be continued.
    """

    def __init__(self, target: Path, url: str) -> None:
        self.path = target.with_name(target.name + ".part")
        self._memory = target.with_name(target.name + ".part.json")
        self._url = url

    @property
    def size(self) -> int:
        """Bytes that are there; 0 without a file."""
        return self.path.stat().st_size if self.path.exists() else 0

    @property
    def validator(self) -> str | None:
        """What to send as If-Range to continue; None if there is nothing that could be continued."""
        try:
            memory = json.loads(self._memory.read_text())
            url, validator = memory["url"], memory["validator"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return validator if url == self._url and isinstance(validator, str) and self.size else None

    def restart(self, validator: str | None) -> None:
        """Forget the bytes; those that come belong to `validator`."""
        self.discard()
        if validator and not validator.startswith("W/"):  # a weak ETag does not promise equal bytes
            self._memory.write_text(json.dumps({"url": self._url, "validator": validator}))

    def finish(self, target: Path) -> None:
        """The file is whole: give it its name."""
        self.path.replace(target)
        self.discard()

    def discard(self) -> None:
        """Remove both files."""
        self.path.unlink(missing_ok=True)
        self._memory.unlink(missing_ok=True)
