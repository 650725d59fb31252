"""`facehall` in forked processes, which need not import torch again."""

from __future__ import annotations

import os
import sys
import tempfile
import traceback

from facehall.cli import main as console


def command(arguments: list[str]) -> tuple[int, str]:
    """Run ``facehall`` in a forked process; return its exit status and output."""
    with tempfile.TemporaryFile() as printed:
        child = os.fork()
        if child == 0:
            status = 99  # in case of a traceback
            try:
                os.dup2(printed.fileno(), 1)
                os.dup2(printed.fileno(), 2)
                sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", closefd=False)  # noqa: SIM115
                status = console.main(arguments)
            except SystemExit as end:
                status = int(end.code or 0)
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(status)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        printed.seek(0)
        return status, printed.read().decode(errors="replace")
