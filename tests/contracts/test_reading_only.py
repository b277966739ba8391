"""Stores opened for reading only."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from backburner.errors import StoreReadOnly
from backburner.model.job import JobState
from backburner.model.query import JobFilter
from backburner.testing.contracts.making import add, ended, publish

if TYPE_CHECKING:
    from tests.contracts.harnesses import StoreHarness


async def test_timings(harness: StoreHarness) -> None:
    """How jobs went is read where nothing may be written, and nothing there is brought forward or cancelled."""
    await publish(harness.backend)
    job_id = await ended(harness.backend, JobState.COMPLETED)
    waiting = await add(harness.backend, delay=1)
    backend = harness.connection()
    await backend.open(create=False, write=False)
    page = await backend.reader.timings(JobState.COMPLETED, JobFilter(kinds=("note",)), within=1, limit=5)
    assert [timing.id for timing in page.jobs] == [job_id]
    for verb in (backend.admin.expedite, backend.admin.cancel):
        with pytest.raises(StoreReadOnly):
            await verb([waiting.id])
    await backend.close()
