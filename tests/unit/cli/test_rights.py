"""Commands for who may read a file, but not write to it or beside it."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.unit.cli.rights import without_rights

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.unit.cli.conftest import Run

_READS = ("jobs list", "jobs show 01jd1", "jobs why 01jd3", "dlq groups", "queues list", "nodes list", "events list")


@pytest.fixture(params=["the file", "its directory", "both"])
def copy(request: pytest.FixtureRequest, shop: str) -> Iterator[str]:
    """Bring a copy of the shop's store of which the file, or its directory, may not be written to."""
    # A temporary directory of the tests' own lies in one that others may not even enter.
    with tempfile.TemporaryDirectory() as name:
        folder, file = Path(name), Path(name) / "shop.db"
        shutil.copy(shop.removeprefix("sqlite:///"), file)
        file.chmod(0o666 if request.param == "its directory" else 0o444)
        folder.chmod(0o777 if request.param == "the file" else 0o555)
        yield f"sqlite:///{file}"
        folder.chmod(0o755)


def test_what_reads(copy: str, run: Run) -> None:
    """What reads needs no right to write; what it says is what the store it was copied from says."""
    for command in _READS:
        with without_rights():
            answer = run(*command.split(), "--url", copy)
        here = run(*command.split())
        assert (answer.code, answer.out, answer.err) == (here.code, here.out, here.err), command


def test_what_changes(copy: str, run: Run) -> None:
    """What changes ends with 4, names what may not be written to, and changes nothing."""
    with without_rights():
        answer = run("jobs", "cancel", "01jd3", "--url", copy)
    assert (answer.code, answer.out) == (4, "")
    assert answer.err.startswith(f"Error: {Path(copy.removeprefix('sqlite:///')).parent}")
    assert "may not be written by this user" in answer.err
    assert run("jobs", "list", "--url", copy).out.split("\t")[2] == "scheduled"
