"""The example without a framework, run as a program: what it counts, how it stops, and what a kill costs it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.acceptance.commands import told
from tests.acceptance.programs import EXAMPLES, Program

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = f"python -W error {EXAMPLES}/plain_asyncio.py"
FILES = "one.txt two.txt late.txt"


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    """Bring a directory with two texts, and one that can be read no sooner than it is written."""
    (tmp_path / "one.txt").write_text("once upon a time")
    (tmp_path / "two.txt").write_text("there was")
    os.mkfifo(tmp_path / "late.txt")
    return tmp_path


async def test_told_to_stop_it_ends_what_runs(texts: Path) -> None:
    """At SIGTERM a file that is being read is read to its end, all is written down, and the exit code is 0."""
    with Program(f"{PROGRAM} {FILES}", texts) as service:
        service.hear("counting 3 files")
        service.hear("2 of 3")
        service.process.terminate()
        (texts / "late.txt").write_text("a king")
        code, said = service.end()
    assert (code, said.splitlines()[-1]) == (0, "stopped")
    jobs = await told(f"sqlite:///{texts}/words.db", "jobs", "list")
    assert sorted((job["kind"], job["state"]) for job in jobs) == [
        ("census", "completed"),
        *[("count", "completed")] * 3,
    ]


async def test_killed_it_goes_on_with_what_was_left(texts: Path) -> None:
    """After a kill -9 the same call finds its job, which finds the children that had ended."""
    with Program(f"{PROGRAM} {FILES}", texts) as service:
        service.hear("2 of 3")
        service.process.kill()
    (texts / "late.txt").unlink()
    (texts / "late.txt").write_text("a king")
    with Program(f"{PROGRAM} --once {FILES}", texts) as service:
        service.hear("counting again 3 files")
        service.hear("8 words")
        assert service.end()[0] == 0
    jobs = await told(f"sqlite:///{texts}/words.db", "jobs", "list", "--kind", "count")
    assert sorted(job["attempt"] for job in jobs) == [1, 1, 2]


async def test_a_file_that_is_no_text_ends_the_census(texts: Path) -> None:
    """What can never be read is not tried again; the census that needs it says why it is none."""
    (texts / "two.txt").write_bytes(b"\xff\xfe")
    with Program(f"{PROGRAM} --once two.txt", texts) as service:
        service.hear("no census: ")
        assert service.end()[0] == 0
    (letter,) = await told(f"sqlite:///{texts}/words.db", "jobs", "list", "--kind", "count")
    assert (letter["state"], letter["failures"]) == ("dead", 1)
