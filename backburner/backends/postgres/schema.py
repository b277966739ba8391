"""The schema's steps: which there are, which were applied, and applying the rest."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from backburner.backends.postgres.statements import fill, read, read_all
from backburner.errors import SchemaTooNew, StoreCorrupt
from backburner.ports.backend import Migration, SchemaState

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from backburner.backends.postgres.link import Wire
    from backburner.backends.postgres.session import Session

__all__ = ["PostgresSchema", "functions_checksum"]

#: Bodies name what a later file makes.
_UNCHECKED = "SET check_function_bodies = off;\n\n{functions}\nRESET check_function_bodies;\n"
#: What holds for an upgrade in place of the session's own settings: a step may write every job anew, however long that
#: takes, and waits for its turn, but not long for a table, since everybody else would wait behind it.
_PATIENT = (
    "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0; SET LOCAL lock_timeout = 0"
)
_IMPATIENT = "SET LOCAL lock_timeout = '5s'"


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def functions_checksum() -> str:
    """Return what the newest step has to say of the functions: they are installed with it, and change with it."""
    return _checksum("\n".join(read_all("functions").values()))


class _Step:
    """A step as its file has it, whatever the schema is called."""

    def __init__(self, file: str, text: str) -> None:
        number, _, self.name = file.partition("_")
        self.version = int(number)
        self.text = text
        self.checksum = _checksum(text)

    def migration(self, schema: str, *, newest: bool) -> Migration:
        """Return the step for a schema: complete, so that it may be run by any other tool as well."""
        applied = read("applied.sql")
        for mark, value in (("{version}", str(self.version)), ("{name}", self.name), ("{checksum}", self.checksum)):
            applied = applied.replace(mark, value)
        parts = [self.text, applied]
        if self.version == 1:
            parts.insert(0, read("ledger.sql"))
        if newest:
            parts.append(_UNCHECKED.replace("{functions}", "\n".join(read_all("functions").values())))
        sql = fill("\n".join(parts), schema)
        return Migration(self.version, self.name, sql, _checksum(sql))


class PostgresSchema:
    """A `Schema`. All that is pending is one transaction, of one process at a time."""

    #: Nodes of the version before may be at work on the same tables: a person decides when.
    unattended = False

    def __init__(self, session: Session) -> None:
        self._session = session
        self._files = [_Step(file, text) for file, text in read_all("tables").items()]

    @property
    def steps(self) -> tuple[Migration, ...]:
        """Every step this code knows, in order."""
        schema = self._session.place.schema
        return tuple(step.migration(schema, newest=step is self._files[-1]) for step in self._files)

    def grants(self, role: str) -> str:
        """Return the SQL that lets a role operate the store, but change no schema."""
        quoted = '"' + role.replace('"', '""') + '"'
        return fill(read("grants.sql"), self._session.place.schema).replace("{role}", quoted)

    async def state(self) -> SchemaState:
        """Compare what was applied with what this code knows."""
        return await self._session.reads.run(self._state)

    async def upgrade(self) -> SchemaState:
        """Apply what is pending; returns the state before."""
        before = await self.state()
        return await self._session.runs.run(self._apply, limited=False) if before.pending else before

    async def _state(self, wire: Wire) -> SchemaState:
        session = self._session
        ledger = await wire.fetchval(session.statement("has_ledger"), session.place.schema)
        return self._compare(await wire.fetch(session.statement("versions")) if ledger else [])

    async def _apply(self, wire: Wire) -> SchemaState:
        session = self._session
        # Where anything fails the connection is dropped, and the transaction with it.
        await wire.execute("BEGIN ISOLATION LEVEL READ COMMITTED")
        await wire.execute(_PATIENT)
        await wire.fetchval(session.statement("alone"), session.place.schema)
        state = await self._state(wire)
        await wire.execute(_IMPATIENT)
        for step in state.pending:
            await wire.execute(step.sql)
        await wire.execute("COMMIT")
        return state

    def _compare(self, applied: Sequence[Any]) -> SchemaState:
        known = {step.version: step for step in self._files}
        wanted = self._files[-1].version
        where = self._session.place.address
        for version, name, checksum in applied:
            if version not in known:
                newest = max(version for version, _, _ in applied)
                raise SchemaTooNew(
                    f"{where} has schema version {newest}, this backburner knows {wanted}: upgrade it",
                    stored="no",
                    ahead=newest - wanted,
                )
            if known[version].checksum != checksum:
                raise StoreCorrupt(
                    f"{where}: step {version} ({name}) of its schema is not the one this backburner has: it was made by "
                    "another build; use that build, or move the jobs to a new store",
                    stored="no",
                )
        current = max((version for version, _, _ in applied), default=0)
        pending = tuple(step for step in self.steps if step.version > current)
        return SchemaState(current=current, wanted=wanted, pending=pending)
