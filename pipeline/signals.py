"""A child process that hears what its parent is told, and does not outlive it.

`python3 -m pipeline.signals COMMAND ...` is such a parent, for a command that hears of no other.
"""

import ctypes
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable
from types import FrameType

# Whether the signal has reached the child; if not, it is delivered again a little later.
Deliver = Callable[["subprocess.Popen[bytes]", int], bool]

FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
_POLL_SECONDS = 0.2
_PR_SET_PDEATHSIG = 1


def end_with_parent() -> None:
    """Have the kernel send this process SIGTERM when its parent ends (Linux; elsewhere nothing).

    `dvc repro` that is told to stop by SIGTERM ends at once and tells nobody.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)


def send_to_child(child: "subprocess.Popen[bytes]", number: int) -> bool:
    """Deliver a signal to the child itself."""
    child.send_signal(number)
    return True


def run_forwarding_signals(
    command: list[str], deliver: Deliver = send_to_child, environment: dict[str, str] | None = None
) -> int:
    """Run `command`, pass SIGTERM, SIGINT, SIGHUP and SIGQUIT on to it, and return its exit code.

    If this process is killed, the kernel sends SIGTERM to the command (Linux). A command ended by
    signal N gives 128 + N, as a shell does.
    """
    pending: deque[int] = deque()

    def note(number: int, frame: FrameType | None) -> None:
        pending.append(number)

    # Before the child is there, so that no signal finds this process without a handler.
    # nohup has SIGHUP ignored: it stays so, here and in the child, which inherits it.
    deaf = {signal.SIGHUP} if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN else set()
    before = {number: signal.signal(number, note) for number in FORWARDED if number not in deaf}
    try:
        # A terminal sends Ctrl-C to the whole process group; a session of its own makes the child
        # hear each signal once, from here.
        child = subprocess.Popen(
            command, start_new_session=True, env=environment, preexec_fn=end_with_parent
        )
        while True:
            try:
                code = child.wait(timeout=_POLL_SECONDS)
                break
            except subprocess.TimeoutExpired:
                while pending and deliver(child, pending[0]):
                    pending.popleft()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return 128 - code if code < 0 else code


if __name__ == "__main__":
    sys.exit(run_forwarding_signals(sys.argv[1:]))
