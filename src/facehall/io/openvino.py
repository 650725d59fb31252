"""OpenVINO's core, one for the whole process. Import this module before `openvino`, which then reports to nobody.

Importing OpenVINO sends an event over the network unless the user has opted out, and facehall promises that it talks to
nobody.
"""

from __future__ import annotations

import functools
import sys
from typing import Any

# Without the package that sends, OpenVINO uses a stub of its own.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]


@functools.cache
def openvino_core() -> Any:
    """Return the process's only OpenVINO core.

    Each core installs a stack for signal handlers and restores the previous one when destroyed. If two are destroyed in
    the order of their creation, a freed stack stays installed and the next signal causes a segmentation fault.

    Raises:
        ImportError: OpenVINO is not installed.
    """
    import openvino

    return openvino.Core()
