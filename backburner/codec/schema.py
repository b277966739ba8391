"""What stored arguments look like, as a JSON Schema: for people, and for whoever changes arguments by hand."""

from __future__ import annotations

from enum import Enum
from inspect import Parameter
from typing import TYPE_CHECKING, Any, cast

import msgspec
from msgspec import inspect

from backburner.codec.annotations import TROUBLE
from backburner.codec.hooks import model_schema
from backburner.codec.payloads import UNFIT, has_nul, write

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping

    from backburner.codec.annotations import Annotation

__all__ = ["schema_of"]

_VARIADIC = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)


def schema_of(
    parameters: Iterable[Parameter], annotations: Mapping[str, Annotation], hidden: Container[str] = ()
) -> str:
    """Return JSON text: a JSON Schema, draft 2020-12, of the object that stored arguments are.

    ``*args`` is a list under its name there and ``**kwargs`` an object under its; there is no other. A parameter whose
    annotation says nothing, or cannot be put as a schema, may be anything: it has the annotation's words alone as its
    ``description``. Each has the definitions it needs in a ``$defs`` of its own. Those that are ``hidden`` show no default,
    and are ``writeOnly``. Never raises.
    """
    properties: dict[str, msgspec.Raw] = {}
    required: list[str] = []
    for parameter in parameters:
        properties[parameter.name] = _property(parameter, annotations[parameter.name], hide=parameter.name in hidden)
        if parameter.default is Parameter.empty and parameter.kind not in _VARIADIC:
            required.append(parameter.name)
    schema = {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
    return write(schema).decode()


def _property(parameter: Parameter, annotation: Annotation, *, hide: bool) -> msgspec.Raw:
    more: dict[str, Any] = {"writeOnly": True} if hide else {}
    if not hide and parameter.default is not Parameter.empty:
        more = _shown(parameter.default)
    try:
        return _written(_schema(parameter.name, annotation) | more)
    except (*TROUBLE, *UNFIT):
        return _written(({"description": annotation.text} if annotation.text else {}) | more)


def _schema(name: str, annotation: Annotation) -> dict[str, Any]:
    """Describe one annotation; raises one of `TROUBLE` for what cannot be described."""
    if annotation.trouble:
        raise TypeError(annotation.trouble)
    place = f"#/properties/{name}/$defs"
    models: dict[str, Any] = {}

    def of_class(kind: type) -> dict[str, Any]:
        # No class of msgspec's is called so; pydantic's have their own definitions below.
        key = f"{len(models)}:{kind.__name__}"
        schema = model_schema(kind, f"{place}/{key}/$defs/{{model}}")
        if schema is None:
            return {"description": kind.__qualname__}
        models[key] = schema
        return {"$ref": f"{place}/{key}"}

    (schema,), components = msgspec.json.schema_components(
        [annotation.type], schema_hook=of_class, ref_template=f"{place}/{{name}}"
    )
    for enum in filter(_is_open, _enums(inspect.type_info(annotation.type), set())):
        for component in components.values():
            if component["title"] == enum.__name__:
                component.pop("enum", None)
    definitions = components | models
    return schema | {"$defs": definitions} if definitions else schema


def _shown(default: object) -> dict[str, msgspec.Raw]:
    try:
        return {"default": _written(default)}
    except UNFIT:
        return {}


def _written(value: object) -> msgspec.Raw:
    """Write a part; raises `ValueError` for NUL, which some stores refuse."""
    raw = write(value)
    if has_nul(raw.decode()):
        raise ValueError("NUL")
    return msgspec.Raw(raw)


def _enums(part: object, seen: set[int]) -> Iterator[type]:
    """Yield the enumerations that a type is made of."""
    if isinstance(part, inspect.EnumType):
        yield part.cls
    elif isinstance(part, tuple):
        for each in cast("tuple[object, ...]", part):
            yield from _enums(each, seen)
    elif isinstance(part, inspect.Type | inspect.Field) and id(part) not in seen:
        seen.add(id(part))
        for name in part.__struct_fields__:
            yield from _enums(getattr(part, name), seen)


def _is_open(enum: type) -> bool:
    """Whether it has more values than members: combinations of flags, or what its class makes of others itself."""
    return any("_missing_" in vars(base) for base in enum.__mro__ if base is not Enum)
