"""What `JobReader.groups` promises: dead letters by how they failed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from backburner.model.job import Ending, JobState
from backburner.model.query import Condition, JobFilter, Shown
from backburner.ports.jobs import FailureGroup
from backburner.testing.contracts.making import add, claim, dead, ended, publish, settle

if TYPE_CHECKING:
    from backburner.ports.backend import Backend
    from backburner.testing.harness import Harness

__all__ = ["GroupingContract"]


async def _groups(backend: Backend, *, limit: int = 100, **where: Any) -> tuple[FailureGroup, ...]:  # noqa: ANN401
    return (await backend.reader.groups(JobFilter(**where), limit=limit)).groups


async def _counts(backend: Backend, **where: Any) -> dict[str, int]:  # noqa: ANN401 - any field of a filter
    return {group.fingerprint: group.count for group in await _groups(backend, **where)}


@pytest.mark.anyio
class GroupingContract:
    """Letters that failed alike are one group."""

    async def test_none(self, harness: Harness) -> None:
        """Without dead letters there are no groups; the answer carries the store's now."""
        await publish(harness.backend)
        await add(harness.backend, queue="other")
        for state in (JobState.COMPLETED, JobState.CANCELLED):
            await ended(harness.backend, state)
        found = await harness.backend.reader.groups(JobFilter(), limit=10)
        assert (found.now, found.groups) == (harness.clock.now(), ())

    async def test_a_group(self, harness: Harness) -> None:
        """A group counts its letters, of each kind too, tells when the first and the last ended, and quotes the newest."""
        await publish(harness.backend)
        first = harness.clock.now()
        await dead(harness.backend, message="no 1", reason="exhausted")
        harness.clock.move(1)
        await dead(harness.backend, kind="other", message="no 2", error="KeyError", reason="rejected: \N{SNOWMAN}")
        harness.clock.move(1)
        newest = await dead(harness.backend, message="no 3", reason="poison", error="OSError")
        assert await _groups(harness.backend) == (
            FailureGroup(
                fingerprint="f1",
                error="OSError",
                message="no 3",
                reason="poison",
                count=3,
                first=first,
                last=harness.clock.now(),
                kinds={"note": 2, "other": 1},
                sample=newest.id,
            ),
        )

    async def test_the_newest_ended_last(self, harness: Harness) -> None:
        """The newest is that which ended last, whatever its id; of those that ended together the greatest id."""
        await publish(harness.backend)
        slow = await add(harness.backend)
        (claimed,) = await claim(harness.backend)
        await dead(harness.backend, message="quick")
        harness.clock.move(1)
        told: dict[str, Any] = {"ending": Ending.FAILED, "error": "OSError", "message": "slow", "fingerprint": "f1"}
        await settle(harness.backend, claimed, JobState.DEAD, **told)
        (group,) = await _groups(harness.backend)
        assert (group.sample, group.message, group.error, group.reason) == (slow.id, "slow", "OSError", None)
        letters = [await dead(harness.backend, message=str(number)) for number in range(3)]
        (group,) = await _groups(harness.backend)
        assert (group.sample, group.message) == (letters[2].id, "2")

    async def test_the_largest_first(self, harness: Harness) -> None:
        """The largest groups come first, of equal size by fingerprint, and no more than the limit."""
        await publish(harness.backend)
        for fingerprint in ("c", "b", "b", "a", "", "d", "d"):
            await dead(harness.backend, fingerprint=fingerprint)
        expected = ["b", "d", "", "a", "c"]
        for limit in (1, 3, 5, 100):
            assert [each.fingerprint for each in await _groups(harness.backend, limit=limit)] == expected[:limit]

    async def test_the_last_failure_counts(self, harness: Harness) -> None:
        """A letter is of the group it died in last, and of none once it waits again or is deleted."""
        await publish(harness.backend)
        letter, other = await dead(harness.backend), await dead(harness.backend)
        await harness.backend.admin.replay([letter])
        assert await _counts(harness.backend) == {"f1": 1}
        (claimed,) = await claim(harness.backend)
        await settle(harness.backend, claimed, JobState.DEAD, ending=Ending.FAILED, fingerprint="f2", error="E")
        assert await _counts(harness.backend) == {"f1": 1, "f2": 1}
        await harness.backend.admin.purge([other])
        assert await _counts(harness.backend) == {"f2": 1}

    async def test_states_are_not_looked_at(self, harness: Harness) -> None:
        """Groups are of dead letters, whatever states are asked for."""
        await publish(harness.backend)
        await dead(harness.backend)
        await ended(harness.backend, JobState.COMPLETED)
        for states in ((), (Shown.COMPLETED,), (Shown.DEAD, Shown.WAITING)):
            assert await _counts(harness.backend, states=states) == {"f1": 1}

    async def test_filters(self, harness: Harness) -> None:
        """Every other field of a filter counts: groups are made of those that match alone."""
        await publish(harness.backend)
        backend = harness.backend
        start = harness.clock.now()
        letter = await dead(backend, args='{"user":{"id":7}}', tags=("a", "b"), parent="mum", error="KeyError")
        harness.clock.move(10)
        await publish(backend, "other")
        await dead(backend, "other", kind="other", queue="other", args='{"user":{"id":8}}', message="\N{SNOWMAN} melts")
        await dead(backend, fingerprint="f2", tags=("b",))
        assert await _counts(backend) == {"f1": 2, "f2": 1}
        filters: list[tuple[dict[str, Any], dict[str, int]]] = [
            ({"kinds": ("note",)}, {"f1": 1, "f2": 1}),
            ({"kinds": ("note", "other")}, {"f1": 2, "f2": 1}),
            ({"queues": ("other",)}, {"f1": 1}),
            ({"error": "KeyErr"}, {"f1": 1}),
            ({"error": "\N{SNOWMAN}"}, {"f1": 1}),
            ({"fingerprint": "f2"}, {"f2": 1}),
            ({"fingerprint": "f"}, {}),
            ({"tags": ("b",)}, {"f1": 1, "f2": 1}),
            ({"since": start + 1}, {"f1": 1, "f2": 1}),
            ({"until": start + 1}, {"f1": 1}),
            ({"ended_before": start}, {}),
            ({"ended_before": start + 1}, {"f1": 1}),
            ({"where": (Condition(("user", "id"), ">", 7),)}, {"f1": 1}),
            ({"prefix": letter.id}, {"f1": 1}),
            ({"parents": ("mum", "dad")}, {"f1": 1}),
            ({"node": "other"}, {"f1": 1}),
            ({"kinds": ("note",), "error": "ValueError"}, {"f2": 1}),
            ({"error": "\0"}, {}),
        ]
        for where, expected in filters:
            assert await _counts(backend, **where) == expected, where

    async def test_a_group_of_what_matches(self, harness: Harness) -> None:
        """A group's numbers, moments and sample are of the letters that match, not of all that failed so."""
        await publish(harness.backend)
        letter = await dead(harness.backend, message="here")
        moment = harness.clock.now()
        harness.clock.move(1)
        await dead(harness.backend, kind="other", message="there")
        (group,) = await _groups(harness.backend, kinds=("note",))
        assert (group.count, group.kinds, group.sample, group.message) == (1, {"note": 1}, letter.id, "here")
        assert (group.first, group.last) == (moment, moment)
