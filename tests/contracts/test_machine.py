"""Whatever is done in whatever order, every store answers and holds what memory does: the oracle is the plain one."""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
from collections import Counter, defaultdict
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from backburner.model.clock import SECOND
from backburner.model.event import NewEvent, NewSubscription
from backburner.model.job import (
    CANCELLED,
    GROUP_CANCELLED,
    MISFIT_GATE,
    PAUSED_GATE,
    SUSPECT_GATE,
    UNKNOWN_GATE,
    Ending,
    JobState,
    NewJob,
    Settlement,
    UniqueKey,
)
from backburner.model.lane import LANE_GATE, Algorithm, Limit, Rate
from backburner.model.node import KindRecord, QueueRecord
from backburner.model.query import JobFilter, Shown
from backburner.model.schedule import Outcome, ScheduleChange, ScheduleRecord, TickRecord
from backburner.ports.events import Confirmation
from backburner.ports.jobs import Backlog, Birth, ClaimBatch, ClaimRequest, Keep, Letter, QueueBacklog
from backburner.ports.schedules import ChangeAnswer
from backburner.testing.contracts.making import held, publish
from tests.contracts.harnesses import MemoryHarness, PostgresHarness, RedisHarness, SqliteHarness
from tests.stores import redis_url

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Iterable
    from contextlib import AbstractContextManager

    from backburner.model.event import EventRecord
    from backburner.model.job import Claim, JobRecord
    from backburner.ports.backend import Backend
    from backburner.ports.events import Pulled
    from backburner.ports.jobs import GroupAnswer, Page, Settled, Timings
    from tests.contracts.harnesses import StoreHarness
    from tests.servers.postgres import LaunchedPostgres, Postgres
    from tests.servers.redis import LaunchedCluster, LaunchedRedis, RedisServer

T = TypeVar("T")

KINDS = ("a", "b", "c")
QUEUES = ("q", "r")
NODES = ("n0", "n1")
EVERYTHING = 10_000
FOR_EVER = 1_000_000_000 * SECOND
#: How many times as many examples as the ordinary run has: `make chaos` tries more.
TIMES = int(os.environ.get("BACKBURNER_TEST_EXAMPLES", "1"))
#: Limits are declared and set by these names; there is none of any other.
LIMITS = ("s", "t", "b")
LANES = ("s", "s/1", "s/2", "t", "t/1", "b", "free")

#: The gates where claims park jobs of the line.
PARKED = (UNKNOWN_GATE, PAUSED_GATE, LANE_GATE)
LIVE = (JobState.PENDING, JobState.RUNNING)
FINAL = (JobState.COMPLETED, JobState.CANCELLED, JobState.DEAD)

nodes = st.integers(0, len(NODES) - 1)
seconds = st.sampled_from([0, 0, 0, 1, 5])
lanes = st.sampled_from(
    [
        *[("s",), ("s/1",), ("s/2",), ("t",), ("t/1",), ("b",), ("b",), ("free",)],
        *[("s", "t"), ("t/1", "s/1"), ("s/2", "b"), ("free", "t", "s")],
    ]
)
jobs = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(KINDS),
        "queue": st.sampled_from(QUEUES),
        "priority": st.sampled_from([0, 5, 9]),
        "delay": seconds.map(lambda delay: delay * SECOND),
        "gate": st.sampled_from([""] * 6 + ["elsewhere", MISFIT_GATE, SUSPECT_GATE, SUSPECT_GATE]),
        "lanes": st.just(()) | lanes,
        "expires_in": st.sampled_from([None, None, None, 1 * SECOND, 6 * SECOND]),
        "headers": st.sampled_from([None, None, '{"a":"b"}']),
        # How many jobs ago the parent came, if it is no child itself; 0 is none.
        "parent": st.sampled_from([0, 0, 0, 1, 3, 8]),
        "unique": st.sampled_from(
            [
                *[None] * 5,
                UniqueKey("k", LIVE),
                UniqueKey("k", LIVE),
                UniqueKey("m", (*LIVE, JobState.COMPLETED)),
                UniqueKey("l", LIVE, 5 * SECOND),
                UniqueKey("l", (), 5 * SECOND),
            ]
        ),
    }
)
rivals = jobs.map(lambda fields: fields | {"gate": "", "delay": 0, "unique": UniqueKey("k", LIVE)})
crowded = st.builds(
    lambda fields, lanes: fields | {"gate": "", "delay": 0, "expires_in": None, "unique": None, "lanes": lanes},
    jobs,
    lanes,
)
demands = st.fixed_dictionaries(
    {
        "queues": st.sampled_from([{"q": 3, "r": 3}, {"q": 3, "r": 3}, {"q": 1, "r": 2}, {"q": 5}, {"r": 2, "q": 0}]),
        "limit": st.sampled_from([5, 5, 3, 1]),
        "kinds": st.sampled_from([KINDS, KINDS, KINDS[:2], KINDS[1:]]).map(frozenset),
        "signatures": st.sampled_from([{}, {"a": "s1", "b": "s2"}, {"a": "s2", "b": "s1", "c": "s2"}]),
        "suspect": st.sampled_from([True, True, False]),
    }
)
EVERYTHING_DUE = {"queues": {"q": 5, "r": 5}, "limit": 5, "kinds": frozenset(KINDS)}
#: None makes anybody wait for longer than that.
PERIOD = 7 * SECOND
permitted = st.sampled_from(
    [
        Rate(limit=1, period=SECOND),
        Rate(limit=3, period=PERIOD, burst=2),
        Rate(limit=2, period=PERIOD, algorithm=Algorithm.FIXED),
        Rate(limit=3, period=PERIOD - 1, algorithm=Algorithm.SLIDING),
    ]
)
rates = st.none() | permitted
budgets = st.builds(
    Limit,
    rate=st.just(Rate(limit=1, period=20 * SECOND, burst=2)),
    deposit=st.sampled_from([0, SECOND, 5 * SECOND]),
)
limits = st.builds(Limit, slots=st.sampled_from([None, 0, 1, 1, 2, 3]), rate=rates)
#: A budget stays one: nobody stands at it that has not failed.
changes = st.fixed_dictionaries({}, optional={"s": limits, "t": limits, "b": budgets})
#: What is declared at first: one of slots, one of a rate, one a budget.
first = st.fixed_dictionaries(
    {
        "s": st.builds(Limit, slots=st.sampled_from([1, 2])),
        "t": st.builds(Limit, rate=permitted),
        "b": budgets,
    }
)
SUBSCRIPTIONS = ("s", "ß", "short")
#: Patterns that ask for much and for little; of those whose time passes none for what prunes tell, which also forget them.
asked = st.sampled_from(
    [("*",), ("*",), ("job.*", "node.lost"), ("job.dead", "job.purged"), ("order.*", "x"), ("none",)]
)
told = st.builds(
    NewEvent,
    name=st.sampled_from(["order.paid", "order.paid.late", "x"]),
    subject=st.sampled_from(["", "one", "ünï"]),
    data=st.sampled_from(["{}", '{"a":"ü"}']),
    id=st.sampled_from([None, None, "i", "j"]),
    kept=st.booleans(),
)
carried = st.lists(told, max_size=2).map(tuple)
SCHEDULES = ("x", "x y", "ä")
#: What becomes of one schedule: made from what is stored now and then from another version, refused now and then.
plans = st.fixed_dictionaries(
    {
        "name": st.sampled_from(SCHEDULES),
        "slip": st.sampled_from([0] * 6 + [-1, 1]),
        "due": st.sampled_from([None, -1, 0, 1, 1, 5]),
        "declared": st.booleans(),
        "outcome": st.sampled_from(Outcome),
        "note": st.sampled_from([None] * 6 + ["ü", "\0"]),
        # Jobs that are new, and how many jobs ago one came that is stored again; 0 is none.
        "jobs": st.lists(rivals | crowded | jobs, max_size=2),
        "again": st.sampled_from([0, 0, 0, 1, 5]),
        "events": carried,
    }
)
failed = {"ending": Ending.FAILED, "failed": 1, "error": "E", "message": "m", "traceback": "t", "fingerprint": "f"}
outcomes = st.sampled_from(
    [
        {"state": JobState.COMPLETED, "result": "1"},
        {"state": JobState.DEAD, "reason": "exhausted", **failed},
        {"state": JobState.CANCELLED, "reason": "no need", "ending": Ending.CANCELLED},
        {"state": JobState.PENDING, "delay": 5 * SECOND, "backoff": 5 * SECOND, **failed},
        {"state": JobState.PENDING, **failed},
        {"state": JobState.PENDING, "ending": Ending.SNOOZED, "delay": SECOND},
        {"state": JobState.PENDING, "ending": Ending.INTERRUPTED, "interrupted": 1},
        {"state": JobState.PENDING, "ending": Ending.CRASHED, "crashed": 1, "gate": SUSPECT_GATE},
        {"state": JobState.PENDING, "unstarted": True},
        {"state": JobState.RUNNING, "lent": True, "progress": (1, None)},
        {"state": JobState.RUNNING, "lent": False, "checkpoint": "1"},
        {"state": JobState.RUNNING, "progress": (2, 3), "checkpoint": "2"},
        {"state": JobState.COMPLETED, "result": "2", "progress": (3, 3)},
    ]
)
#: What is told about each subject, in order: name, id, moment, data.
Told = dict[str, list[tuple[str, str | None, int, Any]]]


def by_subject(events: Iterable[EventRecord]) -> Told:
    """Sort events by their subjects: only among those of one is there an order that all stores share."""
    found: defaultdict[str, list[tuple[str, str | None, int, Any]]] = defaultdict(list)
    for event in events:
        found[event.subject].append((event.name, event.id, event.time, json.loads(event.data)))
    return dict(found)


def counted(page: Page) -> Backlog:
    """Count what queues hold as anybody may who reads all jobs."""
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    oldest: dict[str, int] = {}
    for job in page.jobs:
        if job.state is JobState.PENDING and not job.gate and job.due_at <= page.now:
            counts[job.queue]["waiting"] += 1
            oldest[job.queue] = min(job.due_at, oldest.get(job.queue, job.due_at))
        elif job.state is JobState.PENDING:
            counts[job.queue]["held" if job.gate else "retrying" if job.failures else "scheduled"] += 1
        elif job.state in {JobState.RUNNING, JobState.DEAD}:
            counts[job.queue][job.state.value] += 1
    gates = Counter(job.gate for job in page.jobs if job.gate.startswith(UNKNOWN_GATE))
    return Backlog(
        now=page.now,
        queues=tuple(
            QueueBacklog(queue=queue, oldest=oldest.get(queue), **count) for queue, count in sorted(counts.items())
        ),
        unknown={gate.removeprefix(UNKNOWN_GATE): number for gate, number in gates.items()},
    )


class StoreMachine(RuleBasedStateMachine):
    """Does everything twice, and compares."""

    def __init__(self, make: Callable[[], AbstractContextManager[StoreHarness]]) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.exit = ExitStack()
        self.stores = (MemoryHarness(), self.exit.enter_context(make()))
        self.number = 0
        self.lines = 0
        self.token = 1000
        self.live: list[str] = []
        #: Every claim there ever was: node, id, token.
        self.claims: list[tuple[str, str, int]] = []
        #: The parents of children, by id.
        self.parents: dict[str, str] = {}
        #: What both stores handed out last; somebody may confirm it late.
        self.pulled: tuple[Pulled, Pulled] | None = None
        #: The runs, by id and token, whose slot was lent.
        self.lent: set[tuple[str, int]] = set()

    def both(self, verb: Callable[[Backend], Awaitable[T]]) -> tuple[T, T]:
        """Do it on both stores."""

        async def run() -> tuple[T, T]:
            oracle, store = self.stores
            return await verb(oracle.backend), await verb(store.backend)

        return self.runner.run(run())

    def same(self, verb: Callable[[Backend], Awaitable[T]]) -> T:
        """Do it on both stores, which answer the same."""
        oracle, store = self.both(verb)
        assert store == oracle
        return oracle

    @initialize(declared=first, listens=st.sampled_from([True, True, False]))
    def open(self, declared: dict[str, Limit], listens: bool) -> None:  # noqa: FBT001
        async def run() -> None:
            for store in self.stores:
                await store.__aenter__()
                await store.backend.limits.declare(declared)
                for node in NODES:
                    await publish(store.backend, node)
                if listens:
                    await store.backend.events.subscribe(NewSubscription(name="s", patterns=("*",), ttl=FOR_EVER))

        self.runner.run(run())
        self.live = [*NODES]

    def teardown(self) -> None:
        async def run() -> None:
            for store in self.stores:
                await store.__aexit__()

        try:
            self.runner.run(run())
        finally:
            self.runner.close()
            self.exit.close()

    def node(self, index: int) -> str:
        return self.live[index % len(self.live)]

    @rule(groups=st.lists(st.lists(jobs, max_size=3), min_size=1, max_size=3), again=st.integers(0, 20))
    def enqueue(self, groups: list[list[dict[str, Any]]], again: int) -> None:
        made = [[self.job(fields) for fields in group] for group in groups]
        if made and 0 < again <= self.number:
            made[0].append(NewJob(id=f"{again:04}", kind="a", queue="q", args="{}"))
        self.same(lambda backend: backend.jobs.enqueue(made))

    @rule(fields=st.lists(jobs, min_size=1, max_size=4), index=nodes, repeat=st.booleans())
    def bear(self, fields: list[dict[str, Any]], index: int, repeat: bool) -> None:  # noqa: FBT001
        node = self.node(index)
        made = [self.job(each) for each in fields]
        tokens = {job.id: self.draw_token() for job in made}
        birth = Birth(node, tokens)
        answer = self.same(lambda backend: backend.jobs.enqueue([[job] for job in made], birth))
        born = [job_id for group in answer.groups for job_id in group.born]
        if repeat:
            again = self.same(lambda backend: backend.jobs.enqueue([[job] for job in made], birth))
            assert [job_id for group in again.groups for job_id in group.born] == born
        self.claims += [(node, job_id, tokens[job_id]) for job_id in born]

    @rule(backwards=st.lists(st.integers(0, 12), min_size=1, max_size=3), fields=jobs, index=nodes, born=st.booleans())
    def again(self, backwards: list[int], fields: dict[str, Any], index: int, born: bool) -> None:  # noqa: FBT001
        """A group fails, its parent runs again and stores its children again: those it cancelled come to life."""
        self.cancel(backwards, GROUP_CANCELLED, ())
        made = [
            msgspec.structs.replace(job, parent=self.parents.get(job.id, "stranger"))
            for job in [self.made(max(1, self.number - number), fields) for number in backwards]
        ]
        tokens = {job.id: self.draw_token() for job in made} if born else {}
        birth = Birth(self.node(index), tokens)
        answer = self.same(lambda backend: backend.jobs.enqueue([made], birth))
        self.claims += [(birth.node, job_id, tokens[job_id]) for job_id in answer.groups[0].born]

    def job(self, fields: dict[str, Any]) -> NewJob:
        self.number += 1
        job = self.made(self.number, fields)
        if job.parent is not None:
            self.parents[job.id] = job.parent
        return job

    def made(self, number: int, fields: dict[str, Any]) -> NewJob:
        parent = f"{number - fields['parent']:04}"
        # Of grandchildren a store need not know at once that they came after their parent's time.
        has_parent = 0 < fields["parent"] < number and parent not in self.parents
        # Misfits of its own kind, that did not fit the signature s1.
        gate = f"{MISFIT_GATE}{fields['kind']}:s1" if fields["gate"] == MISFIT_GATE else fields["gate"]
        given: dict[str, Any] = fields | {"parent": parent if has_parent else None, "gate": gate}
        return NewJob(id=f"{number:04}", args=f'{{"number":{number}}}', **given)

    def draw_token(self) -> int:
        self.token += 1000
        return self.token

    @rule(index=nodes, demand=demands)
    def claim(self, index: int, demand: dict[str, Any]) -> None:
        request = ClaimRequest(node=self.node(index), **demand)
        self.compare(request, *self.both(lambda backend: backend.jobs.claim(request)))

    def compare(self, request: ClaimRequest, oracle: ClaimBatch, store: ClaimBatch) -> None:
        """Compare what was claimed, and see that neither store tells the node to sleep too long."""
        assert [*map(self.from_line, store.claims)] == [*map(self.from_line, oracle.claims)]
        self.claims += [(request.node, claim.id, claim.token) for claim in oracle.claims]
        for wait in (oracle.wait, store.wait):
            for moment in self.moments(request, oracle):
                assert wait is not None
                assert oracle.now + wait <= max(oracle.now, moment)

    def moments(self, request: ClaimRequest, batch: ClaimBatch) -> Iterable[int]:
        """Work out from the records when the node may be handed what it was not, or a little later."""
        backend, now = self.stores[0].backend, batch.now
        page = self.runner.run(backend.reader.find(JobFilter(), limit=EVERYTHING))
        queues = {queue.name: queue for queue in self.runner.run(backend.queues.list())}
        kinds = {kind.name: kind for kind in self.runner.run(backend.kinds.list())}
        for lane in self.runner.run(backend.limits.lanes(LANES)).lanes:
            full = lane.limit.slots is not None and lane.running >= lane.limit.slots
            if lane.parked and not full and lane.free_at is not None and lane.free_at > now:
                yield lane.free_at
        running = (
            record
            for record in page.jobs
            if record.state is JobState.RUNNING
            and record.node == request.node
            and (record.id, record.token) not in self.lent
        )
        runs = Counter(record.queue for record in running)
        gates = {"", *(UNKNOWN_GATE + kind for kind in request.kinds), *(PAUSED_GATE + kind for kind in request.kinds)}
        gates |= {f"{MISFIT_GATE}{kind}:s1" for kind, signature in request.signatures.items() if signature != "s1"}
        if request.suspect and not batch.claims:
            gates.add(SUSPECT_GATE)
        for record in page.jobs:
            queue = queues.get(record.queue, QueueRecord(name=record.queue))
            kind = kinds.get(record.kind, KindRecord(name=record.kind, paused=False))
            full = queue.slots is not None and runs[record.queue] >= queue.slots
            if (
                record.state is JobState.PENDING
                and record.gate in gates
                and record.kind in request.kinds
                and request.queues.get(record.queue, 0) > 0
                and not (full or any(each.paused and each.paused_until is None for each in (queue, kind)))
            ):
                # At their gates they are asked about again within a second; in the line nobody is left that a lane refuses.
                asked = now + SECOND if record.lanes and record.gate.startswith((MISFIT_GATE, SUSPECT_GATE)) else 0
                permitted = now if queue.rate is None else now + PERIOD
                yield max(record.due_at, queue.paused_until or 0, kind.paused_until or 0, asked, permitted)

    @rule(
        picks=st.lists(
            st.tuples(st.integers(0, 9), outcomes, st.sampled_from([0] * 9 + [1]), st.lists(jobs, max_size=2)),
            min_size=1,
            max_size=6,
        ),
        index=nodes,
        demand=st.none() | demands,
    )
    def settle(
        self,
        picks: list[tuple[int, dict[str, Any], int, list[dict[str, Any]]]],
        index: int,
        demand: dict[str, Any] | None,
    ) -> None:
        """Settle claims of one node: live ones, ended ones, stale ones, some under wrong tokens."""
        node = self.node(index)
        claims = [claim for claim in reversed(self.claims) if claim[0] == node]
        if not claims:
            return
        write: list[Settlement] = []
        ended: set[str] = set()
        for pick, outcome, slip, following in picks:
            _, job_id, token = claims[pick % len(claims)]
            # Notes may stand before and after the end of a run, but an engine sends no second end with the first.
            if outcome["state"] is not JobState.RUNNING:
                if job_id in ended:
                    continue
                ended.add(job_id)
            follow_ups = tuple([self.job(fields) for fields in following])
            write.append(Settlement(id=job_id, token=token + slip, jobs=follow_ups, **outcome))
            if not slip and write[-1].lent is not None:
                (self.lent.add if write[-1].lent else self.lent.discard)((job_id, token))
        request = None if demand is None else ClaimRequest(node=node, **demand)
        oracle, store = self.both(lambda backend: backend.jobs.settle(node, write, request))
        assert self.plain(store) == self.plain(oracle)
        if request is not None and oracle.batch is not None and store.batch is not None:
            self.compare(request, oracle.batch, store.batch)
        else:
            assert oracle.batch is store.batch is None

    @rule(
        index=nodes,
        results=st.lists(outcomes | st.just({"state": JobState.COMPLETED}), min_size=1, max_size=3),
        following=st.lists(rivals | jobs, max_size=2),
        then=st.none() | demands,
    )
    def work(
        self,
        index: int,
        results: list[dict[str, Any]],
        following: list[dict[str, Any]],
        then: dict[str, Any] | None,
    ) -> None:
        """A node takes what it gets, runs it, and says how it went."""
        before = len(self.claims)
        self.claim(index, EVERYTHING_DUE)
        new = range(len(self.claims) - before)
        self.settle([(pick, results[pick % len(results)], 0, following) for pick in new], index, then)

    @rule(
        fields=st.lists(crowded, min_size=3, max_size=6),
        index=nodes,
        results=st.lists(outcomes | st.just({"state": JobState.PENDING, **failed}), max_size=3),
        following=st.lists(crowded, max_size=2),
    )
    def crowd(
        self,
        fields: list[dict[str, Any]],
        index: int,
        results: list[dict[str, Any]],
        following: list[dict[str, Any]],
    ) -> None:
        """More come into the lanes than there is room for; some of those who run make room for the next."""
        self.enqueue([fields], 0)
        before = len(self.claims)
        self.claim(index, EVERYTHING_DUE)
        ended = zip(range(len(self.claims) - before), results, strict=False)
        self.settle([(pick, result, 0, following) for pick, result in ended], index, EVERYTHING_DUE)

    @staticmethod
    def plain(settled: Settled) -> tuple[int, set[str], dict[str, str], int]:
        return settled.now, set(settled.stale), settled.cancelled, settled.let_in

    @rule(
        backwards=st.lists(st.integers(0, 40), min_size=1, max_size=12),
        reason=st.sampled_from([CANCELLED, GROUP_CANCELLED]),
        events=carried,
    )
    def cancel(self, backwards: list[int], reason: str, events: tuple[NewEvent, ...]) -> None:
        async def verb(backend: Backend) -> list[object]:
            answer = await backend.admin.cancel([f"{self.number - number:04}" for number in backwards], reason, events)
            return [answer.now, *map(set, (answer.cancelled, answer.asked, answer.ended, answer.missing))]

        self.same(verb)

    @rule(backwards=st.lists(st.integers(0, 20), min_size=1, max_size=8), events=carried)
    def expedite(self, backwards: list[int], events: tuple[NewEvent, ...]) -> None:
        async def verb(backend: Backend) -> list[object]:
            answer = await backend.admin.expedite([f"{self.number - number:04}" for number in backwards], events)
            # When a due job is parked is a store's own affair.
            waiting = {*answer.due, *answer.gated}
            return [answer.now, *map(set, (answer.expedited, answer.running, answer.ended, answer.missing)), waiting]

        self.same(verb)

    @rule(index=nodes, withdrawn=st.booleans(), events=carried)
    def lose(self, index: int, withdrawn: bool, events: tuple[NewEvent, ...]) -> None:  # noqa: FBT001
        """A node dies or is withdrawn, whatever it holds, and another takes its place."""
        node = self.node(index)
        self.live.remove(node)
        self.number += 1
        self.live.append(f"m{self.number:04}")

        async def run() -> None:
            for store in self.stores:
                await (store.backend.nodes.withdraw(node, events) if withdrawn else store.die(node))
                await publish(store.backend, self.live[-1])

        self.runner.run(run())

    @rule(index=nodes)
    def recover(self, index: int) -> None:
        node = self.node(index)

        async def verb(backend: Backend) -> list[Any]:
            recovery = await backend.jobs.recover(node, EVERYTHING)
            return sorted(
                [msgspec.structs.replace(each, claim=self.from_line(each.claim)) for each in recovery.jobs],
                key=lambda recovered: recovered.claim.id,
            )

        recovered = self.same(verb)
        self.claims += [(node, each.claim.id, each.claim.token) for each in recovered]

    @rule(fields=st.lists(crowded, min_size=1, max_size=3), index=nodes)
    def mourn(self, fields: list[dict[str, Any]], index: int) -> None:
        """A node dies over what it runs, and another takes that over."""
        self.enqueue([fields], 0)
        self.claim(index, EVERYTHING_DUE)
        self.lose(index, withdrawn=False, events=())
        self.recover(0)

    @rule(
        fields=st.lists(crowded | rivals, min_size=1, max_size=3),
        index=nodes,
        verb=st.sampled_from(["replay", "purge", "prune"]),
        picks=st.lists(st.tuples(st.integers(0, 5), st.sampled_from([0, 0, 0, 1])), min_size=1, max_size=4),
    )
    def bury(self, fields: list[dict[str, Any]], index: int, verb: str, picks: list[tuple[int, int]]) -> None:
        """Jobs fail for good; of all letters there are some are brought back, or deleted, or all go, their time being over."""
        self.enqueue([fields], 0)
        dead: dict[str, Any] = {"state": JobState.DEAD, "reason": "exhausted", **failed}
        self.work(index, [dead], [], None)
        if verb == "prune":
            self.prune((None, None, 0, None), None)
            return
        page = self.runner.run(self.stores[0].backend.reader.find(JobFilter(states=(Shown.DEAD,)), limit=EVERYTHING))
        letters = [
            Letter(id=page.jobs[pick % len(page.jobs)].id, token=page.jobs[pick % len(page.jobs)].token + slip)
            for pick, slip in (picks if page.jobs else [])
        ]

        async def dispose(backend: Backend) -> tuple[int, set[str], dict[str, str]]:
            disposed = await (backend.admin.replay(letters) if verb == "replay" else backend.admin.purge(letters))
            return disposed.now, set(disposed.missed), disposed.kept

        self.same(dispose)

    @rule()
    def release(self) -> None:
        self.same(lambda backend: backend.admin.release(EVERYTHING))

    @rule(index=nodes, events=carried)
    def drain(self, index: int, events: tuple[NewEvent, ...]) -> None:
        node = self.node(index)
        self.same(lambda backend: backend.nodes.drain(node, events))

    @rule(duration=st.sampled_from([1, 1, 5]))
    def advance(self, duration: float) -> None:
        for store in self.stores:
            store.clock.move(duration)

    @rule(
        kept=st.tuples(*[st.sampled_from([None, 0, 5 * SECOND])] * 4),
        # What a prune tells it does not delete itself.
        events=st.sampled_from([None, None, SECOND, 5 * SECOND]),
    )
    def prune(self, kept: tuple[int | None, ...], events: int | None) -> None:
        keep = Keep(completed=kept[0], cancelled=kept[1], dead=kept[2], ticks=kept[3], events=events)
        self.same(lambda backend: backend.admin.prune(keep, EVERYTHING))

    @rule(
        name=st.sampled_from(QUEUES),
        paused=st.sampled_from([False, False, True]),
        until=st.sampled_from([None, 1, 1, 5]),
        slots=st.sampled_from([None, None, 1, 2, 4]),
        rate=rates,
    )
    def set_queue(self, name: str, paused: bool, until: int | None, slots: int | None, rate: Rate | None) -> None:  # noqa: FBT001
        record = QueueRecord(name=name, paused=paused, paused_until=self.end(until, paused), slots=slots, rate=rate)
        self.both(lambda backend: backend.queues.set(record))

    @rule(
        name=st.sampled_from(KINDS),
        paused=st.sampled_from([False, False, True]),
        until=st.sampled_from([None, 1, 1, 5]),
        events=carried,
    )
    def set_kind(self, name: str, paused: bool, until: int | None, events: tuple[NewEvent, ...]) -> None:  # noqa: FBT001
        record = KindRecord(name=name, paused=paused, paused_until=self.end(until, paused))
        self.both(lambda backend: backend.kinds.set(record, events))

    def end(self, seconds: int | None, paused: bool) -> int | None:  # noqa: FBT001
        return None if seconds is None or not paused else self.stores[0].clock.now() + seconds * SECOND

    @rule(declared=changes)
    def declare(self, declared: dict[str, Limit]) -> None:
        self.both(lambda backend: backend.limits.declare(declared))

    @rule(overrides=changes, back=st.sampled_from([None, None, *LIMITS]), events=carried)
    def override(self, overrides: dict[str, Limit], back: str | None, events: tuple[NewEvent, ...]) -> None:
        async def verb(backend: Backend) -> None:
            for name, limit in overrides.items():
                await backend.limits.override(name, limit, by="ada", reason=None, events=events)
            if back is not None:
                await backend.limits.override(back, None, by=None, reason=None)

        self.both(verb)

    @rule(chosen=st.lists(plans, min_size=1, max_size=3))
    def plan(self, chosen: list[dict[str, Any]]) -> None:
        """Schedules are put, changed and fired, some by who has not seen the last change."""
        found = self.runner.run(self.stores[0].backend.schedule_reader.get(SCHEDULES)).schedules
        versions = Counter({record.name: record.version for record in found})
        changes: list[ScheduleChange] = []
        for plan in chosen:
            changes.append(self.planned(plan, versions[plan["name"]]))
            versions[plan["name"]] += 1

        async def verb(backend: Backend) -> list[ChangeAnswer]:
            answers = (await backend.schedules.change(changes)).changes
            # In which words something is refused is a store's own affair; so is whether it is, if it was outrun as well.
            return [
                ChangeAnswer(refused="refused")
                if answer.refused or (answer.outrun and plan["note"] == "\0")
                else answer
                for plan, answer in zip(chosen, answers, strict=True)
            ]

        self.same(verb)

    def planned(self, plan: dict[str, Any], version: int) -> ScheduleChange:
        now = self.stores[0].clock.now()
        made = [self.job(fields) for fields in plan["jobs"]]
        if 0 < plan["again"] <= self.number:
            made.append(NewJob(id=f"{self.number - plan['again'] + 1:04}", kind="a", queue="q", args="{}"))
        due_at = None if plan["due"] is None else now + plan["due"] * SECOND
        schedule = ScheduleRecord(
            name=plan["name"],
            version=max(0, version + plan["slip"]),
            kind=KINDS[self.number % len(KINDS)],
            rule="{}",
            job="{}",
            declared=plan["declared"],
            due_at=due_at,
            last_tick=now,
            last_job=made[-1].id if made else f"{self.number // 2:04}",
        )
        given: dict[str, Any] = {"schedule": plan["name"], "tick": now, "last": now, "due_at": due_at or now}
        given |= {"outcome": plan["outcome"], "note": plan["note"]}
        lines = [TickRecord(id=self.line(), job=job.id, **given) for job in made]
        lines.append(TickRecord(id=f"{self.lines // 2:04}", reason="missed", **given))
        return ScheduleChange(schedule=schedule, ticks=tuple(lines), jobs=tuple(made), events=plan["events"])

    def line(self) -> str:
        self.lines += 1
        return f"{self.lines:04}"

    @rule(name=st.sampled_from(SCHEDULES), slip=st.sampled_from([0, 0, 1]), events=carried)
    def forget(self, name: str, slip: int, events: tuple[NewEvent, ...]) -> None:
        found = self.runner.run(self.stores[0].backend.schedule_reader.get([name])).schedules
        version = found[0].version if found else 0
        self.same(lambda backend: backend.schedules.remove(name, version + slip, events))

    @rule(
        name=st.sampled_from(SUBSCRIPTIONS),
        patterns=asked,
        kind=st.sampled_from([None, "a"]),
        # Numbers are a store's own affair, but for where a log begins.
        after=st.sampled_from([None, None, None, 0]),
    )
    def subscribe(self, name: str, patterns: tuple[str, ...], kind: str | None, after: int | None) -> None:
        short = name == "short"
        subscription = NewSubscription(
            name=name,
            patterns=("order.*",) if short else patterns,
            kind=kind,
            ttl=5 * SECOND if short else FOR_EVER,
            after=after,
        )
        self.both(lambda backend: backend.events.subscribe(subscription))

    @rule(seconds=st.sampled_from([1, 5]))
    def outlast(self, seconds: int) -> None:
        """A subscription may be renewed in time, and may not."""
        self.subscribe("short", (), None, None)
        self.advance(seconds)
        self.prune((None,) * 4, None)

    @rule(name=st.sampled_from(SUBSCRIPTIONS))
    def unsubscribe(self, name: str) -> None:
        self.same(lambda backend: backend.events.unsubscribe(name))

    @rule(events=st.lists(told, max_size=4))
    def append(self, events: list[NewEvent]) -> None:
        self.same(lambda backend: backend.events.append(events))

    @rule()
    def pull(self) -> None:
        """A node pulls; until it confirms, others may have."""
        self.pulled = self.both(lambda backend: backend.events.pull(SUBSCRIPTIONS, limit=EVERYTHING))

    @rule(fields=st.lists(rivals | jobs, max_size=2), again=st.sampled_from([0, 0, 0, 1, 5]))
    def confirm(self, fields: list[dict[str, Any]], again: int) -> None:
        """What was pulled is confirmed, maybe for the second time or by who came too late, with jobs."""
        if self.pulled is None:
            self.pull()
        assert self.pulled is not None
        made = [self.job(each) for each in fields]
        if 0 < again <= self.number:
            made.append(NewJob(id=f"{self.number - again + 1:04}", kind="a", queue="q", args="{}"))

        async def verb(backend: Backend, pulled: Pulled) -> tuple[GroupAnswer | None, ...]:
            confirmations = [
                Confirmation(name=one.name, cursor=one.cursor, upto=one.upto, jobs=tuple(made))
                for one in pulled.received
            ]
            return (await backend.events.confirm(confirmations)).groups

        async def run() -> None:
            assert self.pulled is not None
            answers = [
                await verb(store.backend, pulled) for store, pulled in zip(self.stores, self.pulled, strict=True)
            ]
            assert answers[1] == answers[0]

        self.runner.run(run())

    @invariant()
    def the_events_are_the_same(self) -> None:
        """All that is told of a subject is told in its order; what is told of another may stand before or after it."""
        if not self.live:
            return
        now = self.stores[0].clock.now()

        async def verb(backend: Backend) -> list[object]:
            whole = await backend.event_reader.read(limit=EVERYTHING)
            newest = await backend.event_reader.read(newest=True, limit=EVERYTHING)
            assert newest.events == whole.events[::-1]
            assert whole.end
            assert newest.end
            orders = await backend.event_reader.read(
                patterns=["order.*"], subject="one", since=now - 5 * SECOND, until=now, limit=EVERYTHING
            )
            found = await backend.event_reader.subscriptions()
            received = (await backend.events.pull(SUBSCRIPTIONS, limit=EVERYTHING)).received
            return [
                by_subject(whole.events),
                by_subject(orders.events),
                whole.last == 0,
                whole.pruned == 0,
                # Where they stand is told by what they are handed.
                [msgspec.structs.replace(record, cursor=0) for record in found.subscriptions],
                [(one.name, one.lost is None, by_subject(one.events)) for one in received],
            ]

        self.same(verb)

    @invariant()
    def the_backlog_is_that_of_the_jobs(self) -> None:
        """When a due job is parked is a store's own affair; what it counts is what it shows."""
        if not self.live:
            return

        async def verb(backend: Backend) -> None:
            page = await backend.reader.find(JobFilter(), limit=EVERYTHING)
            assert await backend.reader.backlog() == counted(page)

        self.both(verb)

    @invariant()
    def the_schedules_are_the_same(self) -> None:
        if not self.live:
            return

        async def verb(backend: Backend) -> list[object]:
            return [
                await backend.schedule_reader.find(limit=EVERYTHING),
                await backend.schedule_reader.find(limit=1, declared=True),
                await backend.schedule_reader.ticks(limit=EVERYTHING),
                await backend.schedule_reader.ticks(limit=2, schedule="x", outcomes=[Outcome.SKIPPED]),
                await backend.schedules.due(1),
                await backend.schedules.due(EVERYTHING),
            ]

        self.same(verb)

    @invariant()
    def the_jobs_are_the_same(self) -> None:
        if not self.live:
            return

        async def verb(backend: Backend) -> list[JobRecord]:
            page = await backend.reader.find(JobFilter(), limit=EVERYTHING)
            return [*map(self.unparked, page.jobs)]

        records = self.same(verb)
        assert [record.id for record in records] == sorted((record.id for record in records), reverse=True)

    @staticmethod
    def from_line(claim: Claim) -> Claim:
        """As `unparked`."""
        return msgspec.structs.replace(claim, gate="") if claim.gate.startswith(PARKED) else claim

    @staticmethod
    def unparked(record: JobRecord) -> JobRecord:
        """When a due job is parked is a store's own affair."""
        return msgspec.structs.replace(record, gate="") if record.gate.startswith(PARKED) else record

    @invariant()
    def the_timings_are_the_same(self) -> None:
        if not self.live:
            return

        async def verb(backend: Backend) -> list[Timings]:
            reader = backend.reader
            found = [
                await reader.timings(state, JobFilter(), within=within, limit=EVERYTHING)
                for state in FINAL
                for within in (FOR_EVER, SECOND)
            ]
            first = await reader.timings(JobState.COMPLETED, JobFilter(), within=FOR_EVER, limit=2)
            kinds = JobFilter(kinds=("a",))
            after = first.after
            return [*found, first, await reader.timings(FINAL[0], kinds, within=FOR_EVER, limit=1, after=after)]

        self.same(verb)

    @invariant()
    def the_rest_is_the_same(self) -> None:
        if not self.live:
            return

        async def verb(backend: Backend) -> list[Any]:
            return [
                [await backend.reader.history(f"{number:04}") for number in self.touched()],
                await backend.reader.count(JobFilter()),
                [(node.id, node.alive, node.draining) for node in await backend.nodes.find()],
                await backend.queues.list(),
                await backend.kinds.list(),
                await backend.limits.list(),
                [msgspec.structs.replace(lane, parked=False) for lane in (await backend.limits.lanes(LANES)).lanes],
                [await held(backend, node) for node in self.live],
            ]

        self.same(verb)

    def touched(self) -> Iterable[int]:
        """Return the jobs of the last claims: the history of others does not change."""
        return sorted({int(job_id) for _, job_id, _ in self.claims[-8:]})


def run(make: Callable[[], AbstractContextManager[StoreHarness]], examples: int) -> None:
    """Run the machine against stores that are made anew for each example."""

    class Machine(StoreMachine):
        def __init__(self) -> None:
            super().__init__(make)

    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=examples * TIMES,
            # The ordinary run tries the same each time; `make chaos` looks for what nobody has seen yet.
            derandomize=TIMES == 1,
            stateful_step_count=50,
            deadline=None,
            # To shrink a failure takes longer than a test may; whoever looks into one adds Phase.shrink for the while.
            phases=[Phase.explicit, Phase.reuse, Phase.generate],
            report_multiple_bugs=False,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )


def on_postgres(server: Postgres) -> Callable[[], AbstractContextManager[StoreHarness]]:
    """Return what makes empty stores on a server."""

    @contextmanager
    def make() -> Generator[StoreHarness]:
        with server.schema() as schema:
            yield PostgresHarness(schema)

    return make


def on_redis(server: RedisServer) -> Callable[[], AbstractContextManager[StoreHarness]]:
    """Return what makes empty stores on a server."""

    @contextmanager
    def make() -> Generator[StoreHarness]:
        with server.namespace() as namespace:
            yield RedisHarness(redis_url(namespace))

    return make


def test_sqlite() -> None:
    """SQLite does what memory does."""

    @contextmanager
    def make() -> Generator[StoreHarness]:
        with tempfile.TemporaryDirectory() as directory:
            yield SqliteHarness(Path(directory) / "jobs.db")

    run(make, 30)


def test_postgres(postgres_server: Postgres) -> None:
    """PostgreSQL does what memory does."""
    run(on_postgres(postgres_server), 8)


def test_redis(redis_server: RedisServer) -> None:
    """Redis does what memory does."""
    run(on_redis(redis_server), 15)


def test_a_cluster(redis_cluster: LaunchedCluster) -> None:
    """So does a cluster of three."""
    run(on_redis(redis_cluster), 4)


def test_another_major_version(other_postgres: LaunchedPostgres) -> None:
    """So does PostgreSQL of every other major version there is."""
    run(on_postgres(other_postgres), 2)


def test_another_program(other_redis: LaunchedRedis) -> None:
    """So does every other program that speaks Redis."""
    run(on_redis(other_redis), 4)
