"""What stored arguments must look like, as a short name: another shape, another name."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Any, cast

import msgspec
from msgspec import inspect

from backburner.codec.annotations import TROUBLE
from backburner.codec.hooks import model_schema

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from backburner.codec.annotations import Annotation

__all__ = ["name_of"]

#: What a JSON Schema tells people, not machines.
_PROSE = frozenset({"title", "description", "examples", "default", "deprecated"})


def name_of(arguments: Iterable[tuple[str, Annotation, bool]]) -> str:
    """Return 8 hex characters for what arguments look like: their names, annotations, and whether they are required.

    Equal shapes have equal names in every process. Another field, type, choice or constraint, or another say on what
    may be left out, makes another name, however deep inside; names of classes, docstrings and the values of defaults
    do not matter.
    """
    shape = {name: [required, _shape(annotation)] for name, annotation, required in arguments}
    return blake2b(_text(shape).encode(), digest_size=4).hexdigest()


def _text(drawn: object) -> str:
    return msgspec.json.encode(drawn, order="sorted").decode()


def _shape(annotation: Annotation) -> object:
    if annotation.trouble:
        return annotation.text
    try:
        return _Drawing().of(inspect.type_info(annotation.type))
    except TROUBLE:  # what has a decoder, but no end: an alias that contains itself
        return annotation.text


class _Drawing:
    """One type as JSON. A class that stands in it again is the number it got: classes may contain themselves."""

    def __init__(self) -> None:
        self._numbers: dict[int, int] = {}

    def of(self, kind: inspect.Type) -> object:
        """Draw a type and all that it is made of."""
        word = type(kind).__name__
        drawn: object
        match kind:
            case inspect.Metadata():
                return self.of(kind.type)
            case inspect.UnionType():
                # `typing` caches unions by their members, whatever their order: it is another in another process.
                drawn = [self.of(member) for member in sorted(kind.types, key=_order)]
            case inspect.EnumType():
                # Not by iteration, in which the combinations of a Flag are left out.
                drawn = sorted(_text(member) for member in cast("Any", kind.cls).__members__.values())
            case inspect.LiteralType():
                drawn = sorted(map(_text, kind.values))
            case inspect.CustomType():
                drawn = _custom(kind.cls)
            case _ if id(kind) in self._numbers:
                drawn = self._numbers[id(kind)]
            case _:
                if hasattr(kind, "fields"):
                    self._numbers[id(kind)] = len(self._numbers)
                drawn = dict(self._parts(kind))
        return [word, drawn]

    def _parts(self, kind: inspect.Type) -> Iterator[tuple[str, object]]:
        for name in kind.__struct_fields__:
            part: Any = getattr(kind, name)
            if name == "fields":
                fields = [[field.encode_name, field.required, self.of(field.type)] for field in part]
                # By position in a list, by name in an object.
                listed = isinstance(kind, inspect.NamedTupleType) or getattr(kind, "array_like", False)
                yield name, fields if listed else sorted(fields, key=lambda field: str(field[0]))
            elif isinstance(part, inspect.Type):
                yield name, self.of(part)
            elif isinstance(part, tuple):
                yield name, [self.of(item) for item in cast("tuple[inspect.Type, ...]", part)]
            elif name != "cls" and part is not None:
                yield name, part


def _order(kind: inspect.Type) -> tuple[str, str]:
    return type(kind).__name__, getattr(getattr(kind, "cls", None), "__qualname__", "")


def _custom(kind: type) -> object:
    schema = model_schema(kind)
    return f"{kind.__module__}.{kind.__qualname__}" if schema is None else _without_prose(schema)


def _without_prose(schema: object, *, named: bool = False) -> object:
    """Leave out of a JSON Schema what does not matter; ``named`` where the keys are the fields' own names."""
    if isinstance(schema, dict):
        return {
            key: _without_prose(part, named=not named and key in {"properties", "$defs"})
            for key, part in cast("dict[str, object]", schema).items()
            if named or key not in _PROSE
        }
    if isinstance(schema, list):
        return [_without_prose(part) for part in cast("list[object]", schema)]
    return schema
