"""What a look at a server finds, and how it is mended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from backburner.backends.postgres.backend import PostgresBackend
from backburner.backends.postgres.examining import Server, judge
from backburner.backends.postgres.place import PostgresPlace
from backburner.backends.postgres.session import Session
from backburner.model.clock import SECOND, SystemClock
from backburner.ports.backend import Finding, Level

if TYPE_CHECKING:
    from backburner.testing import FakeClock

#: A server as it should be.
SOUND: dict[str, Any] = {
    "version": "18.1",
    "replica": False,
    "pid": 7,
    "role": "app",
    "now": 0,
    "synchronous_commit": "on",
    "fsync": True,
    "full_page_writes": True,
    "autovacuum": True,
    "allowed": 97,
    "used": 10,
    "timeouts": {"statement_timeout": 0, "idle_session_timeout": 0},
    "denied": (),
}


def found(
    *, listen: bool = True, pooled: bool = False, kept: bool = False, ahead: int = 0, **other: object
) -> dict[str, Finding]:
    """Return the findings by what was looked at."""
    place = PostgresPlace(dsn="postgresql://", address="there", listen=listen)
    session = Session(place, SystemClock(), 5)
    findings = judge(Server(**SOUND | other), session, pooled=pooled, kept=kept, ahead=ahead)
    for finding in findings:
        assert bool(finding.mend) is (finding.level is not Level.GOOD)
    return {finding.check: finding for finding in findings}


@pytest.mark.parametrize("listen", [True, False])
def test_a_sound_server(listen: bool) -> None:  # noqa: FBT001 - an example
    """Nothing is wrong with a server as it should be."""
    assert {finding.level for finding in found(listen=listen).values()} == {Level.GOOD}


@pytest.mark.parametrize(
    ("check", "level", "words", "other"),
    [
        ("durability", Level.WARNING, "loses the jobs of its last moments", {"synchronous_commit": "off"}),
        ("durability", Level.WARNING, "damage the whole database", {"fsync": False}),
        ("durability", Level.WARNING, "fsync and full_page_writes", {"fsync": False, "full_page_writes": False}),
        ("role", Level.WARNING, "replica", {"replica": True}),
        ("privileges", Level.WARNING, "lacks INSERT on jobs", {"denied": ("INSERT on jobs",)}),
        ("privileges", Level.PROBLEM, "lacks SELECT on jobs", {"denied": ("SELECT on jobs",)}),
        ("privileges", Level.PROBLEM, "lacks USAGE", {"denied": ("USAGE on the schema",)}),
        ("clock", Level.WARNING, "600.0 s ahead of", {"ahead": 600 * SECOND}),
        ("clock", Level.WARNING, "600.0 s behind", {"ahead": -600 * SECOND}),
        ("clock", Level.GOOD, "1.0 s ahead of", {"ahead": SECOND}),
        ("connections", Level.WARNING, "95 of 97", {"used": 95}),
        ("vacuum", Level.PROBLEM, "dead rows", {"autovacuum": False}),
        ("pooler", Level.WARNING, "hints and prepared statements", {"pooled": True}),
        ("pooler", Level.GOOD, "nothing is kept", {"pooled": True, "listen": False}),
        ("pooler", Level.GOOD, "keeps whole sessions", {"pooled": True, "kept": True}),
        ("timeouts", Level.WARNING, "500 ms", {"pooled": True, "timeouts": {"statement_timeout": 500}}),
        ("timeouts", Level.WARNING, "500 ms", {"listen": False, "timeouts": {"statement_timeout": 500}}),
        ("timeouts", Level.GOOD, "No timeout", {"listen": False, "timeouts": {"statement_timeout": 60_000}}),
        ("timeouts", Level.WARNING, "idle", {"listen": False, "timeouts": {"idle_session_timeout": 60_000}}),
    ],
)
def test_what_is_told(check: str, level: Level, words: str, other: dict[str, Any]) -> None:
    """What is less than it should be is told, as badly as it is."""
    finding = found(**other)[check]
    assert finding.level is level
    assert words in finding.found


async def test_a_store_of_the_tests(backend: PostgresBackend) -> None:
    """Everything is looked at in a store: the server, the schema, a round trip and a hint's way."""
    findings = {finding.check: finding for finding in await backend.examine()}
    assert [*findings] == [
        *("version", "durability", "role", "privileges", "clock", "connections", "vacuum", "schema", "latency", "hints")
    ]
    assert "A hint went to the server and back" in findings["hints"].found


async def test_hints_that_do_not_come_back(backend: PostgresBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hint that gets lost, as in a pooler, is found out by waiting for it."""
    monkeypatch.setattr(backend._session, "timeout", 0.05)
    lost = backend._session.statement("has_ledger") + " OR $2 <> ''"
    monkeypatch.setattr(Session, "statement", lambda self, name: _statement(self, name, lost))
    (finding,) = [finding for finding in await backend.examine() if finding.check == "hints"]
    assert finding.level is Level.PROBLEM
    assert "TimeoutError" in finding.found


async def test_a_store_without_its_schema(place: PostgresPlace, clock: FakeClock) -> None:
    """A schema that is not there yet is a problem, and mended by an upgrade."""
    backend = PostgresBackend(place, clock=clock)
    await backend.open(create=True)
    (finding,) = [finding for finding in await backend.examine() if finding.level is Level.PROBLEM]
    assert (finding.check, finding.mend) == ("schema", "run `backburner db upgrade`")
    await backend.close()


_real = Session.statement


def _statement(session: Session, name: str, lost: str) -> str:
    return lost if name == "notify" else _real(session, name)
