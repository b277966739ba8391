"""Which commands are looked at, and how."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.unit.cli.golden.incident import job_id

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["CHANGING", "READING", "Shot"]


@dataclass(frozen=True, slots=True)
class Shot:
    """One look at a command."""

    arguments: Sequence[str]
    #: Columns of the terminal; none: a pipe.
    columns: int = 0
    #: Colours are told of.
    colour: bool = False
    #: On a store of its own that is this far along: these commands came before.
    after: Sequence[str] = field(default=())


def _looks(*arguments: str, narrow: bool = True, colour: bool = False) -> tuple[Shot, ...]:
    """Look at a command on a terminal of 100 columns and of 80, in a pipe, and as JSON."""
    return (
        Shot(arguments, 100),
        *((Shot(arguments, 80),) if narrow else ()),
        *((Shot(arguments, 100, colour=True),) if colour else ()),
        Shot(arguments),
        Shot((*arguments, "--json")),
    )


_DEAD, _RUNNING, _AT_BREAKER, _UNKNOWN, _PARENT = job_id(31), job_id(51), job_id(52), job_id(54), job_id(40)

#: By the name of the file.
READING: Mapping[str, Sequence[Shot]] = {
    "status": _looks("status", colour=True),
    "jobs-list": (
        *_looks("jobs", "list", colour=True),
        Shot(("jobs", "list", "--state", "running")),
        Shot(("jobs", "list", "--limit", "2")),
    ),
    "jobs-show": (
        *_looks("jobs", "show", _PARENT),
        Shot(("jobs", "show", _DEAD), 100),
        Shot(("jobs", "show", _DEAD, "--all-tracebacks"), 100),
        Shot(("jobs", "show", _AT_BREAKER), 100),
        Shot(("jobs", "show", job_id(1)), 100),
    ),
    "jobs-why": (
        *_looks("jobs", "why", _AT_BREAKER),
        *(Shot(("jobs", "why", job_id(n)), 100) for n in (44, 50, 54, 61, 64, 51, 1)),
    ),
    "jobs-stats": _looks("jobs", "stats"),
    "dlq-list": _looks("dlq", "list"),
    "dlq-groups": _looks("dlq", "groups"),
    "dlq-show": _looks("dlq", "show", job_id(34)),
    "replays-list": _looks("replays", "list"),
    "queues-list": _looks("queues", "list"),
    "kinds-list": _looks("kinds", "list"),
    "breakers-list": _looks("breakers", "list"),
    "limits-list": _looks("limits", "list"),
    "schedules-list": _looks("schedules", "list"),
    "schedules-show": _looks("schedules", "show", "sweep-carts"),
    "schedules-preview": (*_looks("schedules", "preview", "nightly-report"),),
    "schedules-ticks": _looks("schedules", "ticks"),
    "events-list": (*_looks("events", "list"), Shot(("events", "list", "--name", "operator.*"), 100)),
    "events-subscriptions": _looks("events", "subscriptions"),
    "nodes-list": _looks("nodes", "list"),
    "db-check": _looks("db", "check", narrow=False),
    "db-plan": (Shot(("db", "plan"), 100), Shot(("db", "plan"))),
    "backoff": (*_looks("backoff"), *_looks("backoff", "standard")),
    "doctor": _looks("doctor"),
}

#: Each on a store of its own.
CHANGING: Mapping[str, Sequence[Shot]] = {
    "jobs-cancel": (
        Shot(("jobs", "cancel", job_id(61), _RUNNING, job_id(1), "nobody")),
        Shot(("jobs", "cancel", job_id(61)), 100),
        Shot(("jobs", "cancel", "--kind", "send_receipt")),
        Shot(("jobs", "cancel", "--kind", "send_receipt", "--dry-run")),
        Shot(("jobs", "cancel", "--kind", "send_receipt", "--yes", "--json")),
        Shot(("jobs", "cancel", "--kind", "nothing", "--yes")),
    ),
    "jobs-run-now": (
        Shot(("jobs", "run-now", job_id(64), _AT_BREAKER, job_id(1))),
        Shot(("jobs", "run-now", job_id(64)), 100),
        Shot(("jobs", "run-now", job_id(64), "--json")),
    ),
    "queues-change": (
        Shot(("queues", "pause", "payments", "--for", "1h", "--by", "ada", "--reason", "INC-4711")),
        Shot(("queues", "pause", "payments", "--for", "1h", "--by", "ada"), 100),
        Shot(("queues", "resume", "mail", "--by", "ada")),
        Shot(("queues", "resume", "mail", "--by", "ada"), 100),
        Shot(("queues", "set", "mail", "--slots", "1", "--by", "ada")),
        Shot(("queues", "set", "mail", "--slots", "1", "--by", "ada", "--json")),
        Shot(("queues", "pause", "mial", "--by", "ada")),
    ),
    "kinds-change": (
        Shot(("kinds", "pause", "charge", "--by", "ada")),
        Shot(("kinds", "resume", "refund", "--by", "ada"), 100),
    ),
    "breakers-change": (
        Shot(("breakers", "open", "stripe", "--by", "ada", "--reason", "INC-4711")),
        Shot(("breakers", "auto", "stripe", "--by", "ada"), 100),
    ),
    "limits-change": (
        Shot(("limits", "set", "concurrency:warehouse", "--slots", "8", "--by", "ada")),
        Shot(("limits", "reset", "concurrency:warehouse", "--by", "ada"), 100),
    ),
    "schedules-change": (
        Shot(("schedules", "pause", "nightly-report", "--by", "ada")),
        Shot(("schedules", "resume", "sweep-carts", "--by", "ada"), 100),
        Shot(("schedules", "trigger", "nightly-report", "--by", "ada")),
        Shot(("schedules", "add", "hourly", "nightly_report", "--cron", "0 * * * *", "--by", "ada")),
        Shot(("schedules", "add", "hourly", "nightly_report", "--cron", "0 * * * *", "--by", "ada"), 100),
        Shot(
            ("schedules", "backfill", "sweep-carts", "--since", "1:00", "--until", "2:00", "--dry-run", "--by", "ada")
        ),
        Shot(("schedules", "remove", "new-year", "--by", "ada")),
    ),
    "dlq-change": (
        Shot(("dlq", "replay", "--all", "--dry-run")),
        Shot(("dlq", "replay", "--all", "--dry-run"), 100),
        Shot(("dlq", "replay", "--all", "--dry-run", "--json")),
        Shot(("dlq", "replay", "--all")),
        Shot(("dlq", "purge", "--kind", "send_receipt", "--dry-run")),
        Shot(("dlq", "purge", "--kind", "send_receipt")),
        Shot(("dlq", "purge", "--kind", "send_receipt", "--yes", "--by", "ada")),
    ),
    "nodes-drain": (
        Shot(("nodes", "drain", "worker-1", "--by", "ada")),
        Shot(("nodes", "drain", "worker-1", "--by", "ada"), 100),
        Shot(("nodes", "drain", "worker-2", "--by", "ada", "--json")),
    ),
    "events-unsubscribe": (
        Shot(("events", "unsubscribe", "accounting", "--yes")),
        Shot(("events", "unsubscribe", "accounting")),
    ),
    "nothing-matches": tuple(
        Shot(arguments)
        for arguments in (
            ("jobs", "list", "--kind", "nothing"),
            ("jobs", "show", "nothing"),
            ("jobs", "why", "nothing"),
            ("jobs", "stats", "--kind", "nothing"),
            ("dlq", "list", "--kind", "nothing"),
            ("dlq", "groups", "--kind", "nothing"),
            ("dlq", "show", "nothing"),
            ("schedules", "show", "nothing"),
            ("schedules", "ticks", "nothing"),
            ("events", "list", "--name", "nothing"),
            ("queues", "pause", "nothing"),
            ("kinds", "pause", "nothing"),
            ("breakers", "open", "nothing"),
            ("limits", "set", "nothing", "--slots", "1"),
            ("limits", "reset", "nothing"),
            ("nodes", "drain", "nothing"),
            ("replays", "stop", "nothing"),
            ("backoff", "nothing"),
        )
    ),
}
