"""Stored arguments, changed by hand, and whether they still look as a signature says."""

from __future__ import annotations

import json
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache, partial
from typing import Any, cast
from uuid import UUID

import msgspec

from backburner.codec.marks import MARK, TRACE, marked_like, parts_of, secret_of, secrets_in, unmarked, wrap
from backburner.codec.payloads import has_nul
from backburner.codec.scrubber import Scrubber
from backburner.codec.values import spell
from backburner.errors import ArgumentNotStorable, InvalidArguments, UnknownPath

__all__ = ["check", "found", "mark", "patch"]

#: What reading JSON may raise.
_BROKEN = (msgspec.DecodeError, UnicodeError, RecursionError)
#: Texts of these formats are what msgspec reads as these types.
_FORMATS: dict[str, type] = {
    "date": date,
    "date-time": datetime,
    "decimal": Decimal,
    "duration": timedelta,
    "time": time,
    "uuid": UUID,
}
#: So many names a refusal lists, and so many characters it quotes.
_NAMES = 20
_QUOTED = 500


class _Property(msgspec.Struct):
    """A parameter, as a signature publishes it."""

    secret: bool = msgspec.field(name="writeOnly", default=False)


class _Schema(msgspec.Struct):
    properties: dict[str, _Property] = {}


class _Number(Decimal):
    """A number with a fraction or an exponent, to the last digit; a refusal shows it as it is written."""

    __repr__ = Decimal.__str__


def patch(args: str, path: str, value: str) -> str:
    """Return stored arguments with JSON text in place of what stands at a path: ``url``, ``user.city``, ``items.0.id``.

    All else stays, to the last digit. A path leads through what is secret (`backburner.codec.marks`), and what takes the
    place of a secret is one; ``{"$secret": value}`` makes one anew. Raises `UnknownPath`, which names what is there, where nothing stands at the
    path; `ArgumentNotStorable` for a value that is no JSON, or has NUL in it; `InvalidArguments` for arguments that are
    no JSON.
    """
    try:
        new = msgspec.json.decode(value, type=msgspec.Raw)
    except _BROKEN:
        quoted = "" if TRACE in args else f": {value}"
        raise ArgumentNotStorable(f"the new {path} is no JSON, a text needs its quotes{quoted}", path=path) from None
    if has_nul(value):
        raise ArgumentNotStorable(
            f"the new {path} contains NUL (\\x00), which some stores refuse: remove it", path=path
        )
    try:
        return bytes(_patched(msgspec.Raw(args.encode()), path.split("."), new)).decode()
    except _BROKEN as error:
        raise InvalidArguments(f"the stored arguments cannot be read: {error}") from None


def found(args: str, path: str) -> str:
    """Return what `patch` put at a path of stored arguments, as JSON text with its secrets marked."""
    raw, hidden = msgspec.Raw(args.encode()), False
    for step in path.split("."):
        parts = parts_of(raw)
        secret = secret_of(parts)
        if secret is not None and step != MARK:
            parts, hidden = parts_of(secret), True
        raw = parts[int(step)] if isinstance(parts, list) else (parts or {})[step]
    return bytes(wrap(raw) if hidden else raw).decode()


def mark(args: str, schema: str) -> str:
    """Return arguments that a person wrote with the secrets marked that a published signature has among its parameters.

    Raises `InvalidArguments` for arguments that are no JSON object.
    """
    try:
        known = msgspec.json.decode(schema, type=_Schema).properties
        parts = msgspec.json.decode(args, type=dict[str, msgspec.Raw])
    except _BROKEN as error:
        raise InvalidArguments(f"the arguments cannot be compared with the signature: {error}") from None
    for name, part in parts.items():
        if name in known and known[name].secret and secret_of(parts_of(part)) is None:
            parts[name] = wrap(part)
    return msgspec.json.encode(parts).decode()


def check(args: str, schema: str) -> None:
    """Validate stored arguments by a signature that a node publishes (`backburner.codec.schema`).

    Numbers are compared to the last digit; one that is written with a fraction or an exponent is no integer. Raises
    `InvalidArguments` with the path of what does not fit; without one for arguments, or a schema, that cannot be read.
    """
    # They take 50 ms to load, for what few processes ever do.
    from jsonschema.exceptions import SchemaError, best_match  # type: ignore[import-untyped]  # noqa: PLC0415
    from referencing.exceptions import Unresolvable  # noqa: PLC0415

    best = cast("Any", best_match)
    clean = Scrubber(secrets_in(args))
    try:
        fault = best(_validator(schema).iter_errors(_read(unmarked(args))))
    except (SchemaError, Unresolvable, msgspec.DecodeError, ValueError, ArithmeticError, RecursionError) as error:
        why = clean(str(error).partition("\n")[0])
        raise InvalidArguments(f"the arguments cannot be compared with the signature: {why}") from (
            None if TRACE in args else error
        )
    if fault is not None:
        where = spell(tuple(fault.absolute_path))
        about = f"argument {where} does" if where else "the arguments do"
        raise InvalidArguments(f"{about} not fit the signature: {clean(fault.message)[:_QUOTED]}", path=where or None)


def _patched(raw: msgspec.Raw, steps: list[str], new: msgspec.Raw, done: tuple[str, ...] = ()) -> msgspec.Raw:
    """Write JSON anew with one part replaced; what lies beside the way is copied as it is written."""
    step, *rest = steps
    found = parts_of(raw)
    secret = secret_of(found)
    if secret is not None and step != MARK:
        return wrap(_patched(secret, steps, secret_of(parts_of(new)) or new, done))
    parts = found if isinstance(found, dict) else {str(number): part for number, part in enumerate(found or ())}
    way = (*done, step)
    if step not in parts:
        where = ".".join(way)
        holder = f"{'.'.join(done)!r} holds" if done else "they hold"
        held = "no parts" if found is None else _listed([*parts])
        raise UnknownPath(f"there is no {where!r} in the arguments; {holder} {held}", path=where)
    parts[step] = _patched(parts[step], rest, new, way) if rest else marked_like(new, parts[step])
    return msgspec.Raw(msgspec.json.encode(parts if isinstance(found, dict) else [*parts.values()]))


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _NAMES} more" if len(names) > _NAMES else ""
    return f"{', '.join(names[:_NAMES])}{more}" if names else "nothing"


def _read(text: str) -> Any:  # noqa: ANN401 - JSON
    return json.loads(text, parse_float=_Number)


def _is_read_as(kind: type, value: object) -> bool:
    if isinstance(value, str):  # a format says nothing of other values
        msgspec.convert(value, kind)
    return True


@lru_cache(maxsize=64)
def _validator(schema: str) -> Any:  # noqa: ANN401 - of a library that has no types
    from jsonschema import (  # type: ignore[import-untyped]  # noqa: PLC0415
        Draft202012Validator,
        FormatChecker,
    )
    from referencing import Registry  # noqa: PLC0415

    formats = FormatChecker(formats=())
    for name, kind in _FORMATS.items():
        formats.checks(name, raises=msgspec.ValidationError)(partial(_is_read_as, kind))
    read = _read(schema)
    Draft202012Validator.check_schema(read)
    # The empty registry: by default the library would fetch what a schema refers to.
    return Draft202012Validator(read, registry=Registry(), format_checker=formats)
