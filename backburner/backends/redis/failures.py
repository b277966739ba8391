"""What the errors of Redis and its driver mean, in the words of the error tree."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from redis import exceptions

from backburner.errors import (
    LeaseLost,
    StoreCorrupt,
    StoreDenied,
    StoreError,
    StoreFull,
    StoreReadOnly,
    StoreUnavailable,
    StoreUnsupported,
)

if TYPE_CHECKING:
    from backburner.errors import Stored

__all__ = ["CONNECTION", "code_of", "translate"]

#: What says that a connection, or its server, is of no use any more.
CONNECTION = (exceptions.ConnectionError, exceptions.TimeoutError, OSError, TimeoutError)

#: By the first word of an error: what it is, and how to mend it. Each comes before anything was written.
_ADVICE: dict[str, tuple[type[StoreError], str]] = {
    "OOM": (StoreFull, "it is at its maxmemory: raise that, or keep ended jobs for a shorter time"),
    "MISCONF": (StoreFull, "it takes no writes while it cannot save: make room on its disk and see to its log"),
    "READONLY": (StoreReadOnly, "it is a replica: name the primary in the URL, or let redis+sentinel:// find it"),
    "NOREPLICAS": (StoreUnavailable, "it has fewer replicas than min-replicas-to-write asks for: see to them"),
    "LOADING": (StoreUnavailable, "it is loading its data: wait until it has"),
    "BUSY": (StoreUnavailable, "it is busy with somebody's script: wait, or end that with SCRIPT KILL"),
    "MASTERDOWN": (StoreUnavailable, "it is a replica that has lost its primary: see to that one"),
    "CLUSTERDOWN": (StoreUnavailable, "the cluster is not whole: see to its nodes"),
    "TRYAGAIN": (StoreUnavailable, "the slot of the namespace is being moved: wait until it has been"),
    "ASK": (StoreUnavailable, "the slot of the namespace is being moved: wait until it has been"),
    "MOVED": (StoreUnavailable, "it is a node of a cluster: write redis+cluster:// in the URL"),
    "CROSSSLOT": (StoreUnsupported, "it is a node of a cluster: write redis+cluster:// in the URL"),
    "DENIED": (StoreDenied, "it is in protected mode: give it a password, and bind it to a network you trust"),
    "NOAUTH": (StoreDenied, "it asks for a password: write redis://:PASSWORD@HOST in the URL"),
    "WRONGPASS": (StoreDenied, "user name or password are wrong: correct them in the URL"),
    "NOPERM": (
        StoreDenied,
        # The last two are dangerous to Redis 6.2 alone.
        (
            "grant its user what is missing: ACL SETUSER NAME ~{NAMESPACE}:* &{NAMESPACE}:* +@all -@dangerous +info "
            "+role +client|setname +cluster|slots"
        ),
    ),
    "WRONGTYPE": (StoreCorrupt, "something else uses its keys: choose another ?namespace="),
}
#: The driver's own classes for errors whose first word it has taken away.
_CODES: tuple[tuple[type[Exception], str], ...] = (
    (exceptions.OutOfMemoryError, "OOM"),
    (exceptions.ReadOnlyError, "READONLY"),
    (exceptions.BusyLoadingError, "LOADING"),
    (exceptions.MasterDownError, "MASTERDOWN"),
    (exceptions.ClusterDownError, "CLUSTERDOWN"),
    (exceptions.TryAgainError, "TRYAGAIN"),
    (exceptions.MovedError, "MOVED"),
    (exceptions.AskError, "ASK"),
    (exceptions.ClusterCrossSlotError, "CROSSSLOT"),
    (exceptions.NoPermissionError, "NOPERM"),
    (exceptions.NoScriptError, "NOSCRIPT"),
)
#: How scripts tell of a right that their user lacks.
_DENIED = ("ACL failure in script", "The user executing the script can't")
_UNKNOWN_COMMAND = ("unknown command", "Unknown Redis command")


def code_of(error: BaseException) -> str:
    """Return the word by which Redis names an error; empty for one that is not Redis's."""
    for kind, code in _CODES:
        if isinstance(error, kind):
            return code
    text = str(error)
    if isinstance(error, (exceptions.AuthenticationError, exceptions.AuthenticationWrongNumberOfArgsError)):
        # The driver takes both words away, and the servers' own differ.
        return "NOAUTH" if "required" in text else "WRONGPASS"
    return _word(text) if isinstance(error, exceptions.ResponseError) else ""


def _word(text: str) -> str:
    if any(words in text for words in _DENIED):
        return "NOPERM"
    first = text.split(" ", 1)[0]
    if first in _ADVICE or first == "LEASELOST":
        return first
    # Redis 6.2 wraps what a script ran into, with a dash if it comes from the server itself:
    # "Error running script (…): @user_script: 7: -OOM command …", "Error running script (…): @user_script:9: WRONGTYPE …".
    return next((code for code in _ADVICE if f": -{code} " in text or f": {code} " in text), "ERR")


def translate(error: Exception, where: str, *, timeout: float, stored: Stored) -> Exception:
    """Return the `StoreError` that tells of an error of Redis or of the way to it; any other is returned as it is."""
    told = _told(error, where, timeout=timeout, stored=stored)
    if told is None:
        return error
    told.__cause__ = error
    return told


def _told(error: Exception, where: str, *, timeout: float, stored: Stored) -> StoreError | None:
    code = code_of(error)
    if code == "LEASELOST":
        node = str(error).partition(" ")[2]
        return LeaseLost(f"The lease of node {node} is not live: publish the node under a new id", stored="no")
    if code in _ADVICE:
        kind, advice = _ADVICE[code]
        return kind(f"{where}: {_first_line(error)}; {advice}", stored="no")
    if isinstance(error, exceptions.ResponseError):
        return _refused(error, where, stored)
    if isinstance(error, CONNECTION):
        return _unreachable(error, where, timeout=timeout, stored=stored)
    if isinstance(error, exceptions.RedisError):
        return StoreUnavailable(f"{where}: {_first_line(error)}; see to the server", stored=stored)
    return None


def _refused(error: exceptions.ResponseError, where: str, stored: Stored) -> StoreError:
    text = _first_line(error)
    if any(words in text for words in _UNKNOWN_COMMAND):
        return StoreUnsupported(
            f"{where}: {text}; it takes Redis 6.2 or newer, or Valkey, with all of its commands", stored="no"
        )
    if "DB index is out of range" in text or "invalid DB index" in text:
        return StoreUnavailable(
            f"{where} has no database of this number: name one it has, as in redis://HOST/0, or leave it away",
            stored="no",
        )
    return StoreUnavailable(f"{where}: {text}; see to the server and its log", stored=stored)


def _unreachable(error: Exception, where: str, *, timeout: float, stored: Stored) -> StoreUnavailable:
    cause = _tls_cause(error)
    if cause is not None:
        return StoreUnavailable(
            f"{where} refused TLS ({cause}): see to its certificate and to ssl_ca_certs, or write redis:// if it speaks none",
            stored="no",
        )
    if isinstance(error, (TimeoutError, exceptions.TimeoutError)):
        if stored == "no" and where.startswith("rediss"):
            # To a server that speaks no TLS its greeting is the beginning of a command, whose end it waits for.
            return StoreUnavailable(
                f"{where} did not answer within {timeout:.1f} s: see to the way to it, or write redis:// if it speaks no TLS",
                stored="no",
            )
        return StoreUnavailable(
            f"{where} did not answer within {timeout:.1f} s: see to the server and the way to it", stored=stored
        )
    return StoreUnavailable(f"{where}: {_first_line(error)}; see to the server and the way to it", stored=stored)


def _tls_cause(error: BaseException | None) -> str | None:
    while error is not None:
        if isinstance(error, ssl.SSLError):
            return error.reason or str(error)
        error = error.__cause__ or error.__context__
    return None


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
