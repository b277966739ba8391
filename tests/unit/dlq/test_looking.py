"""Dead letters looked at: listed, grouped, counted before anything is done."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from backburner.dlq import survey as surveying
from backburner.errors import InvalidOption, JobNotFound
from backburner.model.query import JobFilter, Shown
from backburner.testing.contracts.making import add

if TYPE_CHECKING:
    from tests.unit.dlq.conftest import Post

pytestmark = pytest.mark.anyio


async def test_find(post: Post) -> None:
    """Only dead letters are found, newest first, page by page."""
    ids = await post.die(3)
    await add(post.backend)
    page = await post.letters.find(limit=2)
    assert [job.id for job in page.jobs] == [ids[2], ids[1]]
    page = await post.letters.find(limit=2, after=page.after)
    assert [job.id for job in page.jobs] == ids[:1]
    with pytest.raises(InvalidOption, match="only dead jobs"):
        await post.letters.find(JobFilter(states=(Shown.RUNNING,)))


async def test_groups(post: Post) -> None:
    """Letters are grouped by cause, also those without a fingerprint."""
    await post.die(3, kind="charge", fingerprint="f1")
    (poison,) = await post.die(1, fingerprint="", error="Poison", reason="poison")
    found = (await post.letters.groups()).groups
    assert [(group.fingerprint, group.count, group.kinds) for group in found] == [
        ("f1", 3, {"charge": 3}),
        ("", 1, {"note": 1}),
    ]
    assert found[1].sample == poison
    assert len((await post.letters.groups(JobFilter(kinds=("charge",)))).groups) == 1


async def test_one_letter(post: Post) -> None:
    """A letter is shown with its whole history, whether it was replayed before, and the replays that named it."""
    (job_id,) = await post.die()
    letter = await post.letters.get(job_id)
    assert (letter.replayed, letter.replays) == (False, ())
    assert [attempt.traceback for attempt in letter.history] == ["line 1"]
    begun = await post.letters.replay(ids=[job_id])
    await post.step()
    with pytest.raises(JobNotFound, match="no dead letter"):
        await post.letters.get(job_id)
    await post.run(fail=[job_id])
    letter = await post.letters.get(job_id)
    assert (letter.replayed, letter.replays, len(letter.history)) == (True, (begun.id,), 2)
    with pytest.raises(JobNotFound):
        await post.letters.get("nobody")


@pytest.mark.parametrize("read", [2, 1_000])
async def test_survey(post: Post, monkeypatch: pytest.MonkeyPatch, read: int) -> None:
    """A dry run counts how letters ended, of which kinds, since when; few are read, many are counted by cause."""
    monkeypatch.setattr(surveying, "READ", read)
    began = post.clock.now()
    await post.die(3, kind="charge", fingerprint="f1")
    await post.die(2, fingerprint="f2", reason="rejected: no")
    (last,) = await post.die(1, fingerprint="", reason="poison")
    found = await post.letters.survey()
    assert (found.letters, found.causes, found.exact) == (6, 3, True)
    assert found.ends == {"failed": 3, "rejected": 2, "crashed": 1}
    assert found.kinds == {"charge": 3, "note": 3}
    assert found.unknown == ("charge",)
    assert (found.oldest, found.newest) == (began, began + 2_000_000)
    assert found.sample[0].id == last


async def test_survey_of_a_part(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest few are counted as such; of many of more, what is said of them is of all that match."""
    ids = await post.die(3, reason="exhausted") + await post.die(2, reason="moved here")
    assert (await post.letters.survey(limit=2)).ends == {"other": 2}
    assert (await post.letters.survey(ids=[*ids[:2], "nobody"])).ends == {"failed": 2}
    monkeypatch.setattr(surveying, "READ", 1)
    found = await post.letters.survey(limit=2)
    assert (found.letters, found.exact, sum(found.ends.values())) == (2, False, 5)


async def test_nothing(post: Post) -> None:
    """Of nothing there is nothing to say."""
    found = await post.letters.survey()
    assert (found.letters, found.kinds, found.oldest, found.sample) == (0, {}, None, ())
