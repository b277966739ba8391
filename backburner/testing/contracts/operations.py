"""What `OperationStore` promises, and `JobAdmin` of an operation that letters are disposed of for."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
import pytest

from backburner.errors import StoreRefused
from backburner.model.clock import SECOND
from backburner.model.operation import OperationRecord
from backburner.ports.jobs import Disposed, Keep, Letter
from backburner.testing.contracts.making import add, claim, dead, ids, keyed, publish, read

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backburner.ports.backend import Backend
    from backburner.testing.harness import Harness

__all__ = ["OperationsContract"]

VERBS = ("replay", "purge")


def _operation(id: str = "01", **fields: object) -> OperationRecord:
    given = OperationRecord(id=id, action="replay", state='{"after":null}', by="ada", reason="fixed \N{SNOWMAN}")
    return msgspec.structs.replace(given, **fields)


async def _put(backend: Backend, id: str = "01", **fields: object) -> OperationRecord:
    """Put an operation; return what is stored."""
    assert await backend.operations.put(_operation(id, **fields))
    return await _get(backend, id)


async def _get(backend: Backend, id: str = "01") -> OperationRecord:
    (found,) = (await backend.operations.get([id])).operations
    return found


async def _dispose(backend: Backend, verb: str, letters: Sequence[Letter], operation: OperationRecord) -> Disposed:
    admin = backend.admin
    return await (admin.replay(letters, operation) if verb == "replay" else admin.purge(letters, operation))


async def _found(backend: Backend, *, active: bool | None = None, limit: int = 100, after: str | None = None) -> str:
    """Return the ids that are found, a letter each, in their order."""
    page = await backend.operations.find(active=active, limit=limit, after=after)
    return "".join(operation.id for operation in page.operations)


@pytest.mark.anyio
class OperationsContract:
    """An operation is changed by who has seen its last change, and with it what is done for it."""

    async def test_put(self, harness: Harness) -> None:
        """A new operation is read back as it was put, as version 1, with the store's moments, on every connection."""
        now = harness.clock.now()
        assert await harness.backend.operations.put(_operation(version=7, created_at=1, changed_at=2))
        expected = _operation(created_at=now, changed_at=now)
        for backend in (harness.backend, await harness.second()):
            page = await backend.operations.get(["01"])
            assert (page.now, page.operations, page.after) == (now, (expected,), None)

    async def test_put_one_that_exists(self, harness: Harness) -> None:
        """An id that exists is answered by no, and what is stored stays."""
        before = await _put(harness.backend)
        harness.clock.move(1)
        assert not await harness.backend.operations.put(_operation(action="purge", state="{}", active=False, by=None))
        assert await _get(harness.backend) == before

    async def test_get(self, harness: Harness) -> None:
        """Those that exist come, newest id first, in one page, each once."""
        for name in ("b", "c", "a"):
            await _put(harness.backend, name, by=None, reason=None)
        page = await harness.backend.operations.get(["a", "nobody", "c", "a"])
        assert ([each.id for each in page.operations], page.after) == (["c", "a"], None)
        assert (page.operations[0].by, page.operations[0].reason) == (None, None)
        assert (await harness.backend.operations.get([])).operations == ()

    async def test_find(self, harness: Harness) -> None:
        """Operations are found by id descending, all, or only those with or without something left to do, in pages."""
        for name in "cadbe":
            await _put(harness.backend, name, active=name in "ace")
        assert await _found(harness.backend) == "edcba"
        assert await _found(harness.backend, active=True) == "eca"
        assert await _found(harness.backend, active=False) == "db"
        assert await _found(harness.backend, after="c") == "ba"
        assert await _found(harness.backend, active=True, after="d") == "ca"
        page = await harness.backend.operations.find(limit=2)
        assert ([each.id for each in page.operations], page.after) == (["e", "d"], "d")
        page = await harness.backend.operations.find(limit=3, after=page.after)
        assert ([each.id for each in page.operations], page.after) == (["c", "b", "a"], None)
        assert page.now == harness.clock.now()

    async def test_swap(self, harness: Harness) -> None:
        """State and activity are written, the version grows by one, the moment is the store's; nothing else changes."""
        before = await _put(harness.backend)
        harness.clock.move(1)
        given = _operation(state='{"after":"7"}', active=False, done=9, kept=9, missed=9, by="eve", action="purge")
        assert await harness.backend.operations.swap(given)
        assert await _get(harness.backend) == msgspec.structs.replace(
            before, state='{"after":"7"}', active=False, version=2, changed_at=harness.clock.now()
        )

    async def test_swap_of_another_version(self, harness: Harness) -> None:
        """Another version than the stored one, and an id that is not there, change nothing."""
        await _put(harness.backend)
        assert await harness.backend.operations.swap(_operation(state="2"))
        before = await _get(harness.backend)
        for version in (0, 1, 3):
            assert not await harness.backend.operations.swap(_operation(state="3", version=version))
        assert not await harness.backend.operations.swap(_operation("nobody"))
        assert await _get(harness.backend) == before
        assert await _found(harness.backend) == "01"

    async def test_one_of_many_swaps(self, harness: Harness) -> None:
        """Of many who change what they have seen alike, on two connections, one does."""
        backends = [harness.backend, await harness.second()]
        seen = await _put(harness.backend)
        states = [msgspec.structs.replace(seen, state=str(number)) for number in range(20)]
        swapped = await asyncio.gather(
            *[backends[number % 2].operations.swap(state) for number, state in enumerate(states)]
        )
        found = await _get(harness.backend)
        assert (swapped.count(True), found.version) == (1, 2)
        assert found.state == str(swapped.index(True))

    # ---- letters ---------------------------------------------------------------------------------------------------

    async def test_counted_in_the_same_step(self, harness: Harness) -> None:
        """What was done, kept and missed is added to the counters; state, activity and version as by a swap."""
        await publish(harness.backend)
        letters = [await dead(harness.backend) for _ in range(3)]
        letters.append(await dead(harness.backend, unique=keyed()))
        await add(harness.backend, unique=keyed(), delay=SECOND)
        before = await _put(harness.backend)
        harness.clock.move(0.5)
        asked = [*letters, Letter(id="nobody", token=1), Letter(id=letters[0].id, token=letters[0].token)]
        written = msgspec.structs.replace(before, state='{"after":"9"}')
        disposed = await harness.backend.admin.replay(asked, written)
        assert (list(disposed.kept), disposed.missed, disposed.outrun) == ([letters[3].id], ("nobody",), False)
        after = msgspec.structs.replace(
            before, state='{"after":"9"}', version=2, done=3, kept=1, missed=1, changed_at=harness.clock.now()
        )
        assert await _get(harness.backend) == after
        (claimed, *_) = await claim(harness.backend)
        assert claimed.id == letters[0].id
        await harness.backend.admin.replay(letters, msgspec.structs.replace(after, active=False))
        assert await _get(harness.backend) == msgspec.structs.replace(after, active=False, version=3, kept=2, missed=4)

    async def test_purged_in_the_same_step(self, harness: Harness) -> None:
        """A purge counts alike: letters that a parent needs are kept."""
        await publish(harness.backend)
        parent = await add(harness.backend, delay=SECOND)
        letters = [await dead(harness.backend), await dead(harness.backend, parent=parent.id)]
        operation = await _put(harness.backend, action="purge")
        disposed = await harness.backend.admin.purge([*letters, Letter(id="nobody", token=1)], operation)
        assert (disposed.kept, disposed.missed) == ({letters[1].id: parent.id}, ("nobody",))
        found = await _get(harness.backend)
        assert (found.action, found.version, found.done, found.kept, found.missed) == ("purge", 2, 1, 1, 1)

    @pytest.mark.parametrize("verb", VERBS)
    async def test_a_step_without_letters(self, harness: Harness, verb: str) -> None:
        """A step that has no letters writes the operation all the same."""
        operation = await _put(harness.backend)
        ended = msgspec.structs.replace(operation, active=False, state="0")
        assert await _dispose(harness.backend, verb, [], ended) == Disposed(now=harness.clock.now())
        assert await _get(harness.backend) == msgspec.structs.replace(ended, version=2)

    @pytest.mark.parametrize("verb", VERBS)
    async def test_outrun(self, harness: Harness, verb: str) -> None:
        """If the operation's version is another, or it is not there, nothing is done at all."""
        await publish(harness.backend)
        letter = await dead(harness.backend)
        before = await read(harness.backend, letter.id)
        seen = await _put(harness.backend)
        assert await harness.backend.operations.swap(seen)
        stored = await _get(harness.backend)
        letters = [letter, Letter(id="nobody", token=1)]
        for operation in (msgspec.structs.replace(seen, state="x", active=False), _operation("nobody")):
            disposed = await _dispose(harness.backend, verb, letters, operation)
            assert disposed == Disposed(now=harness.clock.now(), outrun=True)
        assert await read(harness.backend, letter.id) == before
        assert await _get(harness.backend) == stored
        assert await _found(harness.backend) == "01"

    @pytest.mark.parametrize("verb", VERBS)
    async def test_a_repeated_step_is_outrun(self, harness: Harness, verb: str) -> None:
        """Of many who do the same step at once, on two connections, one does it, and it is counted once."""
        await publish(harness.backend)
        backends = [harness.backend, await harness.second()]
        letters = [await dead(harness.backend) for _ in range(3)]
        operation = await _put(harness.backend)
        answers = await asyncio.gather(
            *[_dispose(backends[number % 2], verb, letters, operation) for number in range(10)]
        )
        assert [answer.outrun for answer in answers].count(False) == 1
        found = await _get(harness.backend)
        assert (found.version, found.done, found.missed) == (2, 3, 0)

    async def test_a_refused_step_changes_nothing(self, harness: Harness) -> None:
        """Where a letter is refused for its content the operation stays as it was."""
        await publish(harness.backend)
        letters = [await dead(harness.backend), await dead(harness.backend)]
        operation = await _put(harness.backend)
        with pytest.raises(StoreRefused, match=letters[1].id):
            await harness.backend.admin.replay([letters[0], msgspec.structs.replace(letters[1], args="\0")], operation)
        assert await _get(harness.backend) == operation
        await harness.backend.admin.replay(letters, operation)
        assert ids(await claim(harness.backend)) == [letter.id for letter in letters]

    # ---- how long they are kept ------------------------------------------------------------------------------------

    async def test_kept_as_long_as_the_dead(self, harness: Harness) -> None:
        """An ended operation goes when the dead of that moment go, to the microsecond; None is for ever."""
        operation = await _put(harness.backend)
        harness.clock.move(100)
        assert await harness.backend.operations.swap(msgspec.structs.replace(operation, active=False))
        keep = Keep(completed=0, cancelled=0, dead=10 * SECOND)
        harness.clock.move(9.999999)
        assert await harness.backend.admin.prune(keep, 10) == 0
        harness.clock.move(0.000001)
        assert await harness.backend.admin.prune(Keep(completed=0, cancelled=0, dead=None), 10) == 0
        assert await _found(harness.backend) == "01"
        assert await harness.backend.admin.prune(keep, 10) == 1
        assert await _found(harness.backend) == ""

    async def test_what_has_something_left_to_do_stays(self, harness: Harness) -> None:
        """An operation that has not ended is never deleted, however old."""
        await _put(harness.backend)
        harness.clock.move(10**8)
        assert await harness.backend.admin.prune(Keep(completed=0, cancelled=0, dead=0), 10) == 0
        assert await _found(harness.backend) == "01"

    async def test_deleted_within_the_limit(self, harness: Harness) -> None:
        """Operations count among what one call deletes, beside dead letters."""
        await publish(harness.backend)
        for name in "abc":
            await _put(harness.backend, name, active=False)
        await dead(harness.backend)
        keep = Keep(completed=0, cancelled=0, dead=0)
        deleted: list[int] = []
        while changed := await harness.backend.admin.prune(keep, 2):
            deleted.append(changed)
        assert (sum(deleted), max(deleted)) == (4, 2)
        assert await _found(harness.backend) == ""
