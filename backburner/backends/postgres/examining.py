"""A store in PostgreSQL, looked over."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING, Any

import msgspec

from backburner.backends.postgres.link import connect
from backburner.errors import StoreError
from backburner.model.clock import SECOND
from backburner.ports.backend import Finding, Level

if TYPE_CHECKING:
    from backburner.backends.postgres.link import Wire
    from backburner.backends.postgres.session import Session
    from backburner.ports.backend import Schema

__all__ = ["Server", "examine", "judge"]

#: Round trips of which the quickest is told.
_ROUNDS = 5
#: Seconds a round trip may take without a word about it.
_SLOW = 0.02
#: Seconds by which a node's clock may be off without a word about it.
_OFF = 2.0
#: Levels of synchronous_commit under which a commit that was answered survives a crash of the server.
_DURABLE = frozenset({"on", "local", "remote_write", "remote_apply"})
#: Milliseconds below which a timeout of the server's is shorter than work may take.
_SHORT = 2000


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """What the server tells of itself, and of what this role may do."""

    version: str
    replica: bool
    #: The server process that answered.
    pid: int
    role: str
    now: int
    synchronous_commit: str
    fsync: bool
    full_page_writes: bool
    autovacuum: bool
    #: Connections there may be, and are, of everybody.
    allowed: int
    used: int
    #: In milliseconds; 0 is none.
    timeouts: dict[str, int]
    denied: tuple[str, ...]


_decode_server = msgspec.json.Decoder(Server).decode


async def examine(session: Session, schema: Schema) -> tuple[Finding, ...]:
    """Return what was found, first what matters to every store; raises where the store does not even answer."""

    async def ask(wire: Wire) -> tuple[Any, int, int]:
        answer = await wire.fetchval(session.statement("examine"), session.place.schema)
        return answer, session.clock.now(), wire.get_server_pid()

    answer, now, pid = await session.reads.run(ask)
    server = _decode_server(answer)
    more = await _schema(schema), await _latency(session), await _hints(session, server)
    pooled = server.pid != pid
    # A hint comes back to a session that is kept, and to no other.
    kept = _listens(session, server) and more[-1].level is Level.GOOD
    return *judge(server, session, pooled=pooled, kept=kept, ahead=now - server.now), *more


def judge(server: Server, session: Session, *, pooled: bool, kept: bool, ahead: int) -> tuple[Finding, ...]:
    """Return what follows from what the server tells.

    Args:
        server: What it tells.
        session: Who asked.
        pooled: Whether somebody else than the server answered.
        kept: Whether a session was seen to be kept.
        ahead: By how much the clock here is ahead of the server's, in microseconds.
    """
    findings = [
        _good("version", f"PostgreSQL {server.version}"),
        _durability(server),
        _role(server),
        _privileges(server),
        _clock(ahead),
        _connections(server, session.place.pool_size),
        _vacuum(server),
    ]
    # Behind a pooler a session's own settings are refused, or may be lost.
    findings += [_timeouts(server)] if pooled or not session.place.listen else []
    findings += [_pooler(listen=session.place.listen, kept=kept)] if pooled else []
    return tuple(findings)


def _durability(server: Server) -> Finding:
    off = [name for name, on in (("fsync", server.fsync), ("full_page_writes", server.full_page_writes)) if not on]
    if off:
        return Finding(
            check="durability",
            level=Level.WARNING,
            found=f"{' and '.join(off)} off: a crash of the machine may damage the whole database",
            mend=f"set {', '.join(f'{name} = on' for name in off)} in postgresql.conf",
        )
    found = f"synchronous_commit is {server.synchronous_commit}"
    if server.synchronous_commit in _DURABLE:
        return _good("durability", f"{found}: what was stored survives a crash of the server")
    return Finding(
        check="durability",
        level=Level.WARNING,
        found=f"{found}: a crash of the server loses the jobs of its last moments",
        mend=f"ALTER ROLE {server.role} SET synchronous_commit = on",
    )


def _role(server: Server) -> Finding:
    if server.replica:
        return Finding(
            check="role",
            level=Level.WARNING,
            found="The server is a replica: it lags behind, and takes no writes",
            mend="name the primary in the URL",
        )
    return _good("role", "The server is a primary")


def _privileges(server: Server) -> Finding:
    if not server.denied:
        return _good("privileges", f"Role {server.role} may do what the engine does")
    reads = all("SELECT" not in each and "USAGE" not in each for each in server.denied)
    return Finding(
        check="privileges",
        level=Level.WARNING if reads else Level.PROBLEM,
        found=f"Role {server.role} lacks {', '.join(server.denied)}",
        mend=f"run as the owner what `backburner db sql --grants {server.role}` prints",
    )


def _clock(ahead: int) -> Finding:
    off = ahead / SECOND
    found = f"The clock here is {abs(off):.1f} s {'ahead of' if off > 0 else 'behind'} the server's, which is gone by"
    if abs(off) <= _OFF:
        return _good("clock", found)
    return Finding(check="clock", level=Level.WARNING, found=found, mend="let both follow a time server")


def _connections(server: Server, ours: int) -> Finding:
    found = f"{server.used} of {server.allowed} connections are in use, and each process takes up to {ours}"
    if server.used + ours <= server.allowed:
        return _good("connections", found)
    return Finding(
        check="connections",
        level=Level.WARNING,
        found=found,
        mend="raise max_connections, lower pool_size= in the URL, or put a pooler such as PgBouncer between",
    )


def _vacuum(server: Server) -> Finding:
    if server.autovacuum:
        return _good("vacuum", "Autovacuum is on")
    return Finding(
        check="vacuum",
        level=Level.PROBLEM,
        found="Autovacuum is off: every claim walks over more and more dead rows",
        mend="set autovacuum = on and track_counts = on in postgresql.conf",
    )


def _timeouts(server: Server) -> Finding:
    """Look at what a session cannot set for itself behind a pooler."""
    names = [
        name
        for name, least in (
            ("statement_timeout", _SHORT),
            ("transaction_timeout", _SHORT),
            ("idle_session_timeout", None),
        )
        if (limit := server.timeouts.get(name, 0)) and (least is None or limit < least)
    ]
    if not names:
        return _good("timeouts", "No timeout of the server's is in the way")
    told = ", ".join(f"{name} is {server.timeouts[name]} ms" for name in names)
    return Finding(
        check="timeouts",
        level=Level.WARNING,
        found=f"{told}: the server ends work, or idle connections, that nothing is wrong with",
        mend=", ".join(f"ALTER ROLE {server.role} SET {name} = 0" for name in names),
    )


def _pooler(*, listen: bool, kept: bool) -> Finding:
    if not listen:
        return _good("pooler", "A pooler stands between, and nothing is kept in a session")
    if kept:
        return _good("pooler", "A pooler stands between, and keeps whole sessions")
    return Finding(
        check="pooler",
        level=Level.WARNING,
        found="A pooler stands between: unless it pools whole sessions, hints and prepared statements are lost in it",
        mend="write listen=off in the URL, or name the server itself",
    )


async def _schema(schema: Schema) -> Finding:
    try:
        state = await schema.state()
    except StoreError as error:
        return Finding(check="schema", level=Level.PROBLEM, found=str(error), mend="see to what is named")
    if state.pending:
        found = f"The schema is {state.current}, this backburner wants {state.wanted}"
        return Finding(check="schema", level=Level.PROBLEM, found=found, mend="run `backburner db upgrade`")
    return _good("schema", f"The schema is {state.current}, as this backburner wants it")


async def _latency(session: Session) -> Finding:
    clock = session.clock
    took: list[float] = []
    for _ in range(_ROUNDS):
        began = clock.monotonic()
        await session.reads.value("SELECT 1")
        took.append(clock.monotonic() - began)
    found = f"A round trip takes {min(took) * 1000:.2f} ms"
    if min(took) <= _SLOW:
        return _good("latency", found)
    return Finding(check="latency", level=Level.WARNING, found=found, mend="run the engine near its store")


def _listens(session: Session, server: Server) -> bool:
    return session.hears and not server.replica


async def _hints(session: Session, server: Server) -> Finding:
    """Send a word round, on a channel of its own: hints would wake every node."""
    if not _listens(session, server):
        return _good("hints", "There is no LISTEN here: nodes look for work each second")
    channel = f"{session.place.schema}_{secrets.token_hex(8)}"
    came = asyncio.Event()

    def heard(_wire: Wire, _pid: int, _channel: str, _payload: str) -> None:
        came.set()

    began = session.clock.monotonic()
    try:
        async with asyncio.timeout(session.timeout):
            wire = await connect(session.place, timeout=session.timeout)
            try:
                await wire.add_listener(channel, heard)
                await session.reads.value(session.statement("notify"), channel, "hint")
                await came.wait()
            finally:
                wire.terminate()
    except Exception as error:  # noqa: BLE001 - however it fails, that is what was found
        return Finding(
            check="hints",
            level=Level.PROBLEM,
            found=f"No hint came back ({type(error).__name__}: {error})".rstrip(": "),
            mend="write listen=off in the URL where a pooler stands between",
        )
    took = (session.clock.monotonic() - began) * 1000
    return _good("hints", f"A hint went to the server and back in {took:.1f} ms")


def _good(check: str, found: str) -> Finding:
    return Finding(check=check, level=Level.GOOD, found=found)
