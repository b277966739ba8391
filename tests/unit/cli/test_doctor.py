"""`backburner doctor`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from backburner.backends import urls
from backburner.backends.sqlite import surroundings
from backburner.backends.sqlite.backend import SqliteBackend
from backburner.errors import SchemaTooNew, StoreError, StoreReadOnly, StoreUnavailable, StoreUnsupported
from backburner.ports.backend import Finding, Level

if TYPE_CHECKING:
    from tests.unit.cli.conftest import Run

_GOOD = Finding(check="durability", level=Level.GOOD, found="All is kept")
_SLOW = Finding(check="latency", level=Level.WARNING, found="It is slow", mend="make it quick")


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> list[Finding]:
    """Have a store found as the list says."""
    findings: list[Finding] = []

    async def examine(self: SqliteBackend) -> tuple[Finding, ...]:
        del self
        return tuple(findings)

    monkeypatch.setattr(SqliteBackend, "examine", examine)
    return findings


@pytest.mark.usefixtures("shop")
def test_a_sound_store(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A store is looked at from all sides."""
    mounts = tmp_path / "mounts"
    mounts.write_text("20 1 8:1 / / rw - ext4 /dev/sda1 rw\n")
    monkeypatch.setattr(surroundings, "MOUNTS", mounts)
    monkeypatch.setattr(surroundings, "ROOM", (0, 0))
    answer = run("doctor")
    lines = [line.split("\t") for line in answer.out.splitlines()]
    # The shop's one node is dead, and nobody else is there.
    assert [line[0] for line in lines if line[1] != "good"] == ["nodes"]
    assert answer.code == 1
    names = ["version", "durability", "schema", "file system", "room", "size", "locks", "writing", "latency", "nodes"]
    assert [line[0] for line in lines] == names
    assert {len(line) for line in lines} == {4}


@pytest.mark.usefixtures("shop")
def test_all_good(found: list[Finding], run: Run) -> None:
    """Where all is good, the exit code is 0."""
    found.append(_GOOD)
    answer = run("doctor")
    assert (answer.code, answer.out, answer.err) == (0, "durability\tgood\tAll is kept\t\n", "")


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize("level", [Level.WARNING, Level.PROBLEM])
def test_a_finding(level: Level, found: list[Finding], run: Run) -> None:
    """A warning or a problem is told with its mend, and the exit code is 1."""
    found += (_GOOD, Finding(check="x", level=level, found="It is\tso", mend="do that"))
    answer = run("doctor")
    assert answer.code == 1
    assert answer.out == f"durability\tgood\tAll is kept\t\nx\t{level}\tIt is\\tso\tdo that\n"


@pytest.mark.usefixtures("shop")
def test_json(found: list[Finding], run: Run) -> None:
    """As JSON a finding is one object a line."""
    found += (_GOOD, _SLOW)
    lines = [json.loads(line) for line in run("doctor", "--json").out.splitlines()]
    assert lines == [
        {"check": "durability", "level": "good", "found": "All is kept", "mend": ""},
        {"check": "latency", "level": "warning", "found": "It is slow", "mend": "make it quick"},
    ]


@pytest.mark.usefixtures("shop")
def test_for_a_person(found: list[Finding], run: Run) -> None:
    """On a terminal nothing is cut off, however narrow it is."""
    found += (_GOOD, _SLOW)
    assert run("doctor", terminal=True, columns=20).out == (
        "durability  good: All is kept\nlatency     warning: It is slow\n            → make it quick\n"
    )


def test_no_store(url: str, run: Run) -> None:
    """Where there is no store, that is the finding, and the exit code is 4."""
    answer = run("doctor")
    path = url.removeprefix("sqlite:///")
    assert answer.code == 4
    assert (
        answer.out
        == f"store\tproblem\tThere is no store at {path}: `backburner db upgrade` makes one; BACKBURNER_URL names it\t\n"
    )
    assert not Path(path).exists()


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize("verb", ["open", "examine"])
def test_unreachable(verb: str, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that cannot be reached, at once or later, is one finding: what its error says; the exit code is 4."""

    async def refused(self: SqliteBackend, **how: bool) -> None:
        del self, how
        raise StoreUnavailable("db:5432 refuses connections: start the server", stored="no")

    monkeypatch.setattr(SqliteBackend, verb, refused)
    answer = run("doctor")
    assert (answer.code, answer.err) == (4, "")
    assert answer.out == "store\tproblem\tdb:5432 refuses connections: start the server\t\n"


def test_a_driver_that_is_not_installed(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store whose driver is missing is one finding too."""

    def missing(*_: object, **__: object) -> None:
        raise StoreUnsupported("the driver is not installed: pip install it", stored="no")

    monkeypatch.setattr(urls, "connect", missing)
    answer = run("doctor")
    assert (answer.code, answer.err) == (4, "")
    assert answer.out == "store\tproblem\tthe driver is not installed: pip install it\t\n"


def test_an_old_schema(url: str, run: Run) -> None:
    """A schema that is behind is a finding with its mend; the exit code is 5, and nothing is changed."""
    path = Path(url.removeprefix("sqlite:///"))
    path.touch()
    answer = run("doctor")
    assert answer.code == 5
    assert "schema\tproblem\tSchema 0, this backburner wants 5\trun `backburner db upgrade`\n" in answer.out
    assert path.stat().st_size == 0


@pytest.mark.usefixtures("shop")
def test_a_new_schema(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A schema of a newer backburner is a finding; the exit code is 5."""

    async def state(_: object) -> None:
        raise SchemaTooNew("The store has schema 9, this backburner knows 2: upgrade it", stored="no")

    monkeypatch.setattr("backburner.backends.sqlite.schema.SqliteSchema.state", state)
    answer = run("doctor")
    assert answer.code == 5
    assert "schema\tproblem\tThe store has schema 9" in answer.out


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize(
    ("error", "level"),
    [(StoreReadOnly("It may not be written", stored="no"), "warning"), (StoreUnavailable("It hangs"), "problem")],
)
def test_one_that_cannot_be_written(
    error: StoreError, level: str, found: list[Finding], run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that this user can only read is looked over as far as that goes, and so told."""
    open_ = SqliteBackend.open

    async def reading(self: SqliteBackend, *, create: bool, write: bool = True) -> None:
        if write:
            raise error
        await open_(self, create=create, write=write)

    monkeypatch.setattr(SqliteBackend, "open", reading)
    found.append(_GOOD)
    answer = run("doctor")
    assert answer.code == 1
    assert answer.out == f"durability\tgood\tAll is kept\t\nwriting\t{level}\t{error}\t\n"


def test_what_is_no_store_is_not_written(url: str, run: Run) -> None:
    """A file that is no store of backburner's is opened for reading only."""
    path = Path(url.removeprefix("sqlite:///"))
    path.write_bytes(b"not a database, " * 100)
    before = path.read_bytes()
    answer = run("doctor")
    assert (answer.code, answer.out.startswith("store\tproblem\t")) == (4, True)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_memory(run: Run) -> None:
    """A memory store cannot be looked over from outside."""
    answer = run("doctor", "--url", "memory://")
    assert (answer.code, answer.out) == (2, "")


def test_a_bad_url(run: Run) -> None:
    """A URL that cannot be understood is wrong usage."""
    assert run("doctor", "--url", "mysql://x").code == 2


@pytest.mark.usefixtures("shop")
def test_the_store_is_closed(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is found, the store is closed in the end."""
    closed: list[str] = []
    close = SqliteBackend.close

    async def closing(self: SqliteBackend) -> None:
        closed.append(self.address)
        await close(self)

    monkeypatch.setattr(SqliteBackend, "close", closing)
    run("doctor")
    # Once to open it anew for writing.
    assert len(closed) == 2
