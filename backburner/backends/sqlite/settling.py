"""Claims on their way out."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from backburner.backends.splitting import split
from backburner.backends.sqlite import telling
from backburner.backends.sqlite.encoding import to_json
from backburner.backends.sqlite.failures import is_content, why_refused
from backburner.backends.sqlite.freeing import free
from backburner.backends.sqlite.inserting import follow
from backburner.backends.sqlite.notes import write_notes
from backburner.backends.sqlite.statements import load
from backburner.errors import StoreRefused
from backburner.model.job import CANCELLED, JobState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backburner.backends.sqlite.asking import Asked
    from backburner.backends.sqlite.steps import Steps
    from backburner.model.job import Settlement

__all__ = ["Outcome", "settle"]

_COMPLETE = load("complete")
_STANDING = load("standing")
_REMEMBER = load("remember")
_SETTLE = load("settle")

_RUNNING = JobState.RUNNING


class Outcome(NamedTuple):
    """What became of a batch of settlements."""

    stale: tuple[str, ...]
    #: With the reason given when that was asked for.
    cancelled: dict[str, str]
    #: Who waited for a key that came free, and lanes that open.
    let_in: int


class _Standing(msgspec.Struct, array_like=True, gc=False):
    """How a job stands: the column order of its statement."""

    id: str
    state: JobState
    node: str | None
    token: int
    cancel: int
    #: Why it is to be cancelled, or why it ended.
    reason: str | None

    def fits(self, settlement: Settlement, node: str) -> bool:
        """Tell whether the settlement's claim is the last one of this job."""
        return self.token == settlement.token and self.node == node


_decode_standing = msgspec.json.Decoder(list[_Standing]).decode


def settle(
    node: str, settlements: Sequence[Settlement], now: int, asked: Asked, *, joined: bool = False
) -> Steps[Outcome]:
    """Apply settlements; raises `StoreRefused`, naming the job, for one that cannot be stored.

    ``joined`` tells that this is a caller's transaction.
    """
    try:
        return (yield from _settle(node, settlements, now, asked, joined=joined))
    except Exception as error:
        if not is_content(error):
            raise
        # Whatever this tries is undone with the whole unit, which this refusal ends.
        guilty = yield from _find_guilty(node, settlements, now, asked, joined=joined)
        raise StoreRefused(
            f"The end of job {guilty!r} cannot be stored: {why_refused(error)}", stored="no", job_id=guilty
        ) from error


def _settle(node: str, settlements: Sequence[Settlement], now: int, asked: Asked, *, joined: bool) -> Steps[Outcome]:
    plain, others = split(settlements)
    fitted, opened = (yield from write_notes(settlements, node, now, joined=joined)) if others else (True, set[str]())
    let_in = 0
    stale = (yield from _complete(node, plain, now, asked)) if plain else []
    cancelled: dict[str, str] = {}
    applied: list[Settlement] = []
    ends = any(each.state is not _RUNNING for each in others)
    if ends or not fitted:
        standing = yield from _look_up(others)
        sorted_ = _sort(others, standing, node)
        stale += sorted_.stale
        applied, cancelled = sorted_.applied, sorted_.cancelled
        if applied:
            yield from telling.of_settled(applied, cancelled, node, asked, now)
            yield from _write(applied, now)
    if plain or ends:
        ended = [each.id for each in settlements if each.state is not _RUNNING and each.id not in stale]
        more, let_in = yield from free(ended, now, joined=joined)
        opened |= more
    # Who waits for a key comes before the follow-up of the one that held it.
    jobs = [job for each in applied for job in each.jobs]
    if jobs:
        yield from follow(jobs, now, asked)
    return Outcome(tuple(dict.fromkeys(stale)), cancelled, len(opened) + let_in)


def _complete(node: str, settlements: Sequence[Settlement], now: int, asked: Asked) -> Steps[list[str]]:
    """Complete claims in one statement; return the stale."""
    yield from telling.of_completed(settlements, node, asked, now)
    rows = to_json([(each.id, each.token, each.result) for each in settlements])
    changed: int = yield _COMPLETE, {"claims": rows, "node": node, "now": now}
    if changed == len(settlements):
        return []
    standing = yield from _look_up(settlements)
    return [each.id for each in settlements if not _fits(standing, each, node)]


class _Sorted(NamedTuple):
    """Settlements by what is to be done about them."""

    stale: list[str]
    cancelled: dict[str, str]
    #: At most one a job, and none that leaves it running.
    applied: list[Settlement]


def _sort(settlements: Sequence[Settlement], standing: dict[str, _Standing], node: str) -> _Sorted:
    sorted_ = _Sorted([], {}, [])
    for settlement in settlements:
        job = standing.get(settlement.id)
        if job is None or not job.fits(settlement, node):
            sorted_.stale.append(settlement.id)
            continue
        if settlement.state is _RUNNING:
            continue
        to_pending = settlement.state is JobState.PENDING
        if job.state is _RUNNING:
            sorted_.applied.append(settlement)
            # A second settlement of the same claim finds it applied.
            job.state = JobState.CANCELLED if to_pending and job.cancel else settlement.state
        if to_pending and job.state is JobState.CANCELLED:
            sorted_.cancelled[settlement.id] = job.reason or CANCELLED
    return sorted_


def _write(settlements: Sequence[Settlement], now: int) -> Steps[None]:
    attempts = [
        (each.id, each.ending, each.error, each.message, each.fingerprint, each.traceback)
        for each in settlements
        if each.ending is not None
    ]
    if attempts:
        yield _REMEMBER, {"attempts": to_json(attempts), "now": now}
    yield _SETTLE, {"claims": to_json([_row(each) for each in settlements]), "now": now}


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


def _look_up(settlements: Sequence[Settlement]) -> Steps[dict[str, _Standing]]:
    (rows,) = yield _STANDING, {"ids": to_json([each.id for each in settlements])}
    return {job.id: job for job in _decode_standing(rows)}


def _fits(standing: dict[str, _Standing], settlement: Settlement, node: str) -> bool:
    job = standing.get(settlement.id)
    return job is not None and job.fits(settlement, node)


def _find_guilty(
    node: str, settlements: Sequence[Settlement], now: int, asked: Asked, *, joined: bool
) -> Steps[str | None]:
    """Return the job of the first settlement that is refused alone."""
    for each in settlements:
        try:
            yield from _settle(node, [each], now, asked, joined=joined)
        except Exception as error:
            if is_content(error):
                return each.id
            raise
    return None
