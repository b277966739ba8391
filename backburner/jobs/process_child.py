"""The engine's end of one child: starts it, talks to it, and sees it off."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

from backburner.errors import ProcessDied
from backburner.jobs.frames import Inbox, from_child, pack
from backburner.shield import to_the_end

if TYPE_CHECKING:
    from backburner.jobs.frames import FromChild, FromEngine
    from backburner.jobs.process_place import Place

__all__ = ["ChildProcess"]

_CHUNK = 256 * 1024


class ChildProcess:
    """A process with a session and a process group of its own; made and used on the engine's loop, without a thread.

    Its death is seen by a pidfd where the system has them, and otherwise by the end of its socket: a process that a job
    forked may hold the socket, so that alone would be seen too late.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        #: What it has loaded.
        self.loaded: set[Place] = set()
        #: Done when it is dead and reaped, and nothing of it is left here.
        self.gone: asyncio.Future[None] = self._loop.create_future()
        self._inbox = Inbox(from_child)
        self._frames: deque[FromChild] = deque()
        self._arrived: asyncio.Future[None] | None = None
        self._unsent = bytearray()
        self._socket, theirs = socket.socketpair()
        self._lifeline: int | None = None
        try:
            lifeline, self._lifeline = os.pipe()
            try:
                self._process = self._start(theirs.fileno(), lifeline)
            finally:
                os.close(lifeline)
        except BaseException:
            self._close()
            raise
        finally:
            theirs.close()
        self._socket.setblocking(False)  # noqa: FBT003 - the standard library's own form
        self._pidfd = _pidfd(self._process.pid)
        self._loop.add_reader(self._socket, self._readable)
        if self._pidfd is not None:
            self._loop.add_reader(self._pidfd, self._died)

    @staticmethod
    def _start(connection: int, lifeline: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603 - this interpreter, and numbers
            [sys.executable, "-m", "backburner.jobs.child", str(connection), str(lifeline), str(os.getpid())],
            stdin=subprocess.DEVNULL,
            pass_fds=(connection, lifeline),
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        """Its process id, and that of its group."""
        return self._process.pid

    def send(self, frame: FromEngine) -> None:
        """Send a frame, now or as soon as there is room; nothing is said of one that died meanwhile."""
        if self.gone.done():
            return
        data = pack(frame)
        if not self._unsent:
            with suppress(BlockingIOError, BrokenPipeError, ConnectionResetError):  # its death is told elsewhere
                data = data[self._socket.send(data) :]
            if not data:
                return
            self._loop.add_writer(self._socket, self._writable)
        self._unsent += data

    async def receive(self) -> FromChild:
        """Return its next frame; raises `ProcessDied` once it is dead and everything it sent was received."""
        while not self._frames:
            if self.gone.done():
                raise ProcessDied(f"the process of the job died: {self._epitaph()}")
            self._arrived = self._loop.create_future()
            await self._arrived
        return self._frames.popleft()

    def retire(self) -> None:
        """Let it end by itself: it has no work."""
        if not self.gone.done():
            with suppress(OSError):  # it is dying already
                self._socket.shutdown(socket.SHUT_WR)

    def kill(self) -> None:
        """Kill it and what it started, at once; it is `gone` when the system says so."""
        if not self.gone.done():
            self._kill_group()

    async def end(self) -> None:
        """Kill it, and return when it is gone, however often the caller is cancelled."""
        self.kill()
        await to_the_end(self._gone())

    async def _gone(self) -> None:
        await self.gone

    def _epitaph(self) -> str:
        status = self._process.returncode
        return f"killed by signal {-status}" if status < 0 else f"exited with status {status}"

    # ---- the loop's callbacks ----------------------------------------------------------------------------------

    def _readable(self) -> None:
        if self._take():
            return
        # It closed its end, which it does only by dying. What it ends with is settled by now: this changes no status.
        self._loop.remove_reader(self._socket)
        self._kill_group()
        if self._pidfd is None:
            self._died()

    def _take(self) -> bool:
        """Take in what has arrived; return whether more may come."""
        try:
            data = self._socket.recv(_CHUNK)
        except BlockingIOError:
            return True
        except OSError:
            data = b""
        if data:
            self._frames += self._inbox.feed(data)
            self._wake()
        return bool(data)

    def _writable(self) -> None:
        try:
            sent = self._socket.send(self._unsent)
        except BlockingIOError:
            return
        except OSError:
            sent = len(self._unsent)
        del self._unsent[:sent]
        if not self._unsent:
            self._loop.remove_writer(self._socket)

    def _died(self) -> None:
        """Reap it. Until then its id is nobody else's, so what is left of its group can be killed by it."""
        before = -1
        while len(self._frames) != before:
            before = len(self._frames)
            self._take()
        self._kill_group()
        self._loop.remove_reader(self._socket)
        self._loop.remove_writer(self._socket)
        if self._pidfd is not None:
            self._loop.remove_reader(self._pidfd)
            os.close(self._pidfd)
        self._process.wait()
        self._close()
        self.gone.set_result(None)
        self._wake()

    # ---- ends --------------------------------------------------------------------------------------------------

    def _kill_group(self) -> None:
        with suppress(ProcessLookupError, PermissionError):  # nobody is left, or only somebody who is dying
            os.killpg(self._process.pid, signal.SIGKILL)

    def _wake(self) -> None:
        if self._arrived is not None and not self._arrived.done():
            self._arrived.set_result(None)

    def _close(self) -> None:
        self._socket.close()
        if self._lifeline is not None:
            os.close(self._lifeline)
            self._lifeline = None


def _pidfd(pid: int) -> int | None:
    """Return a file descriptor that is readable once the process is dead, None where the system has none."""
    if not hasattr(os, "pidfd_open"):
        return None
    try:
        return os.pidfd_open(pid)
    except OSError:  # an older kernel, or a sandbox that does not let it through
        return None
