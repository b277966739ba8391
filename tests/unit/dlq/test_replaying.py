"""Replays: what goes back, how fast, and when it stops."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from backburner import RetryPolicy, constant
from backburner.backends.memory.admin import MemoryJobAdmin
from backburner.dlq import gathering
from backburner.dlq.replayer import Replayer
from backburner.dlq.state import Phase, Refusal
from backburner.errors import (
    InvalidArguments,
    InvalidOption,
    NothingMatches,
    OperationNotFound,
    StoreBusy,
    StoreRefused,
    UnknownPath,
)
from backburner.model.clock import SECOND
from backburner.model.job import SUSPECT_GATE, Ending, JobState
from backburner.model.node import NodeRecord
from backburner.model.query import JobFilter
from backburner.ports.backend import Hint
from backburner.resilience.retry import POLICIES, decode, encode
from backburner.testing.contracts.making import LEASE, add, claim, keyed, new, put, to_settle

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backburner.model.operation import OperationRecord
    from backburner.ports.jobs import Disposed, Letter
    from tests.unit.dlq.conftest import Post

pytestmark = pytest.mark.anyio

CHARGE = JobFilter(kinds=("charge",))


async def test_by_filter(post: Post) -> None:
    """Letters that match go back; nodes are told of the operation, and of jobs."""
    charges = await post.die(3, kind="charge")
    others = await post.die(2, kind="mail")
    begun = await post.letters.replay(CHARGE, pace=None, reason="INC-1", by="ada")
    assert (begun.found, begun.done, begun.active, begun.by, begun.reason) == (3, 0, True, "ada", "INC-1")
    assert post.told == [Hint.CONTROL]
    ended = await post.finish(begun)
    assert (ended.done, ended.whole) == (3, True)
    assert post.told == [Hint.CONTROL, Hint.JOBS]
    assert await post.dead() == others
    assert sorted(await post.run()) == charges


async def test_by_ids(post: Post) -> None:
    """Letters named one by one go back, and no other."""
    ids = await post.die(5)
    ended = await post.finish(await post.letters.replay(ids=[ids[1], ids[3], "nobody"], pace=None))
    assert (ended.found, ended.done, ended.whole) == (2, 2, True)
    assert await post.dead() == [ids[0], ids[2], ids[4]]


async def test_the_newest(post: Post) -> None:
    """With a limit the newest go back."""
    ids = await post.die(30)
    ended = await post.finish(await post.letters.replay(all=True, limit=12, pace="5/s"))
    assert (ended.found, ended.done, ended.whole) == (12, 12, True)
    assert await post.dead() == ids[:18]


async def test_everything_has_to_be_said(post: Post) -> None:
    """A replay of everything is refused unless it is said, and so is one that says two things, or other states."""
    ids = await post.die()
    orders: list[dict[str, Any]] = [
        {},
        {"where": CHARGE, "ids": ids},
        {"where": CHARGE, "all": True},
        {"where": JobFilter()},
    ]
    for order in orders:
        with pytest.raises(InvalidOption, match="all=True"):
            await post.letters.replay(**order)
    with pytest.raises(NothingMatches):
        await post.letters.replay(CHARGE)
    with pytest.raises(InvalidOption, match="whole number from 1"):
        await post.letters.replay(all=True, attempts=0)
    with pytest.raises(InvalidOption, match="stop_at"):
        await post.letters.replay(all=True, stop_at=0)
    with pytest.raises(InvalidOption, match="is not a rate"):
        await post.letters.replay(all=True, pace="often")
    with pytest.raises(InvalidOption, match="limit"):
        await post.letters.replay(all=True, limit=0)
    assert await post.letters.replays.list() == ()


async def test_the_pace(post: Post) -> None:
    """Letters go as fast as was said, by the store's time."""
    await post.die(25)
    await post.letters.replay(all=True, pace="5/s")
    gone: list[int] = []
    for _ in range(5):
        assert await post.letters.replayer.step() == 1.0
        # A second driver finds nothing to do yet.
        assert await post.driver().replayer.step() == 1.0
        gone.append(25 - len(await post.dead()))
        post.clock.move(1)
    assert gone == [5, 10, 15, 20, 25]


async def test_a_slow_pace(post: Post) -> None:
    """One a minute is one a minute."""
    await post.die(3)
    await post.letters.replay(all=True, pace="1/minute")
    assert await post.letters.replayer.step() == 60.0
    post.clock.move(59)
    assert await post.letters.replayer.step() == 1.0
    assert len(await post.dead()) == 2


async def test_none_goes_twice(post: Post) -> None:
    """What goes back and dies again is left alone: it died after the replay began."""
    ids = await post.die(30)
    begun = await post.letters.replay(all=True, pace="10/s", stop_at=1)
    while not (seen := await post.letters.replays.get(begun.id)).over:
        await post.step()
        await post.run(fail=ids[::2])
    assert (seen.done, seen.missed) == (30, 0)
    assert await post.dead() == ids[::2]
    assert {(await post.job(job_id)).attempt for job_id in ids} == {2}


async def test_what_dies_later_is_left_alone(post: Post) -> None:
    """A replay means those that were dead when it began."""
    early = await add(post.backend, delay=SECOND)
    await post.die(3)
    begun = await post.letters.replay(all=True, pace="1/s")
    await post.letters.replayer.step()
    post.clock.move(1)
    await post.run(fail=[early.id])
    ended = await post.finish(begun)
    assert (ended.done, ended.whole) == (3, True)
    assert await post.dead() == [early.id]


async def test_ten_go_first(post: Post) -> None:
    """Of more than a hundred ten go first; the rest goes once their first attempts have ended well."""
    await post.die(101)
    begun = await post.letters.replay(all=True, pace=None)
    assert begun.phase is Phase.FIRST
    for _ in range(5):
        assert await post.step() == 1.0
    assert len(await post.dead()) == 91
    assert (await post.letters.replays.get(begun.id)).phase is Phase.WAITING
    first = await post.run()
    assert len(first) == 10
    ended = await post.finish(begun)
    assert (ended.done, ended.ok, ended.failed, ended.awaited) == (101, 10, 0, 91)


async def test_the_first_ten_fail_again(post: Post) -> None:
    """Too many of the first ten fail again: nothing else goes."""
    ids = await post.die(150)
    begun = await post.letters.replay(all=True, pace=None)
    await post.step()
    await post.run(fail=ids[-2:], back=True)
    ended = await post.finish(begun)
    assert (ended.active, ended.done, ended.stopped) == (False, 10, "2 of 10 first attempts failed again")
    assert len(await post.dead()) == 140
    assert await post.letters.replayer.step() is None


async def test_it_stops_as_soon_as_it_is_sure(post: Post) -> None:
    """Of the first ten two have failed: what the others do changes nothing."""
    await post.die(150)
    begun = await post.letters.replay(all=True, pace=None)
    await post.step()
    failed: dict[str, Any] = {"failed": 1, "ending": Ending.FAILED, "error": "E", "delay": SECOND}
    claims = await claim(post.backend, limit=2)
    await post.backend.jobs.settle("node", [to_settle(one, JobState.PENDING, **failed) for one in claims])
    ended = await post.finish(begun)
    assert (ended.stopped, ended.awaited) == ("2 of 10 first attempts failed again", 8)


async def test_it_stops_by_itself_later(post: Post) -> None:
    """Once twenty first attempts have ended and a fifth of them has failed, it stops."""
    ids = await post.die(200)
    begun = await post.letters.replay(all=True, pace="10/s")
    failing = set[str]()
    while not (seen := await post.letters.replays.get(begun.id)).over:
        await post.step()
        await post.run(fail=failing)
        failing = set(ids[:170])
    assert seen.stopped == "10 of 40 first attempts failed again"
    assert seen.done == 40


async def test_a_first_attempt_that_fails_counts_though_the_second_is_well(post: Post) -> None:
    """Failures are counted since the replay: they tell of the first attempt, whatever came later."""
    (job_id,) = await post.die()
    begun = await post.letters.replay(all=True, pace=None)
    await post.step()
    await post.run(fail=[job_id], back=True)
    post.clock.move(7200)
    await post.run()
    await post.step()
    assert (await post.job(job_id)).state is JobState.COMPLETED
    seen = await post.letters.replays.get(begun.id)
    assert (seen.ok, seen.failed, seen.active) == (0, 1, False)


async def test_watching_ends(post: Post) -> None:
    """First attempts that nobody runs are watched for ten minutes after the last letter went."""
    await post.die(3)
    begun = await post.letters.replay(all=True, pace=None)
    seen = await post.finish(begun)
    assert (seen.active, seen.phase, seen.awaited) == (True, Phase.WATCHING, 3)
    post.clock.move(601)
    assert await post.letters.replayer.step() is None
    ended = await post.letters.replays.get(begun.id)
    assert (ended.active, ended.phase, ended.awaited) == (False, Phase.ENDED, 3)


async def test_first_ones_that_tell_nothing(post: Post) -> None:
    """Where none of the first ten is replayed, the next ten go first."""
    await post.die(95)
    kept = await _die_with_key(post, 10)
    begun = await post.letters.replay(all=True, pace=None)
    await post.step()
    seen = await post.letters.replays.get(begun.id)
    assert (seen.done, seen.kept, seen.phase) == (0, 10, Phase.WAITING)
    assert {*seen.conflicts} == {*kept}
    await post.step()
    await post.step()
    seen = await post.letters.replays.get(begun.id)
    assert (seen.done, seen.kept, seen.phase) == (10, 10, Phase.WAITING)
    await post.run()
    ended = await post.finish(begun)
    assert (ended.done, ended.kept, ended.whole) == (95, 10, False)
    assert await post.dead() == kept


async def _die_with_key(post: Post, count: int) -> list[str]:
    """Have jobs die with keys that others hold by now."""
    ids: list[str] = []
    for number in range(count):
        ids += await post.die(unique=keyed(f"k{number}"))
        await put(post.backend, new(unique=keyed(f"k{number}"), delay=3600 * SECOND))
    return ids


async def test_suspects_go_to_their_gate(post: Post) -> None:
    """What was running in two crashes goes back to where one runs at a time."""
    (once,) = await post.die(crashed=1)
    (twice,) = await post.die(crashed=2)
    await post.finish(await post.letters.replay(all=True, pace=None))
    assert ((await post.job(once)).gate, (await post.job(twice)).gate) == ("", SUSPECT_GATE)


async def test_other_attempts(post: Post) -> None:
    """Attempts stand in for the policy's; the backoff a letter was stored with stays."""
    own = RetryPolicy(attempts=3, backoff=constant(5))
    jobs = [(await post.die(retry=retry))[0] for retry in (encode(own), '"aggressive"', '{"of":"later"}', None)]
    await post.finish(await post.letters.replay(all=True, pace=None, attempts=1))
    policies = [decode((await post.job(job_id)).retry or "") for job_id in jobs]
    assert {policy.attempts for policy in policies} == {1}
    backoffs = [own.backoff, POLICIES["aggressive"].backoff, *2 * [POLICIES["standard"].backoff]]
    assert [policy.backoff for policy in policies] == backoffs


async def test_children_go_back_with_their_parent(post: Post) -> None:
    """Dead children, and theirs, go back in the step that takes their parent; other children are left alone."""
    (parent,) = await post.die(kind="charge")
    children = await post.die(3, parent=parent)
    grandchildren = await post.die(2, parent=children[0])
    (stranger,) = await post.die()
    done = await add(post.backend, parent=parent)
    await post.run()
    begun = await post.letters.replay(CHARGE, pace="1/s")
    await post.letters.replayer.step()
    assert await post.dead() == [stranger]
    assert (await post.job(done.id)).state is JobState.COMPLETED
    seen = await post.letters.replays.get(begun.id)
    assert (seen.found, seen.done, seen.cut) == (1, 6, 0)
    assert (await post.run())[:1] == [parent]
    assert len(grandchildren) == 2


async def test_a_letter_and_its_child_both_match(post: Post) -> None:
    """A child that matches too goes once."""
    (parent,) = await post.die()
    await post.die(3, parent=parent)
    ended = await post.finish(await post.letters.replay(all=True, pace=None))
    assert (ended.done, ended.missed, ended.kept) == (4, 0, 0)
    assert await post.dead() == []


async def test_more_children_than_go_along(post: Post) -> None:
    """Of a letter with a thousand dead children and more some stay dead, which is told."""
    (parent,) = await post.die(kind="charge")
    await post.die(1_050, parent=parent)
    await post.die(kind="charge")
    ended = await post.finish(await post.letters.replay(CHARGE, pace=None))
    assert (ended.done, ended.cut, ended.whole) == (1_001, 1, False)
    assert len(await post.dead()) == 51


async def test_families_in_portions(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    """No step takes more letters than a portion has, children counted, and all go back in the end."""
    monkeypatch.setattr(gathering, "PORTION", 100)
    for _ in range(3):
        (parent,) = await post.die(kind="charge")
        await post.die(60, parent=parent)
    begun = await post.letters.replay(CHARGE, pace=None)
    left: list[int] = []
    while not (seen := await post.letters.replays.get(begun.id)).over:
        await post.step()
        left.append(len(await post.dead()))
    assert left == [122, 61, 0]
    assert (seen.done, seen.cut) == (183, 0)


async def test_somebody_was_quicker(post: Post) -> None:
    """What was replayed otherwise meanwhile is missed, and nothing happens to it again."""
    ids = await post.die(10)
    begun = await post.letters.replay(all=True, pace="5/s")
    await post.step()
    other = await post.finish(await post.letters.replay(ids=ids[:3], pace=None))
    assert other.done == 3
    ended = await post.finish(begun)
    assert (ended.done, ended.missed) == (7, 0)


async def test_values_are_set(post: Post) -> None:
    """A value takes the place of another in the arguments; all else stays as it was written."""
    await _publish_schema(post)
    (job_id,) = await post.die(kind="charge", args='{"url":"http://old","amount":1.50}')
    await post.finish(await post.letters.replay(all=True, set={"url": "http://new"}))
    assert (await post.job(job_id)).args == '{"url":"http://new","amount":1.50}'


async def test_values_that_do_not_fit(post: Post) -> None:
    """A path that is not there and a value that does not fit are refused before anything is stored."""
    await _publish_schema(post)
    await post.die(kind="charge", args='{"url":"http://old","amount":1.50}')
    with pytest.raises(UnknownPath, match="'uri'"):
        await post.letters.replay(all=True, set={"uri": "x"})
    with pytest.raises(InvalidArguments, match="url"):
        await post.letters.replay(all=True, set={"url": 7})
    with pytest.raises(InvalidOption, match="no JSON"):
        await post.letters.replay(all=True, set={"url": object()})
    await post.die(kind="note", args='{"url":"x"}')
    with pytest.raises(InvalidArguments, match="no living node says which arguments note takes"):
        await post.letters.replay(all=True, set={"url": "x"})
    await post.die(kind="mail", args='{"url":"x"}')
    with pytest.raises(InvalidOption, match="no living node knows mail"):
        await post.letters.replay(all=True, set={"url": "x"})
    assert await post.letters.replays.list() == ()


async def test_unchecked_values(post: Post) -> None:
    """Unchecked, values go into arguments that no living node knows; what has no such path stays dead and is told of."""
    (fits,) = await post.die(kind="mail", args='{"url":"a"}')
    (other,) = await post.die(kind="mail", args='{"uri":"a"}')
    for _ in range(5):
        await post.die(kind="mail", args='{"url":"a"}')
    ended = await post.finish(await post.letters.replay(all=True, set={"url": 7}, unchecked=True, pace=None))
    assert (ended.done, ended.refused, ended.whole) == (6, 1, False)
    assert [refusal.id for refusal in ended.refusals] == [other]
    assert "uri" in ended.refusals[0].why
    assert (await post.job(fits)).args == '{"url":7}'
    assert await post.dead() == [other]


async def test_the_nodes_go_away_meanwhile(post: Post) -> None:
    """What nobody can check, since its nodes are being deployed, waits until somebody can."""
    await _publish_schema(post)
    ids = await post.die(4, kind="charge", args='{"url":"http://old","amount":1.50}')
    begun = await post.letters.replay(all=True, set={"url": "http://new"}, pace="2/s")
    await post.step()
    await post.backend.nodes.withdraw("other")
    for _ in range(5):
        assert await post.step() is not None
    seen = await post.letters.replays.get(begun.id)
    assert (seen.done, seen.busy, seen.refused, seen.over) == (2, 2, 0, False)
    await _publish_schema(post)
    assert (await post.finish(begun)).whole
    assert {(await post.job(job_id)).args for job_id in ids} == {'{"url":"http://new","amount":1.50}'}


async def _publish_schema(post: Post) -> None:
    schema = '{"type":"object","properties":{"url":{"type":"string"},"amount":{"type":"number"}},"required":["url"]}'
    record = NodeRecord(
        id="other", host="h", pid=1, started_at=0, queues={}, kinds=("charge",), signatures={"charge": schema}
    )
    await post.backend.nodes.publish(record, LEASE)


async def test_a_stopped_replay(post: Post) -> None:
    """Stopped, a replay goes on nowhere; what went before stays."""
    await post.die(10)
    begun = await post.letters.replay(all=True, pace="5/s")
    await post.step()
    stopped = await post.letters.replays.stop(begun.id, by="ada")
    assert (stopped.active, stopped.stopped, stopped.done) == (False, "stopped by ada", 5)
    assert await post.letters.replayer.step() is None
    assert await post.letters.replays.stop(begun.id) == await post.letters.replays.get(begun.id)
    with pytest.raises(OperationNotFound):
        await post.letters.replays.stop("nobody")


async def test_purging(post: Post) -> None:
    """A purge deletes what matches, but for the child of a job that has not ended; its record stays as the audit."""
    charges = await post.die(1_500, kind="charge")
    parent = await add(post.backend, delay=3600 * SECOND)
    (child,) = await post.die(kind="charge", parent=parent.id)
    (other,) = await post.die()
    begun = await post.letters.purge(CHARGE, reason="INC-2", by="ada")
    ended = await post.finish(begun)
    assert (ended.action, ended.done, ended.kept, ended.active) == ("purge", 1_500, 1, False)
    assert ended.conflicts == {child: parent.id}
    assert await post.dead() == [child, other]
    assert (await post.backend.reader.get(charges)).jobs == ()
    assert [(one.id, one.by, one.reason) for one in await post.letters.replays.list()] == [(begun.id, "ada", "INC-2")]


async def test_a_letter_that_the_store_refuses(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the store refuses for its content stays dead and is told of; the others go."""
    ids = await post.die(3)
    replay = MemoryJobAdmin.replay

    async def picky(self: MemoryJobAdmin, letters: Sequence[Letter], operation: OperationRecord) -> Disposed:
        if ids[1] in {letter.id for letter in letters}:
            raise StoreRefused("too long", stored="no", job_id=ids[1])
        return await replay(self, letters, operation)

    monkeypatch.setattr(MemoryJobAdmin, "replay", picky)
    ended = await post.finish(await post.letters.replay(all=True, pace=None))
    assert (ended.done, ended.refused, ended.refusals) == (2, 1, (Refusal(ids[1], "too long"),))
    assert await post.dead() == [ids[1]]


async def test_what_a_newer_version_began(post: Post) -> None:
    """An operation whose state cannot be read, or might be misread, is listed, left alone and not stopped from here."""
    await post.die(3)
    begun = await post.letters.replay(all=True, pace="1/s")
    (stored,) = (await post.backend.operations.get([begun.id])).operations
    for text in (stored.state.replace('{"', '{"format":2,"', 1), '{"later":1}'):
        (stored,) = (await post.backend.operations.get([begun.id])).operations
        assert await post.backend.operations.swap(msgspec.structs.replace(stored, state=text))
        assert await post.letters.replayer.step() == 1.0
        seen = await post.letters.replays.get(begun.id)
        assert (seen.phase, seen.active, seen.done) == (None, True, 0)
        with pytest.raises(InvalidOption, match="another version"):
            await post.letters.replays.stop(begun.id)
    assert len(await post.dead()) == 3


async def test_one_that_fails_keeps_no_other(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store fails for one operation: the others take their step all the same, and the failure is told."""
    ids = await post.die(2)
    first = await post.letters.replay(ids=ids[:1], pace=None)
    await post.letters.replay(ids=ids[1:], pace=None)
    advance = Replayer.advance

    async def failing(self: Replayer, operation: OperationRecord, now: int) -> float | None:
        if operation.id != first.id:
            raise StoreBusy
        return await advance(self, operation, now)

    monkeypatch.setattr(Replayer, "advance", failing)
    with pytest.raises(StoreBusy):
        await post.letters.replayer.step()
    assert await post.dead() == ids[1:]
