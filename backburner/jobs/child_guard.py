"""In a child: its manners towards signals, and its end when the engine's process ends, however that ends."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

__all__ = ["die_with", "end_group", "mind_signals"]

_PR_SET_PDEATHSIG = 1
#: Those that Python itself ignores.
_PYTHONS = {getattr(signal, name) for name in ("SIGPIPE", "SIGXFZ", "SIGXFSZ") if hasattr(signal, name)}


def mind_signals() -> None:
    """Take no mask and no ignored signal over from the engine's process, and leave it to that one when to stop.

    Ctrl-C in a terminal, and an init system that stops a service, signal every process of it: a child that ended by
    that would make a crash of a run that the engine is about to let finish.
    """
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    for number in signal.valid_signals() - _PYTHONS:
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    for number in (signal.SIGINT, signal.SIGTERM):
        # Not SIG_IGN, which programs that the job starts would inherit.
        signal.signal(number, _pass_over)
        signal.siginterrupt(number, False)  # noqa: FBT003 - the standard library's own form


def _pass_over(_number: int, _frame: object) -> None:
    """Leave it to the engine's process."""


def die_with(parent: int, lifeline: int) -> None:
    """Have the kernel end this process, and its group where it can, the moment the engine's process is gone.

    ``lifeline`` is the reading end of a pipe whose other end only the engine's process holds. On Linux its end signals
    the whole group, programs that a job started too, whatever Python is doing. Where a system knows neither way, the
    thread that reads from the engine does it.
    """
    os.set_inheritable(lifeline, False)  # noqa: FBT003 - the standard library's own form
    if not sys.platform.startswith("linux"):
        return
    import fcntl  # noqa: PLC0415 - not on every system

    fcntl.fcntl(lifeline, fcntl.F_SETOWN, -os.getpgrp())
    fcntl.fcntl(lifeline, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC)
    # Beside it, for an engine whose process has forked: its copy holds the pipe open.
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it was gone before the kernel knew
        end_group()


def end_group() -> None:
    """End this process and what it started, at once."""
    os.killpg(os.getpgrp(), signal.SIGKILL)
