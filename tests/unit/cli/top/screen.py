"""A program in a terminal of its own: what it shows is waited for, what is typed reaches it."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ALTERNATE", "CURSOR", "SHELL", "Screen"]

#: To the other screen, and back to the shell's; and the cursor shown again.
ALTERNATE, SHELL, CURSOR = b"\x1b[?1049h", b"\x1b[?1049l", b"\x1b[?25h"

#: Makes the terminal the process' own, so that Ctrl-C and Ctrl-Z are signals there, and becomes the program.
_BEGIN = "import fcntl,os,sys,termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.executable, sys.argv[1:])"
#: Seconds after which a program that says nothing more is killed.
_LAST = 60.0
#: Bytes of what it showed that a failure tells.
_TOLD = 4000


class Screen:
    """A Python program, by its arguments, on a terminal of a size."""

    def __init__(self, *arguments: str, columns: int = 100, lines: int = 30, **environ: str) -> None:
        self._here, self._there = pty.openpty()
        self._ends = [self._here, self._there]
        self.resize(columns, lines)
        self.before = self.settings
        self.process = subprocess.Popen(
            [sys.executable, "-c", _BEGIN, sys.executable, *arguments],
            stdin=self._there,
            stdout=self._there,
            stderr=self._there,
            start_new_session=True,
            env=_environ(environ),
        )
        self.seen = b""
        self._last_resort = threading.Timer(_LAST, self.process.kill)
        self._last_resort.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._last_resort.cancel()
        with self.process:
            self.process.kill()
        self.hang_up()

    @property
    def settings(self) -> list[Any]:
        """How the terminal is set."""
        return termios.tcgetattr(self._there)

    def resize(self, columns: int, lines: int) -> None:
        """Give it another size, of which the program is told."""
        fcntl.ioctl(self._here, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def type(self, keys: str) -> None:
        """Type."""
        os.write(self._here, keys.encode())

    def until(self, words: str | bytes) -> bytes:
        """Wait for words, after those that were last waited for; return what came before them."""
        sought = words.encode() if isinstance(words, str) else words
        while sought not in self.seen:
            if not self._more():
                raise AssertionError(f"it ended without {words!r}: {self.seen[-_TOLD:]!r}")
        before, _, self.seen = self.seen.partition(sought)
        return before

    def hang_up(self) -> None:
        """Close the terminal."""
        while self._ends:
            os.close(self._ends.pop())

    def stopped(self) -> int:
        """Wait until it is stopped, and return by which signal."""
        _, status = os.waitpid(self.process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        return os.WSTOPSIG(status)

    def go_on(self) -> None:
        """Let it go on where it was stopped."""
        os.kill(self.process.pid, signal.SIGCONT)

    def end(self) -> tuple[int, bytes]:
        """Wait for its end; return its exit code, and the rest of what it showed."""
        while self._more():
            pass
        return self.process.wait(), self.seen

    def _more(self) -> bool:
        """Read what it shows; false once it has ended."""
        while True:
            ended = self.process.poll() is not None
            # Its end shows nothing, since the terminal stays open here: it is looked for now and then.
            if select.select([self._here], [], [], 0.0 if ended else 0.1)[0]:
                self.seen += os.read(self._here, 1 << 16)
                return True
            if ended:
                return False


def _environ(more: Mapping[str, str]) -> dict[str, str]:
    known = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES", "NO_COLOR"}}
    return {**known, "TERM": "xterm", "PYTHONPATH": str(Path(__file__).parents[4]), **more}
