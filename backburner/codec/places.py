"""Where, in the JSON of an annotation's values, its secrets are."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, Union, cast

import msgspec

from backburner.codec.annotations import TROUBLE
from backburner.codec.hooks import model_parts
from backburner.codec.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterable

    from backburner.codec.annotations import Annotation

__all__ = ["WHOLE", "Nodes", "Place", "places_of", "places_of_type"]


@dataclasses.dataclass(slots=True, eq=False)
class Place:
    """A place in JSON. What is below it may be itself: classes contain themselves."""

    #: All that stands here is secret.
    whole: bool = False
    #: Members of an object by name, and any of them; elements of an array by number, and any of them.
    fields: dict[str, Nodes] = dataclasses.field(default_factory=dict[str, "Nodes"])
    values: Nodes = ()
    numbered: dict[int, Nodes] = dataclasses.field(default_factory=dict[int, "Nodes"])
    items: Nodes = ()


#: The members of a union stand at one place.
Nodes = tuple[Place, ...]
WHOLE = Place(whole=True)

_Types = Mapping[Any, Any]
#: Say how a field is there, and nothing of what it holds.
_QUALIFIERS = tuple(
    getattr(typing, name)
    for name in ("Required", "NotRequired", "ReadOnly", "Final", "Unpack")
    if hasattr(typing, name)  # ReadOnly: from Python 3.13 on
)


def places_of(annotation: Annotation) -> Nodes:
    """Return where an annotation's secrets are; nothing for one without any.

    One that cannot be used, and speaks of a `Secret`, is of a value that is secret as a whole.
    """
    if annotation.trouble:
        return (WHOLE,) if Secret.__name__ in annotation.text else ()
    return places_of_type(annotation.type)


def places_of_type(kind: object) -> Nodes:
    """Return where the secrets of a type's values are."""
    return _Map().of(kind)


class _Map:
    """The places of one annotation; each class in it has one place."""

    def __init__(self) -> None:
        self._classes: dict[tuple[int, str], Place] = {}

    def of(self, kind: object) -> Nodes:
        found = self._of(kind, {})
        for place in self._classes.values():
            # What leads nowhere need not be looked at in each value.
            place.fields = {name: below for name, below in place.fields.items() if _leads(below, set())}
            place.numbered = {number: below for number, below in place.numbered.items() if _leads(below, set())}
        return found if _leads(found, set()) else ()

    def _of(self, kind: Any, types: _Types) -> Nodes:  # noqa: ANN401 - anything that stands in an annotation
        kind = _bound(kind, types)
        origin, args = typing.get_origin(kind), typing.get_args(kind)
        if kind is Secret or (origin is Annotated and _says_secret(kind.__metadata__)):
            return (WHOLE,)
        if origin is Union or origin is UnionType:
            return tuple(place for member in args for place in self._of(member, types))
        meant = _meant(kind, origin, args)
        if meant is not kind:
            return self._of(meant, types)
        holder = origin or kind
        if not isinstance(holder, type):
            return ()
        return self._of_container(holder, args, types) if _is_container(holder, args) else self._of_class(holder, args)

    def _of_container(self, kind: type, args: tuple[Any, ...], types: _Types) -> Nodes:
        below = [self._of(each, types) for each in args if each is not Ellipsis]
        if issubclass(kind, Mapping):
            # A key has no place of its own.
            return (WHOLE,) if _leads(below[0], set()) else (Place(values=below[1]),)
        if issubclass(kind, tuple) and Ellipsis not in args:
            return (Place(numbered=dict(enumerate(below))),)
        return (Place(items=below[0]),)

    def _of_class(self, kind: type, args: tuple[Any, ...]) -> Nodes:
        key = (id(kind), repr(args))
        if key not in self._classes:
            place = self._classes[key] = Place()
            types = _parameters(kind, args)
            try:
                fields = _fields(kind)
            except TROUBLE:  # what its annotations say cannot be found out
                place.whole = True
                fields = []
            if not fields and not place.whole:
                return ()
            for step, annotated in fields:
                below = self._of(annotated, types)
                if step == "":  # the class is written as this alone
                    for each in below:
                        _merge(place, each)
                elif isinstance(step, int):
                    place.numbered[step] = below
                else:
                    place.fields[step] = below
        return (self._classes[key],)


def _merge(place: Place, other: Place) -> None:
    place.whole = place.whole or other.whole
    place.fields |= other.fields
    place.values += other.values
    place.numbered |= other.numbered
    place.items += other.items


def _says_secret(said: Iterable[object]) -> bool:
    return any(each is Secret or isinstance(each, Secret) for each in said)


def _leads(nodes: Nodes, seen: set[int]) -> bool:
    """Whether there is a secret at these places, or below."""
    for place in nodes:
        if place.whole:
            return True
        if id(place) not in seen:
            seen.add(id(place))
            below = (*place.fields.values(), *place.numbered.values(), place.values, place.items)
            if any(_leads(each, seen) for each in below):
                return True
    return False


def _meant(kind: Any, origin: object, args: tuple[Any, ...]) -> Any:  # noqa: ANN401
    """Return the type that another only names, or says something of; itself if it is no such thing."""
    if origin is Annotated or origin in _QUALIFIERS:
        return args[0]
    if hasattr(kind, "__supertype__"):
        return kind.__supertype__
    if hasattr(kind, "__value__") and not isinstance(origin or kind, type):  # `type Name = …`
        return kind.__value__[args] if args else kind.__value__
    return kind


def _bound(kind: Any, types: _Types) -> Any:  # noqa: ANN401
    """Return a type with what stands for its type variables."""
    if isinstance(kind, TypeVar):
        return types.get(kind, kind.__bound__)
    free = () if isinstance(kind, type) else getattr(kind, "__parameters__", ())
    generic: Any = kind
    return generic[tuple(types.get(name, Any) for name in free)] if free else generic


def _parameters(kind: type, args: tuple[Any, ...]) -> dict[Any, Any]:
    """Return what stands for the type variables of a generic class, and of those that it derives from."""
    known = dict(zip(getattr(kind, "__parameters__", ()), args, strict=False))
    for each in kind.__mro__:
        for base in vars(each).get("__orig_bases__", ()):
            names = getattr(typing.get_origin(base), "__parameters__", ())
            for name, given in zip(names, typing.get_args(base), strict=False):
                known.setdefault(name, _bound(given, known))
    return known


def _is_container(kind: type, args: tuple[Any, ...]) -> bool:
    """Whether the arguments of a generic are what it holds: so of what `typing` and the language know, not of classes."""
    return bool(args) and kind.__module__ in {"builtins", "collections", "collections.abc", "typing"}


def _fields(kind: type) -> list[tuple[str | int, object]]:
    """Return the fields of a class as its JSON has them, each with its annotation; none for what has none."""
    model = model_parts(kind)
    if model is not None:
        return [(name, Secret if _says_secret(said) else annotation) for name, annotation, said in model]
    if issubclass(kind, msgspec.Struct):
        return _fields_of_struct(kind)
    plain = cast("Any", kind)
    if issubclass(kind, tuple):
        names: tuple[str, ...] = getattr(plain, "_fields", ())
        hints = typing.get_type_hints(plain, include_extras=True) if names else {}
        return [(number, hints.get(name, Any)) for number, name in enumerate(names)]
    if typing.is_typeddict(plain) or dataclasses.is_dataclass(plain) or hasattr(plain, "__attrs_attrs__"):
        return [*typing.get_type_hints(plain, include_extras=True).items()]
    return []


def _fields_of_struct(kind: type[msgspec.Struct]) -> list[tuple[str | int, object]]:
    hints = typing.get_type_hints(kind, include_extras=True)
    names = zip(kind.__struct_fields__, kind.__struct_encode_fields__, strict=True)
    if not kind.__struct_config__.array_like:
        return [(encoded, hints[name]) for name, encoded in names]
    # In an array its tag comes first.
    first = 0 if kind.__struct_config__.tag is None else 1
    return [(number, hints[name]) for number, (name, _) in enumerate(names, first)]
