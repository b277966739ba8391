"""The roles that hold jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec

from backburner.model.job import CANCELLED, Attempt, Claim, JobRecord, NewJob, Recovered, Settlement

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from backburner.model.query import JobFilter, Shown

__all__ = [
    "Birth",
    "CancelAnswer",
    "ClaimBatch",
    "ClaimRequest",
    "Enqueued",
    "GroupAnswer",
    "JobAdmin",
    "JobReader",
    "JobStore",
    "Keep",
    "Page",
    "Recovery",
    "Settled",
]


class Birth(msgspec.Struct, frozen=True):
    """An offer to run jobs at once: the node, and the token it drew for each job it has booked a slot for."""

    node: str
    #: Job id to token.
    tokens: dict[str, int]


class GroupAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one group. Jobs named nowhere were stored."""

    #: Ids born running, held by the offering node under the token it drew.
    born: tuple[str, ...] = ()
    #: Ids that were stored before: the same jobs, left as they are.
    duplicates: tuple[str, ...] = ()
    #: Ids that were not stored, since their unique key is held: each with the id of the job that holds it.
    holders: dict[str, str] = {}
    #: Why the store refused the group for its content; then nothing of it was stored.
    refused: str | None = None


class Enqueued(msgspec.Struct, frozen=True):
    """The answer to `JobStore.enqueue`: one answer a group, in order."""

    now: int
    groups: tuple[GroupAnswer, ...]


class ClaimRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A node's demand."""

    node: str
    #: Free slots by queue.
    queues: dict[str, int]
    #: Free slots in all: no more than this many claims are answered.
    limit: int
    #: The kinds the node knows.
    kinds: frozenset[str]
    #: A name for the signature that each kind has on the node.
    signatures: dict[str, str] = {}
    #: The node runs no suspect, so it may be handed one.
    suspect: bool = True


class ClaimBatch(msgspec.Struct, frozen=True, kw_only=True):
    """What was claimed, in the order priority, due, id."""

    now: int
    claims: tuple[Claim, ...] = ()
    #: Microseconds until it is worth asking again: 0 is now, None is not before a hint.
    wait: int | None = None
    #: The asked queues of which this node runs as many as an operator allows: the end of one such run makes room.
    capped: tuple[str, ...] = ()
    #: How many jobs this claim parked, by their unknown kind.
    parked: dict[str, int] = {}


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to `JobStore.settle`."""

    now: int
    #: Ids whose node or token no longer match: nothing was written for them.
    stale: tuple[str, ...] = ()
    #: Ids that were to be pending and became cancelled, since that had been asked for: each with the reason given then.
    cancelled: dict[str, str] = {}
    #: The claim that rode along.
    batch: ClaimBatch | None = None


class Recovery(msgspec.Struct, frozen=True):
    """The answer to `JobStore.recover`."""

    now: int
    jobs: tuple[Recovered, ...]


class JobStore(Protocol):
    """Takes jobs in, hands them out, writes down how they ended."""

    async def enqueue(
        self, groups: Sequence[Sequence[NewJob]], birth: Birth | None = None, tx: object = None
    ) -> Enqueued:
        """Store groups of jobs.

        Each group is stored whole or not at all, and answers for itself; groups never fail each other: one that is
        refused for its content stands alone in that. A job id stored before is the same job, in whatever state: it is
        answered as a duplicate and left as it is; its group is stored all the same. A negative delay and an instant in
        the past are due now.

        A job named in ``birth`` is born running, held by that node under the token drawn, as its first attempt, if it
        has no gate and is due at once, its queue is not paused, no pending job of its queue with the same or a smaller
        priority is due, and the queue's stored slots have room. Otherwise it is stored pending. A repeated write whose
        first answer was lost finds its births under the same node and token, and answers them as born again.

        A job whose unique key is held by another is not stored; the holder is answered, by the terms it was stored with,
        and the smallest id where several hold it. So is the second of two such jobs in one write. A conflict harms no
        other job of the group. An id stored before is looked at first.

        A child (it names its ``parent``) whose id is stored with the same parent and whose own group had cancelled it
        (it is cancelled for the reason `GROUP_CANCELLED`) is stored anew: pending as given and never born, its counters
        at zero, its history kept, its token growing on; if its key is held by now, the holder is answered. One that
        still runs and was asked to be cancelled for that reason is asked no more. Either is answered as stored.

        With ``tx``, a connection of the caller's that this store can join, all is stored in the transaction open there:
        it is seen once that commits, and never was if that rolls back. Nothing is born then, and a group refused for its
        content is answered as ever and leaves the transaction usable. Raises `TransactionRefused` for anything that
        cannot be joined, before any write.
        """
        ...

    async def claim(self, request: ClaimRequest) -> ClaimBatch:
        """Hand over due jobs.

        Takes pending jobs that are due from the asked queues, at most as many as each has free slots and as the whole
        request allows, by priority, due time, id. Their attempt goes up by one, their token grows, their state becomes
        running, their gate is cleared. A paused queue gives nothing; a pause whose end has passed is no pause; an
        operator's slots cap what this node runs of a queue. Raises `LeaseLost` when the node's lease is not live.

        A due job whose kind is not in ``kinds`` is parked at the gate ``unknown:<kind>``, out of the line, and told of
        in ``parked``. Jobs parked so whose kind is in ``kinds`` are handed out like those of the line. So are jobs at a
        gate ``misfit:<kind>:<signatures>`` of a kind that ``signatures`` names a signature for that is not one of
        those. A run whose slot is lent does not count against an operator's slots. Of the jobs at the gate ``suspect``
        at most one is handed out, and none unless ``suspect`` is set. The cost does not depend on how many jobs are
        finished, scheduled or parked. An expired job is handed out like any other: its claim says so by ``expires_at <=
        claimed_at``.
        """
        ...

    async def settle(
        self, node: str, settlements: Sequence[Settlement], claim: ClaimRequest | None = None, tx: object = None
    ) -> Settled:
        """Write how claims ended; then, in the same transaction, claim.

        A settlement is applied where the job is running, held by ``node`` under its token. One that was applied before
        is not stale: repeating the write is safe. A stale one changes nothing and is answered. Counters are added, an
        attempt that did not complete enters the history, its node and times taken from the claim and the store's now.
        Settlements of one job are applied in the order given; one to ``running`` changes no state, and its job is no
        longer lent once it is settled otherwise.

        The follow-ups of a settlement are stored in this very step if it is applied, and only then; applied before,
        they are stored already. Whenever a key comes free here or by a `cancel`, the first that stands at its gate, by
        priority, due time and id, is let into the line in the same step and holds the key from then on; only then are
        follow-ups stored, so that a job may follow itself. One whose unique key is held is parked at the gate
        ``unique:<key>`` and does not hold it.

        With ``tx``, as `enqueue` has it, all is written in the caller's transaction; nothing is claimed then.
        """
        ...

    async def recover(self, node: str, limit: int) -> Recovery:
        """Hand this node, under new tokens, jobs to settle that it is not to run.

        They are the claims of dead nodes, and pending jobs whose expiry has passed, whatever their queue, pause or
        gate; at most ``limit``; rows locked by others are passed over. Each is handed to one node only. Handed over
        and lapsed again, it keeps the cause, the node and the attempt of the first time.
        """
        ...


class Page(msgspec.Struct, frozen=True):
    """A page of jobs, newest id first, and where the next begins (None: there is none)."""

    now: int
    jobs: tuple[JobRecord, ...]
    after: str | None


class JobReader(Protocol):
    """Reads; may lag behind; never locks; works on a store opened for reading only."""

    async def get(self, ids: Sequence[str]) -> Page:
        """Return the jobs of these ids that exist, in no particular order, in one page."""
        ...

    async def history(self, job_id: str) -> tuple[Attempt, ...]:
        """Return the job's attempts that did not complete, oldest first."""
        ...

    async def find(self, where: JobFilter, *, limit: int, after: str | None = None) -> Page:
        """Return the jobs that match, by id descending, those below ``after``; stable while others insert."""
        ...

    async def count(self, where: JobFilter) -> Mapping[Shown, int]:
        """Count the jobs that match, by the state shown; states with none are left out."""
        ...


class CancelAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What cancelling found, by id."""

    now: int
    #: Were pending, are cancelled now.
    cancelled: tuple[str, ...] = ()
    #: Are running: the node that holds them is told at its next beat, sooner by a hint.
    asked: tuple[str, ...] = ()
    #: Had ended already.
    ended: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


class Keep(msgspec.Struct, frozen=True, kw_only=True):
    """How long ended jobs are kept, in microseconds; None is for ever."""

    completed: int | None
    cancelled: int | None
    dead: int | None


class JobAdmin(Protocol):
    """Bounded changes by a person or the steward."""

    async def cancel(self, ids: Sequence[str], reason: str = CANCELLED) -> CancelAnswer:
        """Cancel the pending, ask for the running, leave the ended; each id is answered once.

        ``reason`` is what the cancelled are cancelled for; of two that ask for a running job, a person's stays.
        """
        ...

    async def prune(self, keep: Keep, limit: int) -> int:
        """Delete ended jobs, and their history, whose time has passed, at most ``limit``; return how many rows changed.

        A child is kept as long as its parent is; where a parent's own time has passed, its children count as nobody's
        from then on, at most ``limit`` of them a call, and the parent is deleted once it has none.
        """
        ...

    async def release(self, limit: int) -> int:
        """Let at most ``limit`` jobs through whose unique key has come free otherwise: by time, a claim, a deletion.

        One a key; returns how many.
        """
        ...
