"""Has a `TypedDict` show its fields, those of its bases too, with what stands below each in the source."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, is_typeddict

from scripts.reference.fields import fields

if TYPE_CHECKING:
    from sphinx.application import Sphinx


def setup(app: Sphinx) -> dict[str, Any]:
    """Hear of each docstring."""
    app.connect("autodoc-process-docstring", _add_fields)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _add_fields(_app: Sphinx, _what: str, _name: str, thing: object, _options: object, lines: list[str]) -> None:
    if isinstance(thing, type) and is_typeddict(thing):
        for field, annotation, text in fields(thing):
            lines += ["", f".. py:attribute:: {field}", f"   :type: {annotation}", ""]
            lines += [f"   {line}" for line in text.splitlines()]
        lines.append("")
