"""Hints, in Redis: a channel, listened to on a connection of its own, and a poll for what it loses."""

from __future__ import annotations

import asyncio
from random import SystemRandom
from typing import TYPE_CHECKING

from backburner.model.clock import SECOND
from backburner.ports.backend import Hint
from backburner.resilience.retry import LOOP_BACKOFF

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from backburner.backends.redis.connecting import Wire
    from backburner.backends.redis.session import Session

__all__ = ["RedisNotifier"]

#: Seconds between two pings of the listening connection, each followed by hints for nothing.
_PING = 5.0
#: Seconds between two hints for nothing while it is down.
_MURMUR = 1.0
#: Pauses differ by so much, so that a thousand nodes do not ask in step.
_JITTER = 0.2

_HINTS = {hint.value.encode(): hint for hint in Hint}


class RedisNotifier:
    """A `Notifier`. It listens from the first `listen` on, on that loop, until the store is closed.

    A connection that breaks is replaced after a backoff, and one that is only half open is found by a ping; all hints
    follow a new one, since whatever came meanwhile was lost.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._random = SystemRandom()
        self._ears: dict[object, Callable[[Hint], None]] = {}
        self._task: asyncio.Task[None] | None = None
        #: The listening connection, while it stands.
        self._wire: Wire | None = None
        self._pong = asyncio.Event()
        #: Connections of this listener that were lost, or could not be made.
        self.failures = 0

    async def notify(self, hint: Hint) -> None:
        """Tell every listener of the namespace."""
        await self._session.client.call("PUBLISH", self._session.keys.hints, hint.value)

    def listen(self, heard: Callable[[Hint], None]) -> Callable[[], None]:
        """Call ``heard`` for each hint on the running loop; returns the end."""
        self._session.client.require_open()
        ear = object()
        self._ears[ear] = heard
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run(), name="backburner.redis-ears")

        def end() -> None:
            self._ears.pop(ear, None)

        return end

    async def close(self) -> None:
        """Forget who listens, and disconnect."""
        self._ears.clear()
        task, self._task = self._task, None
        if task is not None:
            await _end(task)

    # ---- the listening connection ------------------------------------------------------------------------------

    async def _run(self) -> None:
        while True:
            try:
                await self._beside(self._murmur(), self._reach())
                self._tell(*Hint)
                await self._hear()
            finally:
                self._session.client.forget()
                wire, self._wire = self._wire, None
                if wire is not None:
                    await wire.disconnect(nowait=True)
            self.failures += 1

    async def _reach(self) -> None:
        """Subscribe, however often it takes."""
        tries = 0
        while True:
            try:
                async with asyncio.timeout(self._session.timeout):
                    await self._subscribe()
                    return
            except Exception:  # noqa: BLE001 - a loop's guard: without its ears a node would be deaf for good
                tries += 1
                self.failures += 1
            await self._sleep(LOOP_BACKOFF.delay(tries, previous=None, random=self._random) / SECOND)

    async def _subscribe(self) -> None:
        wire = await self._session.client.dedicated()
        try:
            await wire.send_command("SUBSCRIBE", self._session.keys.hints)
            await wire.read_response()
        except BaseException:
            await wire.disconnect(nowait=True)
            raise
        self._wire = wire

    async def _hear(self) -> None:
        """Hear and ping until either fails."""
        wire = self._wire
        if wire is None:
            return
        both = [asyncio.ensure_future(self._read(wire)), asyncio.ensure_future(self._ping(wire))]
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in both:
                await _end(task)

    async def _read(self, wire: Wire) -> None:
        while True:
            kind, *_, text = await wire.read_response()
            if kind == b"pong":
                self._pong.set()
            elif kind == b"message" and text in _HINTS:
                self._tell(_HINTS[text])

    async def _ping(self, wire: Wire) -> None:
        """Find out whether the connection still is one; then tell of what nobody notified of."""
        while True:
            await self._sleep(self._about(_PING))
            self._pong.clear()
            async with asyncio.timeout(self._session.timeout):
                await wire.send_command("PING")
                await self._pong.wait()
            self._tell(Hint.JOBS, Hint.CONTROL)
            if await self._session.scripts.read("nodes_lapsed", (self._session.keys.leases,)):
                self._tell(Hint.LAPSE)

    # ---- without it --------------------------------------------------------------------------------------------

    async def _murmur(self) -> None:
        while True:
            await self._sleep(self._about(_MURMUR))
            self._tell(Hint.JOBS, Hint.CONTROL)

    async def _beside(self, other: Coroutine[None, None, None], work: Coroutine[None, None, None]) -> None:
        """Do the work, and the other as long as it takes."""
        task = asyncio.ensure_future(other)
        try:
            await work
        finally:
            await _end(task)

    def _tell(self, *hints: Hint) -> None:
        for heard in tuple(self._ears.values()):
            for hint in hints:
                heard(hint)

    def _about(self, seconds: float) -> float:
        return seconds * self._random.uniform(1 - _JITTER, 1 + _JITTER)

    async def _sleep(self, seconds: float) -> None:
        over = asyncio.Event()
        timer = self._session.clock.call_later(seconds, over.set)
        try:
            await over.wait()
        finally:
            timer.cancel()


async def _end(task: asyncio.Future[None]) -> None:
    """Cancel a task and wait for its end; what it failed by has been dealt with."""
    task.cancel()
    await asyncio.wait([task])
    if not task.cancelled():
        task.exception()
