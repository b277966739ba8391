"""However many drivers there are, and wherever each of them dies: no letter goes twice, and the counts add up."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any

import anyio
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backburner.dlq import gathering, replayer
from backburner.dlq.replayer import Replayer
from backburner.model.clock import SECOND
from backburner.model.node import NodeRecord
from backburner.testing.contracts.making import LEASE, keyed, new, publish, put
from tests.unit.dlq.conftest import Post

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backburner.model.operation import OperationRecord
    from backburner.ports.jobs import Disposed, Letter

#: Steps after which whatever is left goes wrong.
_ENOUGH = 500


class _Killed(BaseException):
    """The process is gone."""


class _Port:
    """A role seen by a driver that may die before a verb, or after it, and that lets others run in between."""

    def __init__(self, role: Any, fate: _Fate) -> None:  # noqa: ANN401 - any role
        self._role = role
        self._fate = fate

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - any verb
        verb = getattr(self._role, name)

        async def seen(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as the verb
            await self._fate.meet()
            answer = await verb(*args, **kwargs)
            await self._fate.meet()
            return answer

        return seen


class _Fate:
    """What happens at each verb, drawn beforehand; when that is used up, nothing does."""

    def __init__(self, draws: Sequence[int]) -> None:
        self._draws = iter(draws)

    async def meet(self) -> None:
        draw = next(self._draws, 0)
        if draw == 9:
            raise _Killed
        for _ in range(draw):
            await anyio.lowlevel.checkpoint()


class _Admin:
    """The store's own verbs, which keep count of what they did, and find some letters locked at first."""

    def __init__(self, admin: Any, locked: dict[str, int]) -> None:  # noqa: ANN401 - the memory store's
        self._admin = admin
        self._locked = locked
        self.replayed = Counter[str]()

    async def replay(self, letters: Sequence[Letter], operation: OperationRecord) -> Disposed:
        busy = tuple(letter.id for letter in letters if self._locked.get(letter.id, 0) > 0)
        self._locked.update((job_id, self._locked[job_id] - 1) for job_id in busy)
        free = [letter for letter in letters if letter.id not in busy]
        answer: Disposed = await self._admin.replay(free, operation)
        if not answer.outrun:
            self.replayed.update({letter.id for letter in free} - {*answer.kept, *answer.missed})
        return msgspec.structs.replace(answer, busy=busy)


class _Dying:
    """An admin's role, in a process that dies when it has replayed."""

    def __init__(self, admin: _Admin) -> None:
        self._admin = admin

    async def replay(self, letters: Sequence[Letter], operation: OperationRecord) -> Disposed:
        await self._admin.replay(letters, operation)
        raise _Killed


def _driver(post: Post, admin: _Admin | _Dying, draws: Sequence[int]) -> Replayer:
    fate, backend = _Fate(draws), post.backend
    roles: list[Any] = [_Port(role, fate) for role in (backend.reader, admin, backend.nodes, backend.operations)]
    return Replayer(*roles, tell=lambda _: None)


async def _drive(driver: Replayer, post: Post, first: Sequence[str]) -> bool:
    """Step until nothing is left; tell whether it lived so long."""
    for _ in range(_ENOUGH):
        try:
            wait = await driver.step()
        except _Killed:
            return False
        if wait is None:
            return True
        post.clock.move(wait)
        await post.run(fail=first)
        await anyio.lowlevel.checkpoint()
    raise AssertionError("it never ends")


@pytest.fixture(autouse=True)
def small_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make many steps of few letters."""
    for module in (gathering, replayer):
        monkeypatch.setattr(module, "PORTION", 7)


FATES = st.lists(st.lists(st.sampled_from([0, 0, 0, 0, 1, 2, 3, 9]), max_size=60), min_size=2, max_size=6)


@given(fates=FATES, count=st.integers(1, 130), kept=st.integers(0, 3), paced=st.booleans(), fails=st.booleans())
@settings(deadline=None, max_examples=60)
def test_kills_and_races(fates: list[list[int]], count: int, kept: int, paced: bool, fails: bool) -> None:  # noqa: FBT001
    """Two drivers at a time, each dying anywhere and followed by another, take each letter once, and say how many."""

    async def play() -> None:
        post = Post()
        await post.backend.open(create=True)
        await publish(post.backend)
        ids = await post.die(count)
        for number in range(kept):
            ids += await post.die(unique=keyed(f"k{number}"))
            await put(post.backend, new(unique=keyed(f"k{number}"), delay=10**6 * SECOND))
        begun = await post.letters.replay(all=True, pace="20/s" if paced else None, stop_at=1)
        admin = _Admin(post.backend.admin, {})
        # Of every five one dies again, which is not taken twice.
        failing = ids[::5] if fails else []
        drivers = [_driver(post, admin, draws) for draws in fates]

        async def in_turn(mine: list[Replayer]) -> None:
            for driver in mine:
                if await _drive(driver, post, failing):
                    return
            assert await _drive(_driver(post, admin, ()), post, failing)

        async with asyncio.TaskGroup() as group:
            group.create_task(in_turn(drivers[::2]))
            group.create_task(in_turn(drivers[1::2]))
        ended = await post.letters.replays.get(begun.id)
        assert (ended.active, ended.stopped) == (False, "")
        assert set(admin.replayed.values()) <= {1}
        assert len(admin.replayed) == ended.done == count
        assert (ended.kept, ended.missed, ended.found) == (kept, 0, count + kept)
        await post.backend.close()

    asyncio.run(play())


@given(locked=st.dictionaries(st.integers(0, 39), st.integers(1, 5), max_size=12), turns=FATES)
@settings(deadline=None, max_examples=40)
def test_locked_letters(locked: dict[int, int], turns: list[list[int]]) -> None:
    """Letters that somebody has locked are tried again until they can go, by whichever driver."""

    async def play() -> None:
        post = Post()
        await post.backend.open(create=True)
        await publish(post.backend)
        ids = await post.die(40)
        begun = await post.letters.replay(all=True, pace=None)
        admin = _Admin(post.backend.admin, {ids[number]: times for number, times in locked.items()})
        alive = [[draw % 9 for draw in draws] for draws in turns[:2]]
        async with asyncio.TaskGroup() as group:
            for draws in alive:
                group.create_task(_drive(_driver(post, admin, draws), post, ()))
        ended = await post.letters.replays.get(begun.id)
        assert (ended.active, ended.done, ended.busy, ended.whole) == (False, 40, 0, True)
        assert set(admin.replayed.values()) == {1}
        await post.backend.close()

    asyncio.run(play())


@pytest.mark.anyio
async def test_locked_letters_beside_those_that_are_held(post: Post) -> None:
    """A letter that is locked is added to those that wait for a node which can check them; each goes in the end."""
    for kind in ("charge", "mail"):
        await post.backend.nodes.publish(_knowing(kind), LEASE)
    (locked,) = await post.die(kind="charge", args='{"url":"old"}')
    (held,) = await post.die(kind="mail", args='{"url":"old"}')
    begun = await post.letters.replay(all=True, set={"url": "new"}, pace=None)
    await post.backend.nodes.withdraw("mail")
    driver = _driver(post, _Admin(post.backend.admin, {locked: 1}), ())
    await driver.step()
    seen = await post.letters.replays.get(begun.id)
    assert (seen.done, seen.busy, seen.over) == (0, 2, False)
    await post.backend.nodes.publish(_knowing("mail"), LEASE)
    ended = await post.finish(begun)
    assert (ended.done, ended.busy, ended.whole) == (2, 0, True)
    assert {(await post.job(job_id)).args for job_id in (locked, held)} == {'{"url":"new"}'}


def _knowing(kind: str) -> NodeRecord:
    """Make a node that knows a kind, and publishes that its argument is a text."""
    schema = '{"type":"object","properties":{"url":{"type":"string"}},"required":["url"]}'
    return NodeRecord(id=kind, host="h", pid=1, started_at=0, queues={}, kinds=(kind,), signatures={kind: schema})


@pytest.mark.anyio
async def test_what_a_killed_driver_knew_is_missed(post: Post) -> None:
    """A driver that dies before it wrote which letters were locked leaves them dead; then the replay is not called whole."""
    ids = await post.die(3)
    begun = await post.letters.replay(all=True, pace=None)
    admin = _Admin(post.backend.admin, {ids[1]: 1})
    with pytest.raises(_Killed):
        await _driver(post, _Dying(admin), ()).step()
    ended = await post.finish(begun)
    assert (ended.done, ended.busy, ended.whole) == (2, 0, False)
    assert await post.dead() == [ids[1]]
