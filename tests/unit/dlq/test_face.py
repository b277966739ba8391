"""What an app has of dead letters: keywords in, moments with a zone out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from backburner.dlq import face
from backburner.dlq.choice import Choice, choice_of, filter_of
from backburner.dlq.face import DeadLetters
from backburner.dlq.state import Phase
from backburner.errors import InvalidOption, JobNotFound, NothingMatches, OperationNotFound
from backburner.model.clock import from_micros
from backburner.model.condition_text import condition_text, parse_condition
from backburner.model.job import Ending
from backburner.model.lane import Rate
from backburner.model.query import Condition, JobFilter
from backburner.resilience.rates import rate

if TYPE_CHECKING:
    from pathlib import Path

    from backburner.dlq.handle import OperationStatus
    from tests.unit.dlq.conftest import Post

pytestmark = pytest.mark.anyio

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture
def dlq(post: Post) -> DeadLetters:
    """Face the letters of the store."""
    return DeadLetters(post.letters)


async def _ids(dlq: DeadLetters, **choice: Any) -> list[str]:  # noqa: ANN401 - any keyword
    return [letter.id async for letter in dlq.find(**choice)]


async def test_a_letter(post: Post, dlq: DeadLetters) -> None:
    """A letter shows its arguments as values, its error as a text, and moments that know their zone."""
    began = from_micros(post.clock.now())
    (job_id,) = await post.die(args='{"user":{"id":7}}', tags=("a",), queue="mail", parent="mum")
    (letter,) = [letter async for letter in dlq.find()]
    assert (letter.id, letter.kind, letter.queue, letter.tags, letter.parent) == (job_id, "note", "mail", ("a",), "mum")
    assert letter.args == {"user": {"id": 7}}
    assert (letter.error, letter.fingerprint, letter.reason) == ("ValueError: no", "f1", "exhausted")
    assert (letter.attempt, letter.failures, letter.crashes, letter.node) == (1, 1, 0, "node")
    assert began == letter.created <= letter.died
    assert letter.died.tzinfo is UTC


async def test_an_error_that_was_none(post: Post, dlq: DeadLetters) -> None:
    """Where nothing was raised there is no error; arguments that are no JSON are None."""
    await post.die(error="", message="", fingerprint="", args="{")
    (letter,) = [letter async for letter in dlq.find(fingerprint="")]
    assert (letter.error, letter.fingerprint, letter.args) == (None, "", None)


async def test_pages(post: Post, dlq: DeadLetters, monkeypatch: pytest.MonkeyPatch) -> None:
    """Letters come newest first, page by page; a limit and an id bound them."""
    monkeypatch.setattr(face, "_PAGE", 2)
    ids = (await post.die(5))[::-1]
    assert await _ids(dlq) == ids
    assert await _ids(dlq, limit=3) == ids[:3]
    assert await _ids(dlq, limit=5) == ids
    assert await _ids(dlq, after=ids[1], limit=2) == ids[2:4]
    with pytest.raises(InvalidOption, match="limit is a whole number from 1"):
        dlq.find(limit=0)


async def test_choosing(post: Post, dlq: DeadLetters) -> None:
    """Each keyword narrows down which are meant; it takes one value, or several."""
    (seven,) = await post.die(kind="charge", args='{"user":{"id":7},"to":"ada"}', tags=("a", "b"), queue="mail")
    (eight,) = await post.die(args='{"user":{"id":8},"to":"bob"}', error="KeyError", fingerprint="f2")
    between = from_micros(post.clock.now()) - timedelta(milliseconds=1500)
    for choice in (
        {"kind": "charge"},
        {"kind": ["charge", "mail"]},
        {"queue": "mail"},
        {"tag": ("b", "c")},
        {"error": "Value"},
        {"fingerprint": "f1"},
        {"until": between},
        {"where": "args.user.id=7"},
        {"where": ["args.user.id<8", "args.to~ad"]},
    ):
        assert await _ids(dlq, **choice) == [seven], choice
    assert await _ids(dlq, since=between) == [eight]
    assert await _ids(dlq, kind={"charge", "note"}) == [eight, seven]
    assert await _ids(dlq, where=["args.user.id=7", "args.user.id=8"]) == []


@pytest.mark.parametrize(
    ("choice", "why"),
    [
        ({"kinds": "charge"}, "are not chosen by 'kinds', but by kind, queue, error"),
        ({"kind": []}, "kind names none"),
        ({"kind": None}, "kind=None: give a text, or several"),
        ({"queue": ["a", 1]}, "queue=.* give a text, or several"),
        ({"tag": 7}, "tag=7"),
        ({"error": None}, "error=None is no text"),
        ({"fingerprint": 5}, "fingerprint=5 is no text"),
        ({"since": datetime(2026, 11, 21, tzinfo=UTC).replace(tzinfo=None)}, "has no time zone"),
        ({"until": 5}, "takes an aware datetime"),
        ({"where": "user.id=7"}, r"begins with args\.: did you mean args\.user\.id\?"),
        ({"where": "args.user=ada"}, "a text needs its quotes"),
        ({"where": "args.user=[1]"}, "compare with a text, a number"),
    ],
)
async def test_what_chooses_nothing(post: Post, dlq: DeadLetters, choice: dict[str, Any], why: str) -> None:
    """What cannot be meant is refused by every method before anything is done, and names the keyword."""
    await post.die()
    for asked in (dlq.groups, dlq.survey, dlq.replay, dlq.purge):
        with pytest.raises(InvalidOption, match=why) as caught:
            await asked(**choice)
        assert caught.value.option in choice
    for gone_through in (dlq.find, dlq.export):
        with pytest.raises(InvalidOption, match=why):
            gone_through(**choice)


def test_a_choice_is_told_as_it_was_made() -> None:
    """What an operation keeps of a choice is what chose it, and chooses the same again."""
    choice = Choice(
        kind=("a",),
        queue=("b",),
        error="c",
        fingerprint="",
        tag=("d", "e"),
        since=NOON,
        until=NOON + timedelta(hours=1),
        where=('args.user.name~"Ada"', "args.user.id<=7", "args.ok=true", "args.no=null", 'args.x="="'),
    )
    assert choice_of(filter_of(choice)) == choice
    assert choice_of(JobFilter()) == {}


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        ("args.email~ada", Condition(("email",), "~", "ada")),
        ('args.email~"ada"', Condition(("email",), "~", "ada")),
        ("args.user.id >= 7", Condition(("user", "id"), ">=", 7)),
        ("args.user.id!=1.5", Condition(("user", "id"), "!=", 1.5)),
        ('args.a="b\nc"'.replace("\n", "\\n"), Condition(("a",), "=", "b\nc")),
    ],
)
def test_a_condition_and_its_text(text: str, condition: Condition) -> None:
    """A text is read as a condition, whose own text is read as the same."""
    assert parse_condition(text) == condition == parse_condition(condition_text(condition))


async def test_causes(post: Post, dlq: DeadLetters) -> None:
    """A cause tells how many died of it, when, and of which kinds."""
    await post.die(2, kind="charge")
    (last,) = await post.die()
    await post.die(error="", message="", fingerprint="", reason="poison")
    cause, poison = await dlq.groups()
    assert (cause.fingerprint, cause.count, cause.kinds) == ("f1", 3, {"charge": 2, "note": 1})
    assert (cause.error, cause.reason, cause.sample) == ("ValueError: no", "exhausted", last)
    assert cause.last - cause.first == timedelta(seconds=1)
    assert (poison.error, poison.count) == (None, 1)
    assert await dlq.groups(limit=1, kind="charge") != (cause,)
    with pytest.raises(InvalidOption):
        await dlq.groups(limit=0)


async def test_a_whole_letter(post: Post, dlq: DeadLetters) -> None:
    """A letter is shown with all its attempts, and with the replays that named it."""
    (job_id,) = await post.die()
    replay = await dlq.replay(ids=job_id)
    await post.step()
    await post.run(fail=[job_id])
    letter = await dlq.get(job_id)
    first, second = letter.history
    assert (first.ending, first.error, first.traceback) == (Ending.FAILED, "ValueError: no", "line 1")
    assert (second.attempt, second.error, second.fingerprint) == (2, "E: ", "")
    assert first.started <= first.ended < second.ended == letter.died
    assert (letter.id, letter.replayed, letter.replays) == (job_id, True, (replay.id,))
    with pytest.raises(JobNotFound):
        await dlq.get("nobody")


async def test_a_dry_run(post: Post, dlq: DeadLetters) -> None:
    """What would be met is counted, and shown by a sample; of nothing there are no moments."""
    ids = await post.die(3, kind="charge")
    found = await dlq.survey(kind="charge", limit=2)
    assert (found.letters, found.ends, found.kinds, found.exact) == (2, {"failed": 2}, {"charge": 2}, True)
    assert (found.causes, found.unknown) == (1, ("charge",))
    assert [letter.id for letter in found.sample] == ids[:0:-1]
    assert found.oldest == found.newest == found.sample[0].died
    assert (await dlq.survey(ids=ids[0])).letters == 1
    nothing = await dlq.survey(kind="mail")
    assert (nothing.letters, nothing.oldest, nothing.newest) == (0, None, None)


async def test_a_replay_is_awaited(post: Post, dlq: DeadLetters) -> None:
    """A replay returns at once; awaiting it carries it to its end, and tells what became of it."""
    await post.die(3, kind="charge")
    replay = await dlq.replay(kind="charge", pace=None, reason="up again", by="ada")
    assert replay.found == 3
    assert len(await _ids(dlq)) == 3
    assert repr(replay) == f"<handle of operation {replay.id} on 3 dead letters>"
    ended = await replay
    assert (ended.id, ended.action, ended.done, ended.found) == (replay.id, "replay", 3, 3)
    assert (ended.phase, ended.active, ended.over, ended.whole) == (Phase.WATCHING, True, True, True)
    assert (ended.stopped, ended.pace, ended.by, ended.reason) == (None, None, "ada", "up again")
    assert (ended.choice, ended.ids) == ({"kind": ("charge",)}, ())
    assert ended.began <= ended.changed
    assert ended.began.tzinfo is UTC
    assert await replay == ended
    assert await _ids(dlq) == []


async def test_replays_are_looked_at_and_stopped(post: Post, dlq: DeadLetters) -> None:
    """What was begun is listed, looked up, followed and stopped by its id."""
    await post.die(3)
    replay = await dlq.replay(all=True, pace=rate(1, 3600))
    (listed,) = await dlq.replays.list(active=True)
    assert listed == await dlq.replays.get(replay.id)
    assert (listed.pace, listed.choice) == ("1/hour", {})
    stopped = await dlq.replays.stop(replay.id, by="bob")
    assert (stopped.stopped, stopped.active, stopped.whole) == ("stopped by bob", False, False)
    seen: list[OperationStatus] = []
    assert await dlq.replays.carry(replay.id, seen.append) == stopped == seen[-1]
    assert await dlq.replays.carry(replay.id, watch=True) == stopped
    with pytest.raises(OperationNotFound):
        await dlq.replays.get("nobody")


async def test_everything_is_said(post: Post, dlq: DeadLetters) -> None:
    """Without a choice nothing is replayed or purged; what is meant is said in one way."""
    (job_id,) = await post.die()
    orders: list[dict[str, Any]] = [{}, {"ids": []}, {"all": True, "kind": "note"}, {"ids": job_id, "kind": "note"}]
    for method in (dlq.replay, dlq.purge):
        for order in orders:
            with pytest.raises(InvalidOption, match="all=True; one of the three"):
                await method(**order)
        with pytest.raises(NothingMatches):
            await method(kind="mail")
    assert await dlq.replays.list() == ()


@pytest.mark.parametrize("pace", ["often", 5, Rate(limit=0, period=1)])
async def test_a_pace_that_is_none(post: Post, dlq: DeadLetters, pace: Any) -> None:  # noqa: ANN401 - that is the point
    """What is no rate begins no replay."""
    await post.die()
    with pytest.raises(InvalidOption, match="write it like") as caught:
        await dlq.replay(all=True, pace=pace)
    assert caught.value.option == "pace"


async def test_a_purge(post: Post, dlq: DeadLetters) -> None:
    """A purge deletes those named, and is the audit of it."""
    first, second = await post.die(2)
    ended = await (await dlq.purge(ids=[first], by="ada"))
    assert (ended.action, ended.done, ended.phase, ended.ids) == ("purge", 1, Phase.ENDED, (first,))
    assert await _ids(dlq) == [second]


async def test_a_file(post: Post, dlq: DeadLetters, tmp_path: Path) -> None:
    """The lines that are gone through make a file, which is read again."""
    first, second = await post.die(2)
    path = tmp_path / "letters.jsonl"
    await anyio.Path(path).write_bytes(b"".join([line async for line in dlq.export(ids=first)]))
    await (await dlq.purge(ids=[first]))
    imported = await dlq.import_(str(path), reason="back")
    assert (imported.found, imported.stored, imported.known, imported.holders) == (1, 1, 0, {})
    assert await _ids(dlq) == [second, first]
