"""What the errors of PostgreSQL and of its drivers mean, in the words of the error tree."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Final

from backburner.errors import (
    SchemaTooOld,
    StoreBusy,
    StoreCorrupt,
    StoreDenied,
    StoreError,
    StoreFull,
    StoreMissing,
    StoreReadOnly,
    StoreRefused,
    StoreUnavailable,
    StoreUnsupported,
)

if TYPE_CHECKING:
    from backburner.errors import Stored

__all__ = ["CONFLICTS", "FAILED_TRANSACTION", "NO_SUCH_THING", "READ_ONLY", "is_locked", "sqlstate", "translate"]

#: Two transactions were in each other's way and one was ended: it may pass at once.
CONFLICTS: Final = frozenset({"40001", "40P01"})
#: An earlier statement of the transaction failed, and nobody has rolled it back.
FAILED_TRANSACTION: Final = "25P02"
#: Schema, table, column, function: what an older schema lacks.
NO_SUCH_THING: Final = frozenset({"3F000", "42P01", "42703", "42883"})

#: A write in a transaction, or on a server, that takes none.
READ_ONLY: Final = "25006"

#: A lock was not to be had in time.
_LOCKED = "55P03"
#: After these nobody knows whether the statement's transaction was committed; after every other it was not.
_UNKNOWN = frozenset({"08", "57P01", "57P02", "57P04", "57P05"})
_DRIVERS = frozenset({"asyncpg", "psycopg", "sqlalchemy"})

_LOGIN = "check user and password in the URL, and what the server's pg_hba.conf asks for (sslmode=require, perhaps)"
_GRANTS = (
    "its owner grants what is missing, which `backburner db sql --grants ROLE` prints; only the owner runs "
    "`backburner db upgrade`"
)
_AGAIN = "nothing needs to be done if it is being restarted"
_DISK = "see to the server's disk, and to its log"
#: What an error is, and what to do about it, by its SQLSTATE, else by its class (the first two characters).
_ADVICE: dict[str, tuple[type[StoreError], str]] = {
    "28": (StoreDenied, _LOGIN),
    "42501": (StoreDenied, _GRANTS),
    "3D000": (StoreMissing, "make the database with `createdb`, or name another in the URL"),
    "57P04": (StoreMissing, "make the database with `createdb`, or name another in the URL"),
    **dict.fromkeys(NO_SUCH_THING, (SchemaTooOld, "run `backburner db upgrade`")),
    READ_ONLY: (StoreReadOnly, "this is a replica, or the database is set to read-only: name the primary in the URL"),
    "53100": (StoreFull, "make room on the server's disk"),
    "53300": (
        StoreUnavailable,
        "raise max_connections there, lower pool_size= in the URL, or put a pooler such as PgBouncer between",
    ),
    "53": (StoreUnavailable, _DISK),
    _LOCKED: (StoreBusy, "another transaction holds a lock on these rows or tables: keep transactions on them short"),
    "40": (StoreBusy, "others write the same rows: it passes by itself"),
    "57014": (StoreUnavailable, "the server is overloaded, or a lock is held: raise write_timeout, or see to it"),
    "57": (StoreUnavailable, _AGAIN),
    # So PgBouncer refuses the settings of a session.
    "08P01": (
        StoreUnsupported,
        "behind a pooler write listen=off in the URL, or name the server itself; or let one of whole sessions ignore this",
    ),
    # A statement was prepared on another connection, or by somebody else on this one: so poolers of transactions mix them.
    **dict.fromkeys(("26000", "42P05"), (StoreUnsupported, "behind a pooler write listen=off in the URL")),
    "08": (StoreUnavailable, _AGAIN),
    "25": (StoreUnavailable, "the server ended a transaction or session that stood idle: see its timeouts"),
    "58": (StoreUnavailable, _DISK),
    "XX": (StoreCorrupt, "see the server's log, and restore it from a backup if it is damaged"),
    "0A": (StoreUnsupported, "use PostgreSQL 14 or later, and a pooler that passes prepared statements or listen=off"),
}
#: Data, integrity, limits: the values of a write were refused, rather than the write.
_CONTENT = frozenset({"22", "23", "54"})


def is_locked(error: BaseException) -> bool:
    """Tell whether an error, or the one it was raised from, is that a lock was waited for in vain."""
    return _LOCKED in {sqlstate(error), sqlstate(error.__cause__) if error.__cause__ is not None else ""}


def sqlstate(error: BaseException) -> str:
    """Return the SQLSTATE of a driver's error, or of the one it wraps; empty for any other error."""
    found = getattr(error, "sqlstate", None) or getattr(getattr(error, "orig", None), "sqlstate", None)
    return found if isinstance(found, str) else ""


def translate(error: Exception, where: str, *, stored: Stored) -> Exception:
    """Return the `StoreError` that tells of an error of a driver or of the network; any other is returned as it is.

    ``stored`` is what is known without looking at the error: most errors of the server prove that nothing was.
    """
    if isinstance(error, StoreError):
        return error
    state = sqlstate(error)
    if state:
        told = _of_server(error, state, where, stored)
    elif isinstance(error, OSError):
        told = StoreUnavailable(f"{where}: {_of_network(error)}", stored=stored)
    elif type(error).__module__.partition(".")[0] in _DRIVERS:
        told = StoreUnavailable(f"{where}: {_words(error)}; see to the server, and to its log", stored=stored)
    else:
        return error
    told.__cause__ = error
    return told


def _of_server(error: Exception, state: str, where: str, stored: Stored) -> StoreError:
    if stored == "unknown" and not {state, state[:2]} & _UNKNOWN:
        stored = "no"
    if state[:2] in _CONTENT:
        # The server's words may repeat the values.
        return StoreRefused(f"{where} refused a value (SQLSTATE {state}): its log says which", stored=stored)
    kind, advice = _ADVICE.get(state) or _ADVICE.get(state[:2]) or (StoreUnavailable, "see the server's log")
    return kind(f"{where}: {_words(error)} (SQLSTATE {state}); {advice}", stored=stored)


def _of_network(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate does not prove who it is ({error.verify_message}): check host name and sslrootcert="
    if isinstance(error, ssl.SSLError) or "SSL" in str(error):
        return f"no TLS ({_words(error)}): turn ssl on at the server, or choose another sslmode= in the URL"
    return f"{_words(error) or type(error).__name__}; check host and port in the URL, and that the server runs"


def _words(error: Exception) -> str:
    """Return the first line of an error's words, without the statement that SQLAlchemy adds."""
    lines = str(getattr(error, "orig", None) or error).strip().splitlines()
    return lines[0].rstrip(".") if lines else ""
