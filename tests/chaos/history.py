"""The history that all processes of a test wrote, and what must hold of it."""

from __future__ import annotations

import json
from collections import defaultdict
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from backburner.backends import urls
from backburner.model.clock import SystemClock
from backburner.model.job import JobState
from tests.chaos.programs.jobs import store_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from backburner.model.job import JobRecord
    from backburner.ports.backend import Backend

Event = dict[str, Any]

FINAL = {JobState.COMPLETED, JobState.CANCELLED, JobState.DEAD}
#: Jobs read at once.
PAGE = 1_000


def read(folder: Path) -> list[Event]:
    """Return all events, by time."""
    path = folder / "history"
    lines = path.read_text().splitlines() if path.exists() else []
    return sorted((json.loads(line) for line in lines), key=lambda event: event["at"])


@asynccontextmanager
async def opened(folder: Path) -> AsyncGenerator[Backend]:
    """Open a folder's store past every engine, for reading."""
    backend = urls.connect(urls.parse(store_of(folder), base=folder), clock=SystemClock(), write_timeout=30)
    await backend.open(create=False, write=False)
    try:
        yield backend
    finally:
        await backend.close()


async def records(folder: Path, ids: list[str]) -> dict[str, JobRecord]:
    """Read jobs past every engine."""
    async with opened(folder) as backend:
        pages = [await backend.reader.get(ids[first : first + PAGE]) for first in range(0, len(ids), PAGE)]
    return {record.id: record for page in pages for record in page.jobs}


def starts(events: list[Event], job_id: str) -> list[Event]:
    """Return the starts of one job, by time."""
    return [event for event in events if event["event"] == "start" and event["job"] == job_id]


def killed(events: list[Event]) -> dict[int, float]:
    """Return the processes that were killed, and when."""
    return {event["killed"]: event["at"] for event in events if event["event"] == "kill"}


async def check(folder: Path) -> dict[str, JobRecord]:
    """Hold the whole history against the store.

    Every stored job is final. Each was started at least once, or it never ran (cancelled). Of its claims no two were
    live at a time: one had ended, or its process was killed, before the next began, under a greater token. A completed
    job's end was accepted once: exactly one of its runs returned under the claim that the store kept.
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
        assert first["claim"] < second["claim"], ("a later claim has no greater token", first, second)
        over = min(ends.get(first["claim"], float("inf")), deaths.get(first["pid"], float("inf")))
        assert over <= second["at"], ("two claims were live at a time", first, second)
