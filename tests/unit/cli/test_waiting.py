"""What a pending job waits for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from backburner.backends.memory import MemoryBackend
from backburner.cli.jobs.record import gist
from backburner.cli.jobs.waiting import waits_for
from backburner.jobs.outcome import misfit
from backburner.model.clock import SECOND
from backburner.model.job import SUSPECT_GATE, NewJob
from backburner.model.node import NodeRecord, QueueRecord
from backburner.ports.jobs import ClaimRequest
from backburner.testing.clock import FakeClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def backend() -> AsyncIterator[MemoryBackend]:
    """Give an empty store."""
    backend = MemoryBackend(FakeClock())
    await backend.open(create=True)
    yield backend
    await backend.close()


async def _reason(backend: MemoryBackend, *, delay: int = 0, gate: str = "") -> str:
    job = NewJob(id="a", kind="charge", queue="mail", args="{}", delay=delay * SECOND, gate=gate)
    await backend.jobs.enqueue([[job]])
    page = await backend.reader.get(["a"])
    return await waits_for(backend, page.jobs[0], page.now)


async def _node(backend: MemoryBackend, *kinds: str) -> None:
    node = NodeRecord(id="n", host="h", pid=1, started_at=0, queues={"mail": 1}, kinds=kinds)
    await backend.nodes.publish(node, ttl=30 * SECOND)


async def test_its_time(backend: MemoryBackend) -> None:
    """A job that is not due waits for its time."""
    assert await _reason(backend, delay=90) == "its time, 2025-06-15T15:08:10.000Z (in 1m30s)"


async def test_a_pause(backend: MemoryBackend) -> None:
    """A job of a paused queue waits for the pause to end, and the reason is told."""
    until = FakeClock().now() + 60 * SECOND
    await backend.queues.set(QueueRecord(name="mail", paused=True, paused_until=until, reason="INC-7"))
    assert await _reason(backend) == "queue mail, which is paused until 2025-06-15T15:07:40.000Z: INC-7"


async def test_a_node(backend: MemoryBackend) -> None:
    """A job whose queue nobody runs waits for a node."""
    assert await _reason(backend) == "a node that runs queue mail; none is alive"


async def test_a_kind(backend: MemoryBackend) -> None:
    """A job whose kind no living node knows waits for one that does."""
    await _node(backend, "other")
    assert await _reason(backend) == "a node that knows the kind charge; no living node of queue mail does"


async def test_a_slot(backend: MemoryBackend) -> None:
    """A job that a node could run waits for a slot."""
    await _node(backend, "charge")
    assert await _reason(backend) == "a free slot in queue mail"


@pytest.mark.parametrize(
    ("gate", "words"),
    [
        ("unknown:charge", "waits for a node that knows the kind charge"),
        ("unique:charge:7", "waits until the key charge:7 is free"),
        (SUSPECT_GATE, "was running in two crashes; waits to run with no other suspect beside it"),
        ("lane:x", "stands at lane:x"),
    ],
)
async def test_a_gate(backend: MemoryBackend, gate: str, words: str) -> None:
    """A job at a gate says what would let it through."""
    assert await _reason(backend, gate=gate) == words


async def test_a_fitting_node(backend: MemoryBackend) -> None:
    """A job whose arguments did not fit where it was tried waits for a node where they do, and says what did not fit."""
    await _reason(backend)
    await _node(backend, "charge")
    batch = await backend.jobs.claim(ClaimRequest(node="n", queues={"mail": 1}, limit=1, kinds=frozenset({"charge"})))
    error = ValueError("Object missing required field `cents`")
    await backend.jobs.settle("n", [misfit(batch.claims[0], error, "3f9a")])
    page = await backend.reader.get(["a"])
    words = "waits for a node whose charge fits: Object missing required field `cents`"
    assert await waits_for(backend, page.jobs[0], page.now) == words
    assert gist(page.jobs[0], page.now) == words


async def test_a_running_job_waits_for_nothing(backend: MemoryBackend) -> None:
    """A job that runs waits for nothing."""
    await _reason(backend)
    await _node(backend, "charge")
    await backend.jobs.claim(ClaimRequest(node="n", queues={"mail": 1}, limit=1, kinds=frozenset({"charge"})))
    page = await backend.reader.get(["a"])
    assert await waits_for(backend, page.jobs[0], page.now) == ""
