"""What `JobAdmin` promises of dead letters: brought back, or deleted, as they were found."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from backburner.errors import StoreRefused
from backburner.model.clock import SECOND
from backburner.model.job import SUSPECT_GATE, Ending, JobState
from backburner.ports.jobs import Disposed, Letter
from backburner.testing.contracts.making import (
    add,
    add_claimed,
    claim,
    dead,
    ended,
    ids,
    keyed,
    new,
    publish,
    put,
    read,
    recover,
    settle,
    to_settle,
)

if TYPE_CHECKING:
    from backburner.ports.backend import Backend
    from backburner.ports.jobs import JobAdmin
    from backburner.testing.harness import Harness

__all__ = ["LettersContract"]

#: What is done with letters: the name of the verb.
VERBS = ("replay", "purge")
HELD = (JobState.PENDING, JobState.RUNNING)


async def _dispose(admin: JobAdmin, verb: str, letters: list[Letter]) -> Disposed:
    return await (admin.replay(letters) if verb == "replay" else admin.purge(letters))


async def _gone(backend: Backend, job_id: str) -> bool:
    return not (await backend.reader.get([job_id])).jobs


async def _full(backend: Backend) -> Letter:
    """Make a letter that has something in every field."""
    fields: dict[str, Any] = {
        "args": '{"to":"ada"}',
        "priority": 2,
        "tags": ("a", "b"),
        "headers": '{"trace":"1"}',
        "parent": "nobody",
        "retry": '{"attempts":3}',
        "timeout": 5 * SECOND,
        "expires_in": 60 * SECOND,
        "unique": keyed(),
        "lanes": ("concurrency:a", "rate:b/ada"),
    }
    claimed = await add_claimed(backend, **fields)
    told: dict[str, Any] = {"error": "E", "message": "no \N{SNOWMAN}", "fingerprint": "f", "traceback": "at line 1"}
    counted: dict[str, Any] = {"failed": 1, "crashed": 1, "interrupted": 1, "backoff": 7 * SECOND}
    await settle(backend, claimed, JobState.PENDING, ending=Ending.FAILED, **counted, **told)
    (claimed,) = await claim(backend)
    kept: dict[str, Any] = {"progress": (3, 4), "checkpoint": "[1]", "reason": "exhausted"}
    await settle(backend, claimed, JobState.DEAD, ending=Ending.FAILED, failed=1, **told, **kept)
    return Letter(id=claimed.id, token=claimed.token)


@pytest.mark.anyio
class LettersContract:
    """`JobAdmin.replay` and `JobAdmin.purge`: a letter is taken as it was found, or left alone."""

    async def test_what_a_replay_changes(self, harness: Harness) -> None:
        """Pending, due now, in the line, its failures, reason, backoff and expiry gone; all else as it was."""
        await publish(harness.backend)
        letter = await _full(harness.backend)
        before = await read(harness.backend, letter.id)
        history = await harness.backend.reader.history(letter.id)
        assert (before.failures, before.backoff, before.reason) == (2, 7 * SECOND, "exhausted")
        harness.clock.move(3600)
        now = harness.clock.now()
        assert await harness.backend.admin.replay([letter]) == Disposed(now=now)
        assert await read(harness.backend, letter.id) == msgspec.structs.replace(
            before,
            state=JobState.PENDING,
            failures=0,
            reason=None,
            backoff=None,
            due_at=now,
            expires_at=None,
            ended_at=None,
        )
        assert await harness.backend.reader.history(letter.id) == history

    async def test_it_runs_again(self, harness: Harness) -> None:
        """A letter brought back is claimed as its next attempt, under a greater token, with what its last run saved."""
        await publish(harness.backend)
        letter = await _full(harness.backend)
        harness.clock.move(3600)
        await harness.backend.admin.replay([letter])
        assert (await recover(harness.backend)).jobs == ()
        (claimed,) = await claim(harness.backend)
        assert (claimed.id, claimed.attempt, claimed.failures, claimed.backoff) == (letter.id, 3, 0, None)
        assert (claimed.crashes, claimed.interruptions, claimed.checkpoint) == (1, 1, "[1]")
        assert (claimed.expires_at, claimed.args, claimed.retry) == (None, '{"to":"ada"}', '{"attempts":3}')
        assert claimed.token > letter.token
        await settle(harness.backend, claimed, JobState.DEAD, ending=Ending.FAILED, failed=1)
        assert [attempt.attempt for attempt in await harness.backend.reader.history(letter.id)] == [1, 2, 3]

    async def test_other_arguments_and_another_policy(self, harness: Harness) -> None:
        """Arguments and retry policy are those of the letter where it has them."""
        await publish(harness.backend)
        letter = await dead(harness.backend, args='{"a":1}', retry='{"attempts":1}')
        changed = msgspec.structs.replace(letter, args='{"a":"ünï"}', retry='{"attempts":9}')
        await harness.backend.admin.replay([changed])
        (claimed,) = await claim(harness.backend)
        assert (claimed.args, claimed.retry) == ('{"a":"ünï"}', '{"attempts":9}')
        assert (await read(harness.backend, letter.id)).args == '{"a":"ünï"}'

    async def test_at_its_gate(self, harness: Harness) -> None:
        """A letter goes to the gate it names: as a suspect, say."""
        await publish(harness.backend)
        letter = await dead(harness.backend)
        await harness.backend.admin.replay([msgspec.structs.replace(letter, gate=SUSPECT_GATE)])
        assert (await read(harness.backend, letter.id)).gate == SUSPECT_GATE
        assert await claim(harness.backend, suspect=False) == ()
        assert ids(await claim(harness.backend)) == [letter.id]

    async def test_in_line_by_priority(self, harness: Harness) -> None:
        """Letters join the line as jobs that are due now: behind those of their priority that were due before."""
        await publish(harness.backend)
        letters = [await dead(harness.backend, priority=priority) for priority in (5, 4)]
        waiting = await add(harness.backend)
        harness.clock.move(1)
        await harness.backend.admin.replay(letters)
        assert ids(await claim(harness.backend)) == [letters[1].id, waiting.id, letters[0].id]

    async def test_what_purging_deletes(self, harness: Harness) -> None:
        """A purged letter is gone with its history, and its id is free."""
        await publish(harness.backend)
        letter, other = await dead(harness.backend), await dead(harness.backend)
        assert await harness.backend.admin.purge([letter]) == Disposed(now=harness.clock.now())
        assert await _gone(harness.backend, letter.id)
        assert await harness.backend.reader.history(letter.id) == ()
        assert not await _gone(harness.backend, other.id)
        await put(harness.backend, new(id=letter.id))
        assert (await read(harness.backend, letter.id)).state is JobState.PENDING
        assert await harness.backend.reader.history(letter.id) == ()

    # ---- as they were found ----------------------------------------------------------------------------------------

    @pytest.mark.parametrize("verb", VERBS)
    async def test_no_letters(self, harness: Harness, verb: str) -> None:
        """Nothing to do is nothing done."""
        assert await _dispose(harness.backend.admin, verb, []) == Disposed(now=harness.clock.now())

    @pytest.mark.parametrize("verb", VERBS)
    async def test_what_is_not_dead_is_missed(self, harness: Harness, verb: str) -> None:
        """A job in any other state, whatever its token, and one that is not there are missed, and left as they are."""
        await publish(harness.backend)
        found = [await ended(harness.backend, state) for state in (JobState.COMPLETED, JobState.CANCELLED)]
        found += [(await add_claimed(harness.backend)).id, (await add(harness.backend)).id]
        before = [await read(harness.backend, job_id) for job_id in found]
        letters = [Letter(id=record.id, token=record.token) for record in before]
        disposed = await _dispose(harness.backend.admin, verb, [*letters, Letter(id="nobody", token=1)])
        assert sorted(disposed.missed) == sorted([*found, "nobody"])
        assert (disposed.kept, disposed.busy, disposed.outrun) == ({}, (), False)
        assert [await read(harness.backend, job_id) for job_id in found] == before

    @pytest.mark.parametrize("verb", VERBS)
    async def test_what_has_died_again_is_missed(self, harness: Harness, verb: str) -> None:
        """A letter that was brought back since, and died once more, is another: it is missed under the old token."""
        await publish(harness.backend)
        letter, other = await dead(harness.backend), await dead(harness.backend)
        await harness.backend.admin.replay([letter])
        (claimed,) = await claim(harness.backend)
        await settle(harness.backend, claimed, JobState.DEAD, failed=1, ending=Ending.FAILED)
        before = await read(harness.backend, letter.id)
        disposed = await _dispose(harness.backend.admin, verb, [letter, other])
        assert disposed.missed == (letter.id,)
        assert await read(harness.backend, letter.id) == before
        again = msgspec.structs.replace(letter, token=claimed.token)
        assert (await _dispose(harness.backend.admin, verb, [again])).missed == ()

    @pytest.mark.parametrize("verb", VERBS)
    async def test_repeated_it_misses(self, harness: Harness, verb: str) -> None:
        """The same letters once more: what was done is not done again."""
        await publish(harness.backend)
        letters = [await dead(harness.backend) for _ in range(3)]
        assert (await _dispose(harness.backend.admin, verb, letters)).missed == ()
        assert sorted((await _dispose(harness.backend.admin, verb, letters)).missed) == [each.id for each in letters]

    async def test_of_two_alike_the_first_counts(self, harness: Harness) -> None:
        """A letter that is named twice is answered once, and is brought back as it was named first."""
        await publish(harness.backend)
        letter = await dead(harness.backend)
        twice = [msgspec.structs.replace(letter, args=args) for args in ('{"a":1}', '{"a":2}')]
        assert await harness.backend.admin.replay(twice) == Disposed(now=harness.clock.now())
        assert (await read(harness.backend, letter.id)).args == '{"a":1}'
        other = await dead(harness.backend, queue="other")
        assert await harness.backend.admin.purge([other, other]) == Disposed(now=harness.clock.now())

    @pytest.mark.parametrize("verb", VERBS)
    async def test_once_only_however_many_ask(self, harness: Harness, verb: str) -> None:
        """Of many who ask for the same letters at once, on two connections, one is answered that each was done."""
        await publish(harness.backend)
        backends = [harness.backend, await harness.second()]
        letters = [await dead(harness.backend) for _ in range(4)]
        answers = await asyncio.gather(*[_dispose(backends[number % 2].admin, verb, letters) for number in range(10)])
        done = [letter.id for letter in letters for answer in answers if letter.id not in answer.missed + answer.busy]
        assert done == [letter.id for letter in letters]

    async def test_many(self, harness: Harness) -> None:
        """A thousand letters are brought back, and a thousand deleted, in one step each."""
        await publish(harness.backend)
        jobs = [new() for _ in range(1_000)]
        await harness.backend.jobs.enqueue([jobs])
        claims = await claim(harness.backend, limit=1_000)
        await harness.backend.jobs.settle("node", [to_settle(claimed, JobState.DEAD) for claimed in claims])
        letters = [Letter(id=claimed.id, token=claimed.token) for claimed in claims]
        assert await harness.backend.admin.replay(letters[:500]) == Disposed(now=harness.clock.now())
        assert await harness.backend.admin.purge(letters[500:]) == Disposed(now=harness.clock.now())
        assert ids(await claim(harness.backend, limit=1_000)) == ids(jobs[:500])

    # ---- unique keys -----------------------------------------------------------------------------------------------

    async def test_it_holds_its_key_again(self, harness: Harness) -> None:
        """A letter brought back holds its unique key by its states, like any job that waits."""
        await publish(harness.backend)
        letter = await dead(harness.backend, unique=keyed())
        await harness.backend.admin.replay([letter])
        second = new(unique=keyed())
        assert (await put(harness.backend, second)).holders == {second.id: letter.id}

    async def test_a_held_key_keeps_it_dead(self, harness: Harness) -> None:
        """A letter whose key another holds by then stays dead as it was, and the holder is answered; others are not harmed."""
        await publish(harness.backend)
        letter, other = await dead(harness.backend, unique=keyed()), await dead(harness.backend)
        before = await read(harness.backend, letter.id)
        holder = await add(harness.backend, unique=keyed())
        harness.clock.move(1)
        disposed = await harness.backend.admin.replay([letter, other])
        assert disposed == Disposed(now=harness.clock.now(), kept={letter.id: holder.id})
        assert await read(harness.backend, letter.id) == before
        assert (await read(harness.backend, other.id)).state is JobState.PENDING
        await harness.backend.admin.cancel([holder.id])
        assert (await harness.backend.admin.replay([letter])).kept == {}

    @pytest.mark.parametrize("backwards", [False, True])
    async def test_the_second_of_two_stays_dead(self, harness: Harness, *, backwards: bool) -> None:
        """Of two letters of one key that which is named first is brought back; of the other that one is answered."""
        await publish(harness.backend)
        letters = [await dead(harness.backend, unique=keyed()) for _ in range(2)]
        first, second = reversed(letters) if backwards else letters
        disposed = await harness.backend.admin.replay([first, second])
        assert disposed == Disposed(now=harness.clock.now(), kept={second.id: first.id})
        assert ids(await claim(harness.backend)) == [first.id]
        assert (await read(harness.backend, second.id)).state is JobState.DEAD

    async def test_a_key_it_holds_while_dead(self, harness: Harness) -> None:
        """A letter that holds its key itself is not held up by that; deleted, it holds it no more."""
        await publish(harness.backend)
        letter = await dead(harness.backend, unique=keyed(states=(*HELD, JobState.DEAD)))
        assert (await harness.backend.admin.replay([letter])).kept == {}
        other = await dead(harness.backend, unique=keyed("other", states=(JobState.DEAD,)), queue="other")
        await harness.backend.admin.purge([other])
        assert (await put(harness.backend, new(unique=keyed("other")))).holders == {}

    async def test_a_key_it_would_not_hold(self, harness: Harness) -> None:
        """A letter that would not hold its key while it waits is brought back, whoever holds it."""
        await publish(harness.backend)
        letter = await dead(harness.backend, unique=keyed(states=(JobState.COMPLETED,)))
        await add(harness.backend, unique=keyed(), delay=SECOND)
        assert (await harness.backend.admin.replay([letter])).kept == {}
        assert ids(await claim(harness.backend)) == [letter.id]

    async def test_a_key_it_holds_by_time(self, harness: Harness) -> None:
        """A key's period counts from when the job was stored, not from when it was brought back."""
        await publish(harness.backend)
        letter = await dead(harness.backend, unique=keyed(states=(JobState.DEAD,), period=60 * SECOND))
        harness.clock.move(60)
        await harness.backend.admin.replay([letter])
        assert (await put(harness.backend, new(unique=keyed()))).holders == {}

    # ---- families --------------------------------------------------------------------------------------------------

    async def test_a_child_is_kept_for_its_parent(self, harness: Harness) -> None:
        """A letter whose parent has not ended is not deleted: that parent is answered, whether it runs or waits."""
        await publish(harness.backend)
        running = await add_claimed(harness.backend, queue="parents")
        waiting = await add(harness.backend, delay=SECOND)
        letters = [await dead(harness.backend, parent=parent) for parent in (running.id, waiting.id)]
        before = [await read(harness.backend, letter.id) for letter in letters]
        disposed = await harness.backend.admin.purge(letters)
        assert disposed.kept == {letters[0].id: running.id, letters[1].id: waiting.id}
        assert [await read(harness.backend, letter.id) for letter in letters] == before
        await settle(harness.backend, running)
        await harness.backend.admin.cancel([waiting.id])
        assert await harness.backend.admin.purge(letters) == Disposed(now=harness.clock.now())

    async def test_a_child_of_nobody_is_deleted(self, harness: Harness) -> None:
        """A letter whose parent is not stored, or ended, is deleted; in one step with its parent too."""
        await publish(harness.backend)
        stranger = await dead(harness.backend, parent="nobody")
        parent = await dead(harness.backend)
        letters = [stranger, await dead(harness.backend, parent=parent.id), parent]
        assert await harness.backend.admin.purge(letters) == Disposed(now=harness.clock.now())
        assert [await _gone(harness.backend, letter.id) for letter in letters] == [True] * 3

    async def test_its_children_are_nobody_s(self, harness: Harness) -> None:
        """The children of a deleted letter stay, and count as nobody's, whatever their states; others' are left."""
        await publish(harness.backend)
        parent, other = await dead(harness.backend), await dead(harness.backend)
        children = [await ended(harness.backend, JobState.COMPLETED, parent=parent.id)]
        children += [(await add(harness.backend, parent=parent.id)).id]
        child = await add(harness.backend, parent=other.id)
        await harness.backend.admin.purge([parent])
        assert [(await read(harness.backend, job_id)).parent for job_id in children] == [None, None]
        assert (await read(harness.backend, child.id)).parent == other.id

    # ---- refused ---------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("fields", [{"args": "\0"}, {"args": "\ud800"}, {"retry": "\0"}, {"gate": "\0"}], ids=repr)
    async def test_content_that_cannot_be_stored(self, harness: Harness, fields: dict[str, str]) -> None:
        """What cannot be stored is refused with the name of the job, and no letter is brought back."""
        await publish(harness.backend)
        good, bad = await dead(harness.backend), await dead(harness.backend)
        with pytest.raises(StoreRefused, match=bad.id):
            await harness.backend.admin.replay([good, msgspec.structs.replace(bad, **fields)])
        for letter in (good, bad):
            assert (await read(harness.backend, letter.id)).state is JobState.DEAD
        assert (await harness.backend.admin.replay([good, bad])).missed == ()
