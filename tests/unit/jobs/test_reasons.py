"""What a job waits for, in words; by real runs in tests/acceptance/test_why.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from backburner.jobs.reasons import BreakerView, Facts, Reason, at_gate, ending, reasons
from backburner.model.clock import SECOND
from backburner.model.job import GROUP_CANCELLED, SUSPECT_GATE, JobRecord, JobState
from backburner.model.lane import LaneRecord, Limit, LimitRecord, Rate
from backburner.model.node import KindRecord, NodeRecord, QueueRecord
from backburner.resilience.breaker import Phase

if TYPE_CHECKING:
    from typing import Any

NOW = 1_750_000_000 * SECOND
THEN = NOW + 90 * SECOND
#: `THEN` as it is written.
END = "2025-06-15T15:08:10.000Z"
JOB = JobRecord(
    id="j",
    kind="charge",
    queue="mail",
    state=JobState.PENDING,
    gate="",
    priority=5,
    args="{}",
    result=None,
    reason=None,
    tags=(),
    attempt=1,
    failures=0,
    crashes=0,
    interruptions=0,
    token=1,
    node=None,
    cancel=False,
    timeout=None,
    retry=None,
    backoff=None,
    created_at=NOW - SECOND,
    due_at=NOW - SECOND,
    expires_at=None,
    started_at=None,
    ended_at=None,
    error="",
    message="",
    fingerprint="",
)
RATE = Rate(limit=5, period=3600 * SECOND)


def node(
    name: str = "n", *kinds: str, queues: dict[str, int] | None = None, alive: bool = True, draining: bool = False
) -> NodeRecord:
    """Make a node of queue mail with two slots, which knows charge unless told otherwise."""
    return NodeRecord(
        id=name,
        host="h",
        pid=1,
        started_at=0,
        queues=queues or {"mail": 2},
        kinds=kinds or ("charge",),
        alive=alive,
        draining=draining,
    )


def job(**changes: Any) -> JobRecord:  # noqa: ANN401 - fields of what is made
    """Make the job otherwise."""
    return msgspec.structs.replace(JOB, **changes)


def why(subject: JobRecord = JOB, **known: Any) -> list[Reason]:  # noqa: ANN401 - fields of what is made
    """Return what it waits for where a node could run it."""
    known.setdefault("nodes", (node(),))
    return list(reasons(Facts(now=NOW, job=subject, **known)))


def said(subject: JobRecord = JOB, **known: Any) -> list[tuple[str, str]]:  # noqa: ANN401 - fields of what is made
    """Return the codes and the sentences."""
    return [(reason.code, str(reason)) for reason in why(subject, **known)]


def lane(name: str, limit: Limit, **use: Any) -> dict[str, Any]:  # noqa: ANN401 - fields of what is made
    """Return what is known of a lane that a job stands at, and of its limit, declared."""
    return {
        "lanes": [LaneRecord(name=name, limit=limit, **use)],
        "limits": {name: LimitRecord(name=name, declared=limit)},
    }


def test_of_one_that_runs_or_has_ended() -> None:
    """It waits for nothing, and that is said."""
    running = job(state=JobState.RUNNING, node="web-1", attempt=2)
    assert said(running) == [("running", "it runs on web-1, as attempt 2")]
    asked = msgspec.structs.replace(running, cancel=True)
    assert said(asked) == [("running", "it runs on web-1, as attempt 2, and was asked to stop")]
    assert said(job(state=JobState.COMPLETED)) == [("ended", "it is completed")]
    assert said(job(state=JobState.DEAD, reason="exhausted")) == [("ended", "it is dead: exhausted")]
    group = job(state=JobState.CANCELLED, reason=GROUP_CANCELLED)
    assert said(group) == [("ended", "it is cancelled: cancelled with its group")]
    assert ending(job(state=JobState.COMPLETED)) == ""


def test_an_expired_one() -> None:
    """It will not run, whatever else there is; it says so, and what its end waits for."""
    late = job(expires_at=NOW)
    text = "it expired at 2025-06-15T15:06:40.000Z: a node is to cancel it, and none will run it"
    paused = QueueRecord(name="mail", paused=True)
    assert said(late, queue=paused) == [("expired", text)]
    assert [code for code, _ in said(late, nodes=())] == ["expired", "queue-unserved"]


def test_pauses() -> None:
    """By whom, why, and until when."""
    queue = QueueRecord(name="mail", paused=True, paused_until=THEN, reason="INC-7", by="ada")
    kind = KindRecord(name="charge")
    assert said(queue=queue, kind=kind) == [
        ("queue-paused", f"queue mail is paused by ada (INC-7) until {END}"),
        ("kind-paused", "kind charge is paused by an operator"),
    ]
    assert said(queue=QueueRecord(name="mail"), kind=KindRecord(name="charge", paused=False))[0][0] == "in-line"


@pytest.mark.parametrize(
    ("nodes", "code", "text"),
    [
        ((), "queue-unserved", "no node is alive"),
        ((node(alive=False),), "queue-unserved", "no node is alive"),
        (
            (node(queues={"b": 1, "a": 1}),),
            "queue-unserved",
            "no live node takes jobs of queue mail; there are nodes for a, b",
        ),
        ((node(draining=True),), "queue-unserved", "each live node of queue mail drains, and takes no new work"),
        ((node("n", "other"),), "kind-unknown", "no live node of queue mail knows kind charge"),
        (
            (node("n", "other"), node("m", queues={"a": 1})),
            "kind-unknown",
            "no live node of queue mail knows kind charge; m does, but takes no jobs of that queue",
        ),
        (
            (node("n", "other"), node("m", draining=True)),
            "kind-unknown",
            "no live node of queue mail knows kind charge",
        ),
    ],
)
def test_nodes(nodes: tuple[NodeRecord, ...], code: str, text: str) -> None:
    """Nobody takes it: nobody lives, takes its queue, or knows its kind."""
    assert said(nodes=nodes) == [(code, text)]


def test_its_time() -> None:
    """A job that is not due says until when, and after what; what passes before is not in its way."""
    assert said(job(due_at=THEN)) == [("not-due", f"it is not due until {END}")]
    failed = job(due_at=THEN, failures=1, error="httpx.ReadTimeout")
    assert said(failed) == [("not-due", f"it failed (httpx.ReadTimeout), and is not tried again until {END}")]
    short = QueueRecord(name="mail", paused=True, paused_until=THEN - SECOND)
    assert [code for code, _ in said(failed, queue=short)] == ["not-due"]
    full = lane("concurrency:charge", Limit(slots=1), running=1)
    assert [code for code, _ in said(failed, **full)] == ["not-due"]


def test_a_suspect() -> None:
    """It names the suspects that run now."""
    suspect = job(gate=SUSPECT_GATE, crashes=2)
    text = "it was running in 2 crashes, and waits to run with no other suspect beside it"
    assert said(suspect) == [("suspect", text)]
    other = job(id="k", state=JobState.RUNNING, node="web-1", crashes=2)
    (reason,) = why(suspect, suspects=(other,))
    assert (str(reason), reason.jobs) == (f"{text}: job k runs on web-1", ("k",))


def test_gates_that_explain_themselves() -> None:
    """A unique key that is busy, and arguments that fit nowhere."""
    assert said(job(gate="unique:charge:7")) == [
        ("unique", "it waits until no other job holds its unique key charge:7")
    ]
    misfit = job(gate="misfit:charge:3f9a", message="`cents` is missing")
    assert said(misfit) == [("misfit", "it waits for a node whose charge takes its arguments: `cents` is missing")]


@pytest.mark.parametrize(
    ("gate", "words"),
    [
        ("lane:rate:charge", "waits for room in lane rate:charge"),
        ("unknown:charge", "waits for a node that knows kind charge"),
        ("paused:charge", "waits for the end of the pause of kind charge"),
        ("misfit:charge:3f9a", "waits for a node whose charge takes its arguments"),
        ("later:x", "stands at later:x"),
    ],
)
def test_a_gate_in_a_list(gate: str, words: str) -> None:
    """A job at a gate tells by itself what it stands there for; where that has passed, it is in line."""
    assert at_gate(job(gate=gate)) == words
    if not gate.startswith("misfit"):
        assert said(job(gate=gate))[0][0] == "in-line"


def test_a_full_lane() -> None:
    """How full, who holds it, and who set it."""
    name = "concurrency:charge/acme"
    full = lane(name, Limit(slots=2), running=2, holders=("a", "b"))
    (reason,) = why(job(gate=f"lane:{name}"), **full)
    assert (reason.code, reason.jobs) == ("lane-full", ("a", "b"))
    assert str(reason) == f"lane {name} is full: 2 of 2 run, held by jobs a, b"
    limit = LimitRecord(name="concurrency:charge", override=Limit(slots=1), by="ada", reason="slow disk")
    lanes = [LaneRecord(name=name, limit=Limit(slots=1), running=1, holders=("a",))]
    assert said(lanes=lanes, limits={limit.name: limit}) == [
        ("lane-full", f"lane {name} is full: 1 of 1 run, set by ada (slow disk), held by job a")
    ]
    many = lane(name, Limit(slots=9), running=9, holders=tuple("abcdefghi"))
    assert said(**many) == [("lane-full", f"lane {name} is full: 9 of 9 run, held by jobs a, b, c …")]
    assert said(**lane(name, Limit(slots=2), running=1))[0][0] == "in-line"


def test_a_rate() -> None:
    """What it allows, and when it has a permit again."""
    used = lane("rate:charge", Limit(rate=RATE), free_at=THEN)
    assert said(**used) == [("rate", f"lane rate:charge starts 5/hour, and has no permit left until {END}")]
    assert said(**lane("rate:charge", Limit(rate=RATE), free_at=NOW))[0][0] == "in-line"


def test_a_budget() -> None:
    """Dry, it holds back retries alone."""
    dry = lane("budget:team%2Fstripe", Limit(rate=RATE, deposit=SECOND), free_at=THEN)
    text = f"retry budget team/stripe is dry: retries have no permit left until {END}"
    assert said(job(failures=1), **dry) == [("budget", text)]
    assert said(JOB, **dry)[0][0] == "in-line"


SINCE = "2025-06-15T15:06:30.000Z"


@pytest.mark.parametrize(
    ("view", "slots", "text"),
    [
        (
            BreakerView(Phase.OPEN, NOW - 10 * SECOND, THEN),
            0,
            f"breaker stripe has been open since {SINCE}, and sends no probe until {END}",
        ),
        (
            BreakerView(Phase.HALF_OPEN, NOW - 10 * SECOND, None),
            3,
            f"breaker stripe has probed since {SINCE}: 3 of 3 probes run",
        ),
        (
            BreakerView(Phase.CLOSING, NOW - 10 * SECOND, THEN),
            3,
            f"breaker stripe has been closing since {SINCE}, and lets no more than 3 run at once until {END}",
        ),
        (None, 3, "breaker stripe lets 3 run at once"),
    ],
)
def test_a_breaker(view: BreakerView | None, slots: int, text: str) -> None:
    """Since when, and when the next probe is; with room it is in nobody's way."""
    name = "breaker:stripe"
    held = lane(name, Limit(slots=slots), running=slots)
    breakers = {} if view is None else {name: view}
    assert said(**held, breakers=breakers) == [("breaker", text)]
    assert said(**lane(name, Limit(slots=4), running=3), breakers=breakers)[0][0] == "in-line"


def test_a_breaker_that_an_operator_opened() -> None:
    """By whom and why, whatever its phase."""
    name = "breaker:stripe"
    record = LimitRecord(name=name, override=Limit(slots=0), by="ada", reason="INC-7")
    assert said(
        lanes=[LaneRecord(name=name, limit=record.limit)],
        limits={name: record},
        breakers={name: BreakerView(Phase.CLOSED, 0, None)},
    ) == [("breaker", "breaker stripe was opened by ada (INC-7), and stays so until it is set to auto")]


def test_the_line() -> None:
    """Where nothing refuses it: no slot is free, the queue has a rate, or it has its turn."""
    assert said(running={"n": 1}) == [
        ("in-line", "it waits for its turn in queue mail: 1 of 2 slots on 1 node are taken")
    ]
    full = "queue mail has no free slot: 4 of 4 slots on 2 nodes are taken"
    two = (node("n"), node("m"), node("o", "other"))
    assert said(nodes=two, running={"n": 2, "m": 2, "o": 0}) == [("slots-full", full)]
    limited = QueueRecord(name="mail", slots=1, by="ada")
    each = "queue mail has no free slot: 1 of 1 slots on 1 node are taken (1 each, set by ada)"
    assert said(queue=limited, running={"n": 1}) == [("slots-full", each)]
    rated = QueueRecord(name="mail", rate=RATE, by="ada", reason="slow")
    text = "queue mail starts 5/hour, set by ada (slow), and this one by its turn"
    assert said(queue=rated) == [("queue-rate", text)]
