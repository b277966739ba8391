"""Whether two values are the same, and where inside a value something sits."""

from __future__ import annotations

import dataclasses
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

import msgspec

from backburner.codec.hooks import model_fields

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["Path", "children", "difference", "follow", "same", "same_all", "search", "spell"]

#: The way to a part of a value: names of attributes, keys, numbers of items.
Path = tuple[object, ...]

#: Types whose values have no parts, and where equal and of equal type means the same.
_ATOMS = frozenset({str, int, bool, float, bytes, type(None)})
#: Their parts cannot be paired.
_UNORDERED = frozenset({set, frozenset})


def same(sent: object, back: object) -> bool:
    """Tell whether what came back is what was sent: equal, of equal type, and so in all their parts.

    Stricter than ``==``, to which ``True`` is ``1``, a member of a `StrEnum` its text and an `OrderedDict` a dict;
    laxer only where the type system is: an int may come back as the float it equals.
    """
    kind = type(sent)
    if kind is not type(back):
        return kind is int and type(back) is float and sent == back
    if kind in _ATOMS:
        return sent == back
    compare = _COMPARE.get(kind)
    if compare is not None:
        return compare(sent, back)
    if isinstance(sent, tuple):
        return same_all(cast("tuple[object, ...]", sent), cast("tuple[object, ...]", back))
    names = _compared_fields(kind)
    if names is not None:
        return same_all([getattr(sent, name) for name in names], [getattr(back, name) for name in names])
    return bool(sent == back) and all(same(getattr(sent, name), getattr(back, name)) for name in model_fields(sent))


def same_all(sent: Sequence[object], back: Sequence[object]) -> bool:
    """Tell whether two sequences of one type are the same, item by item."""
    if len(sent) != len(back):
        return False
    kinds = [*map(type, sent)]
    if _ATOMS.issuperset(kinds) and kinds == [*map(type, back)]:
        return sent == back  # in C: most payloads need no more
    return all(map(same, sent, back))


def children(value: object) -> Iterator[tuple[object, object]]:
    """Yield the parts of a value, each with the step that leads to it."""
    kind = type(value)
    names = getattr(value, "_fields", None) or _compared_fields(kind) or model_fields(value)
    if names:
        yield from ((name, getattr(value, name)) for name in names)
    elif isinstance(value, dict):
        yield from cast("dict[object, object]", value).items()
    elif isinstance(value, list | tuple | set | frozenset):
        yield from enumerate(cast("list[object]", value))


def difference(sent: object, back: object, path: Path = ()) -> tuple[Path, object, object]:
    """Return the smallest parts of two values that are not the same, and the way to them."""
    if type(sent) is type(back) and type(sent) not in _UNORDERED:
        ours, theirs = dict(children(sent)), dict(children(back))
        if ours.keys() == theirs.keys():
            for step, part in ours.items():
                if not same(part, theirs[step]):
                    return difference(part, theirs[step], (*path, step))
    return path, sent, back


def search(value: object, guilty: Callable[[object], bool], path: Path = ()) -> tuple[Path, object]:
    """Return the smallest part of a guilty value that is guilty itself, and the way to it."""
    for step, part in children(value):
        if guilty(part):
            return search(part, guilty, (*path, step))
    return path, value


def follow(value: object, path: Path) -> object | None:
    """Return the part of a value at a path, or None if there is none."""
    for step in path:
        value = dict(children(value)).get(step)
    return value


def spell(path: Path) -> str:
    """Write a path as Python would: ``order.items[3].price``."""
    text = ""
    for step in path:
        if isinstance(step, str) and step.isidentifier():
            text += f".{step}" if text else step
        else:
            text += f"[{step!r}]"
    return text


def _same_dict(sent: dict[object, object], back: dict[object, object]) -> bool:
    # JSON keeps the order, so keys and values can be walked side by side.
    return same_all([*sent], [*back]) and same_all([*sent.values()], [*back.values()])


def _same_set(sent: set[object], back: set[object]) -> bool:
    if sent != back:
        return False
    counterpart = {item: item for item in back}
    return all(same(item, counterpart[item]) for item in sent)


def _same_moment(sent: datetime, back: datetime) -> bool:
    # Not `==`: between two zones it calls the moments of a repeated hour unequal to everything.
    return sent.replace(tzinfo=None) == back.replace(tzinfo=None) and sent.utcoffset() == back.utcoffset()


def _same_decimal(sent: Decimal, back: Decimal) -> bool:
    # A signalling NaN raises when compared.
    return not sent.is_nan() and sent == back


_COMPARE: dict[type[object], Callable[[Any, Any], bool]] = {
    list: same_all,
    tuple: same_all,
    dict: _same_dict,
    set: _same_set,
    frozenset: _same_set,
    datetime: _same_moment,
    Decimal: _same_decimal,
}


def _find_fields(kind: type[object]) -> tuple[str, ...] | None:
    if issubclass(kind, msgspec.Struct):
        return kind.__struct_fields__
    if dataclasses.is_dataclass(kind):
        return tuple(field.name for field in dataclasses.fields(kind) if field.compare)
    return None


#: The fields that make two values of a class equal, if it is a struct or a dataclass.
_compared_fields: Callable[[Any], tuple[str, ...] | None] = lru_cache(maxsize=1024)(_find_fields)
