"""The history that all processes of a test wrote, and what must hold of it."""

from __future__ import annotations

import json
from collections import defaultdict
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from backburner.backends.sqlite.backend import SqliteBackend
from backburner.model.clock import SystemClock
from backburner.model.job import JobState

if TYPE_CHECKING:
    from pathlib import Path

    from backburner.model.job import JobRecord

Event = dict[str, Any]

FINAL = {JobState.COMPLETED, JobState.CANCELLED, JobState.DEAD}


def read(folder: Path) -> list[Event]:
    """Return all events, by time."""
    path = folder / "history"
    lines = path.read_text().splitlines() if path.exists() else []
    return sorted((json.loads(line) for line in lines), key=lambda event: event["at"])


async def records(folder: Path, ids: list[str]) -> dict[str, JobRecord]:
    """Read jobs past every engine, from the store opened anew."""
    backend = SqliteBackend(folder / "jobs.db", clock=SystemClock())
    await backend.open(create=False, write=False)
    try:
        return {record.id: record for record in (await backend.reader.get(ids)).jobs}
    finally:
        await backend.close()


def starts(events: list[Event], job_id: str) -> list[Event]:
    """Return the starts of one job, by time."""
    return [event for event in events if event["event"] == "start" and event["job"] == job_id]


def killed(events: list[Event]) -> dict[int, float]:
    """Return the processes that were killed, and when."""
    return {event["killed"]: event["at"] for event in events if event["event"] == "kill"}


async def check(folder: Path) -> dict[str, JobRecord]:
    """Hold the whole history against the store.

    Every stored job is final. Each was started at least once, or it never ran (cancelled). Of its claims no two were
    live at a time: one had ended, or its process was killed, before the next began. A completed job's end was accepted
    once: exactly one of its runs returned under the claim that the store kept.
    """
    events = read(folder)
    ids = list(dict.fromkeys(event["job"] for event in events if event["event"] == "enqueue"))
    stored = await records(folder, ids)
    assert sorted(stored) == sorted(ids), "a stored job is gone"
    assert {job: record.state for job, record in stored.items() if record.state not in FINAL} == {}
    deaths = killed(events)
    by_job: defaultdict[str, list[Event]] = defaultdict(list)
    for event in events:
        if event["event"] in {"start", "end"}:
            by_job[event["job"]].append(event)
    for job, record in stored.items():
        check_claims(by_job[job], deaths)
        if record.state is JobState.COMPLETED:
            accepted = [
                event
                for event in by_job[job]
                if event["event"] == "end" and event["how"] == "returned" and event["claim"] == record.token
            ]
            assert len(accepted) == 1, (job, record, by_job[job])
    return stored


def check_claims(events: list[Event], deaths: dict[int, float]) -> None:
    """Hold one job's starts and ends, by time, against each other and the deaths of processes."""
    begun = [event for event in events if event["event"] == "start"]
    assert begun, "a job ended without a start"
    assert len({event["claim"] for event in begun}) == len(begun), "one claim was started twice"
    ends = {event["claim"]: event["at"] for event in events if event["event"] == "end"}
    for first, second in pairwise(begun):
        over = min(ends.get(first["claim"], float("inf")), deaths.get(first["pid"], float("inf")))
        assert over <= second["at"], ("two claims were live at a time", first, second)
