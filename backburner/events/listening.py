"""In-process listeners: what happens in this process, told as events, without a store."""

from __future__ import annotations

import inspect
import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from backburner.errors import InvalidOption, UnknownEvent
from backburner.events.carrying import parted
from backburner.events.event import Event
from backburner.model.catalogue import BUILT_IN
from backburner.model.clock import SECOND, from_micros
from backburner.model.event import matches
from backburner.model.job import Ending, JobState
from backburner.ports.telemetry import Signal

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence

    from backburner.model.clock import Clock
    from backburner.model.event import NewEvent
    from backburner.model.job import Claim, JobRecord, NewJob, Settlement
    from backburner.ports.telemetry import Hooks

__all__ = ["Listening", "settled_as"]

H = TypeVar("H")

_logger = logging.getLogger("backburner.events")

_ENDINGS = {
    Ending.FAILED: "job.retry",
    Ending.SNOOZED: "job.snoozed",
    Ending.INTERRUPTED: "job.interrupted",
    Ending.CRASHED: "job.crashed",
    Ending.MISFIT: "job.misfit",
    Ending.CANCELLED: "job.cancelled",
    None: "job.released",
}
_STATES = {
    JobState.COMPLETED: "job.completed",
    JobState.CANCELLED: "job.cancelled",
    JobState.DEAD: "job.dead",
}
#: The engine's own events that are told in the process: of the others the store alone knows.
HEARD = frozenset(
    {"job.enqueued", "job.claimed", *_STATES.values(), *_ENDINGS.values()}
    | {signal.value for signal in Signal if signal.value in BUILT_IN and not signal.value.startswith("job.")}
)
#: Which field of a signal names what it tells of.
_SUBJECTS = ("id", "schedule", "breaker", "budget", "lock", "alert", "subscription", "node")


def settled_as(settlement: Settlement) -> str:
    """Return the name of the event that a settlement is."""
    if settlement.state in _STATES:
        return _STATES[settlement.state]
    return _ENDINGS.get(settlement.ending, "job.released")


class Listening:
    """Calls plain functions with the events of this process; what one raises is told to the log, and harms nobody.

    It hears what happens here: jobs that this process stores, claims and settles, its signals, and what it publishes
    outside of transactions. What other nodes do it does not hear, and nothing is stored for it.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self._heard: list[tuple[tuple[str, ...], Callable[[Event], object]]] = []

    def add(self, patterns: tuple[str, ...], fn: Callable[[Event], object]) -> None:
        """Have a function called for what matches. Raises `InvalidOption`, and `UnknownEvent` for what it would never hear."""
        if not callable(fn) or inspect.iscoroutinefunction(fn):  # type: ignore[redundant-expr]  # as given
            raise InvalidOption(
                f"{fn!r} cannot listen: a listener is a plain function, called on the loop, that must not block; "
                "for work write @bb.on(…), whose handlers are jobs",
                option="listener",
            )
        for pattern in patterns:
            meant = [name for name in BUILT_IN if matches(pattern, name)]
            if meant and HEARD.isdisjoint(meant):
                raise UnknownEvent(
                    f"a listener hears what its own process does, and {pattern!r} is not told there: handle it by "
                    f'@bb.on("{pattern}"), or read it by bb.events("{pattern}")',
                    option="names",
                )
        self._heard.append((patterns, fn))

    def tell(self, name: str, subject: str, data: Mapping[str, Any], *, event_id: str = "") -> None:
        """Call those who listen for a name."""
        event: Event | None = None
        for patterns, fn in tuple(self._heard):
            if any(matches(pattern, name) for pattern in patterns):
                if event is None:
                    now = from_micros(self.clock.now())
                    event = Event(id=event_id, name=name, subject=subject, time=now, data=dict(data), cursor="")
                try:
                    fn(event)
                except Exception:
                    _logger.exception("a listener raised on %s; the others hear it", name)

    def published(self, event: NewEvent, event_id: str) -> None:
        """Tell of what was published here."""
        if self._heard:
            data, _ = parted(event.data)
            self.tell(event.name, event.subject, msgspec.json.decode(data), event_id=event_id)

    def join(self, hooks: Hooks, patterns: tuple[str, ...]) -> None:
        """Have the engine tell what these patterns may match; what nobody listens for costs nothing."""

        def asked(*names: str) -> bool:
            return any(matches(pattern, name) for pattern in patterns for name in names)

        _join(hooks.stored, self._stored, wanted=asked("job.enqueued"))
        _join(hooks.running, self._running, wanted=asked("job.claimed"))
        _join(hooks.settled, self._settled, wanted=asked(*_STATES.values(), *_ENDINGS.values()))
        _join(hooks.signal, self._signal, wanted=asked(*(name for name in BUILT_IN if not name.startswith("job."))))

    def _stored(self, jobs: Sequence[NewJob]) -> None:
        for job in jobs:
            self.tell("job.enqueued", job.id, {"kind": job.kind, "queue": job.queue, "attempt": 0})

    @contextmanager
    def _running(self, claim: Claim) -> Generator[None]:
        self.tell("job.claimed", claim.id, _about(claim))
        yield

    def _settled(self, job: Claim | JobRecord, settlement: Settlement) -> None:
        data = _about(job)
        told = {
            "reason": settlement.reason,
            "error": settlement.error,
            "message": settlement.message,
            "fingerprint": settlement.fingerprint,
        }
        data |= {name: value for name, value in told.items() if value}
        if settlement.delay:
            data["delay"] = settlement.delay / SECOND
        self.tell(settled_as(settlement), job.id, data)

    def _signal(self, signal: Signal, error: BaseException | None, fields: Mapping[str, object]) -> None:
        # Of jobs the hooks tell, with more.
        if signal.value not in BUILT_IN or signal.value.startswith("job."):
            return
        data = dict(fields) if error is None else {**fields, "error": f"{type(error).__name__}: {error}"}
        subject = next((str(data.pop(name)) for name in _SUBJECTS if name in data), "")
        self.tell(signal.value, subject, data)


def _join(hook: list[H], method: H, *, wanted: bool) -> None:
    if wanted and method not in hook:
        hook.append(method)


def _about(job: Claim | JobRecord) -> dict[str, Any]:
    return {"kind": job.kind, "queue": job.queue, "attempt": job.attempt}
