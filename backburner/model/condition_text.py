"""Conditions on arguments as people write them: ``args.user.id=7``."""

from __future__ import annotations

import re
from difflib import get_close_matches
from shlex import quote
from typing import Final, Never, cast

import msgspec

from backburner.errors import InvalidOption
from backburner.model.query import Condition, Operator, Scalar

__all__ = ["condition_text", "parse_condition"]

#: What an error says of the grammar.
_GRAMMAR: Final = (
    "args.PATH, one of = != < <= > >= ~ (contains), and JSON: args.user.id=7, args.ok=true, args.name='\"Ada\"', "
    "args.email~ada"
)
_ROOT: Final = "args"
_PATH = re.compile(r"[^=!<>~]*")
_COMPARISON = re.compile(r"[=!<>~]+")
_OPERATORS = frozenset({"=", "!=", "<", "<=", ">", ">=", "~"})
#: Comparisons of other languages.
_MEANT = {"==": "=", "===": "=", "<>": "!=", "!==": "!=", "=<": "<=", "=>": ">=", "=~": "~", "~=": "~", "!": "!="}
#: JSON's own words, by what other languages write.
_WORDS = {"True": "true", "False": "false", "None": "null", "nil": "null", "NULL": "null"}
#: What else jobs are chosen by: each is an option, or a keyword, of its own.
_BESIDE = ("kind", "queue", "state", "error", "fingerprint", "tag", "since", "until")


def parse_condition(text: str) -> Condition:
    """Return the condition of a text such as ``args.user.id=7``; raises `InvalidOption`, which shows what is amiss, and where.

    What follows the comparison is JSON; after ``~`` it may also be the bare text that is looked for. A name in the path
    may have any characters but ``. = ! < > ~``, and is not empty.
    """
    return _Reading(text).condition()


def condition_text(condition: Condition) -> str:
    """Return the text of a condition, which `parse_condition` reads as the same."""
    return f"args.{'.'.join(condition.path)}{condition.operator}{msgspec.json.encode(condition.value).decode()}"


class _Reading:
    """One text; nothing is read twice."""

    def __init__(self, text: str) -> None:
        self._text = text

    def condition(self) -> Condition:
        found = _PATH.match(self._text)
        end = 0 if found is None else found.end()
        path = self._path(self._text[:end].rstrip())
        comparison = _COMPARISON.match(self._text, end)
        if comparison is None:
            self._refuse(end, "a comparison is missing")
        operator = comparison[0]
        if operator not in _OPERATORS:
            meant = f": did you mean {_MEANT[operator]}?" if operator in _MEANT else ""
            self._refuse(end, f"{operator} is no comparison{meant}")
        return Condition(path, cast("Operator", operator), self._value(operator, comparison.end()))

    def _path(self, written: str) -> tuple[str, ...]:
        root, *names = written.split(".")
        if root != _ROOT:
            self._refuse(0, self._strange(root, names))
        at = len(root)
        if not names:
            self._refuse(at, "a path into the arguments is missing, such as args.user.id")
        for name in names:
            at += 1
            if not name:
                self._refuse(at, "a name is missing in the path")
            at += len(name)
        return tuple(names)

    def _strange(self, root: str, names: list[str]) -> str:
        """Say of what begins otherwise what may have been meant."""
        if not names and root in _BESIDE:
            return f"{root!r} is no argument's path: it is chosen by {root} itself, not by where"
        near = names and get_close_matches(root, (_ROOT, "arguments", "argument", "kwargs"), n=1)
        path = ".".join([_ROOT, *(names if near else (root, *names))])
        meant = f": did you mean {path}?" if root.strip() else ""
        return f"a condition begins with args.{meant}"

    def _value(self, operator: str, start: int) -> Scalar:
        value = self._text[start:].lstrip()
        at = len(self._text) - len(value)
        try:
            literal: Scalar = msgspec.json.decode(value, type=Scalar)
        except msgspec.ValidationError:
            self._refuse(at, "compare with a text, a number, true, false or null")
        except (msgspec.DecodeError, UnicodeError):
            if operator == "~":
                return value  # only a text is contained in another
            self._refuse(at, self._unquoted(value, self._text[:at]))
        return literal

    def _unquoted(self, value: str, before: str) -> str:
        """Say of what is no JSON how it is written."""
        if not value.strip():
            return "what to compare with is missing; no text is '\"\"', nothing is null"
        if value in _WORDS:
            return f"{value} is no JSON: did you mean {_WORDS[value]}?"
        plain = value.strip("'\"")
        return f"{value!r} is no JSON: a text needs its quotes, {_flat(before)}{_quoted(plain)}"

    def _refuse(self, at: int, why: str) -> Never:
        raise InvalidOption(
            f"the condition cannot be read at position {at}: {why}\n"
            f"  {_flat(self._text)}\n  {' ' * at}^\nwrite {_GRAMMAR}",
            option="where",
        )


def _quoted(text: str) -> str:
    """Return a text as JSON, as a shell takes it; of half a character, which has no JSON, an ellipsis."""
    try:
        return quote(msgspec.json.encode(text).decode())
    except UnicodeError:
        return quote('"…"')


def _flat(text: str) -> str:
    """Return a text in one line, each character where it was."""
    return "".join(character if character.isprintable() else " " for character in text)
