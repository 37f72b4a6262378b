"""Python's search for reference cycles, less often."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_THRESHOLD = 200_000


@contextmanager
def rare_collections() -> Iterator[None]:
    """Let Python look for reference cycles less often.

    Imports and a benchmark's items make millions of objects and hardly a cycle; by default the
    search takes a twentieth of an evaluation's time.
    """
    before = gc.get_threshold()
    gc.set_threshold(_THRESHOLD, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
