"""A sink that writes events to the log."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from backburner.errors import InvalidOption
from backburner.events.sinks.sink import DELIVERY
from backburner.log import Level, emit

if TYPE_CHECKING:
    from backburner.events.event import Event

__all__ = ["Log", "log"]

_LOGGER = "backburner.events"
#: Handing a record to a logger takes no time; this is for those whose handlers write to slow disks.
_TIMEOUT = 15.0


class Log:
    """The log as a sink."""

    breaker = None
    retry = DELIVERY
    timeout = _TIMEOUT

    def __init__(self, level: Level) -> None:
        self._level: Level = level
        self.name = f"log:{level}"

    def __repr__(self) -> str:
        return f"<sink {self.name}>"

    async def send(self, event: Event) -> None:
        """Write one line."""
        fields = {
            "id": event.id,
            "subject": event.subject,
            "time": event.time,
            "cursor": event.cursor,
            "data": event.data,
        }
        emit(_LOGGER, self._level, event.name, fields)

    async def close(self) -> None:
        """Close nothing."""


def log(level: Level = "info") -> Log:
    """Return a sink that logs each event to ``backburner.events``: its name, and the rest as fields.

    Raises `InvalidOption` for an unknown level.
    """
    known: tuple[str, ...] = get_args(Level)
    if level not in known:
        raise InvalidOption(f"level={level!r} is not known: there are {', '.join(known)}", option="level")
    return Log(level)
