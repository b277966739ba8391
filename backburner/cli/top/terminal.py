"""A terminal for the time of a live view: its keys, its size, its other screen; always left as it was found."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import termios
import tty
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.live import Live

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Any, Self

    from rich.console import RenderableType

__all__ = ["Terminal"]

#: Bytes of keys that are read at a time.
_CHUNK = 1024
#: What ends it, but for Ctrl-C: asked to, or without a terminal.
_ENDS: Final = (signal.SIGTERM, signal.SIGHUP)


class Terminal:
    """Tells of keys (an empty chunk: nobody is there any more), of another size, of SIGTERM and SIGHUP; handles Ctrl-Z.

    Ctrl-C stays a signal. Entered and left on the running loop; of that, too, nothing is left behind.
    """

    def __init__(
        self,
        *,
        typed: Callable[[bytes], object],
        resized: Callable[[], object],
        ended: Callable[[signal.Signals], object],
    ) -> None:
        self._typed = typed
        self._resized = resized
        self._ended = ended
        self._file = sys.stdin.fileno()
        self._console = Console(file=sys.stdout, highlight=False, force_terminal=True)
        # Nothing else may write between what it draws; what is said meanwhile the view says itself.
        self._live = Live(
            console=self._console, screen=True, auto_refresh=False, redirect_stdout=False, redirect_stderr=False
        )
        self._before: list[Any] = []

    def __enter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._before = termios.tcgetattr(self._file)
        try:
            self._take()
            loop.add_reader(self._file, self._read)
            loop.add_signal_handler(signal.SIGWINCH, self._resized)
            for number in _ENDS:
                loop.add_signal_handler(number, self._ended, number)
            loop.add_signal_handler(signal.SIGTSTP, self._suspend)
        except BaseException:
            self._leave()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self._leave()

    @property
    def size(self) -> tuple[int, int]:
        """Columns and lines."""
        size = self._console.size
        return size.width, size.height

    def show(self, what: RenderableType) -> None:
        """Draw what fills the screen."""
        self._live.update(what, refresh=True)

    def _take(self) -> None:
        # Characters come one by one, and unseen; Ctrl-C and Ctrl-Z are signals still.
        tty.setcbreak(self._file, termios.TCSADRAIN)
        self._live.start()

    def _give_back(self) -> None:
        try:
            self._live.stop()
            sys.stdout.flush()
        except OSError:
            # A terminal that is gone wants nothing back; what is left to be written, the end of the program would fail on.
            with open(os.devnull, "wb") as nowhere:  # noqa: PTH123 - for its descriptor
                os.dup2(nowhere.fileno(), sys.stdout.fileno())
        with suppress(termios.error):
            termios.tcsetattr(self._file, termios.TCSADRAIN, self._before)

    def _leave(self) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._file)
        try:
            # Before a signal may end the process again.
            self._give_back()
        finally:
            for number in (signal.SIGWINCH, signal.SIGTSTP, *_ENDS):
                loop.remove_signal_handler(number)

    def _read(self) -> None:
        try:
            data = os.read(self._file, _CHUNK)
        except OSError:  # the terminal is gone
            data = b""
        if not data:
            asyncio.get_running_loop().remove_reader(self._file)
        self._typed(data)

    def _suspend(self) -> None:
        """Stop as Ctrl-Z asks, the shell's screen before the person, until they bring it back."""
        self._give_back()
        os.kill(os.getpid(), signal.SIGSTOP)
        self._take()
        self._resized()
