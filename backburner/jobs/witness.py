"""Hears of every end that was written, and tells who waits: handles here, nodes elsewhere, whoever reads the logs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from backburner.jobs.vigil import Final
from backburner.model.clock import SECOND
from backburner.model.job import CORRELATION_HEADER, Ending, JobState
from backburner.ports.backend import Hint
from backburner.ports.telemetry import Signal

if TYPE_CHECKING:
    from collections.abc import Callable

    from backburner.jobs.handles import Handles
    from backburner.jobs.hints import Hints
    from backburner.jobs.kit import Kit
    from backburner.jobs.settler import Subject
    from backburner.model.job import Settlement

__all__ = ["Witness"]

#: Python looks the members of an enumeration up anew each time.
_COMPLETED = JobState.COMPLETED
_decode_headers = msgspec.json.Decoder(dict[str, str]).decode


class Witness:
    """Nothing is told before it is durable."""

    def __init__(self, handles: Handles, hints: Hints, expect: Callable[[str, int], None], kit: Kit) -> None:
        self._handles = handles
        self._hints = hints
        self._expect = expect
        self._listener = kit.listener
        self._hooks = kit.hooks
        #: A follow-up with a unique key was stored: one may stand at its gate, and the end of a job let it into the line.
        self._keyed = False
        self.completed = 0
        self.interrupted = 0

    def settled(self, job: Subject, settlement: Settlement, error: BaseException | None) -> None:
        """Hear of a settlement."""
        state = settlement.state
        if self._hooks.settled:
            for settled in self._hooks.settled:
                settled(job, settlement)
        if state is _COMPLETED:
            self.completed += 1
            if settlement.jobs:
                for stored in self._hooks.stored:
                    stored(settlement.jobs)
            if settlement.jobs and not self._keyed:
                self._keyed = any(job.unique is not None for job in settlement.jobs)
            self._handles.ended(job.id, Final(state, settlement.result))
            return
        if state is JobState.PENDING:
            if settlement.ending is not Ending.MISFIT:
                self._expect(job.queue, settlement.delay)
            self._tell_again(job, settlement)
            return
        final = Final(state, None, settlement.reason, settlement.error, settlement.message)
        self._handles.ended(job.id, final)
        if state is JobState.DEAD:
            self._listener(
                Signal.JOB_DEAD,
                error=error,
                kind=job.kind,
                id=job.id,
                attempt=job.attempt,
                reason=settlement.reason,
                cause=_cause(settlement),
                fingerprint=settlement.fingerprint,
                **_correlation(job),
            )
        else:
            self._listener(Signal.JOB_CANCELLED, kind=job.kind, id=job.id, reason=settlement.reason)

    def stale(self, job: Subject) -> None:
        """Hear of a settlement that changed nothing."""
        self._listener(Signal.JOB_LOST, kind=job.kind, id=job.id, queue=job.queue, attempt=job.attempt)

    def wrote(self) -> None:
        """Let those who wait on other nodes look."""
        self._hints.tell(Hint.JOBS, here=self._keyed)

    def _tell_again(self, job: Subject, settlement: Settlement) -> None:
        if settlement.ending is Ending.FAILED:
            self._listener(
                Signal.JOB_RETRY,
                kind=job.kind,
                id=job.id,
                attempt=job.attempt,
                failures=job.failures + 1,
                cause=_cause(settlement),
                delay=settlement.delay / SECOND,
                **_correlation(job),
            )
        elif settlement.ending is Ending.MISFIT:
            self._listener(Signal.JOB_MISFIT, kind=job.kind, id=job.id, why=settlement.message)
        elif settlement.ending is Ending.INTERRUPTED:
            self.interrupted += 1
            self._listener(
                Signal.JOB_INTERRUPTED, kind=job.kind, id=job.id, attempt=job.attempt, why=settlement.message
            )


def _correlation(job: Subject) -> dict[str, Any]:
    """Return the id of the request that a job is from, if it has one, for the log."""
    if job.headers is None or CORRELATION_HEADER not in job.headers:
        return {}
    carried = _decode_headers(job.headers)
    return {CORRELATION_HEADER: carried[CORRELATION_HEADER]} if CORRELATION_HEADER in carried else {}


def _cause(settlement: Settlement) -> str:
    return f"{settlement.error}: {settlement.message}" if settlement.error else settlement.message
