"""Several worker processes, each a node of its own, and the one that watches over them."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from contextlib import suppress
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Self

from backburner.cli.exits import Exit
from backburner.model.clock import SECOND
from backburner.ports.telemetry import Signal
from backburner.resilience.retry import LOOP_BACKOFF

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from backburner.model.clock import Clock
    from backburner.ports.telemetry import Listener

__all__ = ["SIGNALS", "Crew", "Line"]

SIGNALS = (signal.SIGINT, signal.SIGTERM)

#: What is said over the line between the two. Its end means stop as well: whoever watched is gone.
_READY = b"+"
_STOP = b"s"
_HURRY = b"h"

#: Seconds after which a worker's death is no longer laid to its start: the next one follows after the shortest pause.
PROVEN = 60.0


class Crew:
    """Starts workers anew with a fresh interpreter, tells them to stop, and replaces those that die.

    The first is started alone: until it is ready its end is the crew's, so that a path, a queue or a store that is
    refused is refused once. Workers have sessions of their own, so that Ctrl-C reaches them through the crew alone.
    """

    def __init__(self, arguments: Sequence[str], count: int, *, clock: Clock, listener: Listener) -> None:
        self._arguments = arguments
        self._count = count
        self._clock = clock
        self._listener = listener
        self._random = Random()  # noqa: S311 - jitter
        self._workers: set[_Worker] = set()
        self._orders = b""
        self._told = asyncio.Event()
        #: The first worker is ready, or will never be.
        self._begun = asyncio.Event()
        self._ready = False
        self._result = Exit.DONE

    async def work(self) -> int:
        """Work until told to stop, or until the first worker cannot begin; return the exit code."""
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            loop.add_signal_handler(number, self._tell)
        try:
            async with asyncio.TaskGroup() as places:
                places.create_task(self._keep())
                await self._begun.wait()
                for _ in range(self._count - 1):
                    places.create_task(self._keep())
        finally:
            for number in SIGNALS:
                loop.remove_signal_handler(number)
        return Exit.INTERRUPTED if _HURRY in self._orders else self._result

    def _tell(self) -> None:
        """Tell every worker to stop; told again, to hurry."""
        order = _HURRY if self._orders else _STOP
        self._orders += order
        for worker in self._workers:
            worker.tell(order)
        self._told.set()

    async def _keep(self) -> None:
        """Keep one place taken."""
        deaths = 0
        while not self._told.is_set():
            began = self._clock.monotonic()
            try:
                pid, status = await self._run()
            except OSError as error:
                if not self._ready:
                    raise
                # The system may have room for another a little later; the others go on.
                pid, why = None, f"could not be started: {error}"
            else:
                if self._told.is_set() or not self._ready:
                    self._note(status)
                    break
                why = _epitaph(status)
            deaths = 1 if self._clock.monotonic() - began > PROVEN else deaths + 1
            delay = LOOP_BACKOFF.delay(deaths, previous=None, random=self._random) / SECOND
            self._listener(Signal.WORKER_DIED, pid=pid, why=why, again_in=round(delay, 3))
            await self._pause(delay)
        self._begun.set()

    async def _run(self) -> tuple[int, int]:
        """Run one worker to its end; return its process id and its exit status."""
        async with await _Worker.start(self._arguments) as worker:
            self._workers.add(worker)
            worker.tell(self._orders)
            try:
                if await worker.ready():
                    self._ready = True
                    self._begun.set()
                return worker.process.pid, await worker.process.wait()
            finally:
                self._workers.discard(worker)

    def _note(self, status: int) -> None:
        """Note how a worker ended that was to end, or never began."""
        if not self._told.is_set():
            self._told.set()
            self._result = Exit(status) if status in set(Exit) else Exit.PARTLY
        # Told by the system too, it may not have been up to hear it in its own way.
        elif status not in {Exit.DONE, -signal.SIGTERM, -signal.SIGINT} and not self._result:
            self._result = Exit.PARTLY

    async def _pause(self, delay: float) -> None:
        timer = self._clock.call_later(delay, (over := asyncio.Event()).set)
        waits = [asyncio.ensure_future(each.wait()) for each in (over, self._told)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            timer.cancel()
            for each in waits:
                each.cancel()


class _Worker:
    """A process, and the line to it."""

    def __init__(self, process: asyncio.subprocess.Process, line: socket.socket) -> None:
        self.process = process
        self._line = line
        self._ready = False

    @classmethod
    async def start(cls, arguments: Sequence[str]) -> Self:
        """Start one."""
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-m", "backburner", "run", *arguments, "--crew", str(theirs.fileno())),
                    stdin=asyncio.subprocess.DEVNULL,
                    pass_fds=(theirs.fileno(),),
                    start_new_session=True,
                )
        except BaseException:
            ours.close()
            raise
        ours.setblocking(False)  # noqa: FBT003 - the standard library's own form
        return cls(process, ours)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._line.close()

    async def ready(self) -> bool:
        """Wait until it works; False once it ended before."""
        try:
            self._ready = bool(await asyncio.get_running_loop().sock_recv(self._line, 1))
        except ConnectionError:
            return False
        return self._ready

    def tell(self, orders: bytes) -> None:
        """Tell it something; one that is dying hears nothing."""
        with suppress(OSError):
            self._line.send(orders)
        if orders and not self._ready:
            # It may still import the app, and hang in that: nothing listens there, and there is nothing to lose.
            with suppress(ProcessLookupError):
                self.process.terminate()


class Line:
    """A worker's end: hears whoever watches over it."""

    def __init__(self, descriptor: int) -> None:
        self._socket = socket.socket(fileno=descriptor)
        self._socket.setblocking(False)  # noqa: FBT003 - the standard library's own form
        self._socket.set_inheritable(False)

    def listen(self, stop: Callable[[], None], hurry: Callable[[], None]) -> Callable[[], object]:
        """Call back on the running loop when told to; returns the end."""
        loop = asyncio.get_running_loop()

        def heard() -> None:
            try:
                orders = self._socket.recv(64)
            except ConnectionError:
                orders = b""
            if not orders:
                loop.remove_reader(self._socket)
            stop()
            if _HURRY in orders:
                hurry()

        loop.add_reader(self._socket, heard)
        return partial(loop.remove_reader, self._socket)

    def ready(self) -> None:
        """Say that it works."""
        with suppress(OSError):
            self._socket.send(_READY)


def _epitaph(status: int) -> str:
    return f"killed by signal {-status}" if status < 0 else f"exited with status {status}"
