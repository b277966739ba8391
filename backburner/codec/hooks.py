"""What msgspec learns of pydantic, where the app uses it. Nothing here imports it."""

from __future__ import annotations

import sys
from typing import Any

import msgspec

__all__ = ["from_json", "model_fault", "model_fields", "model_parts", "model_schema", "to_json"]


def to_json(value: object) -> object:
    """Encode a pydantic model by its own rules; raises `TypeError` for anything else."""
    if _is_model(type(value)):
        model: Any = value
        return msgspec.Raw(model.model_dump_json(round_trip=True, by_alias=True, warnings="error").encode())
    raise TypeError(f"a {type(value).__name__} has no JSON form")


def from_json(kind: Any, value: object) -> object:  # noqa: ANN401 - a class, a generic alias, anything annotated
    """Make a pydantic model of decoded JSON, by its own rules; leave anything else for msgspec to judge."""
    # From text, not from objects: a strict model takes a date from JSON alone.
    return kind.model_validate_json(msgspec.json.encode(value)) if _is_model(kind) else value


def model_fields(value: object) -> tuple[str, ...]:
    """Return the names of a pydantic model's fields; none for anything else."""
    kind: Any = type(value)
    return tuple(kind.model_fields) if _is_model(kind) else ()


def model_parts(kind: type) -> list[tuple[str, Any, tuple[object, ...]]] | None:
    """Return the fields of a pydantic model as its JSON has them: name, annotation, and what else was annotated.

    None for anything else. A model that is written as one value alone has a field without a name.
    """
    if not _is_model(kind):
        return None
    root = issubclass(kind, sys.modules["pydantic"].RootModel)
    model: Any = kind
    return [
        ("" if root else field.serialization_alias or field.alias or name, field.annotation, tuple(field.metadata))
        for name, field in model.model_fields.items()
    ]


def model_fault(error: object) -> tuple[tuple[object, ...], str, str] | None:
    """Return the place, the kind and the words of the first fault that pydantic found; None for any other error."""
    pydantic = sys.modules.get("pydantic")
    if pydantic is None or not isinstance(error, pydantic.ValidationError):
        return None
    found: Any = error
    first = found.errors(include_url=False, include_context=False, include_input=False)[0]
    return tuple(first["loc"]), str(first["type"]), str(first["msg"])


def model_schema(kind: type, place: str = "#/$defs/{model}") -> object | None:
    """Return the JSON Schema of what a pydantic model reads; None for anything else, and where pydantic has none.

    ``place`` is where the models that it refers to, which stand in its ``$defs``, will be found.
    """
    model: Any = kind
    try:
        return model.model_json_schema(ref_template=place) if _is_model(kind) else None
    except RuntimeError:  # PydanticInvalidForJsonSchema: of a function, of a class of the app's
        return None


def _is_model(kind: object) -> bool:
    pydantic = sys.modules.get("pydantic")
    return pydantic is not None and isinstance(kind, type) and issubclass(kind, pydantic.BaseModel)
