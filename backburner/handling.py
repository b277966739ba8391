"""Handlers of events in code: ``@bb.on("order.*")``, over functions and jobs; or events sent elsewhere, ``to=`` a sink."""

from __future__ import annotations

import logging
from abc import abstractmethod
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar, cast, overload

from backburner.errors import CallRefused, DuplicateKind, InvalidArguments, InvalidOption
from backburner.events.event import Event
from backburner.events.naming import check_patterns
from backburner.events.sinks.sink import named
from backburner.events.subscribers import Subscriber
from backburner.jobs.declaring import Declares
from backburner.jobs.job import Job
from backburner.model.names import check_name

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from backburner.events.sinks.sink import Sink

__all__ = ["Handling", "On", "Sinks", "told_of"]

P = ParamSpec("P")
R = TypeVar("R")

_logger = logging.getLogger("backburner.events")

_SAMPLE = Event(id="0-0", name="order.paid", subject="", time=datetime(2026, 1, 1, tzinfo=UTC), data={}, cursor="0-0")


class On(Protocol):
    """What ``@bb.on(…)`` answers."""

    @overload
    def __call__(self, target: Job[P, R], /) -> Job[P, R]: ...
    @overload
    def __call__(self, target: Callable[P, Awaitable[R]], /) -> Job[P, R]: ...
    @overload
    def __call__(self, target: Callable[P, R], /) -> Job[P, R]: ...


class Handling(Declares):
    """Where handlers of events are declared beside jobs."""

    @abstractmethod
    def _subscribe(self, subscriber: Subscriber) -> None:
        """Take a declaration; raises `DuplicateSubscription`."""

    @overload
    def on(self, *names: str, name: str | None = ...) -> On: ...
    @overload
    def on(self, *names: str, to: Sink, name: str | None = ...) -> None: ...
    def on(self, *names: str, to: Sink | None = None, name: str | None = None) -> On | None:
        """Have a job stored for each event of these names: ``@bb.on("job.dead")``, ``@bb.on("order.*", "invoice.paid")``.

        A name, its front and ``.*`` for all below it, or ``*`` for all. Over a function, which becomes a job, or over a
        job; it takes the event: ``async def tell_me(event: Event)``. Its jobs are as any: retried, limited, dead letters.
        Each event is one job for each handler, however often it is delivered and on however many nodes; jobs of one
        subject start in its order, never two at once, though one that is retried lets the next ones by. With ``to``, a
        sink such as ``webhook("https://…", secret=…)``, those jobs send the event there.

        The handler's subscription has the kind of its jobs for a name, or ``name``: under that the store knows what it has
        been handed. From the first start on, events are kept for it also while no node runs, for as long as events are
        kept (`keep`, 7 days). The jobs of handlers cause events too; those no handler is handed.

        Raises `UnknownEvent`, `InvalidOption`, `InvalidArguments` for what does not take an event, `DuplicateSubscription`,
        `UnknownKind` for a job of another engine; of another registry, once the engine starts.
        """
        if not names:
            raise InvalidOption(
                '@bb.on takes the names of events: write @bb.on("job.dead"); "*" is all', option="names"
            )
        if callable(names[0]):
            raise InvalidOption(
                '@bb.on takes the names of events, and then the function: write @bb.on("job.dead")', option="names"
            )
        patterns = check_patterns(names)

        def declare(target: Any) -> Any:  # noqa: ANN401 - `On` says what
            place = "" if to is None else f"the sink {to.name}"
            job = cast("Job[..., Any]", target) if isinstance(target, Job) else self.job(target)
            _check_takes_event(job)
            definition = job.definition
            self._subscribe(
                Subscriber(
                    name=definition.kind if name is None else check_name(name, "name"),
                    patterns=patterns,
                    kind=definition.kind,
                    place=f"{place or definition.place}, on {', '.join(patterns)}",
                    call=job,
                )
            )
            return job

        if to is None:
            return cast("On", declare)
        declare(self._sending(to))
        return None

    @abstractmethod
    def _sending(self, sink: Sink) -> Job[[Event], None]:
        """Return the job that sends an event to a sink, the same for the same sink; the sink is closed with the engine."""


class Sinks:
    """The jobs that send to sinks, one a sink."""

    def __init__(self, declaring: Declares) -> None:
        self._declaring = declaring
        self._jobs: dict[int, tuple[Sink, Job[[Event], None]]] = {}
        #: How many engines may send to them.
        self._users = 0

    def job(self, sink: Sink) -> Job[[Event], None]:
        """Return the job that sends to a sink; raises `InvalidOption` for what is none, `DuplicateKind`."""
        if not all(hasattr(sink, attribute) for attribute in ("name", "retry", "breaker", "timeout", "send", "close")):
            raise InvalidOption(
                f"to={sink!r} is no sink: take one of backburner.sinks, or decorate a function with @bb.on(…)",
                option="to",
            )
        known = self._jobs.get(id(sink))
        if known is not None:
            return known[1]

        async def send(event: Event) -> None:
            await sink.send(event)

        # The sink gives up by itself, in words of its own; a run that outlives that hangs.
        declare = self._declaring.job(name=sink.name, retry=sink.retry, timeout=2 * sink.timeout, breaker=sink.breaker)
        try:
            job = declare(send)
        except DuplicateKind:
            raise DuplicateKind(
                f'{sink.name} is declared twice: use the one sink for both, or give this one another name: name="…"'
            ) from None
        self._jobs[id(sink)] = sink, job
        return job

    @asynccontextmanager
    async def used(self) -> AsyncGenerator[None]:
        """Let an engine send to them in the block; after the last engine's they are closed."""
        self._users += 1
        try:
            yield
        finally:
            self._users -= 1
            if not self._users:
                await self._close()

    async def _close(self) -> None:
        """Close them all; one that fails to harms no other."""
        for sink, _ in self._jobs.values():
            try:
                await sink.close()
            except Exception:
                _logger.exception("sink %s failed to close", sink.name)


def told_of(alert: str, target: Job[..., Any], *, resolved: bool) -> Subscriber:
    """Return what has a job stored for what becomes of one alert; raises `InvalidArguments`."""
    _check_takes_event(target)
    definition = target.definition

    def call(event: Event) -> object:
        return target(event) if event.subject == alert else None

    return Subscriber(
        name=named(None, "alert", f"{definition.kind}:{alert}"),
        patterns=("alert.fired", "alert.resolved") if resolved else ("alert.fired",),
        kind=definition.kind,
        place=f"{definition.place}, told of alert {alert!r}",
        call=call,
    )


def _check_takes_event(job: Job[..., Any]) -> None:
    try:
        call = job(_SAMPLE)
        call.used = True
        job.definition.signature.encode(call.bound)
    except CallRefused as error:
        raise InvalidArguments(
            f"{job.kind} cannot handle events: {error}; a handler takes the event alone: async def {job.kind}(event: Event)"
        ) from None
