"""Waiting for other processes."""

import time
from collections.abc import Callable
from typing import TypeVar

# Seconds. A test that passes never waits for so long, on however busy a machine.
PATIENCE = 300.0

Found = TypeVar("Found")


def wait_for(look: Callable[[], Found | None]) -> Found:
    """Return what `look` finds, as soon as it finds something; TimeoutError if it never does."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(0.005)
    raise TimeoutError
