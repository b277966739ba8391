"""One way to a log: the app's structlog where it has configured one, the standard library's logging otherwise.

The engine configures neither. Without structlog configuration a record goes to the stdlib logger of the same name: its
message is the event and the fields, its ``extra`` carries them under ``backburner``, so that no field can clash with an
attribute of `logging.LogRecord`.
"""

from __future__ import annotations

import functools
import inspect
import json
import logging
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, cast

from backburner.model.clock import micros
from backburner.model.duration import about

if TYPE_CHECKING:
    from collections.abc import MutableMapping, Sequence

__all__ = ["Level", "emit", "get_logger"]

Level = Literal["debug", "info", "warning", "error"]

#: Frames between here and the one that calls the stdlib logger, which starts counting there: `_stacklevel`, the
#: processor, and structlog's running of processors.
_BEFORE_LOGGING = 3


def get_logger(name: str) -> Any:  # noqa: ANN401 - whatever bound logger the app configured
    """Return a logger that takes an event and fields: ``log.info("sent", to=address)``."""
    import structlog  # noqa: PLC0415 - it imports rich: 100 ms that an app which logs by the stdlib need not pay

    if structlog.is_configured():
        return structlog.get_logger(name)
    return structlog.wrap_logger(
        logging.getLogger(name), processors=_processors(), wrapper_class=structlog.stdlib.BoundLogger
    )


def emit(
    name: str, level: Level, event: str, fields: Mapping[str, object], *, error: BaseException | None = None
) -> None:
    """Log one event of the engine's own, with the traceback of ``error``."""
    plain = {field: _plain(value) for field, value in fields.items()}
    # Whoever has configured structlog has imported it.
    structlog = sys.modules.get("structlog")
    if structlog is not None and structlog.is_configured():
        if error is not None:
            plain["exc_info"] = error
        getattr(structlog.get_logger(name), level)(event, **plain)
        return
    logger = logging.getLogger(name)
    number: int = getattr(logging, level.upper())
    if logger.isEnabledFor(number):
        logger.log(number, _text(event, plain), exc_info=error, extra={"backburner": {"event": event, **plain}})


@functools.cache
def _processors() -> Sequence[Any]:
    import structlog  # noqa: PLC0415 - see get_logger

    return (
        structlog.stdlib.filter_by_level,
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.PositionalArgumentsFormatter(),
        _to_stdlib,
    )


def _to_stdlib(_: object, __: str, event: MutableMapping[str, Any]) -> tuple[tuple[str], dict[str, Any]]:
    """Render to what `logging.Logger.info` and its siblings take."""
    options = {name: event.pop(name) for name in ("exc_info", "stack_info", "stacklevel") if name in event}
    options.setdefault("stacklevel", _stacklevel())
    name = str(event.pop("event", ""))
    plain = {field: _plain(value) for field, value in event.items()}
    # A percent sign in a value is no placeholder: logging formats only when it is given arguments.
    return (_text(name, plain),), {**options, "extra": {"backburner": {"event": name, **plain}}}


def _stacklevel() -> int:
    """Count the frames to the code that logs, so that the record names its file and line."""
    frame = inspect.currentframe()
    level = -_BEFORE_LOGGING
    while frame is not None and frame.f_globals.get("__name__", "").startswith(("structlog.", __name__)):
        frame = frame.f_back
        level += 1
    return level + 1


def _plain(value: object) -> object:
    """Turn what renderers would write as ``datetime.datetime(…)`` into text for people."""
    match value:
        case datetime():
            return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case timedelta():
            return about(micros(value))
        case BaseException():
            return f"{type(value).__name__}: {value}"
        case _:
            return value


def _text(event: str, fields: Mapping[str, object]) -> str:
    allowed = fields.get("attempts")
    if allowed is not None:
        shown = {**fields, "attempt": f"{fields.get('attempt')}/{allowed}"}
        fields = {name: value for name, value in shown.items() if name != "attempts"}
    return " ".join([event, *(f"{name}={_quoted(value)}" for name, value in fields.items())])


def _quoted(value: object) -> str:
    """Write a value so that the line stays one line and its fields can be told apart."""
    if isinstance(value, Mapping):
        items = cast("Mapping[object, object]", value).items()
        return ",".join(f"{_quoted(name)}:{_quoted(item)}" for name, item in items)
    text = str(value)
    if text and text.isprintable() and not any(character in text for character in ' "='):
        return text
    return json.dumps(text, ensure_ascii=False)
