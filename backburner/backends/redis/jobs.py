"""The job store, in Redis."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from backburner.backends.content import job_flaw, settlement_flaw
from backburner.backends.redis import packing, sending
from backburner.backends.redis.portions import in_portions
from backburner.backends.redis.transactions import refuse
from backburner.errors import StoreRefused
from backburner.ports.jobs import ClaimBatch, Enqueued, GroupAnswer, Recovery, Settled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backburner.backends.redis.session import Session
    from backburner.model.job import NewJob, Settlement
    from backburner.ports.jobs import Birth, ClaimRequest

__all__ = ["RedisJobStore"]

_STORED = GroupAnswer()
_NO_TOKENS: dict[str, int] = {}


class RedisJobStore:
    """A `JobStore`: every verb is one script, but for what stores very many jobs."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    async def enqueue(
        self, groups: Sequence[Sequence[NewJob]], birth: Birth | None = None, tx: object = None
    ) -> Enqueued:
        """Store groups of jobs: of very many in portions of whole groups, since others wait for a script to end."""
        refuse(tx)
        stored = await in_portions(groups, len, partial(self._store, birth))
        if len(stored) == 1:
            return stored[0]
        return Enqueued(stored[-1].now, tuple(answer for portion in stored for answer in portion.groups))

    async def _store(self, birth: Birth | None, groups: Sequence[Sequence[NewJob]]) -> Enqueued:
        now = self._session.clock.now()
        answers = [_flawed(group, now) for group in groups]
        jobs = [job for group, answer in zip(groups, answers, strict=True) if answer is None for job in group]
        tokens = _NO_TOKENS if birth is None else birth.tokens
        args = [arg for job in jobs for arg in sending.job(job, tokens.get(job.id))]
        answered, *said = await self._run("enqueue", "" if birth is None else birth.node, *args)
        found = dict(zip(said[::2], said[1::2], strict=True))
        if found:
            answers = _told(groups, answers, found)
        return Enqueued(packing.number(answered), tuple([answer or _STORED for answer in answers]))

    async def claim(self, request: ClaimRequest) -> ClaimBatch:
        """Hand over due jobs."""
        now, batch = await self._run("claim", sending.request(request))
        return _batch(batch, packing.number(now))

    async def settle(
        self, node: str, settlements: Sequence[Settlement], claim: ClaimRequest | None = None, tx: object = None
    ) -> Settled:
        """Write how claims ended; then, in the same script, claim."""
        refuse(tx)
        now = self._session.clock.now()
        for each in settlements:
            flaw = settlement_flaw(each, now)
            if flaw is not None:
                raise StoreRefused(f"The end of job {each.id} cannot be stored: {flaw}", stored="no", job_id=each.id)
        request = b"" if claim is None else sending.request(claim)
        answer = await self._run("settle", node, request, *sending.settlements(settlements))
        now = packing.number(answer[0])
        stale, cancelled = _texts(answer[1]), _texts(answer[2])
        return Settled(
            now=now,
            stale=tuple(stale),
            cancelled=dict(zip(cancelled[::2], cancelled[1::2], strict=True)),
            let_in=answer[3],
            batch=None if claim is None else _batch(answer[4], now),
        )

    async def recover(self, node: str, limit: int) -> Recovery:
        """Hand this node, under new tokens, jobs to settle that it is not to run."""
        answered, *jobs = await self._run("recover", node, max(0, limit))
        now = packing.number(answered)
        return Recovery(now, tuple(packing.recovered(jobs, now=now)))

    async def _run(self, name: str, *args: str | bytes | int) -> Any:  # noqa: ANN401 - whatever the script answers
        return await self._session.scripts.run(name, self._session.keys.tables, args)


def _flawed(group: Sequence[NewJob], now: int) -> GroupAnswer | None:
    """Refuse a group for its content; the time is this machine's own, of which only the order of magnitude matters."""
    for job in group:
        flaw = job_flaw(job, now)
        if flaw is not None:
            return GroupAnswer(refused=f"job {job.id!r}: {flaw}")
    return None


def _told(
    groups: Sequence[Sequence[NewJob]], answers: Sequence[GroupAnswer | None], found: dict[int, bytes]
) -> list[GroupAnswer | None]:
    """Answer by group what was found of some jobs, by their places among all that were sent."""
    told: list[GroupAnswer | None] = []
    start = 0
    for group, answer in zip(groups, answers, strict=True):
        if answer is not None:
            told.append(answer)
            continue
        here = [(job.id, what) for at, job in enumerate(group, start) if (what := found.get(at)) is not None]
        start += len(group)
        told.append(
            GroupAnswer(
                born=tuple(job_id for job_id, what in here if what == b"born"),
                duplicates=tuple(job_id for job_id, what in here if what == b"duplicate"),
                holders={job_id: what[1:].decode() for job_id, what in here if what.startswith(b"=")},
            )
        )
    return told


def _batch(answer: list[Any], now: int) -> ClaimBatch:
    token, wait, capped, parked, *claims = answer
    return ClaimBatch(
        now=now,
        claims=tuple(packing.claims(claims, now=now, token=packing.number(token))),
        wait=packing.number(wait) if wait else None,
        capped=tuple(_texts(capped)),
        parked={kind.decode(): count for kind, count in zip(parked[::2], parked[1::2], strict=True)},
    )


def _texts(answer: Sequence[bytes]) -> list[str]:
    return [text.decode() for text in answer]
