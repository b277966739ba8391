"""What a function's annotations say of its values."""

from __future__ import annotations

import typing
from dataclasses import dataclass, replace
from inspect import Parameter, formatannotation, unwrap
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Optional

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

__all__ = ["NOTHING", "TROUBLE", "Annotation", "annotation_text", "resolve"]

#: What evaluating somebody's annotation, or asking what it holds, may raise.
TROUBLE = (NameError, TypeError, AttributeError, ValueError, LookupError, SyntaxError, ImportError, RuntimeError)


@dataclass(frozen=True, slots=True)
class Annotation:
    """One annotation: as it is written, and as values are decoded to it."""

    #: Empty without one.
    text: str
    #: `Any`, by which JSON comes back as it is, where there is none or it cannot be used.
    type: Any
    #: Why it cannot be used; empty if it can.
    trouble: str = ""

    @property
    def known(self) -> bool:
        """Whether it says anything of the type."""
        return self.type is not Any and self.type is not object


#: No annotation.
NOTHING = Annotation("", Any)


def resolve(fn: Callable[..., object], parameters: Iterable[Parameter]) -> Mapping[str, Annotation]:
    """Return what a function's parameters hold and, under ``return``, what it returns or awaits to.

    Never raises: a name that cannot be found, and a type that has no decoder, leave a note instead.
    """
    fn = unwrap(fn)
    found = {name: _resolved(fn, name, written) for name, written in fn.__annotations__.items()}
    return found | {each.name: _held(each, found.get(each.name, NOTHING)) for each in parameters}


def annotation_text(written: object) -> str:
    """Return an annotation as it is written; empty where there is none."""
    if written is Parameter.empty:
        return ""
    return written if isinstance(written, str) else formatannotation(written)


def _held(parameter: Parameter, annotation: Annotation) -> Annotation:
    """Return the annotation of what a parameter holds, where the written one means less."""
    unpacked = typing.get_origin(annotation.type) is typing.Unpack
    kind: Any = annotation.type
    if unpacked:
        (kind,) = typing.get_args(kind)
    elif parameter.kind is Parameter.VAR_POSITIONAL:
        kind = tuple[kind, ...]
    elif parameter.kind is Parameter.VAR_KEYWORD:
        kind = dict[str, kind]
    elif parameter.default is None:
        # What `x: int = None` says to readers of code without strict types.
        kind = Optional[kind]  # noqa: UP045 - a value, made at run time
    return replace(annotation, type=kind)


def _resolved(fn: Callable[..., object], name: str, written: object) -> Annotation:
    text = annotation_text(written)
    holder = SimpleNamespace(__annotations__={name: written}, __type_params__=getattr(fn, "__type_params__", ()))
    try:
        kind: Any = typing.get_type_hints(holder, getattr(fn, "__globals__", {}), include_extras=True)[name]
    except TROUBLE as error:
        return Annotation(text, Any, f"cannot be resolved where the job is defined: {error}")
    (inner,) = typing.get_args(kind) if typing.get_origin(kind) is typing.Unpack else (kind,)
    try:
        msgspec.json.Decoder(inner)
    except TROUBLE as error:
        return Annotation(text, Any, f"cannot be read from JSON: {error}")
    return Annotation(text, kind)
