"""Starting and ending the programs that tests bring themselves.

A server lives under a guard (guard.py), a small program of its own, so that it is stopped and its folder removed even
when whoever started it is killed. It listens on 127.0.0.1 alone.
"""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import secrets
import selectors
import shutil
import socket
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from tests.servers.guard import Order

GUARD = Path(__file__).with_name("guard.py")
#: Seconds in which a server says what it is waited for, on a machine that does much else besides.
PATIENCE = 60.0
#: Seconds in which a server that was told to stop does, before it is killed.
GRACE = 10.0
#: Below the ports that systems give to connections, so that a stopped server finds its own free when it starts again.
PORTS = range(20_000, 30_000)
#: How often a port that was free is taken by another before the server listens.
ATTEMPTS = 5


class ServerMissing(Exception):
    """There is no program to start; the message says what to install."""


class ServerFailed(Exception):
    """A server ended, or did not say what it was waited for; the message ends with what it said last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Who runs a server."""

    uid: int
    gid: int

    def can_run(self, *command: str | Path) -> bool:
        """Whether this user reaches and may run a program; it is run."""
        try:
            subprocess.run(command, user=self.uid, group=self.gid, extra_groups=[], check=True, capture_output=True)
        except (PermissionError, subprocess.CalledProcessError):
            return False
        return True


def account() -> Account | None:
    """Return who shall run a server that refuses to be run by root: nobody, or None for whoever runs this."""
    if os.geteuid() != 0:
        return None
    entry = pwd.getpwnam("nobody")
    return Account(uid=entry.pw_uid, gid=entry.pw_gid)


@contextmanager
def folder(prefix: str, owner: Account | None = None) -> Generator[Path]:
    """Make a temporary folder that its owner alone reaches, and remove it."""
    # A root whose temporary files lie where nobody else may look still has /tmp.
    place = "/tmp" if owner and not owner.can_run("test", "-x", tempfile.gettempdir()) else None  # noqa: S108
    made = Path(tempfile.mkdtemp(prefix=f"{prefix}-", dir=place))
    try:
        if owner:
            os.chown(made, owner.uid, owner.gid)
        yield made
    finally:
        shutil.rmtree(made)


class Process:
    """A server program that can be started again, in the same folder, after it was stopped or killed.

    Every wait blocks the thread: where an event loop must go on meanwhile, call from `asyncio.to_thread`.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        folder: Path,
        ready: str,
        marks: Sequence[str] = (),
        stop: int,
        owner: Account | None = None,
    ) -> None:
        """Describe it.

        Args:
            command: The program and its arguments; it must stay in the foreground and log to its standard output.
            folder: Where it runs and keeps its files.
            ready: A part of the line it logs when it can be used.
            marks: Parts of other lines to wait for (see `until`).
            stop: The signal that stops it, fast and in order.
            owner: Who runs it; whoever runs this by default.
        """
        self._log = folder / "server.log"
        self._ready = ready
        self._order: Order = {
            "command": [str(part) for part in command],
            "environment": environment(),
            "folder": str(folder),
            "log": str(self._log),
            "marks": [ready, *marks],
            "stop": stop,
            "grace": GRACE,
            "uid": owner.uid if owner else None,
            "gid": owner.gid if owner else None,
        }
        self._guard: subprocess.Popen[bytes] | None = None
        self._unread = b""
        #: Where in the log this life began.
        self._begun = 0

    def start(self) -> None:
        """Start it and wait until it can be used.

        Raises:
            ServerFailed: It ended instead, or took too long; nothing of it is left.
        """
        assert self._guard is None, "it runs already"
        self._unread = b""
        self._begun = self._log.stat().st_size if self._log.exists() else 0
        with self._log.open("ab") as errors:
            self._guard = subprocess.Popen(
                [sys.executable, "-I", "-S", GUARD, json.dumps(self._order)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                bufsize=0,
                # Ctrl-C is for whoever started it, who then stops it.
                start_new_session=True,
            )
        try:
            self.until(self._ready)
        except BaseException:
            self.stop()
            raise

    def until(self, mark: str) -> None:
        """Wait until it logs a line with a mark that was named at the beginning; lines before it are passed over.

        Raises:
            ServerFailed: It ended first, or was silent for too long.
        """
        while (line := self._line()) != mark:
            if line is None:
                raise ServerFailed(f"{self._order['command'][0]} did not come to say {mark!r}; it said:\n{self.log()}")

    def stop(self) -> None:
        """Stop it in order and wait for its end; one that has ended already is let be."""
        self._end(b"s")

    def kill(self) -> None:
        """Kill it with -9 and wait until nothing of it is left; it cannot tidy up."""
        self._end(b"k")

    def log(self) -> str:
        """Return what it said since it was last started."""
        with self._log.open("rb") as log:
            log.seek(self._begun)
            return log.read().decode(errors="replace")

    def _end(self, word: bytes) -> None:
        if self._guard is None:
            return
        guard, self._guard = self._guard, None
        with guard:
            assert guard.stdin is not None
            # It has ended by itself, and its guard with it.
            with contextlib.suppress(BrokenPipeError):
                guard.stdin.write(word)
            guard.wait()

    def _line(self) -> str | None:
        """Return the next mark it made; None when it has ended, or makes none for too long."""
        assert self._guard is not None, "it does not run"
        assert self._guard.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._guard.stdout, selectors.EVENT_READ)
            while b"\n" not in self._unread:
                read = self._guard.stdout.read(4096) if selector.select(PATIENCE) else b""
                if not read:
                    return None
                self._unread += read
        line, _, self._unread = self._unread.partition(b"\n")
        return line.decode()


def environment() -> dict[str, str]:
    """Return the environment for a server: it speaks English, and no variable of PostgreSQL's clients leads it astray."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")} | {"LC_ALL": "C"}


def on_free_port(make: Callable[[int], Process]) -> tuple[int, Process]:
    """Start a process on a port that is free, on another when somebody else was quicker; return both.

    Raises:
        ServerFailed: It does not start, for whatever reason.
    """
    for _ in range(ATTEMPTS):
        port = free_port()
        process = make(port)
        try:
            process.start()
        except ServerFailed as failure:
            if "Address already in use" in str(failure):
                continue
            raise
        return port, process
    raise ServerFailed(f"{ATTEMPTS} ports that were free were all taken before a server could listen on them")


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on just now."""
    while True:
        port = secrets.choice(PORTS)
        with socket.socket() as tried, contextlib.suppress(OSError):
            tried.bind(("127.0.0.1", port))
            return port
