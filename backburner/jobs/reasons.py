"""What a job waits for, and until when: from what is stored to words. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime  # noqa: TC003 - frameworks read what a status is made of
from typing import TYPE_CHECKING

import msgspec

from backburner.model.clock import from_micros
from backburner.model.job import (
    GROUP_CANCELLED,
    MISFIT_GATE,
    PAUSED_GATE,
    SUSPECT_GATE,
    UNIQUE_GATE,
    UNKNOWN_GATE,
    JobState,
)
from backburner.model.lane import LANE_GATE, LaneRecord, LimitRecord, limit_of, name_of
from backburner.resilience.breaker import Phase
from backburner.resilience.rates import rate_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from backburner.model.job import JobRecord
    from backburner.model.node import KindRecord, NodeRecord, QueueRecord

__all__ = ["BreakerView", "Facts", "Reason", "at_gate", "ending", "reasons"]

#: Ids and names that a sentence has room for.
_NAMED = 3
#: What is waited for at the gates that are named after it.
_GATES = {
    LANE_GATE: "waits for room in lane ",
    UNKNOWN_GATE: "waits for a node that knows kind ",
    PAUSED_GATE: "waits for the end of the pause of kind ",
    UNIQUE_GATE: "waits until no other job holds its unique key ",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One thing that a job waits for, or why it waits for nothing. As a text it is the sentence, with until when."""

    #: For programs. It cannot be claimed: ``queue-paused``, ``kind-paused``, ``queue-unserved``, ``kind-unknown``,
    #: ``suspect``, ``unique``, ``misfit``, ``not-due``. Its lanes refuse it: ``breaker``, ``lane-full``, ``budget``,
    #: ``rate``. Its turn has not come: ``slots-full``, ``queue-rate``, ``in-line``. It waits for nothing any more:
    #: ``expired``, ``running``, ``ended``.
    code: str
    #: For people: a sentence to which ``until`` can be added.
    text: str
    #: When it passes by itself, as far as is known; aware, in UTC.
    until: datetime | None = None
    #: The first few jobs that are in its way.
    jobs: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return the sentence, and until when."""
        return self.text if self.until is None else f"{self.text} until {_iso(self.until)}"


class BreakerView(msgspec.Struct, frozen=True):
    """What is said of a breaker: its phase, since when, and when that next changes by time alone."""

    phase: Phase
    since: int
    until: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What was read of a job, and of what may hold it back."""

    now: int
    job: JobRecord
    queue: QueueRecord | None = None
    kind: KindRecord | None = None
    nodes: Sequence[NodeRecord] = ()
    #: The lanes that it asks, in order.
    lanes: Sequence[LaneRecord] = ()
    #: By name.
    limits: Mapping[str, LimitRecord] = field(default_factory=dict[str, LimitRecord])
    #: By the name of the limit.
    breakers: Mapping[str, BreakerView] = field(default_factory=dict[str, BreakerView])
    #: The suspects that run now; looked for only where the job is one.
    suspects: Sequence[JobRecord] = ()
    #: How many jobs of its queue each live node runs.
    running: Mapping[str, int] = field(default_factory=dict[str, int])


def reasons(facts: Facts) -> tuple[Reason, ...]:
    """Return all that a job waits for, what holds it back for good first; of one that is not pending, why it does not."""
    job = facts.job
    if job.state is JobState.RUNNING:
        asked = ", and was asked to stop" if job.cancel else ""
        return (Reason(code="running", text=f"it runs on {job.node}, as attempt {job.attempt}{asked}"),)
    if job.state is not JobState.PENDING:
        why = f": {ending(job)}" if job.reason else ""
        return (Reason(code="ended", text=f"it is {job.state.value}{why}"),)
    if job.expires_at is not None and job.expires_at <= facts.now:
        end = _iso(from_micros(job.expires_at))
        expired = Reason(code="expired", text=f"it expired at {end}: a node is to cancel it, and none will run it")
        return (expired, *_nodes(facts))
    found = [*_pauses(facts), *_nodes(facts), *_gate(facts), *_lanes(facts), *_due(facts)]
    # What passes before it is due is not in its way.
    due = from_micros(job.due_at)
    found = [reason for reason in found if reason.until is None or reason.until >= due]
    return tuple(found) or tuple(_line(facts))


def at_gate(job: JobRecord) -> str:
    """Return what a job at a gate waits for, as far as it tells by itself: it goes on after "it"."""
    for prefix, words in _GATES.items():
        if job.gate.startswith(prefix):
            return words + job.gate.removeprefix(prefix)
    if job.gate == SUSPECT_GATE:
        return f"was running in {job.crashes} crashes, and waits to run with no other suspect beside it"
    if job.gate.startswith(MISFIT_GATE):
        why = f": {job.message}" if job.message else ""
        return f"waits for a node whose {job.kind} takes its arguments{why}"
    return f"stands at {job.gate}"


def ending(job: JobRecord) -> str:
    """Return why a job ended as it did; empty where nothing needs saying."""
    if job.state is JobState.CANCELLED and job.reason == GROUP_CANCELLED:
        return "cancelled with its group"
    return job.reason or ""


def _gate(facts: Facts) -> Iterator[Reason]:
    """Tell of a gate that only the job itself explains; those of lanes, pauses and kinds are looked at as they are now."""
    job = facts.job
    text = f"it {at_gate(job)}"
    if job.gate == SUSPECT_GATE:
        others = [other for other in facts.suspects if other.id != job.id]
        if others:
            text += f": {', '.join(f'job {other.id} runs on {other.node}' for other in others[:_NAMED])}"
        yield Reason(code="suspect", text=text, jobs=tuple(other.id for other in others))
    elif job.gate.startswith(UNIQUE_GATE):
        yield Reason(code="unique", text=text)
    elif job.gate.startswith(MISFIT_GATE):
        yield Reason(code="misfit", text=text)


def _pauses(facts: Facts) -> Iterator[Reason]:
    for what, pause in (("queue", facts.queue), ("kind", facts.kind)):
        if pause is not None and pause.paused:
            yield Reason(
                code=f"{what}-paused",
                text=f"{what} {pause.name} is paused{_by(pause.by)}{_why(pause.reason)}",
                until=_moment(pause.paused_until),
            )


def _nodes(facts: Facts) -> Iterator[Reason]:
    job = facts.job
    live = [node for node in facts.nodes if node.alive]
    serving = [node for node in live if job.queue in node.queues]
    if not live:
        yield Reason(code="queue-unserved", text="no node is alive")
    elif not serving:
        others = ", ".join(sorted({queue for node in live for queue in node.queues}))
        yield Reason(
            code="queue-unserved", text=f"no live node takes jobs of queue {job.queue}; there are nodes for {others}"
        )
    elif all(node.draining for node in serving):
        yield Reason(code="queue-unserved", text=f"each live node of queue {job.queue} drains, and takes no new work")
    elif not any(job.kind in node.kinds for node in serving if not node.draining):
        known = [node.id for node in live if job.kind in node.kinds and job.queue not in node.queues]
        where = f"; {known[0]} does, but takes no jobs of that queue" if known else ""
        yield Reason(code="kind-unknown", text=f"no live node of queue {job.queue} knows kind {job.kind}{where}")


def _lanes(facts: Facts) -> Iterator[Reason]:
    """Tell of the lanes that would refuse it if it were asked now."""
    job = facts.job
    for lane in facts.lanes:
        limit, slots = lane.limit, lane.limit.slots
        if slots is not None and lane.running >= slots:
            if lane.name.startswith("breaker:"):
                yield _breaker(facts, lane)
            elif job.due_at <= facts.now:  # who holds it later is not known
                held = f", held by {_some(lane.holders)}" if lane.holders else ""
                yield Reason(
                    code="lane-full",
                    text=f"lane {lane.name} is full: {lane.running} of {slots} run{_set(facts, lane)}{held}",
                    jobs=lane.holders,
                )
        elif limit.rate is not None and lane.free_at is not None and lane.free_at > facts.now:
            until = _moment(lane.free_at)
            if limit.deposit is None:
                text = f"lane {lane.name} starts {rate_text(limit.rate)}{_set(facts, lane)}, and has no permit left"
                yield Reason(code="rate", text=text, until=until)
            elif job.failures:
                text = f"retry budget {name_of(lane.name)} is dry{_set(facts, lane)}: retries have no permit left"
                yield Reason(code="budget", text=text, until=until)


def _breaker(facts: Facts, lane: LaneRecord) -> Reason:
    name, slots = name_of(lane.name), lane.limit.slots
    record, view = facts.limits.get(lane.name), facts.breakers.get(lane.name)
    until = None
    if record is not None and record.override is not None:
        text = f"breaker {name} was opened{_by(record.by)}{_why(record.reason)}, and stays so until it is set to auto"
    elif view is None:
        text = f"breaker {name} lets {slots} run at once"
    elif view.phase is Phase.OPEN:
        text = f"breaker {name} has been open since {_iso(from_micros(view.since))}, and sends no probe"
        until = view.until
    elif view.phase is Phase.HALF_OPEN:
        since = _iso(from_micros(view.since))
        text = f"breaker {name} has probed since {since}: {lane.running} of {slots} probes run"
    else:
        since = _iso(from_micros(view.since))
        text = f"breaker {name} has been closing since {since}, and lets no more than {slots} run at once"
        until = view.until
    return Reason(code="breaker", text=text, until=_moment(until), jobs=lane.holders)


def _due(facts: Facts) -> Iterator[Reason]:
    job = facts.job
    if job.due_at > facts.now:
        failed = f"it failed ({job.error}), and is not tried again" if job.failures and job.error else "it is not due"
        yield Reason(code="not-due", text=failed, until=_moment(job.due_at))


def _line(facts: Facts) -> Iterator[Reason]:
    """Tell what a job waits for that any node might claim."""
    job, queue = facts.job, facts.queue
    able = [
        node
        for node in facts.nodes
        if node.alive and not node.draining and job.queue in node.queues and job.kind in node.kinds
    ]
    room = {node.id: node.queues[job.queue] for node in able}
    each = ""
    if queue is not None and queue.slots is not None:
        room = dict.fromkeys(room, queue.slots)
        each = f" ({queue.slots} each, set{_by(queue.by)}{_why(queue.reason)})"
    taken, slots = sum(facts.running.get(node, 0) for node in room), sum(room.values())
    used = f"{taken} of {slots} slots on {len(room)} {'node' if len(room) == 1 else 'nodes'} are taken{each}"
    if room and all(facts.running.get(node, 0) >= slots for node, slots in room.items()):
        yield Reason(code="slots-full", text=f"queue {job.queue} has no free slot: {used}")
    elif queue is not None and queue.rate is not None:
        text = f"queue {job.queue} starts {rate_text(queue.rate)}, set{_by(queue.by)}{_why(queue.reason)}"
        yield Reason(code="queue-rate", text=f"{text}, and this one by its turn")
    else:
        yield Reason(code="in-line", text=f"it waits for its turn in queue {job.queue}: {used}")


def _set(facts: Facts, lane: LaneRecord) -> str:
    """Say who set a lane's limit, where somebody did."""
    record = facts.limits.get(limit_of(lane.name))
    return "" if record is None or record.override is None else f", set{_by(record.by)}{_why(record.reason)}"


def _some(jobs: Sequence[str]) -> str:
    some = ", ".join(jobs[:_NAMED])
    return f"{'job' if len(jobs) == 1 else 'jobs'} {some}{' …' if len(jobs) > _NAMED else ''}"


def _by(who: str | None) -> str:
    return f" by {who or 'an operator'}"


def _why(why: str | None) -> str:
    return f" ({why})" if why else ""


def _moment(micros: int | None) -> datetime | None:
    return None if micros is None else from_micros(micros)


def _iso(moment: datetime) -> str:
    """Write a moment as the command line does."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
