"""SIGTERM, Ctrl-C, a lost terminal: finish the step, save, stop. Another Ctrl-C stops at once."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Self

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """While entered, notes a signal in `requested` instead of acting on it.

    Outside the main thread, where Python allows no handlers, it notes nothing.
    """

    def __init__(self) -> None:
        self.requested = False

    def __enter__(self) -> Self:
        self._handlers = {}
        if threading.current_thread() is threading.main_thread():
            # nohup has SIGHUP ignored, and so it stays.
            deaf = {signal.SIGHUP} if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN else set()
            self._handlers = {
                name: signal.signal(name, self._note) for name in _SIGNALS if name not in deaf
            }
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for name, handler in self._handlers.items():
            signal.signal(name, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        # A scheduler's SIGTERM may come twice: to every process, and passed on by torchrun.
        if self.requested and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.requested = True
