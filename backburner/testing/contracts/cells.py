"""What `CellStore` promises."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from backburner.model.lane import LANE_GATE, Cell, Limit, LimitRecord
from backburner.ports.limits import Swapped
from backburner.testing.contracts.making import add, claim, ids, publish, read

if TYPE_CHECKING:
    from backburner.ports.backend import Backend
    from backburner.testing.harness import Harness

__all__ = ["CellsContract"]


async def _swap(backend: Backend, name: str, value: str, version: int, limit: Limit | None = None) -> bool:
    return (await backend.cells.swap(name, value, version, limit)).swapped


async def _load(backend: Backend, prefix: str = "") -> tuple[Cell, ...]:
    return (await backend.cells.load(prefix)).cells


@pytest.mark.anyio
class CellsContract:
    """A cell is changed by who has seen its last change."""

    async def test_a_new_cell(self, harness: Harness) -> None:
        """A cell that is not there is written over version 0, as version 1, and read on every connection."""
        now = harness.clock.now()
        assert await harness.backend.cells.swap("breaker:a", '{"state":"ünï"}', 0) == Swapped(now, swapped=True)
        for backend in (harness.backend, await harness.second()):
            found = await backend.cells.load("breaker:")
            assert (found.now, found.cells) == (now, (Cell(name="breaker:a", version=1, value='{"state":"ünï"}'),))

    async def test_none(self, harness: Harness) -> None:
        """Where there are no cells, or none that begins so, none is answered."""
        assert await _load(harness.backend) == ()
        await _swap(harness.backend, "a", "1", 0)
        assert await _load(harness.backend, "b") == ()

    async def test_its_version_grows(self, harness: Harness) -> None:
        """Each change over the version that stands makes it one more."""
        for version in range(3):
            assert await _swap(harness.backend, "a", str(version), version)
        assert await _load(harness.backend) == (Cell(name="a", version=3, value="2"),)

    async def test_another_version_changes_nothing(self, harness: Harness) -> None:
        """Over another version than the one that stands, 0 of one that exists included, nothing is written."""
        await _swap(harness.backend, "a", "1", 0)
        await _swap(harness.backend, "a", "2", 1)
        for version in (0, 1, 3):
            answer = await harness.backend.cells.swap("a", "9", version)
            assert answer == Swapped(harness.clock.now(), swapped=False)
        assert not await _swap(harness.backend, "b", "9", 1)
        assert await _load(harness.backend) == (Cell(name="a", version=2, value="2"),)

    async def test_by_name_and_prefix(self, harness: Harness) -> None:
        """Cells come by name, those whose names begin so, whatever characters that prefix has."""
        names = ["a", "a%", "a%b", "a*", "a[b]", "a_", "ab", "b", "ä"]
        for name in reversed(names):
            await _swap(harness.backend, name, "0", 0)
        for prefix in ("", "a", "a%", "a*", "a[", "a_", "A", "ä", "c"):
            expected = [name for name in names if name.startswith(prefix)]
            assert [cell.name for cell in await _load(harness.backend, prefix)] == expected

    async def test_one_of_many_swaps(self, harness: Harness) -> None:
        """Of many who change what they have seen alike, on two connections, one does."""
        backends = [harness.backend, await harness.second()]
        for version in range(2):
            swapped = await asyncio.gather(
                *[_swap(backends[number % 2], "a", str(number), version) for number in range(20)]
            )
            assert swapped.count(True) == 1
            assert await _load(harness.backend) == (
                Cell(name="a", version=version + 1, value=str(swapped.index(True))),
            )

    # ---- limits ----------------------------------------------------------------------------------------------------

    async def test_a_limit_in_the_same_step(self, harness: Harness) -> None:
        """The limit of that name is declared with the cell; without one, what is declared stays."""
        assert await _swap(harness.backend, "breaker:a", "1", 0, Limit(slots=0))
        expected = (LimitRecord(name="breaker:a", declared=Limit(slots=0)),)
        assert await harness.backend.limits.list() == expected
        assert await _swap(harness.backend, "breaker:a", "2", 1)
        assert await harness.backend.limits.list() == expected
        assert await _swap(harness.backend, "breaker:a", "3", 2, Limit(slots=1))
        assert await harness.backend.limits.list() == (LimitRecord(name="breaker:a", declared=Limit(slots=1)),)

    async def test_never_one_without_the_other(self, harness: Harness) -> None:
        """Where the cell is not written, the limit is not declared."""
        assert not await _swap(harness.backend, "a", "1", 1, Limit(slots=0))
        assert await harness.backend.limits.list() == ()
        await _swap(harness.backend, "a", "1", 0, Limit(slots=1))
        assert not await _swap(harness.backend, "a", "2", 0, Limit(slots=9))
        assert await harness.backend.limits.list() == (LimitRecord(name="a", declared=Limit(slots=1)),)

    async def test_others_and_overrides_stay(self, harness: Harness) -> None:
        """Declared so, a limit leaves what an operator set of it, and all other limits."""
        await harness.backend.limits.declare({"b": Limit(slots=5)})
        await harness.backend.limits.override("a", Limit(slots=7), by="ada", reason="busy")
        await _swap(harness.backend, "a", "1", 0, Limit(slots=1))
        assert await harness.backend.limits.list() == (
            LimitRecord(name="a", declared=Limit(slots=1), override=Limit(slots=7), by="ada", reason="busy"),
            LimitRecord(name="b", declared=Limit(slots=5)),
        )

    async def test_it_opens_and_closes_a_lane(self, harness: Harness) -> None:
        """Jobs stand at the lane while the limit of its cell has no room, and go on once a swap makes some."""
        await publish(harness.backend)
        await _swap(harness.backend, "breaker:a", "1", 0, Limit(slots=0))
        job = await add(harness.backend, lanes=("breaker:a",))
        assert await claim(harness.backend) == ()
        assert (await read(harness.backend, job.id)).gate == f"{LANE_GATE}breaker:a"
        assert not await _swap(harness.backend, "breaker:a", "2", 9, Limit())
        assert await claim(harness.backend) == ()
        assert await _swap(harness.backend, "breaker:a", "2", 1, Limit())
        assert ids(await claim(harness.backend)) == [job.id]
