"""What a backend says of itself: findings, grants, whether it upgrades by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from backburner.errors import StoreError
from backburner.model.query import JobFilter
from backburner.ports.backend import Finding, Level
from backburner.testing.contracts.making import add, publish

if TYPE_CHECKING:
    from backburner.testing.harness import Harness

__all__ = ["ExaminingContract"]

#: What a role's name might hold to break out of its quotes.
ODD = 'who"; DROP TABLE x; --'


def _problems(findings: tuple[Finding, ...]) -> list[Finding]:
    return [finding for finding in findings if finding.level is Level.PROBLEM]


@pytest.mark.anyio
class ExaminingContract:
    """`Backend.examine`, `Schema.grants`, `Schema.unattended`, `Backend.timed_leases`."""

    async def test_findings_are_sentences(self, harness: Harness) -> None:
        """Each finding names what was looked at and says what was found, without a full stop; none comes twice."""
        findings = await harness.backend.examine()
        assert findings
        for finding in findings:
            assert finding.check == finding.check.strip() != ""
            assert finding.found
            assert not finding.found.endswith(".")
            assert "\n" not in finding.check + finding.found + finding.mend
        assert len({finding.check for finding in findings}) == len(findings)

    async def test_what_is_wrong_can_be_mended(self, harness: Harness) -> None:
        """A finding has a way to mend it where there is something to mend, and only there."""
        for finding in await harness.backend.examine():
            assert bool(finding.mend) is (finding.level is not Level.GOOD), finding

    async def test_durability_is_looked_at(self, harness: Harness) -> None:
        """What survives what is always told."""
        assert "durability" in {finding.check for finding in await harness.backend.examine()}

    async def test_a_sound_store_has_no_problem(self, harness: Harness) -> None:
        """A fresh store with its schema in place, in use or not, has no problem."""
        assert _problems(await harness.backend.examine()) == []
        await publish(harness.backend)
        await add(harness.backend)
        assert _problems(await harness.backend.examine()) == []

    async def test_nothing_is_changed(self, harness: Harness) -> None:
        """Jobs, nodes and queues are as they were."""
        await publish(harness.backend)
        await add(harness.backend)
        before = (
            await harness.backend.reader.find(JobFilter(), limit=10),
            await harness.backend.nodes.find(),
            await harness.backend.queues.list(),
            await harness.backend.schema.state(),
        )
        await harness.backend.examine()
        after = (
            await harness.backend.reader.find(JobFilter(), limit=10),
            await harness.backend.nodes.find(),
            await harness.backend.queues.list(),
            await harness.backend.schema.state(),
        )
        assert after == before

    async def test_opened_for_reading(self, harness: Harness) -> None:
        """A store opened for reading is looked over too, and is as sound."""
        second = await harness.second()
        await second.close()
        await second.open(create=False, write=False)
        assert _problems(await second.examine()) == []

    async def test_a_closed_store_raises(self, harness: Harness) -> None:
        """A store that is not open cannot be looked over, and says so by an error of the store."""
        second = await harness.second()
        await second.close()
        with pytest.raises(StoreError):
            await second.examine()

    async def test_grants(self, harness: Harness) -> None:
        """A store that knows roles answers SQL that names the role, quoted; one that does not answers None for any."""
        schema = harness.backend.schema
        sql = schema.grants("operator")
        if sql is None:
            assert schema.grants(ODD) is None
            return
        assert "operator" in sql
        assert sql.rstrip().endswith(";")
        odd = schema.grants(ODD)
        assert odd is not None
        assert '"who""; DROP TABLE x; --"' in odd
        assert ODD not in odd

    async def test_the_same_every_time(self, harness: Harness) -> None:
        """Whether an engine may upgrade it, and how its leases end, does not change while it is used."""
        before = (harness.backend.schema.unattended, harness.backend.timed_leases)
        await harness.backend.examine()
        assert (harness.backend.schema.unattended, harness.backend.timed_leases) == before
        second = await harness.second()
        assert (second.schema.unattended, second.timed_leases) == before
