"""In a child: whether it leaks memory."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["LEAK", "Memory"]

#: Bytes by which a child may grow after the first run of each kind before it is replaced.
LEAK = 256 * 1024 * 1024

_STATM = Path("/proc/self/statm")


class Memory:
    """Looks at the resident memory after each run, where the system tells it in `/proc`.

    What the first run of a kind loads, a model for instance, stays and is no leak; what later runs leave behind is.
    """

    def __init__(self) -> None:
        self._kinds: set[str] = set()
        self._last = resident()
        self._allowed = self._last + LEAK

    def leaked(self, kind: str) -> bool:
        """Look, after a run of this kind; return whether this child is to be replaced."""
        now = resident()
        if kind not in self._kinds:
            self._kinds.add(kind)
            self._allowed += max(0, now - self._last)
        self._last = now
        return now > self._allowed


def resident() -> int:
    """Return the bytes of this process that are in memory, 0 where the system does not tell.

    Not `getrusage`: that is the most there ever was, counted from before this program was started.
    """
    try:
        pages = _STATM.read_bytes().split()[1]
    except OSError:
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")
