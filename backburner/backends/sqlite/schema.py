"""The schema's steps: which there are, which were applied, and applying the rest."""

from __future__ import annotations

import hashlib
import sqlite3
from functools import partial
from importlib.resources import files
from typing import TYPE_CHECKING

from backburner.backends.sqlite.statements import load
from backburner.errors import SchemaTooNew, StoreCorrupt
from backburner.ports.backend import Migration, SchemaState

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from backburner.backends.sqlite.session import Session

__all__ = ["SqliteSchema"]

_HAS_LEDGER = load("has_ledger")
_VERSIONS = load("versions")
_APPLIED = load("applied")


def _read_steps() -> tuple[Migration, ...]:
    steps: list[Migration] = []
    for file in files("backburner.backends.sqlite.migrations").iterdir():
        number, _, name = file.name.removesuffix(".sql").partition("_")
        if file.name.endswith(".sql"):
            sql = file.read_text("utf-8")
            steps.append(Migration(int(number), name, sql, hashlib.sha256(sql.encode()).hexdigest()))
    return tuple(sorted(steps, key=lambda step: step.version))


_STEPS = _read_steps()


class SqliteSchema:
    """A `Schema`. Each step is one transaction that first looks whether another process has applied it."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    @property
    def steps(self) -> tuple[Migration, ...]:
        """Every step this code knows, in order."""
        return _STEPS

    @property
    def unattended(self) -> bool:
        """A file has one machine's processes: the first that starts under new code may bring it up to date."""
        return True

    def grants(self, role: str) -> str | None:
        """Answer that a file knows no roles: who may use it is the file system's to say."""
        del role
        return None

    async def state(self) -> SchemaState:
        """Compare what was applied with what this code knows."""
        reads = self._session.reads
        rows = await reads.all(_VERSIONS) if await reads.one(_HAS_LEDGER) else []
        return self._compare(rows)

    async def upgrade(self) -> SchemaState:
        """Apply what is pending; returns the state before."""
        before = await self.state()
        for step in before.pending:
            # A step may write every job there is anew, however long that takes.
            await self._session.write(partial(self._apply, step), limited=False)
        return before

    def _apply(self, step: Migration, connection: sqlite3.Connection) -> None:
        (ledger,) = connection.execute(_HAS_LEDGER).fetchone()
        state = self._compare(connection.execute(_VERSIONS).fetchall() if ledger else [])
        if step.version <= state.current:
            return
        for statement in _statements(step.sql):
            connection.execute(statement)
        applied = {
            "version": step.version,
            "name": step.name,
            "checksum": step.checksum,
            "now": self._session.clock.now(),
        }
        connection.execute(_APPLIED, applied)

    def _compare(self, applied: Sequence[tuple[int, str, str]]) -> SchemaState:
        known = {step.version: step for step in _STEPS}
        path = self._session.place.path
        for version, name, checksum in applied:
            if version not in known:
                newest, known_to = max(version for version, _, _ in applied), _STEPS[-1].version
                raise SchemaTooNew(
                    f"{path} has schema version {newest}, this backburner knows {known_to}: upgrade it",
                    stored="no",
                    ahead=newest - known_to,
                )
            if known[version].checksum != checksum:
                raise StoreCorrupt(
                    f"{path}: step {version} ({name}) of its schema is not the one this backburner has: it was made by "
                    "another build; use that build, or move the jobs to a new store",
                    stored="no",
                )
        current = max((version for version, _, _ in applied), default=0)
        pending = tuple(step for step in _STEPS if step.version > current)
        return SchemaState(current=current, wanted=_STEPS[-1].version, pending=pending)


def _statements(sql: str) -> Iterator[str]:
    """Split a script: run as a whole, SQLite's driver would commit before it."""
    statement = ""
    for line in sql.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
