"""In a child: `current_job().log`, whose lines the engine's process writes as its app configured logging."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, get_args

import structlog

from backburner.jobs.account import storable
from backburner.jobs.frames import Log, LogLevel, sendable

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping

__all__ = ["logger_to"]

_LEVELS: dict[str, LogLevel] = {level: level for level in get_args(LogLevel)}


def logger_to(send: Callable[[Log], None]) -> Any:  # noqa: ANN401 - structlog's own bound logger
    """Return a structlog logger that sends what it is told.

    Nothing is filtered here: which lines are shown is the engine's process's to say. An exception goes as its text.
    """

    def forward(_: object, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        name = str(event.pop("event", ""))
        fields = {_text(field): value if sendable(value) else _shown(value) for field, value in event.items()}
        send(Log(_LEVELS.get(method, "info"), _text(name), fields))
        raise structlog.DropEvent

    return structlog.wrap_logger(
        logging.getLogger("backburner.job"),
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.processors.StackInfoRenderer(),
            structlog.processors.format_exc_info,
            forward,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
    )


def _text(value: str) -> str:
    return storable(value)


def _shown(value: object) -> str:
    try:
        return storable(repr(value))
    except Exception as failure:  # noqa: BLE001 - the job's own code makes it; a line of a log must not fail a job
        return f"<{type(value).__name__}, whose text could not be made: {type(failure).__name__}>"
