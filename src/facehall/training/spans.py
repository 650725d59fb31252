"""Named sections of a training step, almost free unless a profiler listens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from facehall.distributed.threads import thread_rank

Listener = Callable[[str], AbstractContextManager[object]]

_NULL_CONTEXT: AbstractContextManager[object] = nullcontext()
_listener: Listener | None = None


def span(name: str) -> AbstractContextManager[object]:
    """Name the block of a ``with`` statement for the profiler (debug=profile); of data threads, only rank 0's count."""
    return _NULL_CONTEXT if _listener is None or thread_rank() else _listener(name)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Open `listener(name)` for every span inside the block."""
    global _listener
    previous, _listener = _listener, listener
    try:
        yield
    finally:
        _listener = previous
