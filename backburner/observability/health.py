"""Whether an engine lives, and whether it is ready: judged from what it knows of itself, and one cheap read of the store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, overload

import anyio.lowlevel
import msgspec

from backburner.observability.asgi import Answer, respond
from backburner.observability.paced import Paced

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from backburner.model.clock import Clock
    from backburner.observability.asgi import Receive, Scope, Send
    from backburner.observability.vitals import Vitals

__all__ = ["Check", "Health", "Probe", "Report"]

#: Seconds that the store is given to answer: below the usual timeout of who probes is not needed, near it is.
_DEADLINE: Final = 1.0
#: Seconds between two reads of the store, however many probe.
_EVERY: Final = 1.0
#: Seconds that one turn of the event loop may take before that is worth a word.
_SLOW_TURN: Final = 0.25
#: The loop that renews the node's lease.
_KEEPER: Final = "keeper"


class Check(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that was looked at."""

    ok: bool
    #: What is wrong, or worth knowing; empty where nothing is.
    why: str = ""
    #: How long it took, or how long ago it was.
    seconds: float | None = None


class Report(msgspec.Struct, frozen=True):
    """What a probe found."""

    #: Every check is.
    ok: bool
    #: By name.
    checks: dict[str, Check]


class Probe:
    """A question about an engine: awaited from code, or mounted as an ASGI app.

    ``await probe()`` answers a `Report` and never raises for what it finds. As an app it answers GET and HEAD with the
    report as JSON: 200 where all is well, else 503.
    """

    def __init__(self, look: Callable[[], Awaitable[Mapping[str, Check]]]) -> None:
        self._look = look

    @overload
    async def __call__(self, /) -> Report: ...
    @overload
    async def __call__(self, scope: Scope, receive: Receive, send: Send, /) -> None: ...
    async def __call__(
        self, scope: Scope | None = None, receive: Receive | None = None, send: Send | None = None, /
    ) -> Report | None:
        """Return what is found, or answer a request."""
        del receive  # no request to it has a body
        if scope is None or send is None:
            return await self._report()
        await respond(scope, send, self._page)
        return None

    async def _report(self) -> Report:
        checks = dict(await self._look())
        return Report(all(check.ok for check in checks.values()), checks)

    async def _page(self) -> Answer:
        report = await self._report()
        return Answer(msgspec.json.encode(report), "application/json", 200 if report.ok else 503)


class Health:
    """Two probes of an engine.

    ``live`` fails only where a restart would help: a loop of the engine has ended, or its lease was not even tried to be
    renewed for ``stall_limit`` seconds. A store that is away fails it never: restarting every node would not bring that
    back. ``ready`` fails while the engine has not started, drains, cannot reach its store or has lost its lease, too.

    ``vitals`` says what the engine knows of itself, and ``ping`` reads something cheap from the store. ``lease`` is in
    seconds.
    """

    def __init__(
        self,
        vitals: Callable[[], Vitals],
        ping: Callable[[], Awaitable[object]],
        *,
        lease: float,
        stall_limit: float,
        clock: Clock,
    ) -> None:
        self._vitals = vitals
        self._lease = lease
        self._stall_limit = stall_limit
        self._clock = clock
        self._ping = Paced(ping, every=_EVERY, share=1.0, deadline=_DEADLINE, clock=clock)
        self.live = Probe(self._live)
        self.ready = Probe(self._ready)

    async def _live(self) -> Mapping[str, Check]:
        vitals = self._vitals()
        return {"loops": loops(vitals), "beat": pulse(vitals, self._stall_limit), "lag": await self._lag()}

    async def _ready(self) -> Mapping[str, Check]:
        vitals = self._vitals()
        return {
            "started": Check(vitals.started, "" if vitals.started else "the engine has not started, or has stopped"),
            "draining": Check(not vitals.draining, "it takes no more work" if vitals.draining else ""),
            "store": await self._store(vitals),
            "lease": lease(vitals, self._lease),
            "loops": loops(vitals),
            "lag": await self._lag(),
        }

    async def _store(self, vitals: Vitals) -> Check:
        if not vitals.started:
            return Check(ok=False, why="it is not open")
        if vitals.store_away:
            return Check(ok=False, why="it could not be reached when it was last tried")
        reading = await self._ping.get()
        if reading.error is None:
            return Check(ok=True, seconds=reading.seconds)
        # Its type alone: a probe may be anybody's to read, and the message may say where the store is.
        return Check(ok=False, why=f"it did not answer: {type(reading.error).__name__}", seconds=reading.seconds)

    async def _lag(self) -> Check:
        """Tell how long one turn of the event loop takes; that is no reason to be taken out of service."""
        began = self._clock.monotonic()
        await anyio.lowlevel.checkpoint()
        took = self._clock.monotonic() - began
        slow = took > _SLOW_TURN
        return Check(ok=True, why="something blocks the event loop" if slow else "", seconds=took)


def loops(vitals: Vitals) -> Check:
    """Judge the engine's loops: one that fails tries again, one that has ended does not."""
    ended = [loop.name for loop in vitals.loops if not loop.alive]
    if ended:
        return Check(ok=False, why=f"ended unexpectedly: {', '.join(ended)}")
    failing = [f"{loop.name} ({loop.failures} times)" for loop in vitals.loops if loop.failures]
    return Check(ok=True, why=f"failing, and trying again: {', '.join(failing)}" if failing else "")


def pulse(vitals: Vitals, stall_limit: float) -> Check:
    """Judge whether the node still tries to renew its lease: one whose tries fail does, or which comes back without it."""
    age = vitals.last_beat
    if age is None:
        return Check(ok=True)
    failing = any(loop.name == _KEEPER and loop.failures for loop in vitals.loops)
    if age > stall_limit and not (failing or vitals.store_away or vitals.lease_lost):
        return Check(ok=False, why="its lease was not renewed for longer than the stall limit", seconds=age)
    return Check(ok=True, seconds=age)


def lease(vitals: Vitals, length: float) -> Check:
    """Judge whether the node holds its jobs."""
    age = vitals.last_beat
    if vitals.lease_lost:
        return Check(ok=False, why="its lease is lost; it comes back under another id", seconds=age)
    if age is not None and age > length:
        return Check(ok=False, why="its lease was not renewed in time", seconds=age)
    return Check(ok=True, seconds=age)
