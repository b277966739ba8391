"""The roles that hold jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec

from backburner.model.job import (
    CANCELLED,
    Attempt,
    Claim,
    JobImage,
    JobRecord,
    JobState,
    NewJob,
    Recovered,
    Settlement,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from backburner.model.event import NewEvent
    from backburner.model.operation import OperationRecord
    from backburner.model.query import JobFilter, Shown

__all__ = [
    "Backlog",
    "Birth",
    "CancelAnswer",
    "ClaimBatch",
    "ClaimRequest",
    "Disposed",
    "Enqueued",
    "ExpediteAnswer",
    "FailureGroup",
    "GroupAnswer",
    "Groups",
    "Images",
    "JobAdmin",
    "JobReader",
    "JobStore",
    "Keep",
    "Letter",
    "Page",
    "QueueBacklog",
    "Recovery",
    "Restored",
    "Settled",
    "Timing",
    "Timings",
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
    #: A key or an id of the group is held in somebody's open transaction: nothing of it was stored, and it may be later.
    busy: bool = False


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
    #: Ids whose jobs somebody's open transaction has locked: nothing was written for them, and it may be later.
    busy: tuple[str, ...] = ()
    #: How many jobs were let into the line, since the unique key that they waited for came free, and how many lanes
    #: where jobs stand have opened.
    let_in: int = 0
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

        A job without a gate that is due at once, where others stand at one of its lanes, is parked there too, at the
        first such lane; but not at a budget, which may not even ask it, and not with ``tx``.

        A job named in ``birth`` is born running, held by that node under the token drawn, as its first attempt, if it
        has no gate and no lanes and is due at once, its queue is not paused and has no rate, its kind is not paused, no
        pending job of its queue with the same or a smaller priority is due, and the queue's stored slots have room. Otherwise it is stored pending. A repeated write whose
        first answer was lost finds its births under the same node and token, and answers them as born again.

        A job whose unique key is held by another is not stored; the holder is answered, by the terms it was stored with,
        and the smallest id where several hold it. So is the second of two such jobs in one write. A conflict harms no
        other job of the group. An id stored before is looked at first.

        A child (it names its ``parent``) whose id is stored with the same parent and whose own group had cancelled it
        (it is cancelled for the reason `GROUP_CANCELLED`) is stored anew: pending as given and never born, its counters
        at zero, its history kept, its token growing on; if its key is held by now, the holder is answered. One that
        still runs and was asked to be cancelled for that reason is asked no more. Either is answered as stored.

        A group that would have to wait for somebody's open transaction, which holds one of its keys or ids, is answered
        as busy, and nothing of it is stored; the others do not wait for it.

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
        operator's slots cap what this node runs of a queue, and a queue's rate gives no more than its permits; each job
        handed out takes one. Raises `LeaseLost` when the node's lease is not live.

        A due job whose kind is not in ``kinds`` is parked at the gate ``unknown:<kind>``, out of the line, and told of
        in ``parked``. Jobs parked so whose kind is in ``kinds`` are handed out like those of the line. So are jobs at a
        gate ``misfit:<kind>:<signatures>`` of a kind that ``signatures`` names a signature for that is not one of
        those. A run whose slot is lent does not count against an operator's slots. Of the jobs at the gate ``suspect``
        at most one is handed out, and none unless ``suspect`` is set. A due job of a paused kind is parked at the gate
        ``paused:<kind>``, and handed out from there, once that is no longer paused, as from ``unknown:<kind>``. The cost
        does not depend on how many jobs are finished, scheduled or parked. An expired job is handed out like any other: its claim says so by ``expires_at <=
        claimed_at``.

        A job that names lanes asks them all in the same step, in their order, and is handed out only if none refuses.
        What a lane allows is the limit named by all before its first ``/``: the operator's, else the declared one;
        without one it refuses nobody. Slots refuse while as many run as there are, over all nodes, of those that were
        claimed while the lane had slots; a run whose slot is lent is not counted. A rate refuses while it has no permit
        (`backburner.resilience.rates`), and a job that is handed out takes one of each of its lanes. A budget asks only
        jobs that have failed, and takes in its deposit for each job handed out for its first attempt. A due job that is
        refused is parked at the gate ``lane:<lane>`` of the first that refused, also from ``unknown:`` and ``paused:``; a
        suspect or misfit stays where it is, and is asked about again within a second. At most a thousand are parked by
        one claim, which then says that it is worth asking again.

        A lane where jobs stand opens when a run that counted against its slots ends or lends its slot, when it is time
        for a permit, and when its limit changes. The next claim of any node, before it looks at the line, lets in as
        many as the lane then has room for, of each queue, by priority, due time, id; at most a thousand in all, the rest
        by the next. ``wait`` tells of the next moment at which time opens a lane.

        A job that is parked at a lane leaves to others the room that the lanes asked before had for it: those of them
        where others stand open too, and the claim says that it is worth asking again. That ends: who is parked stands at
        a lane that has no room, and it lets nobody in, so each is parked once at most until room is made. Those asked
        after it do not open: whatever waits for two lanes would go back and forth between them, all of it, whenever the
        one comes to be full and the other does not. So jobs that share lanes name them in one order, those first that most
        jobs share.
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
        ``unique:<key>`` and does not hold it; so is one whose key somebody's open transaction may hold.

        A job that somebody's open transaction has locked is answered as busy: nothing of its settlement is written, and
        the others do not wait for it.

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


class QueueBacklog(msgspec.Struct, frozen=True, kw_only=True):
    """What a queue holds."""

    queue: str
    #: Due, in the line.
    waiting: int = 0
    #: When the first of those was due; None: none waits.
    oldest: int | None = None
    #: In the line, due later: never failed, and failed before.
    scheduled: int = 0
    retrying: int = 0
    #: At a gate.
    held: int = 0
    running: int = 0
    dead: int = 0


class Backlog(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to `JobReader.backlog`."""

    now: int
    #: Queues that hold anything but completed and cancelled jobs, by name.
    queues: tuple[QueueBacklog, ...]
    #: How many jobs stand at the gates of unknown kinds, by kind.
    unknown: dict[str, int] = {}


class Page(msgspec.Struct, frozen=True):
    """A page of jobs, newest id first, and where the next begins (None: there is none)."""

    now: int
    jobs: tuple[JobRecord, ...]
    after: str | None


class Images(msgspec.Struct, frozen=True):
    """A page of whole jobs, smallest id first, and where the next begins (None: there is none)."""

    now: int
    jobs: tuple[JobImage, ...]
    after: str | None


class FailureGroup(msgspec.Struct, frozen=True, kw_only=True):
    """Jobs that failed alike."""

    fingerprint: str
    #: The last error's type and message, and the reason, of the newest of them.
    error: str
    message: str
    reason: str | None
    count: int
    #: When the first and the last of them ended.
    first: int
    last: int
    #: How many there are of each kind.
    kinds: dict[str, int]
    #: The newest of them: that which ended last, of those the one with the greatest id.
    sample: str


class Groups(msgspec.Struct, frozen=True):
    """The answer to `JobReader.groups`: most jobs first, then by fingerprint."""

    now: int
    groups: tuple[FailureGroup, ...]


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

    async def groups(self, where: JobFilter, *, limit: int) -> Groups:
        """Return the dead letters that match by the fingerprint of their last failure, the largest ``limit`` groups.

        Of ``where`` the states are not looked at.
        """
        ...

    async def backlog(self) -> Backlog:
        """Count what each queue holds, by indexes: what is completed or cancelled costs nothing."""
        ...

    async def timings(
        self, state: JobState, where: JobFilter, *, within: int, limit: int, after: str | None = None
    ) -> Timings:
        """Return how the jobs of a final state went that match and ended within the last ``within`` microseconds.

        By when they ended, descending, of one moment by id descending, those that come after ``after``, which the page
        before answered; what ended earlier costs nothing. Of ``where`` the states are not looked at. A child whose own
        time has passed, and that is kept for its parent, is left out.
        """
        ...

    async def export(self, *, limit: int, after: str | None = None, where: JobFilter | None = None) -> Images:
        """Return whole jobs, at most ``limit``, whatever their state, by id ascending, those above ``after``.

        With ``where``, only those that match.

        Nothing that `JobAdmin.restore` needs is left out: histories come with their tracebacks, unique keys with the
        terms they are held by, also where nobody holds them. Stable while others insert.
        """
        ...


class Timing(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """When an ended job was where; what `JobRecord` says under the same names, and no more.

    The field order is the column order of a store's reads.
    """

    id: str
    kind: str
    queue: str
    attempt: int
    failures: int
    created_at: int
    #: When it was due last, which a claim and an end leave as it is.
    due_at: int
    #: When its last run began; None: it never ran. Before ``due_at``: it was to run again, and ended while it waited.
    started_at: int | None
    ended_at: int


class Timings(msgspec.Struct, frozen=True):
    """A page of ended jobs, the last to end first, and where the next begins (None: there is none)."""

    now: int
    jobs: tuple[Timing, ...]
    after: str | None


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
    #: Somebody's open transaction has locked them: nothing was changed, and it may be later.
    busy: tuple[str, ...] = ()


class ExpediteAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What bringing forward found, by id."""

    now: int
    #: Were due later, are due now: claimed by whoever claims next, sooner by a hint, which is the caller's to give.
    expedited: tuple[str, ...] = ()
    #: Are pending and were due already: they wait for room.
    due: tuple[str, ...] = ()
    #: Are pending at a gate, which opens by no moment of theirs: nothing was changed.
    gated: tuple[str, ...] = ()
    running: tuple[str, ...] = ()
    ended: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    #: Somebody's open transaction has locked them: nothing was changed, and it may be later.
    busy: tuple[str, ...] = ()


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    """What became of jobs that were to be taken over. Jobs named nowhere were stored."""

    now: int
    #: Ids that were stored before, or come twice; they were left as they are.
    known: tuple[str, ...] = ()
    #: Ids that were not stored, since another job holds the unique key they would hold: each with that job's id.
    holders: dict[str, str] = {}


class Letter(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A dead letter as it was found."""

    id: str
    #: Under this token it died: nothing has happened to it since.
    token: int
    #: For a replay: JSON text in place of its arguments, and of its retry policy. None keeps them.
    args: str | None = None
    retry: str | None = None
    #: For a replay: the gate it goes to; empty is the line.
    gate: str = ""


class Disposed(msgspec.Struct, frozen=True, kw_only=True):
    """What became of letters. Those named nowhere were replayed, or purged."""

    now: int
    #: Were not dead under that token any more.
    missed: tuple[str, ...] = ()
    #: Were kept: another job holds the unique key they would hold, or needs them; each with that job's id.
    kept: dict[str, str] = {}
    #: Somebody's open transaction has locked them: nothing was changed, and it may be later.
    busy: tuple[str, ...] = ()
    #: The operation's version was another: nothing was done at all.
    outrun: bool = False


class Keep(msgspec.Struct, frozen=True, kw_only=True):
    """How long ended jobs, and what schedules did, are kept, in microseconds; None is for ever."""

    completed: int | None
    cancelled: int | None
    dead: int | None
    #: Lines of schedules' ledgers, from when they were written.
    ticks: int | None = None
    #: Events, from when they were written, whether or not they were delivered.
    events: int | None = None


class JobAdmin(Protocol):
    """Bounded changes by a person or the steward."""

    async def cancel(
        self, ids: Sequence[str], reason: str = CANCELLED, events: Sequence[NewEvent] = ()
    ) -> CancelAnswer:
        """Cancel the pending, ask for the running, leave the ended; each id is answered once.

        ``reason`` is what the cancelled are cancelled for; of two that ask for a running job, a person's stays. What
        somebody's open transaction has locked is answered as busy, and nothing waits for it. ``events`` are stored in
        the same step, if any job was cancelled or asked for.
        """
        ...

    async def expedite(self, ids: Sequence[str], events: Sequence[NewEvent] = ()) -> ExpediteAnswer:
        """Have pending jobs that stand in the line and are due later be due now; each id is answered once.

        Nothing else of them changes, and nothing is counted. They are claimed like others that are due now: of their
        priority after all that were due before, among themselves by id. What somebody's open transaction has locked is
        answered as busy, and nothing waits for it. ``events`` are stored in the same step, if any job was expedited.
        """
        ...

    async def prune(self, keep: Keep, limit: int) -> int:
        """Delete ended jobs, and their history, whose time has passed, at most ``limit``; return how many rows changed.

        A child is kept as long as its parent is; where a parent's own time has passed, its children count as nobody's
        from then on, at most ``limit`` of them a call, and the parent is deleted once it has none. Operations that ended
        as long ago as the dead are kept go too, and what is left of lanes that nobody uses; and the lines of schedules'
        ledgers whose own time has passed, at most ``limit`` of them; and events whose time has passed, oldest first, at
        most ``limit`` of them; and subscriptions whose ttl has.
        """
        ...

    async def release(self, limit: int) -> int:
        """Let at most ``limit`` jobs through whose unique key has come free otherwise: by time, a claim, a deletion.

        One a key; returns how many, and how many lanes were opened that had room for those who stand there: at most
        ``limit`` lanes are looked at a call, all of them within a few.
        """
        ...

    async def replay(self, letters: Sequence[Letter], operation: OperationRecord | None = None) -> Disposed:
        """Bring dead letters back: pending, due now, at their gate, their failures at zero; of two alike the first counts.

        What else was counted, the history, the last error, progress and checkpoint stay; an expiry goes, or it would never
        run. A letter whose unique key another holds by then stays dead, and that one is answered; so is the second of
        two such letters.

        With ``operation`` all is done only if the stored version is the operation's; in the same step its ``state`` and
        ``active`` are written, its version grows by one, and its counters by what was done. Raises `StoreRefused`, which
        names the job, and changes nothing, for what cannot be stored.
        """
        ...

    async def purge(self, letters: Sequence[Letter], operation: OperationRecord | None = None) -> Disposed:
        """Delete dead letters and their history; of an ``operation`` the same holds as for `replay`.

        One that is the child of a job which has not ended is kept: that one would store it anew. Its own children count
        as nobody's from then on.
        """
        ...

    async def restore(self, jobs: Sequence[JobImage]) -> Restored:
        """Store jobs as they were in another store: every field of the record, the history, the terms of the unique key.

        What waits keeps its gate and its moment in the line, and is recovered if it has expired; what ended keeps that
        moment, from which its retention counts, and a child is kept for its parent, whichever of them comes first. The
        next claim's token is above the one it came with. None of them runs: `JobImage.asked` is not looked at.

        A job id stored before is left as it is and answered as known, so that a repeated write changes nothing. So is
        the second of one id. A job that would hold its unique key (by its state, or by a moment to come, and does not
        stand at the key's own gate) is not stored while another holds that; the holder is answered, the smallest id
        where several hold it. So is the second of two such jobs. Neither harms any other job.

        All is one step. Raises `StoreRefused`, which names the job, and stores nothing, where one is running, or cannot
        be kept for its content.
        """
        ...
