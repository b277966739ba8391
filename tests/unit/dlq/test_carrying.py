"""Dead letters carried in files, from one store into another."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import anyio
import pytest

from backburner.errors import LetterFileRefused
from backburner.model.job import JobRecord
from backburner.model.query import JobFilter
from backburner.testing.contracts.making import add, keyed, new, put
from tests.unit.dlq.conftest import Post

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.anyio


@pytest.fixture
async def other() -> AsyncIterator[Post]:
    """Open another, empty store."""
    office = Post()
    await office.backend.open(create=True)
    yield office
    await office.backend.close()


async def _write(post: Post, path: Path, where: JobFilter | None = None, **chosen: object) -> list[bytes]:
    lines = [line async for line in post.letters.export(where, **chosen)]  # type: ignore[arg-type]
    await anyio.Path(path).write_bytes(b"".join(lines))
    return lines


async def test_there_and_back(post: Post, other: Post, tmp_path: Path) -> None:
    """Every field, the history and the unique key arrive as they were."""
    ids = await post.die(2, args='{"n":1.50,"s":"\N{SNOWMAN}"}', tags=("a",), unique=keyed(), priority=2)
    ids = await post.dead()
    await add(post.backend)
    lines = await _write(post, tmp_path / "file")
    assert json.loads(lines[0]) == {"format": "backburner.dead-letters", "version": 1}
    assert list(json.loads(lines[1])["record"]) == list(JobRecord.__struct_fields__)
    imported = await other.letters.import_(tmp_path / "file", reason="moved", by="ada")
    assert (imported.found, imported.stored, imported.known, imported.holders) == (len(ids), len(ids), 0, {})
    assert (await other.backend.reader.export(limit=10)).jobs == tuple(
        image for image in (await post.backend.reader.export(limit=10)).jobs if image.record.id in ids
    )
    (audit,) = await other.letters.replays.list()
    assert (audit.action, audit.active, audit.by, audit.reason) == ("import", False, "ada", "moved")
    assert (audit.found, audit.done, audit.missed, audit.kept) == (len(ids), len(ids), 0, 0)


async def test_repeated(post: Post, other: Post, tmp_path: Path) -> None:
    """Imported again, a file changes nothing."""
    await post.die(1_200)
    await _write(post, tmp_path / "file")
    seen: list[int] = []
    await other.letters.import_(tmp_path / "file", seen=seen.append)
    assert seen == [500, 500, 200]
    again = await other.letters.import_(tmp_path / "file")
    assert (again.found, again.stored, again.known) == (1_200, 0, 1_200)


async def test_a_key_that_is_held(post: Post, other: Post, tmp_path: Path) -> None:
    """A letter whose key another job holds there, by time, is not stored, and told of."""
    (kept,) = await post.die(unique=keyed(period=10**15))
    await _write(post, tmp_path / "file")
    holder = new(unique=keyed(period=10**15))
    await put(other.backend, holder)
    imported = await other.letters.import_(tmp_path / "file")
    assert (imported.stored, imported.holders) == (0, {kept: holder.id})


async def test_some(post: Post, tmp_path: Path) -> None:
    """A filter, ids and the newest few are what is written, smallest id first."""
    ids = await post.die(250)
    (charge,) = await post.die(kind="charge")

    def written(lines: list[bytes]) -> list[str]:
        return [json.loads(line)["record"]["id"] for line in lines[1:]]

    path = tmp_path / "file"
    assert written(await _write(post, path, JobFilter(kinds=("charge",)))) == [charge]
    assert written(await _write(post, path, ids=[ids[5], ids[2], "nobody"])) == [ids[2], ids[5]]
    assert written(await _write(post, path, limit=3)) == [ids[-2], ids[-1], charge]
    assert written(await _write(post, path, limit=1_000)) == [*ids, charge]


async def test_broken_and_foreign_files(post: Post, other: Post, tmp_path: Path) -> None:
    """The first line that is broken or foreign is named, and nothing of the file is stored."""
    await post.die(2)
    header, first, second = await _write(post, tmp_path / "file")
    running = first.replace(b'"state":"dead"', b'"state":"pending"')
    nul = second.replace(b'"message":"no"', b'"message":"n\\u0000"')
    newer = second.replace(b'{"record":{', b'{"record":{"later":1,')
    broken: list[tuple[bytes, str]] = [
        (b"", "line 1: the file is empty"),
        (b"id,kind\n1,2", "line 1: an export begins with"),
        (first, "line 1: an export begins with"),
        (b'{"format":"other","version":1}', "line 1: this is a file of 'other'"),
        (b'{"format":"backburner.dead-letters","version":2}', "line 1: the file is of version 2"),
        (b"".join([header, first, second[:-9]]), "line 3: this is not JSON"),
        (b"".join([header, first, b"\xff\xfe"]), "line 3: this is not JSON"),
        (b"".join([header, b'{"id":1}']), "line 2: this is no dead letter as this backburner writes them"),
        (b"".join([header, first, newer]), "line 3: .*later"),
        (b"".join([header, first, running]), "line 3: .* is pending, and no dead letter"),
        (b"".join([header, first, nul]), "line 3: .* cannot be stored: .*NUL"),
    ]
    for content, message in broken:
        (tmp_path / "file").write_bytes(content)
        with pytest.raises(LetterFileRefused, match=message) as refused:
            await other.letters.import_(tmp_path / "file")
        assert message.startswith(f"line {refused.value.line}:")
    assert (await other.backend.reader.export(limit=10)).jobs == ()
    (tmp_path / "file").write_bytes(b"".join([header, first, b"", second, b""]))
    assert (await other.letters.import_(tmp_path / "file")).stored == 2
