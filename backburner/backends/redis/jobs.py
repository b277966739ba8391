"""The job store, in Redis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backburner.backends.content import job_flaw, settlement_flaw
from backburner.backends.redis import packing, sending
from backburner.backends.redis.transactions import refuse
from backburner.errors import StoreError, StoreRefused
from backburner.ports.jobs import ClaimBatch, Enqueued, GroupAnswer, Recovery, Settled
from backburner.shield import to_the_end

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backburner.backends.redis.session import Session
    from backburner.model.job import NewJob, Settlement
    from backburner.ports.jobs import Birth, ClaimRequest

__all__ = ["RedisJobStore"]

#: Jobs that one script stores, if no group has more: a few milliseconds, of jobs with unique keys three times that.
_PORTION = 500
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
        portions = _portions(groups)
        if len(portions) == 1:
            return await self._store(groups, birth)
        return await to_the_end(self._store_each(portions, birth))

    async def _store_each(self, portions: Sequence[Sequence[Sequence[NewJob]]], birth: Birth | None) -> Enqueued:
        answers: list[GroupAnswer] = []
        now = 0
        for portion in portions:
            try:
                enqueued = await self._store(portion, birth)
            except StoreError as error:
                if answers:
                    # What went before is stored.
                    error.stored = "unknown"
                raise
            now = enqueued.now
            answers += enqueued.groups
        return Enqueued(now, tuple(answers))

    async def _store(self, groups: Sequence[Sequence[NewJob]], birth: Birth | None) -> Enqueued:
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
                raise StoreRefused(f"The settlement of job {each.id}: {flaw}", stored="no", job_id=each.id)
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


def _portions(groups: Sequence[Sequence[NewJob]]) -> list[Sequence[Sequence[NewJob]]]:
    """Divide groups, none of them, into portions of about as many jobs as one script is to store; at least one portion."""
    portions: list[list[Sequence[NewJob]]] = [[]]
    taken = 0
    for group in groups:
        if taken and taken + len(group) > _PORTION:
            portions.append([])
            taken = 0
        portions[-1].append(group)
        taken += len(group)
    return [*portions]


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
