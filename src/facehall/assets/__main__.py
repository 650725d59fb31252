"""``python -m facehall.assets``: alias of ``facehall assets``."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from facehall.cli import main as facehall


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    return facehall.main(["assets", *(sys.argv[1:] if arguments is None else arguments)])


if __name__ == "__main__":
    sys.exit(main())
