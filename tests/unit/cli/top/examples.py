"""A store as a live view sees it."""

from __future__ import annotations

from backburner.cli.top.state import Seen
from backburner.model.clock import SECOND
from backburner.model.job import JobRecord, JobState
from backburner.model.node import NodeRecord, QueueRecord
from backburner.observability.overview import Overview, QueueSeen
from backburner.ports.jobs import QueueBacklog
from backburner.testing.clock import FakeClock

__all__ = ["NOW", "job", "queue", "seen"]

NOW = FakeClock().now()


def queue(name: str, *, paused: bool = False, waiting: int = 0, nodes: int = 1, running: int = 0) -> QueueSeen:
    """Return a queue of four slots a node, in which nothing else is."""
    return QueueSeen(
        holds=QueueBacklog(queue=name, waiting=waiting, running=running),
        nodes=nodes,
        slots=4 * nodes,
        done=0,
        record=QueueRecord(name=name, paused=paused),
    )


def job(number: int, state: JobState = JobState.RUNNING, **more: object) -> JobRecord:
    """Return a job that began a minute ago."""
    fields: dict[str, object] = {
        "kind": "charge",
        "queue": "billing",
        "gate": "",
        "priority": 5,
        "args": "{}",
        "result": None,
        "reason": None,
        "tags": (),
        "attempt": 1,
        "failures": 0,
        "crashes": 0,
        "interruptions": 0,
        "token": 1,
        "node": "web-1-1-a",
        "cancel": False,
        "timeout": None,
        "retry": None,
        "backoff": None,
        "created_at": NOW,
        "due_at": NOW,
        "expires_at": None,
        "started_at": NOW - 60 * SECOND,
        "ended_at": None,
        "error": "",
        "message": "",
        "fingerprint": "",
        **more,
    }
    return JobRecord(id=f"01jd{number}", state=state, **fields)  # type: ignore[arg-type]


def seen(*queues: QueueSeen, running: tuple[JobRecord, ...] = (), failures: tuple[JobRecord, ...] = ()) -> Seen:
    """Return what was read: one node, and these."""
    node = NodeRecord(id="web-1-1-a", host="web-1", pid=1, started_at=NOW, queues={"billing": 4}, kinds=("charge",))
    overview = Overview(address="sqlite:///shop.db", now=NOW, offset=0, schema=(5, 5), nodes=(node,), queues=queues)
    return Seen(
        overview=overview,
        running=running,
        running_total=len(running),
        failures=failures,
        failures_total=len(failures),
    )
