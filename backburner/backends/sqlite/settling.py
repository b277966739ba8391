"""Claims on their way out."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from backburner.backends.sqlite.encoding import to_json
from backburner.backends.sqlite.failures import is_content, why_refused
from backburner.backends.sqlite.statements import load
from backburner.errors import StoreRefused
from backburner.model.job import JobState

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from backburner.model.job import Settlement

__all__ = ["Outcome", "settle"]

_COMPLETE = load("complete")
_STANDING = load("standing")
_REMEMBER = load("remember")
_SETTLE = load("settle")


class Outcome(NamedTuple):
    """What became of a batch of settlements."""

    stale: tuple[str, ...]
    cancelled: tuple[str, ...]


class _Standing(msgspec.Struct, array_like=True, gc=False):
    """How a job stands: the column order of its statement."""

    id: str
    state: JobState
    node: str | None
    token: int
    cancel: int

    def fits(self, settlement: Settlement, node: str) -> bool:
        """Tell whether the settlement's claim is the last one of this job."""
        return self.token == settlement.token and self.node == node


_decode_standing = msgspec.json.Decoder(list[_Standing]).decode


def settle(connection: sqlite3.Connection, node: str, settlements: Sequence[Settlement], now: int) -> Outcome:
    """Apply settlements; raises `StoreRefused`, naming the job, for one that cannot be stored."""
    try:
        return _settle(connection, node, settlements, now)
    except Exception as error:
        if not is_content(error) or not connection.in_transaction:
            raise
        # Whatever this tries is undone with the whole transaction, which this refusal ends.
        guilty = next((each.id for each in settlements if _is_refused(connection, node, each, now)), None)
        raise StoreRefused(
            f"The settlement of job {guilty!r} cannot be stored: {why_refused(error)}", stored="no", job_id=guilty
        ) from error


def _settle(connection: sqlite3.Connection, node: str, settlements: Sequence[Settlement], now: int) -> Outcome:
    completed = [settlement for settlement in settlements if _is_plain(settlement)]
    stale: list[str] = []
    cancelled: tuple[str, ...] = ()
    if completed:
        rows = to_json([(settlement.id, settlement.token, settlement.result) for settlement in completed])
        before = connection.total_changes
        connection.execute(_COMPLETE, {"claims": rows, "node": node, "now": now})
        if connection.total_changes - before != len(completed):
            standing = _look_up(connection, completed)
            stale += [each.id for each in completed if not _fits(standing, each, node)]
    if len(completed) < len(settlements):
        others = [settlement for settlement in settlements if not _is_plain(settlement)]
        more, cancelled = _settle_others(connection, node, others, now)
        stale += more
    return Outcome(tuple(stale), cancelled)


def _settle_others(
    connection: sqlite3.Connection, node: str, settlements: Sequence[Settlement], now: int
) -> tuple[list[str], tuple[str, ...]]:
    standing = _look_up(connection, settlements)
    stale: list[str] = []
    cancelled: list[str] = []
    applied: dict[str, Settlement] = {}
    for settlement in settlements:
        job = standing.get(settlement.id)
        if job is None or not job.fits(settlement, node):
            stale.append(settlement.id)
            continue
        to_pending = settlement.state is JobState.PENDING
        if job.state is JobState.RUNNING:
            applied[settlement.id] = settlement
            # A second settlement of the same claim finds it applied.
            job.state = JobState.CANCELLED if to_pending and job.cancel else settlement.state
        if to_pending and job.state is JobState.CANCELLED:
            cancelled.append(settlement.id)
    if applied:
        _write(connection, list(applied.values()), now)
    return stale, tuple(cancelled)


def _write(connection: sqlite3.Connection, settlements: Sequence[Settlement], now: int) -> None:
    attempts = [
        (each.id, each.ending, each.error, each.message, each.fingerprint, each.traceback)
        for each in settlements
        if each.ending is not None
    ]
    if attempts:
        connection.execute(_REMEMBER, {"attempts": to_json(attempts), "now": now})
    connection.execute(_SETTLE, {"claims": to_json([_row(each) for each in settlements]), "now": now})


def _row(each: Settlement) -> tuple[object, ...]:
    # The last error is that of an attempt which the history keeps; an interruption leaves it.
    failed = each.ending is not None
    return (
        each.id,
        each.state,
        each.reason,
        each.result,
        each.delay,
        each.gate,
        each.backoff,
        each.failed,
        each.crashed,
        each.interrupted,
        int(each.unstarted),
        each.error if failed else "",
        each.message,
        each.fingerprint,
    )


def _is_plain(each: Settlement) -> bool:
    return (
        each.state is JobState.COMPLETED
        and each.reason is None
        and each.ending is None
        and not (each.failed or each.crashed or each.interrupted or each.unstarted)
    )


def _look_up(connection: sqlite3.Connection, settlements: Sequence[Settlement]) -> dict[str, _Standing]:
    (rows,) = connection.execute(_STANDING, {"ids": to_json([each.id for each in settlements])}).fetchone()
    return {job.id: job for job in _decode_standing(rows)}


def _fits(standing: dict[str, _Standing], settlement: Settlement, node: str) -> bool:
    job = standing.get(settlement.id)
    return job is not None and job.fits(settlement, node)


def _is_refused(connection: sqlite3.Connection, node: str, settlement: Settlement, now: int) -> bool:
    try:
        _settle(connection, node, [settlement], now)
    except Exception as error:
        if is_content(error):
            return True
        raise
    return False
