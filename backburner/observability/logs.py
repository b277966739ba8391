"""Signals as log records: one table says which logger and how loud."""

from __future__ import annotations

from typing import NamedTuple

from backburner.log import Level, emit
from backburner.ports.telemetry import Signal

__all__ = ["LogListener"]


class _Record(NamedTuple):
    logger: str
    level: Level
    #: With the traceback; without, an error is shown as its type and message.
    traceback: bool = False


#: Loud only where somebody may have to act: alarms are made of errors, so a retry is none and a death is one.
_RECORDS = {
    Signal.ENGINE_STARTED: _Record("backburner.engine", "info"),
    Signal.ENGINE_STOPPED: _Record("backburner.engine", "info"),
    Signal.LOOP_FAILED: _Record("backburner.engine", "error", traceback=True),
    Signal.STORE_WAITING: _Record("backburner.store", "warning"),
    Signal.STORE_RECOVERED: _Record("backburner.store", "info"),
    Signal.STORE_FINDING: _Record("backburner.store", "warning"),
    Signal.JOB_RETRY: _Record("backburner.job", "warning"),
    Signal.JOB_DEAD: _Record("backburner.job", "error", traceback=True),
    Signal.JOB_CANCELLED: _Record("backburner.job", "debug"),
    Signal.JOB_INTERRUPTED: _Record("backburner.job", "info"),
    Signal.JOB_LAPSED: _Record("backburner.job", "warning"),
    Signal.JOB_LOST: _Record("backburner.job", "warning"),
    Signal.JOB_LATE_ERROR: _Record("backburner.job", "warning", traceback=True),
    Signal.JOB_STUCK: _Record("backburner.job", "error"),
    Signal.KIND_UNKNOWN: _Record("backburner.job", "warning"),
    Signal.JOB_MISFIT: _Record("backburner.job", "warning"),
    Signal.BREAKER_OPENED: _Record("backburner.breaker", "error"),
    Signal.BREAKER_PROBING: _Record("backburner.breaker", "info"),
    Signal.BREAKER_CLOSED: _Record("backburner.breaker", "info"),
    Signal.BREAKER_ALONE: _Record("backburner.breaker", "warning"),
    Signal.BUDGET_DRY: _Record("backburner.budget", "warning"),
    Signal.BUDGET_REFILLED: _Record("backburner.budget", "info"),
    Signal.LOCK_LOST: _Record("backburner.lock", "error"),
    Signal.SCHEDULE_MISSED: _Record("backburner.schedule", "warning"),
    Signal.SCHEDULE_SKIPPED: _Record("backburner.schedule", "info"),
    Signal.SCHEDULE_DECLARED: _Record("backburner.schedule", "info"),
    Signal.SCHEDULE_RETIRED: _Record("backburner.schedule", "warning"),
    Signal.SCHEDULE_UNKNOWN: _Record("backburner.schedule", "warning"),
    Signal.SCHEDULE_FAILED: _Record("backburner.schedule", "error"),
    Signal.EVENT_REFUSED: _Record("backburner.events", "error"),
    Signal.EVENTS_LOST: _Record("backburner.events", "error"),
    Signal.ALERT_FIRED: _Record("backburner.alert", "error"),
    Signal.ALERT_RESOLVED: _Record("backburner.alert", "info"),
    Signal.NODE_DRAINING: _Record("backburner.node", "info"),
    Signal.NODE_STALLED: _Record("backburner.node", "error"),
    Signal.NODE_FENCED: _Record("backburner.node", "error"),
    Signal.NODE_RETURNED: _Record("backburner.node", "info"),
    Signal.WORKER_DIED: _Record("backburner.node", "error"),
}

#: Characters of an error's message in a log line; the store keeps all of it.
_MESSAGE = 500


class LogListener:
    """A `Listener` that logs: event = the signal's name, fields as structured fields.

    Fields may be `datetime`, `timedelta`, mappings and errors: they are written for people. ``attempt`` and ``attempts``
    are the run's number and how many the policy allows. Where a ``cause`` has the error's words, they are not written
    twice. Of a store that is waited for the first failure of each loop is told, then each time that their number has
    doubled; the others are for debugging.
    """

    __slots__ = ()

    def __call__(self, signal: Signal, /, *, error: BaseException | None = None, **fields: object) -> None:
        """Log one signal."""
        record = _RECORDS[signal]
        if signal is Signal.STORE_WAITING and not _is_told(fields.get("failures")):
            record = record._replace(level="debug")
        if error is not None and not fields.get("cause"):
            fields["error"] = _described(error)
        emit(record.logger, record.level, signal.value, fields, error=error if record.traceback else None)


def _is_told(failures: object) -> bool:
    return not isinstance(failures, int) or failures & (failures - 1) == 0


def _described(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - a user's error may fail even to name itself; its death must be told all the same
        text = "(its text could not be made)"
    return f"{type(error).__name__}: {text[:_MESSAGE]}{'…' if len(text) > _MESSAGE else ''}"
