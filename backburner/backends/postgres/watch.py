"""Listens on a connection of its own, finds out when that is dead, and looks for what nobody tells of."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from random import Random
from typing import TYPE_CHECKING, Protocol

from backburner.backends.postgres.link import Link
from backburner.model.clock import SECOND
from backburner.ports.backend import Hint
from backburner.resilience.retry import LOOP_BACKOFF

if TYPE_CHECKING:
    from backburner.backends.postgres.link import Wire
    from backburner.backends.postgres.session import Session
    from backburner.model.clock import Timer

__all__ = ["Watch"]

#: Seconds between two looks, and between two hints for nothing while nobody can hear; a fifth more or less, so that
#: nodes do not keep step.
_LOOK = 5.0
_POLL = 1.0
_SPREAD = 0.2


class _Tell(Protocol):
    def __call__(self, *hints: Hint) -> None: ...


class Watch:
    """Tells hints: those that come by LISTEN, and for nothing now and then.

    Each look asks the server something, so that a connection that is dead without a word is found, and answers whether a
    node is dead, which nobody else tells of. While the connection is down, hints are told for nothing each second; once
    it is back, all at once. Where LISTEN is off it is as if the connection were always down, and looks go elsewhere.
    """

    def __init__(self, session: Session, tell: _Tell) -> None:
        self._session = session
        self._tell = tell
        self._random = Random()  # noqa: S311 - it spreads, it keeps no secret
        self._ears = _Ears(session, self) if session.hears else None
        self._timers: dict[str, Timer] = {}
        self._looking: asyncio.Task[None] | None = None
        self._failures = 0
        self._up = False
        #: The connection ended during a look, which may have succeeded all the same.
        self._fallen = False
        self._ended = False

    @property
    def ears(self) -> Link | None:
        """The connection that listens, while it does."""
        return self._ears if self._up else None

    def start(self) -> None:
        """Connect, and begin to listen."""
        self._begin()
        self._poll()

    async def stop(self) -> None:
        """Disconnect; nothing is told from now on."""
        self._ended = True
        for timer in self._timers.values():
            timer.cancel()
        if self._looking is not None:
            self._looking.cancel()
            with suppress(asyncio.CancelledError):
                await self._looking
        if self._ears is not None:
            await self._ears.close()

    def heard(self, payload: str) -> None:
        """Hear a notification."""
        # A newer version may tell what this one does not know: a hint may be missed.
        with suppress(ValueError):
            self._tell(Hint(payload))

    def fell(self) -> None:
        """Hear that the listening connection has ended, and make another."""
        self._up = False
        self._fallen = True
        self._begin()

    def _begin(self) -> None:
        if self._looking is None and not self._ended:
            self._looking = asyncio.get_running_loop().create_task(self._look())

    async def _look(self) -> None:
        session = self._session
        before = self._up
        self._fallen = False
        try:
            dead = await (self._ears or session.reads).value(session.statement("ping"), session.now)
        except Exception:  # noqa: BLE001 - a loop's guard; what is wrong with the store is told by those who use it
            self._failures += 1
            self._up = False
            delay = LOOP_BACKOFF.delay(self._failures, previous=None, random=self._random) / SECOND
        else:
            self._failures = 0
            self._up = self._ears is not None and not self._fallen
            back = self._up and not before
            self._tell(Hint.JOBS, Hint.CONTROL, Hint.LOCK, *((Hint.LAPSE,) if dead or back else ()))
            delay = self._spread(_POLL if self._fallen else _LOOK)
        finally:
            self._looking = None
        self._after("look", delay, self._begin)

    def _poll(self) -> None:
        if not self._up:
            self._tell(Hint.JOBS, Hint.CONTROL, Hint.LOCK)
        self._after("poll", self._spread(_POLL), self._poll)

    def _after(self, name: str, delay: float, callback: _Callback) -> None:
        if name in self._timers:
            self._timers[name].cancel()
        if not self._ended:
            self._timers[name] = self._session.clock.call_later(delay, callback)

    def _spread(self, seconds: float) -> float:
        return seconds * self._random.uniform(1 - _SPREAD, 1 + _SPREAD)


class _Callback(Protocol):
    def __call__(self) -> None: ...


class _Ears(Link):
    """The connection that listens."""

    def __init__(self, session: Session, watch: Watch) -> None:
        super().__init__(session.place, timeout=session.timeout)
        self._watch = watch

    async def greet(self, wire: Wire) -> None:
        """Listen on it."""
        watch = self._watch
        wire.add_termination_listener(lambda _: watch.fell())

        def heard(_wire: Wire, pid: int, _channel: str, payload: str) -> None:
            # What was notified of through this connection was told here at once.
            if pid != wire.get_server_pid():
                watch.heard(payload)

        await wire.add_listener(self._place.schema, heard)
