"""``python -m facehall`` is the command ``facehall``."""

import sys

from facehall.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
