"""What wants a person, in a sentence each; and what they should type next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from backburner.cli.jobs.record import error_line
from backburner.cli.times import ago, near
from backburner.model.clock import SECOND, instant
from backburner.observability.overview import Part, Trouble

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from backburner.model.node import KindRecord, QueueRecord
    from backburner.observability.overview import BreakerSeen, Overview, QueueSeen

__all__ = ["Said", "advice", "letters_line", "said"]

#: Commands that are named at most.
_STEPS = 2
#: What a person should look at, by what was found.
_NEXT: Mapping[Trouble, str] = {
    Trouble.UNREAD: "doctor",
    Trouble.SCHEMA: "doctor",
    Trouble.UNSERVED: "nodes list",
    Trouble.NODE_DEAD: "nodes list",
    Trouble.DEAD: "dlq groups",
    Trouble.BREAKER: "breakers list",
    Trouble.BUDGET: "limits list",
    Trouble.QUEUE_PAUSED: "queues list",
    Trouble.KIND_PAUSED: "kinds list",
    Trouble.KIND_UNKNOWN: "kinds list",
    Trouble.LATE: "schedules list",
    Trouble.MISSED: "schedules ticks --outcome skipped",
    Trouble.BEHIND: "events subscriptions",
}
#: What stands before a sentence.
_HEADS: Mapping[Trouble, str] = {
    Trouble.UNREAD: "unread",
    Trouble.SCHEMA: "schema",
    Trouble.UNSERVED: "queue",
    Trouble.NODE_DEAD: "node",
    Trouble.DEAD: "dead",
    Trouble.BREAKER: "breaker",
    Trouble.BUDGET: "budget",
    Trouble.QUEUE_PAUSED: "queue",
    Trouble.KIND_PAUSED: "kind",
    Trouble.KIND_UNKNOWN: "kind",
    Trouble.LATE: "schedule",
    Trouble.MISSED: "schedule",
    Trouble.BEHIND: "events",
}
_DAY = 24 * 3600 * SECOND


@dataclass(frozen=True, slots=True)
class Said:
    """One thing that wants a person."""

    trouble: Trouble
    #: Of whom it is; empty: of the store as a whole.
    name: str
    #: A sentence without its subject.
    text: str

    @property
    def head(self) -> str:
        """What it is about, in a word."""
        return _HEADS[self.trouble]

    @property
    def line(self) -> str:
        """The sentence, with its subject."""
        return f"{self.name} {self.text}" if self.name else self.text


def said(overview: Overview) -> Sequence[Said]:
    """Put into words what wants a person, the most alarming first."""
    words = _words(overview)
    return [Said(trouble, name, words[trouble](name)) for trouble, name in overview.troubles]


def advice(overview: Overview) -> Sequence[str]:
    """Return the one or two commands that a person should type next; none if there is nothing to do."""
    commands = dict.fromkeys(f"backburner {_NEXT[trouble]}" for trouble, _ in overview.troubles)
    return list(commands)[:_STEPS]


def letters_line(overview: Overview) -> str:
    """Say how many dead letters there are, of how many causes, and of the one that has most; empty where there are none."""
    letters = overview.letters
    if letters is None:
        return ""
    if not letters.recent:
        return f"none in 24 h, {letters.total:,} in all"
    struck = letters.struck(overview.now - _DAY)
    more = "+" if letters.more else ""
    causes = f"{len(struck):,}{more} {'cause' if len(struck) == 1 and not more else 'causes'}"
    told = f"{letters.recent:,} in 24 h ({letters.total:,} in all), {causes}"
    if not struck:
        return told
    first = struck[0]
    error = error_line(first.error, first.message) or first.reason or "no error was written down"
    return (
        f"{told}; {first.count:,} of {first.fingerprint or 'no cause'}, last {ago(first.last, overview.now)}: {error}"
    )


def _words(seen: Overview) -> Mapping[Trouble, Callable[[str], str]]:
    now = seen.now
    queues = {queue.name: queue for queue in seen.queues}
    nodes = {node.id: node for node in seen.nodes}
    kinds = {kind.name: kind for kind in seen.kinds}
    breakers = {breaker.name: breaker for breaker in seen.breakers}
    budgets = {budget.name: budget for budget in seen.budgets}
    late = {schedule.name: schedule for schedule in seen.overdue}
    slow = {each.name: each for each in seen.slow}
    missed = {} if seen.missed is None else seen.missed.ticks
    stored, wanted = seen.schema or (0, 0)
    return {
        Trouble.UNREAD: lambda part: f"could not be read: {seen.unread[Part(part)]}",
        Trouble.SCHEMA: lambda _: f"{stored} is stored, this backburner wants {wanted}",
        Trouble.UNSERVED: lambda name: f"has {queues[name].holds.waiting:,} waiting, and no living node takes any",
        Trouble.NODE_DEAD: lambda node: f"died on {nodes[node].host}; what it ran was not taken over yet",
        Trouble.DEAD: lambda _: letters_line(seen),
        Trouble.BREAKER: lambda name: _breaker(breakers[name], now),
        Trouble.BUDGET: lambda name: f"is dry: retries wait{_permit(budgets[name].free_at, now)}",
        Trouble.QUEUE_PAUSED: lambda name: _pause(queues[name].record, now) + _waiting(queues[name]),
        Trouble.KIND_PAUSED: lambda name: _pause(kinds[name], now),
        Trouble.KIND_UNKNOWN: lambda name: f"is known to no living node; {seen.unknown[name]:,} wait for one",
        Trouble.LATE: lambda name: f"was due {ago(late[name].due_at, now)}, and nobody has fired it",
        Trouble.MISSED: lambda name: f"passed over {_ticks(missed[name])} in 24 h",
        Trouble.BEHIND: lambda name: f"is {slow[name].events:,} events behind",
    }


def _ticks(count: int) -> str:
    # The ledger counts no more than it has to: 0 stands for very many.
    if not count:
        return "very many ticks"
    return f"{count:,} {'tick' if count == 1 else 'ticks'}"


def _pause(record: QueueRecord | KindRecord, now: int) -> str:
    by = f" by {record.by}" if record.by else ""
    until = f" until {near(record.paused_until, now)}" if record.paused_until else ""
    return f"is paused{by}{until}{_why(record.reason)}"


def _waiting(queue: QueueSeen) -> str:
    return f"; {queue.holds.waiting:,} wait" if queue.holds.waiting else ""


def _breaker(breaker: BreakerSeen, now: int) -> str:
    if breaker.forced:
        return f"was opened{f' by {breaker.by}' if breaker.by else ''}{_why(breaker.reason)}"
    since = "" if breaker.since is None else f" since {near(instant(breaker.since), now)}"
    told = f"is {breaker.phase.replace('_', '-')}{since}"
    if breaker.until is None:
        return told
    step = "next probe" if breaker.phase == "open" else "next step"
    return f"{told}, {step} {near(instant(breaker.until), now)}"


def _permit(free_at: int | None, now: int) -> str:
    return "" if free_at is None else f", the next may go {ago(free_at, now)}"


def _why(reason: str | None) -> str:
    return f": {reason}" if reason else ""
