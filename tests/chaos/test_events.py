"""Nodes that hand over events, killed at random and started again: each event is one job for each handler, none is lost.

`make chaos` lets five thousand events pass on each store, with five nodes (`BACKBURNER_TEST_EVENTS` says how many), the
ordinary run a few hundred, with three.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter, defaultdict
from itertools import pairwise
from random import Random
from typing import TYPE_CHECKING

import pytest

from backburner.model.query import JobFilter
from tests.chaos.conftest import LEASE, passed
from tests.chaos.history import check_claims, killed, opened, read
from tests.chaos.programs.jobs import Plant
from tests.chaos.programs.telling import KINDS, SUBJECTS, Telling

if TYPE_CHECKING:
    from pathlib import Path

    from backburner.model.job import JobRecord
    from tests.chaos.conftest import Program, Theatre

EVENTS = int(os.environ.get("BACKBURNER_TEST_EVENTS", "400"))
NODES = 5 if EVENTS >= 1_000 else 3
#: Events of one publishing, after which a node is killed.
PORTION = 80
#: Seconds between the beginning of that and the kill.
PACE = (0.02, 0.3)
PAGE = 500

pytestmark = pytest.mark.limit(60 + EVENTS / 20)


async def node(theatre: Theatre) -> Program:
    """Start a node."""
    return await theatre.start("-m", "tests.chaos.programs.telling", str(theatre.folder), str(LEASE))


async def jobs(folder: Path, kind: str) -> dict[str, JobRecord]:
    """Return the jobs of a kind by id, past every engine."""
    found: dict[str, JobRecord] = {}
    after: str | None = None
    async with opened(folder) as backend:
        while True:
            page = await backend.reader.find(JobFilter(kinds=(kind,)), limit=PAGE, after=after)
            found |= {job.id: job for job in page.jobs}
            after = page.after
            if after is None:
                return found


async def handled(folder: Path) -> dict[str, dict[str, JobRecord]]:
    """Wait until each handler has a job for every event, and each of them has ended."""
    while True:
        found = {kind: await jobs(folder, kind) for kind in KINDS}
        if all(
            len(each) >= EVENTS and all(job.state == "completed" for job in each.values()) for each in found.values()
        ):
            return found
        await passed(0.1)


async def test_killed_at_random_they_hand_over_every_event_once(any_theatre: Theatre) -> None:
    """A publisher that lives tells of each event; nodes beside it die at any moment, all of them once."""
    random = Random(EVENTS)
    plant = Plant(any_theatre.folder, lease=LEASE, run=False)
    telling = Telling(plant)
    nodes: list[Program] = []

    async def fill() -> None:
        started = [await node(any_theatre) for _ in range(NODES - len(nodes))]
        for program in started:
            await program.says("ready")
        nodes.extend(started)

    await fill()
    async with plant.bb:
        for first in range(0, EVENTS, PORTION):
            publishing = asyncio.create_task(telling.publish(first, min(PORTION, EVENTS - first)))
            await passed(random.uniform(*PACE))
            # Half-way nobody is left, and what is published meanwhile waits.
            for _ in range(NODES if first <= EVENTS // 2 < first + PORTION else 1):
                program = nodes.pop(random.randrange(len(nodes)))
                program.kill()
                await program.process.wait()
            await publishing
            await fill()
        found = await handled(any_theatre.folder)
    for program in nodes:
        await program.stop()
    check(any_theatre.folder, found)
    assert len(killed(read(any_theatre.folder))) >= NODES


def check(folder: Path, found: dict[str, dict[str, JobRecord]]) -> None:
    """Hold the history against the jobs.

    Of each handler there is one job for each event, no more; those of one subject start in the order of their events, but
    for those whose node died, which lets the next ones by; and no two claims of one subject were live at a time.
    """
    history = read(folder)
    deaths = killed(history)
    published = {event["number"] for event in history if event["event"] == "published"}
    assert published == {*range(EVENTS)}
    for kind in KINDS:
        starts = [event for event in history if event["event"] == kind]
        numbers = {event["job"]: event["number"] for event in starts}
        assert Counter(numbers.values()) == dict.fromkeys(range(EVENTS), 1), kind
        assert numbers.keys() == found[kind].keys()
        firsts: defaultdict[str, dict[str, int]] = defaultdict(dict)
        for event in starts:
            if not found[kind][event["job"]].crashes:
                firsts[event["subject"]].setdefault(event["job"], event["number"])
        assert len(firsts) == SUBJECTS
        for subject, order in firsts.items():
            assert [*order.values()] == sorted(order.values()), (kind, subject)
    subjects = {event["job"]: event["subject"] for event in history if event["event"] == "follow"}
    runs: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)
    for job in subjects:
        events = [event for event in history if event["event"] in {"start", "end"} and event["job"] == job]
        check_claims(events, deaths)
        ends = {event["claim"]: event["at"] for event in events if event["event"] == "end"}
        for event in events:
            if event["event"] == "start":
                over = min(ends.get(event["claim"], float("inf")), deaths.get(event["pid"], float("inf")))
                runs[subjects[job]].append((event["at"], over))
    for subject, spans in runs.items():
        for (_, over), (begun, _) in pairwise(sorted(spans)):
            assert over <= begun, (subject, over, begun)


async def test_a_dead_node_s_events_are_another_s(any_theatre: Theatre) -> None:
    """What was published while the only node was dying waits for the next, whichever process has published it."""
    program = await node(any_theatre)
    await program.says("ready")
    other = await node(any_theatre)
    await other.says("ready")
    other.tell(f"0 {EVENTS}")
    await passed(0.05)
    program.kill()
    await other.says("done")
    await handled(any_theatre.folder)
    await other.stop()
