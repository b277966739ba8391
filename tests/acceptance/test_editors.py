"""What an editor shows of jobs: asked of pyright's language server, as editors do."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import pytest

from backburner.jobs.options import TaskOptions

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
#: Seconds until a server that says nothing is ended; its answers then stop, and the test says at which question.
PATIENCE = 50

TEXT = '''\
from backburner import Backburner

bb = Backburner("memory://")


@bb.job
async def send_email(to: str, subject: str = "hi") -> str:
    """Send an email to somebody."""
    return to


@bb.job(queue="images")
def thumbnail(path: str, size: int) -> bytes:
    """Make a small picture."""
    return b""


async def use() -> None:
    handle = await bb.create_task(send_email("ada@example.org"), delay=60)
    text = await handle
    later = await bb.create_task(send_email("bob@example.org"), )
    small = await thumbnail("a.png", 3)
    print(text, later, small)
'''


class Server:
    """One language server, asked over its pipes."""

    def __init__(self, to: IO[bytes], back: IO[bytes]) -> None:
        self._to = to
        self._back = back
        self._ids = itertools.count(1)

    def tell(self, method: str, params: object, **more: object) -> None:
        """Send a notification or, with an id, a request."""
        body = json.dumps({"jsonrpc": "2.0", "method": method, "params": params, **more}).encode()
        self._write(body)

    def ask(self, method: str, params: object) -> Any:  # noqa: ANN401 - JSON
        """Send a request and return what is answered; what the server asks meanwhile is answered by null."""
        number = next(self._ids)
        self.tell(method, params, id=number)
        while True:
            message = self._read(method)
            if "method" in message:
                if "id" in message:
                    wanted = len(message["params"]["items"]) if message["method"] == "workspace/configuration" else 0
                    self._write(
                        json.dumps(
                            {"jsonrpc": "2.0", "id": message["id"], "result": [None] * wanted or None},
                        ).encode()
                    )
            elif message["id"] == number:
                assert "error" not in message, message
                return message["result"]

    def _write(self, body: bytes) -> None:
        self._to.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        self._to.flush()

    def _read(self, method: str) -> Any:  # noqa: ANN401 - JSON
        length = 0
        while (line := self._back.readline()).strip():
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        assert line, f"the language server ended, or was ended after {PATIENCE} s, without an answer to {method}"
        return json.loads(self._back.read(length))


class Editor:
    """One open file."""

    def __init__(self, server: Server, path: Path, text: str) -> None:
        self._server = server
        self._uri = path.as_uri()
        self._text = text
        path.write_text(text)
        server.tell(
            "textDocument/didOpen",
            {"textDocument": {"uri": self._uri, "languageId": "python", "version": 1, "text": text}},
        )

    def hover(self, where: str) -> str:
        """Return what is shown over the first letter of a text."""
        return str(self._ask("hover", where, after=False)["contents"]["value"])

    def signature(self, where: str) -> Any:  # noqa: ANN401 - JSON
        """Return the signature shown while the cursor is behind a text."""
        (signature,) = self._ask("signatureHelp", where, after=True)["signatures"]
        return signature

    def completions(self, where: str) -> set[str]:
        """Return what is offered behind a text."""
        answer = self._ask("completion", where, after=True)
        return {item["label"] for item in (answer["items"] if isinstance(answer, dict) else answer)}

    def _ask(self, what: str, where: str, *, after: bool) -> Any:  # noqa: ANN401 - JSON
        before = self._text[: self._text.index(where) + (len(where) if after else 0)]
        line, column = before.count("\n"), len(before) - before.rfind("\n") - 1
        return self._server.ask(
            f"textDocument/{what}",
            {"textDocument": {"uri": self._uri}, "position": {"line": line, "character": column}},
        )


@pytest.fixture(scope="module")
def editor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Editor]:
    """Return a file of a user's, opened in an editor."""
    folder = tmp_path_factory.mktemp("project")
    settings = {"venvPath": str(Path(sys.prefix).parent), "venv": Path(sys.prefix).name, "extraPaths": [str(ROOT)]}
    (folder / "pyrightconfig.json").write_text(json.dumps(settings))
    program = Path(sys.executable).with_name("basedpyright-langserver")
    assert program.exists(), f"{program} is missing: pip install -e '.[dev]'"
    with subprocess.Popen([program, "--stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        limit = threading.Timer(PATIENCE, process.kill)
        limit.start()
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            server = Server(process.stdin, process.stdout)
            workspace = [{"uri": folder.as_uri(), "name": "project"}]
            shown = {
                "hover": {"contentFormat": ["markdown"]},
                "signatureHelp": {"signatureInformation": {"documentationFormat": ["markdown"]}},
            }
            server.ask(
                "initialize",
                {
                    "processId": None,
                    "rootUri": folder.as_uri(),
                    "workspaceFolders": workspace,
                    "capabilities": {"textDocument": shown, "workspace": {"configuration": True}},
                },
            )
            server.tell("initialized", {})
            yield Editor(server, folder / "app.py", TEXT)
            server.ask("shutdown", None)
            server.tell("exit", None)
            process.wait()
        finally:
            limit.cancel()
            process.kill()


def test_hovering_over_a_job_shows_its_signature_types_and_docstring(editor: Editor) -> None:
    """A decorated function still says what it takes, what comes of it and what it is for."""
    email = editor.hover('send_email("ada')
    assert 'Job[(to: str, subject: str = "hi"), str]' in email
    assert "Send an email to somebody." in email
    picture = editor.hover('thumbnail("a.png')
    assert "Job[(path: str, size: int), bytes]" in picture
    assert "Make a small picture." in picture


def test_hovering_over_a_definition_shows_the_function(editor: Editor) -> None:
    """Where it is written, the plain function is shown."""
    assert "async def send_email" in editor.hover("send_email(to")


def test_hovering_over_what_comes_back_shows_its_type(editor: Editor) -> None:
    """A handle knows what its job returns, and so does an await."""
    assert "handle: JobHandle[str]" in editor.hover("handle = ")
    assert "text: str" in editor.hover("text = ")
    assert "small: bytes" in editor.hover("small = ")


def test_hovering_over_create_task_shows_what_it_promises(editor: Editor) -> None:
    """`create_task` has its docstring, and an option its type."""
    shown = editor.hover("create_task(send_email")
    assert "when this returns, the job is durable" in shown
    assert "TaskOptions" in shown
    assert "delay: timedelta | float" in editor.hover("delay=60")


@pytest.mark.parametrize(
    ("where", "label", "active"),
    [
        ("create_task(send_email(", '(to: str, subject: str = "hi") -> Call[str]', 0),
        ('thumbnail("a.png", ', "(path: str, size: int) -> Call[bytes]", 1),
    ],
)
def test_a_call_is_helped_by_the_signature_of_its_function(editor: Editor, where: str, label: str, active: int) -> None:
    """Within the parentheses the parameters are shown, and which of them is next."""
    shown = editor.signature(where)
    assert shown["label"] == label
    assert shown["activeParameter"] == active


def test_every_option_of_create_task_is_shown_and_offered(editor: Editor) -> None:
    """`create_task` takes its options by ``**``, and editors know each by name and type."""
    names = {f"{name}=" for name in TaskOptions.__annotations__}
    assert {"delay=", "at=", "id=", "timeout=", "tx="} <= names
    assert names <= editor.completions('send_email("bob@example.org"), ')
    label = editor.signature('send_email("bob@example.org"), ')["label"]
    assert all(f" {name.removesuffix('=')}: " in label for name in names)


def test_what_an_engine_has_is_offered(editor: Editor) -> None:
    """The words of the surface are found by typing a dot."""
    assert {"job", "create_task", "create_tasks", "handle", "lifespan", "TaskGroup"} <= editor.completions("await bb.")
