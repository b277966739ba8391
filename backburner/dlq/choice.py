"""Which letters, as an app says it by keywords."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime  # noqa: TC003 - frameworks read what a status is made of
from typing import TypedDict, cast

from backburner.errors import InvalidOption
from backburner.model.clock import from_micros
from backburner.model.condition_text import condition_text, parse_condition
from backburner.model.query import JobFilter
from backburner.model.times import moment

__all__ = ["Choice", "choice_of", "filter_of", "texts"]


class Choice(TypedDict, total=False):
    """Which dead letters: each keyword given must hold, and any of the values given for it. Left out, all are meant."""

    kind: str | Collection[str]
    queue: str | Collection[str]
    error: str
    """Part of the last error's type or message."""
    fingerprint: str
    """Of the last error, as `DeadLetter` and `Cause` show it; empty is where nothing was raised."""
    tag: str | Collection[str]
    since: datetime
    """Created at or after, created before: aware."""
    until: datetime
    where: str | Collection[str]
    """Conditions on arguments, all of which must hold: ``args.user.id=7``; ``!= < <= > >=``; ``args.email~ada`` (contains).

    What is compared with is JSON: a text has its quotes, ``'args.user.name="Ada"'``. Values of different types are unequal
    and have no order; of an argument that is missing nothing holds.
    """


def filter_of(choice: Choice) -> JobFilter:
    """Return the filter of a store.

    Raises `InvalidOption` for an unknown keyword, for what is of another type (None too: a variable that was never set must
    not widen what is meant), for an empty collection, a naive moment, and a condition that cannot be read.
    """
    unknown = choice.keys() - Choice.__annotations__.keys()
    if unknown:
        raise InvalidOption(
            f"dead letters are not chosen by {min(unknown)!r}, but by {', '.join(Choice.__annotations__)}",
            option=min(unknown),
        )
    return JobFilter(
        kinds=_any_of(choice, "kind"),
        queues=_any_of(choice, "queue"),
        error=_text(choice, "error"),
        fingerprint=_text(choice, "fingerprint"),
        tags=_any_of(choice, "tag"),
        since=moment(choice["since"], "since") if "since" in choice else None,
        until=moment(choice["until"], "until") if "until" in choice else None,
        where=tuple(map(parse_condition, _any_of(choice, "where"))),
    )


def choice_of(where: JobFilter) -> Choice:
    """Return what `filter_of` was given, each of several as a tuple."""
    choice = Choice()
    if where.kinds:
        choice["kind"] = where.kinds
    if where.queues:
        choice["queue"] = where.queues
    if where.error is not None:
        choice["error"] = where.error
    if where.fingerprint is not None:
        choice["fingerprint"] = where.fingerprint
    if where.tags:
        choice["tag"] = where.tags
    if where.since is not None:
        choice["since"] = from_micros(where.since)
    if where.until is not None:
        choice["until"] = from_micros(where.until)
    if where.where:
        choice["where"] = tuple(map(condition_text, where.where))
    return choice


def texts(given: object, option: str) -> tuple[str, ...]:
    """Return one text or several as a tuple; raises `InvalidOption`."""
    if isinstance(given, str):
        return (given,)
    several = tuple(cast("Collection[object]", given)) if isinstance(given, Collection) else (given,)
    named = tuple(each for each in several if isinstance(each, str))
    if len(named) < len(several):
        raise InvalidOption(f"{option}={given!r}: give a text, or several", option=option)
    return named


def _any_of(choice: Choice, option: str) -> tuple[str, ...]:
    if option not in choice:
        return ()
    several = texts(choice.get(option), option)
    if not several:
        raise InvalidOption(f"{option} names none; leave it out where any will do", option=option)
    return several


def _text(choice: Choice, option: str) -> str | None:
    if option not in choice:
        return None
    text = choice.get(option)
    if not isinstance(text, str):
        raise InvalidOption(f"{option}={text!r} is no text: give one", option=option)
    return text
