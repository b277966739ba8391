"""Provokes errors, and keeps what they say and where they were made."""

from __future__ import annotations

import ast
import asyncio
import functools
import inspect
import re
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from backburner import errors
from backburner.errors import BackburnerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import FrameType

#: What all are expected to say.
GOLDEN = Path(__file__).with_name("messages.txt")
PACKAGE = Path(errors.__file__).parent
CLASSES: Mapping[str, type[BackburnerError]] = {
    name: each for name, each in vars(errors).items() if isinstance(each, type) and issubclass(each, BackburnerError)
}
#: What is another in each run, and what stands for it.
_CHANGING = (
    (re.compile(re.escape(str(PACKAGE.parent)) + "/"), ""),
    (re.compile(r"\b01[0-9a-hjkmnp-tv-z]{24}\b"), "01m8…"),
    (re.compile(r"'[0-9a-z]{8}-(\d*)'"), r"'LOG-\1'"),
    (re.compile(r" at 0x[0-9a-f]+"), " at 0x…"),
    (re.compile(r"\.py:\d+"), ".py:…"),
    (re.compile(re.escape(tempfile.gettempdir()) + r"/[\w.-]+"), "/tmp"),  # noqa: S108 - a word, and no folder
)


@dataclass(frozen=True, slots=True, order=True)
class Site:
    """A place in the code that makes an error; lines from, to."""

    file: str
    first: int
    last: int
    kind: str
    #: What it says, with what is put in as {}; empty where that is made elsewhere.
    template: str


@dataclass(frozen=True, slots=True)
class Told:
    """An error as its user reads it."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Collected:
    """What all cases were told, and where it was made."""

    told: frozenset[Told]
    made: frozenset[Site]

    @property
    def text(self) -> str:
        """Return it as it is kept: by class, in order."""
        lines: list[str] = []
        for kind in sorted({each.kind for each in self.told}):
            texts = sorted(each.text for each in self.told if each.kind == kind)
            lines += [f"{kind}", *(f"  {text.replace(chr(10), chr(10) + '    ')}" for text in texts), ""]
        return "\n".join(lines)


def provoke(case: Callable[[], object]) -> Told:
    """Return what a case is told; fails if it is told nothing, or by another error than ours."""
    try:
        answer = case()
        if inspect.iscoroutine(answer):
            answer = asyncio.run(answer)
        if isinstance(answer, BackburnerError):
            raise answer
    except BackburnerError as error:
        return Told(type(error).__name__, plain(str(error)))
    name = getattr(case, "__name__", "")
    line = case.__code__.co_firstlineno if inspect.isfunction(case) else 0
    raise AssertionError(f"{name}, line {line} of {inspect.getsourcefile(case)}, is not refused: {answer!r}")


def plain(text: str) -> str:
    """Return a text without what is another in each run."""
    for pattern, word in _CHANGING:
        text = pattern.sub(word, text)
    return text


@functools.cache
def sites() -> tuple[Site, ...]:
    """Return all places of the package that make an error, but for the suite for store authors, which asserts."""
    return tuple(sorted(_sites()))


@contextmanager
def watched() -> Iterator[set[Site]]:
    """Yield the places that make errors within the block."""
    found: set[Site] = set()
    by_file: dict[str, list[Site]] = {}
    for site in sites():
        by_file.setdefault(site.file, []).append(site)
    init = BackburnerError.__init__

    def noting(self: BackburnerError, message: str | None = None) -> None:
        init(self, message)
        frame: FrameType | None = sys._getframe(1)
        while frame is not None and frame.f_code.co_filename == errors.__file__:
            frame = frame.f_back
        if frame is not None and frame.f_code.co_filename.startswith(str(PACKAGE)):
            file, line = str(Path(frame.f_code.co_filename).relative_to(PACKAGE)), frame.f_lineno
            found.update(site for site in by_file.get(file, ()) if site.first <= line <= site.last)

    BackburnerError.__init__ = noting  # type: ignore[method-assign]
    try:
        yield found
    finally:
        BackburnerError.__init__ = init  # type: ignore[method-assign]


def _sites() -> Iterator[Site]:
    for path in PACKAGE.rglob("*.py"):
        file = path.relative_to(PACKAGE)
        if file.parts[0] == "testing" or file.name == "errors.py":
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call):
                name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                if name in CLASSES:
                    template = _template(node.args[0]) if node.args else ""
                    yield Site(str(file), node.lineno, node.end_lineno or node.lineno, name, template)


def _template(node: ast.expr) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(_template(part) if isinstance(part, ast.Constant) else "{}" for part in node.values)
    return ""


def collect() -> Collected:
    """Provoke all that there are cases for."""
    from tests.unit.error_messages import declaring, parts, running, stores, values  # noqa: PLC0415 - they import this

    told: set[Told] = set()
    with watched() as made:
        for cases in (values.CASES, declaring.CASES, running.CASES, stores.CASES, parts.CASES):
            told.update(map(provoke, cases))
    return Collected(frozenset(told), frozenset(made))
