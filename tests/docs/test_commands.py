"""Every command line of `backburner` on every page is one that the program takes."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import click
import pytest
import yaml

from backburner.cli import main
from scripts.reference.settings import EXAMPLES, variable_of
from tests.docs.pages import Block, all_blocks, pages, prose

if TYPE_CHECKING:
    from collections.abc import Iterator

#: What runs another program: `backburner` behind one of them is a command, behind `pip install` it is not.
RUNNERS = {"docker", "env", "exec", "kubectl", "podman", "sudo", "time", "timeout", "uv", "python"}
INSTALLS = {"add", "install", "pip", "up"}


def parse(arguments: list[str]) -> None:
    """Have the program read a command line, and stop before it does anything; raises `click.UsageError`."""
    command: click.Command = main
    context = click.Context(main, info_name="backburner")
    while isinstance(command, click.Group):
        if not arguments or arguments[0] in {"--help", "--version"}:
            return
        name, *arguments = arguments
        found = command.get_command(context, name)
        if found is None:
            raise click.UsageError(f"there is no {context.command_path} {name}")
        command, context = found, click.Context(found, info_name=name, parent=context)
    try:
        command.make_context(context.info_name, arguments, parent=context.parent)
    except click.exceptions.Exit:  # --help
        return


def commands(words: list[str]) -> Iterator[list[str]]:
    """Yield the arguments of `backburner`, where it is what runs: by itself, after settings, behind a runner."""
    while words and re.fullmatch(r"\w+=.*", words[0]):
        words = words[1:]
    for place, word in enumerate(words):
        if PurePath(word).name == "backburner":
            runs = place == 0 or (PurePath(words[0]).name.rstrip("3") in RUNNERS and not INSTALLS & {*words[:place]})
            if runs:
                yield words[place + 1 :]
            return


def in_shell(text: str) -> Iterator[list[str]]:
    """Yield what is run by a line of a shell."""
    lexer = shlex.shlex(text, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words: list[str] = []
    for word in lexer:
        if word.strip("();<>|&"):
            words.append(word)
        else:
            yield from commands(words)
            # What follows a redirection is a file, and a number before one is no argument.
            words = [] if word.strip("<>&") else ["…"]
    yield from commands(words)


def shell_lines(block: Block) -> Iterator[str]:
    """Yield a block's lines, whole; of a console's what is typed."""
    for line in re.sub(r" *\\\n(> )? *", " ", block.text).splitlines():
        if block.language == "console" and not line.startswith("$ "):
            continue
        yield line.removeprefix("$ ")


def in_value(value: Any) -> Iterator[list[str]]:  # noqa: ANN401 - what is read of YAML
    """Yield what is run by YAML, wherever it stands in it: as a list of words, or as a line."""
    match value:
        case str() if value.startswith("backburner "):
            yield from in_shell(value)
        case list() if all(isinstance(word, str) for word in value):
            words = [str(word) for word in value]
            yield from (in_shell(words[2]) if words[:2] in (["sh", "-c"], ["/bin/sh", "-c"]) else commands(words))
        case list():
            for each in value:
                yield from in_value(each)
        case dict():
            for key, each in value.items():
                args = value.get("args")
                yield from in_value([*each, *args] if key == "command" and args and isinstance(each, list) else each)


def found_in(block: Block) -> Iterator[list[str]]:
    """Yield what is run by a block."""
    match block.language:
        case "sh" | "console":
            for line in shell_lines(block):
                yield from in_shell(line)
        case "yaml":
            for document in yaml.safe_load_all(block.text):
                yield from in_value(document)
        case "ini":
            for line in re.findall(r"^Exec\w+=(.*)$", block.text, re.MULTILINE):
                yield from in_shell(line)
        case "dockerfile":
            for words in re.findall(r"^(?:CMD|ENTRYPOINT) (\[.*\])$", block.text, re.MULTILINE):
                yield from commands(json.loads(words))
        case _:
            return


LINES = [
    pytest.param(arguments, id=f"{block}: {' '.join(arguments)}")
    for block in all_blocks()
    for arguments in found_in(block)
]
SENTENCES = [
    pytest.param(code, id=f"{page}: {code}")
    for page in pages()
    for code in sorted({*re.findall(r"`(backburner [a-z][^`]*)`", prose(page))})
]


@pytest.mark.parametrize("arguments", LINES)
def test_commands_are_taken(arguments: list[str]) -> None:
    """What is to be typed, or is started by a file, has only commands, options and arguments that exist."""
    parse(arguments)


@pytest.mark.parametrize("code", SENTENCES)
def test_commands_in_sentences_exist(code: str) -> None:
    """What a sentence says of a command may leave out what it must have, but names nothing that is not there."""
    for arguments in in_shell(code):
        try:
            parse(arguments)
        except (click.MissingParameter, click.BadOptionUsage):
            continue


@pytest.mark.parametrize("page", pages())
def test_variables_exist(page: str) -> None:
    """A variable of a page is a setting, or one of the tests'."""
    known = {variable_of(option) for option in EXAMPLES}
    text = prose(page) + "".join(block.text for block in all_blocks() if block.page == page)
    named = {*re.findall(r"\bBACKBURNER_[A-Z][A-Z_]*\b", text)}
    assert {name for name in named - known if not name.startswith("BACKBURNER_TEST_")} == set()


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("backburner jobs list --state dead  # all of them", [["jobs", "list", "--state", "dead"]]),
        ("A=1 .venv/bin/backburner doctor || test $? -eq 1", [["doctor"]]),
        ("pg_dump app | backburner move - - > out.txt 2>&1", [["move", "-", "-"]]),
        ("docker compose exec app backburner db check && true", [["db", "check"]]),
        ("python -m backburner demo", [["demo"]]),
        ("pip install backburner && uv add backburner", []),
        ("systemctl restart backburner", []),
    ],
)
def test_commands_are_found(line: str, found: list[list[str]]) -> None:
    """A line's commands are read wherever they stand in it, and what only has the name is none."""
    assert list(in_shell(line)) == found


@pytest.mark.parametrize("line", ["jobs lst", "jobs list --stat dead", "jobs list --state deaf", "run", "db check now"])
def test_wrong_commands_are_refused(line: str) -> None:
    """A command, an option, a value or an argument too few or too many is told of."""
    with pytest.raises(click.UsageError):
        parse(line.split())
