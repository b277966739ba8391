"""A reader of a page: writes the files that it shows, types its commands, and sees whether they answer what it says."""

from __future__ import annotations

import asyncio
import importlib
import os
import re
import shlex
import signal
import sys
from asyncio.subprocess import PIPE, STDOUT
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import click
import httpx
from click.testing import CliRunner

from backburner.cli import main, render

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import TracebackType

    import pytest
    from fastapi import FastAPI

__all__ = ["Reader", "blocks"]

#: Where the pages' reader has the files, as the pages show it.
HOME = "/home/ada/shop"
#: The columns of the reader's terminal.
COLUMNS = 120
#: Seconds in which what is only looked at comes to be as the page shows it.
PATIENCE = 20

#: What differs from reading to reading, and is told by its looks. Names are bound: once seen, they mean the same.
_VARYING = re.compile(
    r"(?P<id>\b01[0-9a-hjkmnp-tv-z]{24}\b)"
    r"|(?P<print>\b[0-9a-f]{12}\b)"
    r"|(?P<node>\b[a-z][a-z0-9.-]*-\d+-[0-9a-f]{8}\b)"
    r"|(?P<place>\bworker +\d+\b)"
    r"|(?P<day>\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) \d{4}-\d\d-\d\d\b|\b\d\d [A-Z][a-z]+: )"
    r"|(?P<time>\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d)?(?:[.,]\d+)?Z?)"
    r"|(?P<span>(?<![\w.])(?:\d+(?:\.\d+)?(?:ms|us|µs|s|m|h|d))+\b)"
    r"|(?P<number>(?<=seconds=)[\d.]+)"
    r"|(?P<gap>(?m:^…\n))"
    r"|(?P<rest>…)"
    r"|(?P<spaces> {2,})"
)
_LOOKS = {
    "id": r"01[0-9a-hjkmnp-tv-z]{24}",
    "print": r"[0-9a-f]{12}",
    "node": r"\S+-\d+-[0-9a-f]{8}",
    "place": r"\S+ +\d+",
    "day": r"[A-Z][a-z]{2} \d{4}-\d\d-\d\d|\d\d [A-Z][a-z]+: ",
    "time": r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d)?(?:[.,]\d+)?Z?",
    "span": r"(?:\d+(?:\.\d+)?(?:ms|us|µs|s|m|h|d))+",
    "number": r"[\d.]+",
    "gap": r"(?:.*\n)*?",
    "rest": r".*?",
    "spaces": r" +",
}
_BOUND = frozenset({"id", "print"})
#: What is done before a page can be tried.
_DONE_BEFORE = ("pip install ", "python -m venv ", "source ", "mkdir ")
#: Commands that change nothing, and may be typed again until they show it.
_LOOKING = re.compile(r"curl (?!-X)|backburner \w+ (list|show|why|groups|check|ticks)\b")
#: A command that writes as to a terminal, and asks as if somebody sat there.
_AT_A_TERMINAL = """
from backburner.cli import main, render
render.is_terminal = render.is_interactive = lambda: True
main(prog_name="backburner")
"""


def blocks(page: Path, *languages: str) -> Iterator[tuple[str, str]]:
    """Return a page's fenced blocks in order, each with its language."""
    for language, text in re.findall(r"^```(\w+)\n(.*?)^```$", page.read_text("utf-8"), re.DOTALL | re.MULTILINE):
        if not languages or language in languages:
            yield language, text


@dataclass
class Reader:
    """Somebody who reads pages one after the other, in a folder of their own."""

    folder: Path
    patch: pytest.MonkeyPatch
    #: What stands for what on the pages: addresses, ids, fingerprints.
    meant: dict[str, str] = field(default_factory=dict[str, str])
    _running: AsyncExitStack = field(default_factory=AsyncExitStack)
    _working: AsyncExitStack = field(default_factory=AsyncExitStack)
    _client: httpx.AsyncClient | None = None

    async def __aenter__(self) -> Self:
        """Sit down before an empty folder."""
        self.meant.setdefault(HOME, str(self.folder))
        self.patch.chdir(self.folder)
        self.patch.syspath_prepend(self.folder)
        self.patch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
        self.patch.setenv("COLUMNS", str(COLUMNS))
        self.patch.setenv("LOGNAME", Path(HOME).parent.name)
        self.patch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
        self.patch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # what is installed here, and not there
        self.patch.setenv("PYTEST_ADDOPTS", "-p anyio -p no:cacheprovider")
        self.patch.setenv("PYTHONDONTWRITEBYTECODE", "1")  # files change within a second
        self.patch.setattr(sys, "dont_write_bytecode", True)
        self.patch.setattr(render, "is_terminal", lambda: True)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        """Stop whatever runs."""
        await self._stop()

    async def read(self, page: Path) -> None:
        """Do what a page says, block by block."""
        for language, text in blocks(page, "python", "console"):
            if language == "python":
                self._write(text)
                continue
            for command, answer in _typed(text):
                try:
                    await self._type(command, answer)
                except AssertionError as error:
                    raise AssertionError(f"{page.name}: $ {command}\n{error}") from None

    def _write(self, text: str) -> None:
        named = re.match(r"# (\w+\.py)\n", text)
        assert named, f"the block names no file: {text[:60]!r}"
        (self.folder / named[1]).write_text(text.replace(HOME, str(self.folder)))

    async def _type(self, command: str, answer: str) -> None:
        typed = self._as_meant(command)
        if typed.startswith(_DONE_BEFORE):
            return
        if typed.startswith("export "):
            name, _, value = typed.removeprefix("export ").partition("=")
            self.patch.setenv(name, value.strip("'\""))
        elif re.search(r"\buvicorn ", typed):
            await self._serve(typed)
        elif typed.startswith("backburner run "):
            await self._work(typed, answer)
        elif _LOOKING.match(typed):
            await self._look(typed, answer)
        else:
            self._compare(answer, await self._answered(typed))

    async def _look(self, typed: str, answer: str) -> None:
        seen = ""
        try:
            async with asyncio.timeout(PATIENCE):
                while self._difference(answer, seen := await self._answered(typed)):
                    pass
        except TimeoutError:
            self._compare(answer, seen)

    async def _answered(self, typed: str) -> str:
        words = shlex.split(typed, comments=True)
        match words[0]:
            case "curl":
                return await self._asked(words[1:])
            case "backburner" if words[1:3] != ["dlq", "replay"]:
                return await asyncio.to_thread(self._commanded, words[1:])
            case "backburner":  # which handles signals, and is a process's first thread for that
                return await _run(shlex.join([sys.executable, "-c", _AT_A_TERMINAL, *words[1:]]))
            case _:
                return await _run(typed)

    def _commanded(self, words: list[str]) -> str:
        answer = CliRunner().invoke(main, words)
        if answer.exception and not isinstance(answer.exception, SystemExit):
            raise answer.exception
        return click.unstyle(answer.output)

    async def _asked(self, words: list[str]) -> str:
        assert self._client is not None, "the app does not run"
        method = "GET"
        if words[0] == "-X":
            method, words = words[1], words[2:]
        (url,) = words
        answer = await self._client.request(method, url.removeprefix("localhost:8000"))
        return f"{answer.text}\n"

    async def _serve(self, typed: str) -> None:
        """Run the app in this process, with the variables before the command; stop what ran before."""
        await self._stop()
        for name, _, value in (word.partition("=") for word in typed.split() if "=" in word):
            self.patch.setenv(name, value)
        app: FastAPI = self._import("app").app
        await self._running.enter_async_context(app.router.lifespan_context(app))
        transport = httpx.ASGITransport(app)
        self._client = await self._running.enter_async_context(
            httpx.AsyncClient(transport=transport, base_url="http://localhost:8000", follow_redirects=True)
        )

    async def _work(self, typed: str, answer: str) -> None:
        """Run workers until they have said what the page shows before its ^C, and the rest after it.

        Without a ^C they go on, until others are started.
        """
        await self._working.aclose()
        before, stopped, after = answer.partition("^C\n")
        process = await asyncio.create_subprocess_exec(*shlex.split(typed), stderr=PIPE)
        assert process.stderr is not None
        seen = rest = ""
        try:
            async with asyncio.timeout(PATIENCE):
                while self._difference(before, seen):
                    line = await process.stderr.readline()
                    assert line, f"it ended, and had said:\n{seen}"
                    seen += line.decode()
        except TimeoutError:
            self._compare(before, seen)
        finally:
            if not stopped:
                self._working.push_async_callback(_end, process)
            else:
                await self._look("backburner jobs list --state waiting --state running", "Error: no job matches\n")
                process.send_signal(signal.SIGINT)
                rest = (await process.stderr.read()).decode()
                await process.wait()
        if stopped:
            self._compare(after, rest)

    async def _stop(self) -> None:
        self._client = None
        await self._running.aclose()
        await self._working.aclose()
        for file in self.folder.glob("*.py"):
            sys.modules.pop(file.stem, None)

    def _import(self, name: str) -> Any:  # noqa: ANN401 - a module of the page's
        importlib.invalidate_caches()
        return importlib.import_module(name)

    def _as_meant(self, text: str) -> str:
        for shown, meant in self.meant.items():
            text = text.replace(shown, meant)
        return text

    def _compare(self, answer: str, seen: str) -> None:
        difference = self._difference(answer, seen)
        assert difference is None, difference

    def _difference(self, answer: str, seen: str) -> str | None:
        """Tell how what was seen differs from what the page says; keep the names that it gave, if it does not."""
        seen = "".join(f"{line.rstrip()}\n" for line in seen.splitlines())
        pattern, names = self._pattern(self._as_meant(answer))
        found = re.fullmatch(pattern, seen)
        if found is None:
            return f"the page says:\n{answer}\nand it was:\n{seen}"
        self.meant.update({shown: found[group] for shown, group in names.items()})
        return None

    def _pattern(self, answer: str) -> tuple[str, Mapping[str, str]]:
        """Return what matches an answer, and the groups of names that are met for the first time."""
        known = frozenset(self.meant.values())
        pattern, end, names = "", 0, dict[str, str]()
        for each in _VARYING.finditer(answer):
            pattern += re.escape(answer[end : each.start()])
            end = each.end()
            kind, text = str(each.lastgroup), each[0]
            if kind in _BOUND and text in known:
                pattern += re.escape(text)
            elif kind in _BOUND and text in names:
                pattern += f"(?P={names[text]})"
            elif kind in _BOUND:
                names[text] = f"name{len(names)}"
                pattern += f"(?P<{names[text]}>{_LOOKS[kind]})"
            else:
                pattern += f"(?:{_LOOKS[kind]})"
        return pattern + re.escape(answer[end:]), names


def _typed(console: str) -> Iterator[tuple[str, str]]:
    """Return the commands of a console, each with what it answered."""
    for part in re.split(r"^\$ ", console, flags=re.MULTILINE)[1:]:
        command, _, answer = part.partition("\n")
        yield command.split("    # ")[0].strip(), answer


async def _run(line: str) -> str:
    """Return what a command says, to which a question is answered by yes."""
    process = await asyncio.create_subprocess_shell(line, stdin=PIPE, stdout=PIPE, stderr=STDOUT)
    said = (await process.communicate(b"y\n"))[0].decode()
    return click.unstyle(said).replace("[y/N]: ", "[y/N]: y\n")  # as a terminal shows what is typed


async def _end(process: asyncio.subprocess.Process) -> None:
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    await process.stderr.read()
    await process.wait()
