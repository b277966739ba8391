"""No output shows a secret: canaries are planted wherever one may stand, and everything that comes out is searched."""

from __future__ import annotations

import json
import logging
import re
import sqlite3
import stat
import traceback
import warnings
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any

import pytest
import structlog

from backburner import At, JobDead, RetryPolicy, constant
from backburner.errors import ArgumentNotStorable, CallNotUsed, InvalidOption, LetterFileRefused
from backburner.observability.logs import LogListener
from backburner.ports.telemetry import Signal
from tests.acceptance.commands import command, told
from tests.acceptance.secretive import (
    Card,
    Customer,
    charge,
    charge_any,
    charge_elsewhere,
    charge_in_a_thread,
    end,
    issue,
    jobs,
    log_in,
    misissue,
    remember,
    remember_elsewhere,
)
from tests.stores import SHARED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from backburner import Backburner, Call
    from backburner.ports.telemetry import Listener

QUICK = RetryPolicy(attempts=2, backoff=constant(0.001))
#: What an operator says beside what is annotated.
NAMED = ["token", "account.user.password"]


class Ears:
    """Keeps all that the engine tells, as a log and a tracker of errors would: with the variables of every frame."""

    def __init__(self, then: Listener) -> None:
        self._then = then
        self.heard: list[str] = []
        self.signals: list[Signal] = []

    def __call__(self, signal: Signal, /, *, error: BaseException | None = None, **fields: object) -> None:
        """Hear one signal."""
        self.signals.append(signal)
        self.heard.append(repr(fields))
        if error is not None:
            self.heard += [repr(error), repr(error.args), repr(vars(error))]
            self.heard += traceback.TracebackException.from_exception(error, capture_locals=True).format()
        self._then(signal, error=error, **fields)


class Canaries:
    """Secrets that nothing else is like."""

    def __init__(self) -> None:
        self.planted: list[str] = []

    def __call__(self, more: str = "") -> str:
        """Return another."""
        self.planted.append(f"canary-{token_hex(8)}{more}")
        return self.planted[-1]

    def seen(self, text: str) -> list[str]:
        """Return those that a text has."""
        return [canary for canary in self.planted if any(part in text for part in re.findall(r"[0-9a-f]{16}", canary))]


@pytest.fixture
def canary() -> Canaries:
    """Return a cage."""
    return Canaries()


@pytest.fixture
def ears() -> Ears:
    """Return a listener that logs too."""
    return Ears(LogListener())


@pytest.fixture
def bb(make: Callable[..., Backburner], ears: Ears) -> Backburner:
    """Return an engine with jobs that have secrets."""
    return make(jobs=[jobs], listener=ears, secrets=NAMED, retry=QUICK)


@pytest.fixture(params=["stdlib", "structlog"])
def logged(request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture) -> Iterator[Callable[[], str]]:
    """Return what tells all that was logged, down to DEBUG; by structlog with the variables of every frame."""
    caplog.set_level(logging.DEBUG)
    lines: list[str] = []

    def keep(_: object, __: str, event: Any) -> Any:  # noqa: ANN401 - structlog's own event
        lines.append(json.dumps(event, default=repr))
        raise structlog.DropEvent

    if request.param == "structlog":
        structlog.configure(
            processors=[structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer()), keep]
        )
    yield lambda: "\n".join([caplog.text, *lines])
    structlog.reset_defaults()


def everything(canary: Canaries) -> list[Call[Any]]:
    """Return calls with a canary in each place where one may stand."""
    return [
        charge(canary()),
        charge(canary(" ü/+%\"'")),
        charge(canary(f"\nline {token_hex(8)}")),
        charge_any(Customer("Ada", [Card(canary(), "Ada"), Card(canary(), "Bob")], {"x": canary()})),
        charge_in_a_thread(canary()),
        charge_elsewhere(canary(), {"token": canary()}),
        log_in({"user": {"password": canary()}, "token": canary(), "name": "ada"}),
        end(canary(), "reject"),
        end(canary(), "retry"),
        end(canary(), "snooze"),
        misissue(canary()),
    ]


@pytest.mark.parametrize("url", SHARED, indirect=True)
async def test_nothing_shows_a_canary(
    bb: Backburner, url: str, canary: Canaries, ears: Ears, logged: Callable[[], str]
) -> None:
    """Jobs run, fail, die and are replayed; the secrets are in no log, signal, error, view, file or command's output."""
    said: list[str] = []
    async with bb:
        calls = everything(canary)
        said += map(repr, calls)
        handles = await bb.create_tasks(calls)
        hung = await bb.create_task(end(canary(), "hang"), timeout=0.05)
        for handle in (*handles, hung):
            await handle.wait()
        for handle in handles:
            try:
                await handle
            except JobDead as dead:
                said += traceback.TracebackException.from_exception(dead).format()
        (letter, *_) = [letter async for letter in bb.dlq.find(kind="shop.charge")]
        assert letter.args == {"number": "***", "amount": 1}
        assert letter.error == "LookupError: no way to charge '***'"
        said += [repr(await bb.dlq.get(letter.id)), repr(await bb.dlq.groups()), repr(await bb.dlq.survey())]
        said += [repr(each) async for each in bb.dlq.find()]
        said += [repr(await handle.status()) for handle in handles]
        for remembering in (remember, remember_elsewhere):
            remembered = await bb.create_task(remembering({"token": canary(), "name": "ada"}))
            assert await remembered == "remembered True"
            assert (await remembered.status()).checkpoint == {"token": "***", "name": "ada"}
            handles.append(remembered)
        issued = await bb.create_task(issue(card := canary()))
        # The one who is to have it does.
        assert await issued == Card(card, "Ada")
        await bb.schedules.put("later", At(datetime(2200, 1, 1, tzinfo=UTC)), charge(canary()))
        said += [repr(each) async for each in bb.schedules.list()]
        replay = await bb.dlq.replay(ids=[letter.id], set={"number": canary(), "amount": 0})
        await replay
        assert await bb.handle(letter.id, charge) == "charged 0"
    said += ears.heard
    said.append(logged())
    died = handles[3].id
    for arguments in (
        *(["jobs", "show", handle.id] for handle in (*handles, hung, issued)),
        *(["jobs", "list"], ["dlq", "list"], ["dlq", "groups"], ["replays", "list"], ["schedules", "list"]),
        *(["dlq", "show", died], ["schedules", "show", "later"]),
        ["dlq", "export", "--all", "--secrets", "mask"],
    ):
        for more in ([], ["--json"]) if arguments[1] != "export" else ([],):
            code, out, err = await command(url, *arguments, *more)
            assert code == 0, (arguments, err)
            assert out
            said += [out, err]
    assert {Signal.JOB_RETRY, Signal.JOB_DEAD} <= set(ears.signals)
    assert len(said) > 100
    assert canary.seen("\n".join(said)) == []
    assert "***" in "".join(said)
    if url.startswith("sqlite"):
        assert only_marked(url, canary)


def only_marked(url: str, canary: Canaries) -> bool:
    """Whether the file has every canary that was to be kept, and none outside of a mark."""
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        text = "\n".join(connection.iterdump())
    assert canary.planted[0] in text
    # In a schedule the arguments are text within JSON, and in dead code a quote is doubled.
    marked = re.compile(r'\{\\*"\$secret\\*":\\*"canary-[^{}]*?"\}')
    return canary.seen(marked.sub("", text)) == []


async def test_no_refusal_shows_it(bb: Backburner, canary: Canaries) -> None:
    """A call that is refused, or forgotten, is told of without what is secret in it."""
    refused: list[Call[Any]] = [
        charge(canary("\x00")),
        charge(object()),  # type: ignore[arg-type]
        charge_any(Customer("Ada", [Card(canary("\x00"), "Ada")], {})),
        charge_any(Customer("Ada", [], {"x": canary(), "y": object()})),  # type: ignore[dict-item]
        charge_elsewhere(canary(), {"token": canary("\ud800")}),
    ]
    said = [repr(call) for call in refused]
    async with bb:
        for call in refused:
            with pytest.raises(ArgumentNotStorable) as refusal:
                await bb.create_task(call)
            said += [str(refusal.value), repr(refusal.value), "".join(traceback.format_exception(refusal.value))]
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always", CallNotUsed)
        charge(canary())
    said += [str(each.message) for each in warned]
    assert len(warned) == 1
    assert canary.seen("\n".join(said)) == []


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
async def test_an_export_says_what_becomes_of_them(bb: Backburner, url: str, canary: Canaries, tmp_path: Path) -> None:
    """Letters with secrets are written whole when that is said, for one's own eyes; masked, no store takes them."""
    async with bb:
        handle = await bb.create_task(charge(secret := canary()), retry="none")
        await handle.wait()
        with pytest.raises(InvalidOption, match="say secrets='keep'"):
            [line async for line in bb.dlq.export()]
        masked = b"".join([line async for line in bb.dlq.export(secrets="mask")])
        assert not canary.seen(masked.decode())
        whole, hidden = tmp_path / "whole.jsonl", tmp_path / "masked.jsonl"
        hidden.write_bytes(masked)
        code, out, err = await command(url, "dlq", "export", "--all", "--output", str(whole))
        assert (code, out, whole.exists()) == (2, "", False)
        assert "--secrets mask" in err
        code, out, err = await command(url, "dlq", "export", "--all", "--secrets", "keep")
        assert (code, "needs --output" in err, canary.seen(out)) == (2, True, [])
        code, out, err = await command(url, "dlq", "export", "--all", "--secrets", "keep", "--output", str(whole))
        assert (code, stat.S_IMODE(whole.stat().st_mode)) == (0, 0o600)
        await (await bb.dlq.purge(all=True))
        with pytest.raises(LetterFileRefused, match=r"line 2: job .* was exported with its secrets masked"):
            await bb.dlq.import_(hidden)
        assert (await bb.dlq.import_(whole)).stored == 1
        await (await bb.dlq.replay(all=True, set={"amount": 0}))
        assert await bb.handle(handle.id, charge) == "charged 0"
        (shown,) = await told(url, "jobs", "show", handle.id)
        assert shown["args"] == {"number": "***", "amount": 0}
    assert secret in whole.read_text()


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
async def test_the_page(url: str, canary: Canaries, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Python of docs/how-to/secrets.md does what the page says."""
    monkeypatch.setenv("BACKBURNER_URL", url)
    page = Path(__file__).parents[2] / "docs" / "how-to" / "secrets.md"
    (block,) = re.findall(r"```python\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
    names: dict[str, Any] = {"__name__": "how_to"}
    exec(compile(block, "how-to", "exec", dont_inherit=True), names)  # noqa: S102 - the page's own code
    async with names["bb"] as bb:
        handle = await bb.create_task(names["charge"](names["Card"](number := canary(), "Ada"), canary()))
        assert await handle == f"receipt for {number}"
    (shown,) = await told(url, "jobs", "show", handle.id)
    assert shown["args"] == {"card": {"number": "***", "holder": "Ada"}, "token": "***"}
    assert shown["result"] == "***"


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
async def test_where_does_not_look_inside(bb: Backburner, url: str, canary: Canaries) -> None:
    """A secret is not found by its value; what stands beside it is."""
    async with bb:
        await (await bb.create_task(charge(number := canary(), 0)))
    assert len(await told(url, "jobs", "list", "--where", "args.amount=0")) == 1
    for condition in (f'args.number="{number}"', 'args.number~"canary"'):
        code, out, _ = await command(url, "jobs", "list", "--where", condition)
        assert (code, out) == (3, "")


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
async def test_a_schedule_that_a_person_put(bb: Backburner, url: str, canary: Canaries) -> None:
    """The command line knows what nodes publish of a kind; what is nested in it, whoever fires the job does."""
    number, nested, known = canary(), canary(), {"$secret": canary()}
    customer = {"name": known, "cards": [{"number": nested, "holder": "Ada"}], "keys": {}}
    async with bb:
        at = ("--at", "2200-01-01T00:00Z", "--args")
        for kind, args in (("charge", {"number": number}), ("charge_any", {"customer": customer})):
            code, _, err = await command(url, "schedules", "add", kind, f"shop.{kind}", *at, json.dumps(args))
            assert code == 0, err
        (shown,) = await told(url, "schedules", "show", "charge")
        assert shown["job"]["args"] == {"number": "***"}
        code, _, err = await command(url, "schedules", "add", "x", "shop.charge", *at, json.dumps({"number": [number]}))
        assert (code, canary.seen(err)) == (2, []), err
        fired = await bb.schedules.trigger("charge_any")
    (job,) = await told(url, "jobs", "show", fired)
    assert job["args"]["customer"] == {"name": "***", "cards": [{"number": "***", "holder": "Ada"}], "keys": {}}
