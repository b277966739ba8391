"""Runs one server for as long as whoever started this program lives: `python -I -S guard.py ORDER`.

The order is JSON, and `launch.py` writes it. The starter holds the other end of standard input: "s" there stops the
server, "k" kills it, and its end, which the death of the starter is as well, stops it and removes its folder. Each line
of the server's that contains one of the marks is told by that mark on standard output; all lines go to the log. The
program ends when nothing of the server is left.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from collections.abc import Iterable


class Order(TypedDict):
    """What to run, and how to end it."""

    command: list[str]
    environment: dict[str, str]
    #: Its working directory, removed when the starter dies.
    folder: str
    log: str
    marks: list[str]
    #: The signal that stops it, and the seconds until it is killed.
    stop: int
    grace: float
    #: Who runs it, when not the starter; only root may say so.
    uid: int | None
    gid: int | None


class Guard:
    def __init__(self, order: Order) -> None:
        self._order = order
        self._orphaned = threading.Event()
        self._server = subprocess.Popen(
            order["command"],
            cwd=order["folder"],
            env=order["environment"],
            user=order["uid"],
            group=order["gid"],
            extra_groups=None if order["uid"] is None else [],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def run(self) -> None:
        """Pass on what the server says until it, and all that it started, has ended."""
        threading.Thread(target=self._obey, daemon=True).start()
        assert self._server.stdout is not None
        self._listen(self._server.stdout)
        self._server.wait()
        if self._orphaned.is_set():
            shutil.rmtree(self._order["folder"], ignore_errors=True)

    def _listen(self, lines: Iterable[bytes]) -> None:
        marks = [mark.encode() for mark in self._order["marks"]]
        with Path(self._order["log"]).open("ab", buffering=0) as log:
            for line in lines:
                log.write(line)
                for mark in marks:
                    if mark in line:
                        # Nobody listens any more: the end of input says so as well, and is obeyed.
                        with contextlib.suppress(BrokenPipeError):
                            os.write(1, mark + b"\n")

    def _obey(self) -> None:
        # Not through sys.stdin, whose lock a thread may not hold when the interpreter ends.
        word = os.read(0, 1)
        if word == b"k":
            self._server.kill()
            return
        if not word:
            self._orphaned.set()
        self._server.send_signal(self._order["stop"])
        try:
            self._server.wait(self._order["grace"])
        except subprocess.TimeoutExpired:
            self._server.kill()


if __name__ == "__main__":
    Guard(json.loads(sys.argv[1])).run()
