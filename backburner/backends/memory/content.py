"""What no store can keep, so this one refuses it too: text that is not Unicode, numbers beyond 64 bits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backburner.model.job import PRIORITIES

if TYPE_CHECKING:
    from backburner.backends.memory.row import Row
    from backburner.model.job import Settlement

__all__ = ["row_flaw", "settlement_flaw"]

_LAST = (1 << 63) - 1


def row_flaw(row: Row) -> str | None:
    """Say what is wrong with a new row; None for nothing."""
    job = row.job
    if not (job.id.isascii() and job.kind.isascii() and job.queue.isascii() and job.args.isascii()) or job.tags:
        flaw = _text_flaw(id=job.id, kind=job.kind, queue=job.queue, args=job.args, tags="".join(job.tags))
        if flaw is not None:
            return flaw
    if job.gate or job.retry is not None or job.headers is not None or job.parent is not None:
        flaw = _text_flaw(gate=job.gate, retry=job.retry, headers=job.headers, parent=job.parent)
        if flaw is not None:
            return flaw
    if job.unique is not None:
        flaw = _text_flaw(unique=job.unique.key) or _number_flaw(period=row.created_at + (job.unique.period or 0))
        if flaw is not None:
            return flaw
    if job.priority not in PRIORITIES:
        return f"priority is {job.priority}, not one of 0 to 9"
    return _number_flaw(due=row.due_at, expires=row.expires_at or 0, timeout=job.timeout or 0)


def settlement_flaw(settlement: Settlement, now: int) -> str | None:
    """Say what is wrong with a settlement; None for nothing."""
    result = settlement.result
    if result is not None and not result.isascii():
        flaw = _text_flaw(result=result)
        if flaw is not None:
            return flaw
    if settlement.checkpoint is not None or settlement.progress is not None:
        done, total = settlement.progress or (0, None)
        flaw = _text_flaw(checkpoint=settlement.checkpoint) or _number_flaw(done=done, total=total or 0)
        if flaw is not None:
            return flaw
    if settlement.ending is None and settlement.reason is None and not settlement.delay:
        return None
    return _text_flaw(
        reason=settlement.reason,
        gate=settlement.gate,
        error=settlement.error,
        message=settlement.message,
        traceback=settlement.traceback,
        fingerprint=settlement.fingerprint,
    ) or _number_flaw(due=now + settlement.delay, backoff=settlement.backoff or 0)


def _text_flaw(**texts: str | None) -> str | None:
    for name, text in texts.items():
        try:
            (text or "").encode()
        except UnicodeEncodeError as error:
            return f"{name} is not Unicode text, at character {error.start}"
    return None


def _number_flaw(**numbers: int) -> str | None:
    for name, number in numbers.items():
        if not -_LAST <= number <= _LAST:
            return f"{name} is beyond 64 bits"
    return None
