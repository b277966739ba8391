"""An exact account of why a value cannot be stored, or why what is stored cannot be read."""

from __future__ import annotations

import math
import re
from enum import Enum
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from backburner.codec.hooks import model_fault
from backburner.codec.payloads import UNFIT, has_nul, write
from backburner.codec.values import Path, children, difference, follow, search, spell

if TYPE_CHECKING:
    from collections.abc import Callable

    from backburner.codec.annotations import Annotation

__all__ = ["Trouble", "misfit", "refusal"]

_PLACE = re.compile(r" - at (?P<key>`key(?:`| in).*)?`?\$(?P<steps>.*)`$", re.DOTALL)
_STEP = re.compile(r"\.([^.\[]+)|\[(\d+)\]|\[\.\.\.\]")
_GOT = re.compile(r", got \w+")
_FIELD = re.compile(r"Object (?:missing required|contains unknown) field `(.*)`", re.DOTALL)
_MISSING = "is missing"
_UNDECLARED = "is not declared"
#: What pydantic calls them.
_FAULTS = {"missing": _MISSING, "extra_forbidden": _UNDECLARED}
_NOT_FINITE = "JSON has neither NaN nor infinity, use None or a text"
_DEEP = "is nested too deeply, or contains itself: store it flat"
_JSON_KINDS: tuple[type, ...] = (str, int, float, list, dict, tuple, bytes, set, frozenset)


class Trouble(NamedTuple):
    """Where a value does not fit, and why, as the rest of a sentence that begins with the path."""

    path: Path
    why: str


def refusal(
    value: object, read: Callable[[bytes], object], annotated: Callable[[Path], Annotation], *, root: Path = ()
) -> Trouble:
    """Account for a value that `write` refuses, or that does not come back as it was.

    ``read`` turns its JSON into what should be the same again; ``annotated`` answers the annotation over a path;
    ``root`` is the path of the value itself: none for arguments by name, whose paths begin with the names.
    """
    try:
        raw = write(value)
    except UNFIT as error:
        return _unwritable(value, error, root)
    if has_nul(raw.decode()):
        path, _ = search(value, _holds_nul, root)
        return Trouble(path, "contains NUL (\\x00), which some stores refuse: remove it, or store bytes")
    try:
        back = read(raw)
    except UNFIT as error:
        path, why = misfit(read, raw, error)
        part = follow(value, path)
        if isinstance(part, float) and not math.isfinite(part):
            return Trouble((*root, *path), f"({part}) cannot be stored: {_NOT_FINITE}")
        # msgspec names the type in JSON: text, where the caller wrote a datetime.
        return Trouble((*root, *path), why if part is None else _GOT.sub(f", got {type(part).__name__}", why))
    try:
        path, sent, came = difference(value, back, root)
    except RecursionError:  # C goes deeper than Python
        return Trouble(root, _DEEP)
    annotation = annotated(path)
    if annotation.trouble:
        mend = f"its annotation {annotation.text!r} {annotation.trouble}"
    elif len(path) > 1:
        mend = f"annotate the types on the way to it, down to {type(sent).__name__!r}"
    elif annotation.known:
        mend = f"its annotation is {annotation.text!r}, use that or change it"
    else:
        mend = f"annotate it, '{'->' if root else f'{spell(path)}:'} {type(sent).__name__}'"
    return Trouble(path, f"{_changed(sent, came)}: {_hint(sent, came) or mend}")


def misfit(read: Callable[[bytes], object], raw: bytes, error: Exception) -> Trouble:
    """Account for JSON that ``read`` refused with ``error``."""
    message = str(error)
    place = _PLACE.search(message)
    what = message if place is None else message[: place.start()]
    path = () if place is None else _resolved(place["steps"], read, raw, message)
    fault = model_fault(error.__cause__)
    if fault is not None:
        within, kind, words = fault
        return Trouble((*path, *within), _FAULTS.get(kind, f"does not fit: {words}"))
    field = _FIELD.fullmatch(what)
    if field is not None:
        unknown = "unknown" in what.partition("`")[0]
        return Trouble((*path, field[1]), _UNDECLARED if unknown else _MISSING)
    if not isinstance(error, msgspec.MsgspecError):  # raised by a class of the user's
        what = f"{type(error).__name__}: {what}"
    of_key = " among its keys" if place is not None and place["key"] else ""
    return Trouble(path, f"does not fit: {what.replace('`', '')}{of_key}")


def _resolved(steps: str, read: Callable[[bytes], object], raw: bytes, message: str) -> Path:
    """Turn msgspec's place into a path, finding the keys of dicts, which it writes as ``[...]``."""
    try:
        tree = msgspec.json.decode(raw)
    except UNFIT:  # broken behind the place, too
        return ()
    node = tree
    path: Path = ()
    for name, index in _STEP.findall(steps):
        step: object
        if name:
            step = name
        elif index:
            step = int(index)
        else:
            keys = [key for key in node if _message(read, _narrowed(tree, path, key)) == message]
            if not keys:
                break
            step = keys[0]
        node, path = node[step], (*path, step)
    return path


def _narrowed(tree: Any, path: Path, key: str) -> Any:  # noqa: ANN401 - JSON
    """Copy JSON with one key alone in the dict at a path."""
    if not path:
        return {key: tree[key]}
    copy = tree.copy()
    copy[path[0]] = _narrowed(tree[path[0]], path[1:], key)
    return copy


def _message(read: Callable[[bytes], object], tree: object) -> str:
    try:
        read(write(tree))
    except UNFIT as error:
        return str(error)
    return ""


def _unwritable(value: object, error: Exception, root: Path) -> Trouble:
    if isinstance(error, RecursionError):
        # One level down, to name the argument; deeper, a value that contains itself has no end.
        deep = [] if root else [step for step, part in children(value) if isinstance(_failure(part), RecursionError)]
        return Trouble((*root, *deep[:1]), _DEEP)
    path, part = search(value, lambda part: _failure(part) is not None, root)
    return Trouble(path, _why_unwritable(part, _failure(part) or error))


def _failure(value: object) -> Exception | None:
    try:
        write(value)
    except UNFIT as error:
        return error
    return None


def _why_unwritable(part: object, error: Exception) -> str:
    if isinstance(error, UnicodeEncodeError):
        return "contains a lone surrogate, which is no text: store bytes, or encode it with errors='replace'"
    if type(part) is dict:
        return f"has keys that JSON cannot hold ({error}): use text"
    if not isinstance(error, TypeError):
        return f"cannot be stored: {error}"
    base = next((kind for kind in type(part).__mro__ if kind in _JSON_KINDS), None)
    if base is not None:
        mend = f"use a plain {base.__name__}"
    elif isinstance(part, PurePath):
        mend = "use str(path)"
    elif callable(part):
        mend = "use its name"
    else:
        mend = "use its id, and load it where it is needed"
    return f"({type(part).__name__}) cannot be stored: {mend}"


def _holds_nul(value: object) -> bool:
    try:
        return has_nul(write(value).decode())
    except UNFIT:
        return False


def _changed(sent: object, back: object) -> str:
    kind = type(sent).__name__
    if type(sent) is type(back):
        return f"({kind}) would not come back equal"
    return f"({kind}) would come back as {'None' if back is None else type(back).__name__}"


def _hint(sent: object, back: object) -> str:
    """Return the mend where no annotation would be one."""
    if isinstance(sent, float) and not math.isfinite(sent):
        return _NOT_FINITE
    if isinstance(sent, type(back)) and type(sent) is not type(back) and not isinstance(sent, Enum):
        return f"use a plain {type(back).__name__}"
    if type(sent) is dict and type(back) is dict:
        return "its keys are not text, annotate what they are, such as 'dict[int, str]'"
    return ""
