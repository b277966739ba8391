"""Waiting until nodes hold nothing, by a clock that moves when told."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from backburner.backends.memory import MemoryBackend
from backburner.cli.nodes.idle import PAUSE, Idleness
from backburner.model.clock import SECOND
from backburner.model.job import JobState, NewJob, Settlement
from backburner.model.node import NodeRecord
from backburner.ports.jobs import ClaimRequest
from backburner.testing.clock import FakeClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class _House:
    """A store with two nodes, and what waits for the first."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.backend = MemoryBackend(self.clock)
        self.idleness = Idleness(self.backend, ["mine"], self.clock)
        #: How many runs fewer each look saw.
        self.ended: list[int] = []
        self._tokens: dict[str, int] = {}

    async def publish(self, node: str) -> None:
        record = NodeRecord(id=node, host="h", pid=1, started_at=0, queues={"q": 10}, kinds=("k",))
        await self.backend.nodes.publish(record, ttl=10 * SECOND)

    async def run(self, node: str, *ids: str) -> None:
        """Let a node hold new jobs of these ids."""
        await self.backend.jobs.enqueue([[NewJob(id=job_id, kind="k", queue="q", args="{}") for job_id in ids]])
        batch = await self.backend.jobs.claim(
            ClaimRequest(node=node, queues={"q": 10}, limit=10, kinds=frozenset({"k"}))
        )
        self._tokens |= {claim.id: claim.token for claim in batch.claims}

    async def end(self, node: str, *ids: str) -> None:
        ends = [Settlement(id=job_id, token=self._tokens[job_id], state=JobState.COMPLETED) for job_id in ids]
        await self.backend.jobs.settle(node, ends)

    def wait(self, seconds: float) -> asyncio.Task[None]:
        return asyncio.create_task(self.idleness.wait(seconds, self.ended.append))


@pytest.fixture
async def house() -> AsyncIterator[_House]:
    """Give a store with two nodes that hold nothing."""
    house = _House()
    await house.backend.open(create=True)
    await house.publish("mine")
    await house.publish("other")
    yield house
    await house.backend.close()


async def test_it_waits_for_the_last_run(house: _House) -> None:
    """What the node holds is waited for, whatever another one holds; it is idle when two looks found nothing."""
    await house.run("mine", "a", "b")
    await house.run("other", "c")
    await house.idleness.look()
    assert house.idleness.held == {"mine": 2}
    waiting = house.wait(60)
    await house.clock.settle()
    await house.end("mine", "a")
    await house.clock.advance(PAUSE)
    assert house.idleness.held == {"mine": 1}
    await house.end("mine", "b")
    await house.clock.advance(PAUSE)
    assert not waiting.done()
    await house.clock.advance(PAUSE)
    await waiting
    assert (house.idleness.held, house.ended) == ({}, [1, 1, 0])


async def test_a_claim_before_it_heard(house: _House) -> None:
    """What a node still took before it heard of its drain is waited for as well."""
    await house.idleness.look()
    waiting = house.wait(60)
    await house.clock.settle()
    await house.run("mine", "late")
    await house.clock.advance(2 * PAUSE)
    assert not waiting.done()
    assert house.idleness.held == {"mine": 1}
    await house.end("mine", "late")
    await house.clock.advance(2 * PAUSE)
    await waiting


async def test_time_runs_out(house: _House) -> None:
    """When time is over it is known how much still runs, and what."""
    await house.run("mine", "a")
    await house.run("other", "b")
    await house.idleness.look()
    waiting = house.wait(2)
    await house.clock.settle()
    await house.clock.advance(2 - PAUSE)
    assert not waiting.done()
    await house.clock.advance(PAUSE)
    await waiting
    assert house.idleness.held == {"mine": 1}
    assert await house.idleness.some("mine", 3) == ["a"]


async def test_a_node_that_stops(house: _House) -> None:
    """A node that left the list is gone, and nothing more is waited for."""
    await house.backend.nodes.withdraw("mine")
    await house.idleness.look()
    await house.wait(60)
    assert house.idleness.gone == {"mine"}
    assert not house.idleness.dead


async def test_a_node_that_dies(house: _House) -> None:
    """What a dead node held is not waited for: others take it over."""
    await house.run("mine", "a")
    await house.idleness.look()
    waiting = house.wait(60)
    await house.clock.settle()
    house.clock.move(30)
    await house.clock.advance(PAUSE)
    await waiting
    assert house.idleness.dead == {"mine"}
    assert not house.idleness.held
