"""The page of settings: what `Backburner` takes that an operator may set instead, and by which variable."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from unittest.mock import patch

import msgspec

from backburner import app, config
from backburner.model.duration import short
from backburner.ports.jobs import Keep
from backburner.resilience.retry import RetryPolicy
from scripts.reference.fields import fields

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["EXAMPLES", "default_of", "page", "variable_of"]

HEAD = """# Settings

What `Backburner` takes as `lease=`, an operator sets by `BACKBURNER_LEASE`, and so on. The argument wins, else the variable,
else the default. A variable that is set to nothing is not set; one that cannot be read, or that begins with `BACKBURNER_`
and is no setting, is refused at the start with how to mend it. This page is made of the code
(`python scripts/write_reference.py`).

Durations are written `500ms`, `30s`, `15m`, `2h`, `7d` or `1h30m`; a plain number is seconds.

| variable | default | |
|---|---|---|
"""

TAIL = """
What else `Backburner` takes belongs to the code, and has no variable: its
[options](api/engine.md).
"""

#: How each variable may be written.
EXAMPLES = {
    "url": "postgresql://web@db.internal/app",
    "run": "0",
    "queues": "default=10,mail=5",
    "slots": "50",
    "retry": "conservative",
    "timeout": "15m",
    "threads": "16",
    "processes": "2",
    "lease": "1m",
    "grace": "2m",
    "write_timeout": "10s",
    "keep": "completed=1h,dead=forever",
    "tz": "Europe/Berlin",
    "secrets": "password,card.number",
}
#: What the class itself says, or the machine decides.
URL = "Where jobs are stored."
DURATIONS = {"timeout", "lease", "grace", "write_timeout"}
BY_MACHINE = {"threads": "CPUs + 4, at most 8", "processes": "CPUs - 1, at least 1"}


def page() -> str:
    """Return the page."""
    return HEAD + "\n".join(_rows()) + "\n" + TAIL


def variable_of(option: str) -> str:
    """Return the variable of an option."""
    return f"BACKBURNER_{option.upper()}"


def default_of(option: str) -> str | None:
    """Return the default as the variable would be written; None where the machine decides."""
    few, many = (_default(option, cpus) for cpus in (1, 64))
    return few if few == many else None


def _rows() -> Iterator[str]:
    texts = {"url": URL} | {name: text for name, _, text in fields(app.Options)}
    for option, example in EXAMPLES.items():
        default = default_of(option)
        shown = BY_MACHINE[option] if default is None else f"`{default}`" if default else "none"
        text = texts[option].splitlines()[0].replace("``", "`")
        yield f"| `{variable_of(option)}` | {shown} | {text} Such as `{example}`. |"


def _default(option: str, cpus: int) -> str:
    with patch.object(os, "cpu_count", return_value=cpus):
        value = getattr(config.load({}), option)
    match value:
        case Keep():
            return ", ".join(f"{name}={short(length)}" for name, length in msgspec.structs.asdict(value).items())
        case RetryPolicy():
            return value.name
        case dict():
            return ", ".join(f"{name}={slots}" for name, slots in value.items())
        case tuple():
            return ",".join(value)
        case _ if option in DURATIONS:
            return short(value)
    return str(int(value)) if isinstance(value, bool) else str(value)
