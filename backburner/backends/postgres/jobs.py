"""The job store, in PostgreSQL."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING

import msgspec

from backburner.backends.content import settlement_flaw
from backburner.backends.postgres.failures import is_locked
from backburner.backends.postgres.floors import Floors
from backburner.backends.postgres.inserting import enqueue, lanes_of
from backburner.backends.splitting import split
from backburner.errors import LeaseLost, StoreBusy, StoreRefused
from backburner.model.job import Claim, Recovered
from backburner.ports.jobs import ClaimBatch, Recovery, Settled

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from backburner.backends.postgres.session import Session
    from backburner.backends.postgres.transactions import PostgresTransactions
    from backburner.model.job import NewJob, Settlement
    from backburner.ports.jobs import Birth, ClaimRequest, Enqueued

__all__ = ["PostgresJobStore"]

#: Looks at a job that its own run completes, while somebody else (who writes a note of it, say) has it locked for a
#: moment; each waits for that as long as a verb does for any lock.
_LOOKS = 10

_order = attrgetter("priority", "due_at", "id")


class _Batch(msgspec.Struct):
    """What a claim answers; the claims are in no order."""

    now: int = 0
    claims: list[Claim] = []
    wait: int | None = None
    capped: tuple[str, ...] = ()
    parked: dict[str, int] = {}
    #: Microseconds that it took to look for them from the heads of lines.
    looked: int | None = None
    #: Some were left in line, for another who judged by one of their lanes.
    left: bool = False
    lost: bool = False

    def batch(self) -> ClaimBatch:
        return ClaimBatch(
            now=self.now,
            claims=tuple(sorted(self.claims, key=_order)),
            wait=self.wait,
            capped=self.capped,
            parked=self.parked,
        )


class _Settled(msgspec.Struct):
    now: int = 0
    stale: tuple[str, ...] = ()
    busy: tuple[str, ...] = ()
    cancelled: dict[str, str] = {}
    let_in: int = 0
    batch: _Batch | None = None
    lost: bool = False


class _Recovery(msgspec.Struct):
    now: int
    jobs: tuple[Recovered, ...]


_encode = msgspec.json.Encoder().encode
_decode_batch = msgspec.json.Decoder(_Batch).decode
_decode_settled = msgspec.json.Decoder(_Settled).decode
_decode_recovery = msgspec.json.Decoder(_Recovery).decode


class PostgresJobStore:
    """A `JobStore`: every verb is one function of the schema, called on a connection of ours or in a caller's transaction."""

    __slots__ = ("_floors", "_session", "_transactions")

    def __init__(self, session: Session, transactions: PostgresTransactions) -> None:
        self._session = session
        self._transactions = transactions
        self._floors = Floors(session.clock, steady=session.now is None)

    async def enqueue(
        self, groups: Sequence[Sequence[NewJob]], birth: Birth | None = None, tx: object = None
    ) -> Enqueued:
        """Store groups of jobs."""
        session = self._session
        if tx is None:
            return await enqueue(groups, birth, session.now, lambda each: session.call(session.intake, "enqueue", each))
        return await enqueue(
            groups, None, session.now, lambda each: self._transactions.call(tx, "enqueue", each), careful=True
        )

    async def claim(self, request: ClaimRequest) -> ClaimBatch:
        """Hand over due jobs."""
        session = self._session
        document = {"now": session.now, **self._asked(request)}
        found = _decode_batch(await session.call(session.runs, "claim", _encode(document)))
        return self._claimed(request, found)

    async def settle(
        self, node: str, settlements: Sequence[Settlement], claim: ClaimRequest | None = None, tx: object = None
    ) -> Settled:
        """Write how claims ended; then, in the same transaction, claim."""
        session = self._session
        if tx is not None:
            return await self._settle_in(tx, node, settlements)

        async def call(document: bytes) -> str:
            return await session.call(session.runs, "settle", document)

        try:
            found = await self._settle(call, node, settlements, claim, careful=False)
        except StoreBusy as error:
            if not is_locked(error):
                raise
            found = await self._settle_carefully(call, node, settlements, claim)
        if found.lost and claim is not None:
            raise self._lost(claim.node)
        batch = None if claim is None or found.batch is None else self._claimed(claim, found.batch)
        return Settled(
            now=found.now,
            stale=found.stale,
            cancelled=found.cancelled,
            busy=found.busy,
            let_in=found.let_in,
            batch=batch,
        )

    async def recover(self, node: str, limit: int) -> Recovery:
        """Hand this node, under new tokens, jobs to settle that it is not to run."""
        session = self._session
        document = _encode({"now": session.now, "node": node, "limit": limit})
        found = _decode_recovery(await session.call(session.runs, "recover", document))
        return Recovery(found.now, found.jobs)

    async def _settle_carefully(
        self,
        call: Callable[[bytes], Awaitable[str]],
        node: str,
        settlements: Sequence[Settlement],
        claim: ClaimRequest | None,
    ) -> _Settled:
        """Settle what nobody has locked: jobs that bring follow-ups each in a step of its own, should it be those."""
        try:
            return await self._settle(call, node, settlements, claim, careful=True)
        except StoreBusy as error:
            if not is_locked(error):
                raise
        apart = dict.fromkeys([each.id for each in settlements if each.jobs])
        rest = [each for each in settlements if each.id not in apart]
        found = await self._settle(call, node, rest, claim, careful=True)
        if found.lost:
            return found
        for job_id in apart:
            try:
                one = await self._settle(
                    call, node, [each for each in settlements if each.id == job_id], None, careful=True
                )
            except StoreBusy as error:
                if not is_locked(error):
                    raise
                one = _Settled(busy=(job_id,))
            found.stale += one.stale
            found.busy += one.busy
            found.cancelled |= one.cancelled
            found.let_in += one.let_in
        return found

    async def _settle_in(self, tx: object, node: str, settlements: Sequence[Settlement]) -> Settled:
        def call(document: bytes) -> Awaitable[str]:
            return self._transactions.call(tx, "settle", document)

        locked = ""
        for _ in range(_LOOKS):
            found = await self._settle(call, node, settlements, None, careful=True, joined=True)
            if not found.busy:
                return Settled(now=found.now, stale=found.stale, cancelled=found.cancelled, let_in=found.let_in)
            # The rest is applied; applying it again changes nothing.
            locked = found.busy[0]
        raise StoreBusy(
            f"Job {locked} is locked by another transaction, so it cannot be completed in the one given as tx, "
            "which is as before: try again, or roll it back",
            stored="no",
            job_id=locked,
        )

    async def _settle(
        self,
        call: Callable[[bytes], Awaitable[str]],
        node: str,
        settlements: Sequence[Settlement],
        claim: ClaimRequest | None,
        *,
        careful: bool,
        joined: bool = False,
    ) -> _Settled:
        plain, others = split(settlements)
        document: dict[str, object] = {"now": self._session.now, "node": node, "careful": careful}
        if joined:
            document["joined"] = True
        if plain:
            document["completed"] = [{"id": each.id, "token": each.token, "result": each.result} for each in plain]
        if others:
            document["others"] = others
            lanes = [] if joined else lanes_of([job for each in others for job in each.jobs])
            if lanes:
                document["lanes"] = lanes
        if claim is not None:
            document["claim"] = self._asked(claim)
        try:
            return _decode_settled(await call(_encode(document)))
        except (StoreRefused, UnicodeEncodeError) as error:
            raise self._guilty(settlements, error) from error

    def _asked(self, request: ClaimRequest) -> dict[str, object]:
        return {**msgspec.structs.asdict(request), **self._floors.ask(request.queues)}

    def _claimed(self, request: ClaimRequest, found: _Batch) -> ClaimBatch:
        if found.lost:
            raise self._lost(request.node)
        batch = found.batch()
        self._floors.learn(batch, found.looked, left=found.left)
        return batch

    def _lost(self, node: str) -> LeaseLost:
        return LeaseLost(
            f"The lease of node {node} at {self._session.place.address} is not live: publish the node under a new id",
            stored="no",
        )

    def _guilty(self, settlements: Sequence[Settlement], error: Exception) -> StoreRefused:
        """Return the refusal that names its job, where what is wrong can be seen from here."""
        now = self._session.clock.now()
        for each in settlements:
            flaw = settlement_flaw(each, now)
            if flaw is not None:
                return StoreRefused(f"The end of job {each.id!r} cannot be stored: {flaw}", stored="no", job_id=each.id)
        guilty = settlements[0].id if len(settlements) == 1 else None
        return StoreRefused(f"The ends of some jobs cannot be stored: {error}", stored="no", job_id=guilty)
