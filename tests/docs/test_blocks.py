"""Every block of code on every page is run by a test, or can at least be read by what it is for."""

from __future__ import annotations

import ast
import configparser
import json
import re
import tomllib
from fnmatch import fnmatch
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.docs.pages import ROOT, Block, all_blocks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

#: Instructions of a Dockerfile.
DOCKERFILE = re.compile(
    r"(?:FROM|ARG|ENV|WORKDIR|COPY|ADD|RUN|USER|EXPOSE|VOLUME|STOPSIGNAL|HEALTHCHECK|CMD|ENTRYPOINT) \S"
)
#: What is shown to be read: output, a change, what other programs take.
SHOWN = {"", "text", "diff", "sql", "js", "promql", "nginx", "http", "lua"}
#: What the site is built with.
DIRECTIVES = {"{eval-rst}", "{include} ../CHANGELOG.md", "{include} ../README.md", "{toctree}"}


def _ini(text: str) -> None:
    # systemd has options that are given more than once.
    configparser.ConfigParser(strict=False, interpolation=None).read_string(text)


def _dockerfile(text: str) -> None:
    whole = re.sub(r"\\\n\s*", "", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE))
    for line in whole.splitlines():
        assert not line.strip() or DOCKERFILE.match(line), f"no instruction: {line}"


READERS: dict[str, Callable[[str], object]] = {
    "dockerfile": _dockerfile,
    "ini": _ini,
    "json": json.loads,
    "toml": tomllib.loads,
    "yaml": lambda text: list(yaml.safe_load_all(text)),
}


def test_every_block_says_what_it_is() -> None:
    """No block has a language that is checked by nothing."""
    known = {"python", "sh", "console", *READERS, *SHOWN, *DIRECTIVES}
    assert [f"{block}: {block.language}" for block in all_blocks() if block.language not in known] == []


@pytest.mark.parametrize("block", all_blocks(*READERS), ids=str)
def test_files_can_be_read(block: Block) -> None:
    """YAML, JSON, TOML, ini and Dockerfiles are what they say they are."""
    READERS[block.language](block.text)


@pytest.mark.parametrize("block", all_blocks("python"), ids=str)
def test_python_can_be_read(block: Block) -> None:
    """Python is Python."""
    compile(block.text, str(block), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


def test_every_page_with_python_is_run() -> None:
    """A page with Python is named by the tests that run it, by its whole path or from the folder that it is in."""
    named = {pattern for path in ROOT.glob("tests/**/test_*.py") for pattern in _named(path)}
    pages = {block.page for block in all_blocks("python")}
    assert {page for page in pages if not any(fnmatch(page, pattern) for pattern in named)} == set()


def _named(test: Path) -> Iterator[str]:
    """Yield the pages, or patterns of pages, that a test names; a folder that it names goes before each."""
    texts = {text for node in ast.walk(ast.parse(test.read_text("utf-8"))) for text in _texts(node)}
    folders = {text for text in texts if text == "docs" or (text.startswith("docs/") and not text.endswith(".md"))}
    for name in texts:
        if name.endswith(".md"):
            yield name
            yield from (f"{folder}/{name}" for folder in folders)


def _texts(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.BinOp(op=ast.Div()):
            yield "/".join(_parts(node))


def _parts(node: Any) -> Iterator[str]:  # noqa: ANN401 - any node
    """Yield the texts of ``root / "docs" / "how-to"``."""
    match node:
        case ast.BinOp(left=left, op=ast.Div(), right=right):
            yield from _parts(left)
            yield from _parts(right)
        case ast.Constant(value=str(text)):
            yield text
