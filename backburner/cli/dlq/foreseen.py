"""What a dry run found, and what a person should know before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backburner.cli.jobs.record import error_line, job_json
from backburner.cli.render import Mode, note, one
from backburner.cli.times import ago, iso

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backburner.dlq.survey import Survey

__all__ = ["matched", "tell", "warn"]

#: What an end means for whoever replays it.
_MEANING = {
    "failed": "out of attempts",
    "rejected": "rejected: the same arguments are likely to be again",
    "crashed": "died with its process: what it did until then is unknown",
}


def matched(found: Survey) -> str:
    """Say how many there are in a line."""
    return f"{_letters(found.letters)} ({_listed(found.ends)}; {_listed(found.kinds)}) {'matches' if found.letters == 1 else 'match'}"


def tell(found: Survey, how: Mode) -> None:
    """Write what a dry run found."""
    value = {
        "letters": found.letters,
        "ends": found.ends,
        "kinds": found.kinds,
        "unknown_kinds": found.unknown,
        "causes": found.causes,
        "oldest": iso(found.oldest) or None,
        "newest": iso(found.newest) or None,
        "exact": found.exact,
        "sample": [job_json(job, found.now) for job in found.sample],
    }
    ends: list[tuple[str, ...]] = [
        (end, str(count), *([_MEANING[end]] if how is Mode.TABLE and end in _MEANING else []))
        for end, count in found.ends.items()
    ]
    fields: list[tuple[str, ...]] = [
        ("letters", str(found.letters)),
        *ends,
        *(("kind", kind, str(count)) for kind, count in found.kinds.items()),
        *(("unknown kind", kind) for kind in found.unknown),
        ("causes", str(found.causes)),
        ("oldest", _moment(found.oldest, found.now, how)),
        ("newest", _moment(found.newest, found.now, how)),
        *(
            ("letter", job.id, job.kind, iso(job.ended_at), error_line(job.error, job.message) or job.reason or "")
            for job in found.sample
        ),
    ]
    one(how, value, fields)
    if not found.exact:
        note("but for the number of letters, counted by the largest causes of all that match")


def warn(found: Survey) -> None:
    """Tell of what no living node knows, and of effects that may have taken place."""
    if found.unknown:
        note(f"no living node knows {', '.join(found.unknown)}: those letters wait until one does")
    crashed = found.ends.get("crashed", 0)
    if crashed:
        note(f"{_letters(crashed)} died with their process: what they did until then is unknown")


def _letters(count: int) -> str:
    return f"{count:,} {'letter' if count == 1 else 'letters'}"


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.items())


def _moment(at: int | None, now: int, how: Mode) -> str:
    if at is None:
        return ""
    return f"{iso(at)} ({ago(at, now)})" if how is Mode.TABLE else iso(at)
