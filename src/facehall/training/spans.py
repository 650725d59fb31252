"""Names for the stretches of a training step, which cost next to nothing unless somebody listens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

Listener = Callable[[str], AbstractContextManager[object]]

_SILENCE: AbstractContextManager[object] = nullcontext()
_listener: Listener | None = None


def span(name: str) -> AbstractContextManager[object]:
    """Name the block of a ``with`` for a profile (debug=profile)."""
    return _SILENCE if _listener is None else _listener(name)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Every span inside opens what `listener` makes of its name."""
    global _listener
    before, _listener = _listener, listener
    try:
        yield
    finally:
        _listener = before
