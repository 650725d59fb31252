"""Run the command line ``facehall`` as ``python -m facehall``."""

import sys

from facehall.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
