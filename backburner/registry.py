"""`Registry`: jobs, schedules and handlers declared in a module that knows no engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backburner.events.subscribers import Subscribers
from backburner.handling import Handling, Sinks
from backburner.jobs import registry
from backburner.periodic import Periodic
from backburner.scheduler.declared import Declarations

if TYPE_CHECKING:
    from backburner.events.event import Event
    from backburner.events.sinks.sink import Sink
    from backburner.events.subscribers import Subscriber
    from backburner.jobs.job import Job
    from backburner.scheduler.declared import Declaration

__all__ = ["Registry"]


class Registry(Periodic, Handling, registry.Registry):
    """Jobs, schedules and handlers declared in a module that knows no engine: ``jobs = Registry("mail")``, then
    ``Backburner(jobs=[jobs])``.

    With a prefix the kind of ``send`` is ``mail.send``. Engines take up what is declared here later too, and one
    registry may belong to several. Raises `InvalidOption`.
    """  # noqa: D205 - one sentence, longer than a line

    def __init__(self, prefix: str = "") -> None:
        super().__init__(prefix)
        self._schedules = Declarations()
        self._planners: list[Declarations] = []
        self._subscribers = Subscribers()
        self._relays: list[Subscribers] = []
        self.sinks = Sinks(self)

    def attach_schedules(self, declarations: Declarations) -> None:
        """Let an engine know these schedules, now and later. The engine's to call; raises `DuplicateSchedule`."""
        for each in self._schedules:
            declarations.add(each)
        self._planners.append(declarations)

    def attach_handlers(self, subscribers: Subscribers) -> None:
        """Let an engine know these handlers, now and later. The engine's to call; raises `DuplicateSubscription`."""
        for each in self._subscribers:
            subscribers.add(each)
        self._relays.append(subscribers)

    def _schedule(self, declaration: Declaration) -> None:
        for declarations in self._planners:
            declarations.add(declaration)
        self._schedules.add(declaration)

    def _subscribe(self, subscriber: Subscriber) -> None:
        for subscribers in self._relays:
            subscribers.add(subscriber)
        self._subscribers.add(subscriber)

    def _sending(self, sink: Sink) -> Job[[Event], None]:
        return self.sinks.job(sink)
