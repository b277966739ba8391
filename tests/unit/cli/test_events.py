"""`backburner events list`, `subscriptions` and `unsubscribe`, as they look and what they refuse."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pytest

from backburner.backends import urls
from backburner.cli.events import list as listed
from backburner.cli.events.options import KEPT
from backburner.model.clock import SECOND
from backburner.model.event import NewEvent, NewSubscription
from backburner.ports.jobs import Keep
from backburner.testing.clock import FakeClock

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from backburner.ports.backend import Backend
    from tests.unit.cli.conftest import Run

T = TypeVar("T")

_DAY = 86400 * SECOND
#: The data of an event with a secret, and a text that would break a line.
_PAID = '{"total":12.5,"card":{"$secret":"4111"},"note":"a\\tb","lines":[1,2]}'


def _in(url: str, work: Callable[[Backend], Awaitable[T]], *, hours: float = 0) -> T:
    """Do something in the store, by a clock that stands so many hours after the shop was filled."""

    async def do() -> T:
        clock = FakeClock()
        clock.move(hours * 3600)
        backend = urls.connect(urls.parse(url, base=Path("/")), clock=clock, write_timeout=5)
        await backend.open(create=False)
        try:
            return await work(backend)
        finally:
            await backend.close()

    return asyncio.run(do())


async def _fill(backend: Backend) -> str:
    """Have a handler ask for orders, and a reader for two names; store three events; return the log's name."""
    await backend.events.subscribe(
        NewSubscription(name="mailer", patterns=("order.*",), kind="shop:mail_order", ttl=_DAY)
    )
    entered = await backend.events.subscribe(
        NewSubscription(name="nightly", patterns=("order.paid", "stock.low"), ttl=2 * _DAY)
    )
    for name, subject, data, event_id in (
        ("order.placed", "order/41", "{}", None),
        ("order.paid", "order/42", _PAID, "paid-42"),
        ("stock.low", "", '{"left":3}', None),
        ("nobody.asks", "", "{}", None),
    ):
        await backend.events.append((NewEvent(name=name, subject=subject, data=data, id=event_id),))
    return entered.log


@pytest.fixture
def log(shop: str) -> str:
    """Store events, and who asks for them; return the log's name."""
    return _in(shop, _fill)


def _table(out: str) -> list[str]:
    return [line.rstrip() for line in out.splitlines()]


def _names(run: Run, *arguments: str) -> list[str]:
    answer = run("events", "list", *arguments)
    assert answer.code in {0, 3}, answer.err
    return [line.split("\t")[2] for line in answer.out.splitlines()]


# ---- list ----------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("log")
def test_a_table(run: Run) -> None:
    """For people: when, what, of what, and its data in short, secrets masked; the newest first."""
    answer = run("events", "list", terminal=True)
    assert _table(answer.out) == [
        "TIME                  EVENT         SUBJECT   DATA",
        "2025-06-15T15:06:40Z  stock.low               left=3",
        "2025-06-15T15:06:40Z  order.paid    order/42  total=12.5 card=*** note=a\\tb lines=[1,2]",
        "2025-06-15T15:06:40Z  order.placed  order/41",
    ]
    assert (answer.code, answer.err) == (0, "")


@pytest.mark.usefixtures("log")
def test_a_narrow_table(run: Run) -> None:
    """What gives way is the data."""
    _, _, paid, _ = _table(run("events", "list", terminal=True, columns=60).out)
    assert paid == "2025-06-15T15:06:40Z  order.paid    order/42  total=12.5 ca…"


def test_nothing_but_a_secret(shop: str, log: str, run: Run) -> None:
    """Data that is a secret as a whole is masked as a whole."""
    _in(shop, lambda backend: backend.events.append((NewEvent(name="order.paid", data='{"$secret":{"a":1}}'),)))
    after = ("events", "list", "--after", f"{log}-3")
    assert _table(run(*after, terminal=True).out)[1].split() == ["2025-06-15T15:06:40Z", "order.paid", "***"]
    assert run(*after).out.rstrip().endswith('\t"***"')
    assert json.loads(run(*after, "--json").out)["data"] == "***"


def test_piped(log: str, run: Run) -> None:
    """Piped, a line is whole: cursor, time, name, subject, data as JSON."""
    data = '{"total":12.5,"card":"***","note":"a\\tb","lines":[1,2]}'
    assert run("events", "list").out.splitlines() == [
        f'{log}-3\t2025-06-15T15:06:40.000Z\tstock.low\t\t{{"left":3}}',
        f"{log}-2\t2025-06-15T15:06:40.000Z\torder.paid\torder/42\t{data}",
        f"{log}-1\t2025-06-15T15:06:40.000Z\torder.placed\torder/41\t{{}}",
    ]


def test_json(log: str, run: Run) -> None:
    """As JSON an event is a line; where the publisher gave it no id, its cursor names it."""
    _, paid, placed = [json.loads(line) for line in run("events", "list", "--json").out.splitlines()]
    assert paid == {
        "id": "paid-42",
        "cursor": f"{log}-2",
        "name": "order.paid",
        "subject": "order/42",
        "time": "2025-06-15T15:06:40.000Z",
        "data": {"total": 12.5, "card": "***", "note": "a\tb", "lines": [1, 2]},
    }
    assert (placed["id"], placed["cursor"]) == (f"{log}-1", f"{log}-1")


def test_what_is_asked_for(shop: str, log: str, run: Run) -> None:
    """Names, patterns, a subject, moments, a cursor, and how many."""
    _in(shop, lambda backend: backend.events.append((NewEvent(name="order.late"),)), hours=0.5)
    everything = ["order.late", "stock.low", "order.paid", "order.placed"]
    assert _names(run) == _names(run, "--name", "*") == everything
    assert _names(run, "--name", "order.*") == ["order.late", "order.paid", "order.placed"]
    assert _names(run, "--name", "order.paid", "--name", "stock.*") == ["stock.low", "order.paid"]
    assert _names(run, "--subject", "order/42") == ["order.paid"]
    assert _names(run, "--since", "45m") == ["order.late"]
    assert _names(run, "--since", "2025-06-15T15:06:40Z") == everything
    assert _names(run, "--until", "45m") == everything[1:]
    assert _names(run, "--after", f"{log}-2") == everything[:2]
    assert _names(run, "--after", f"{log}-2", "--name", "order.*") == ["order.late"]
    assert _names(run, "--after", f"{log}-4") == []


def test_there_are_more(log: str, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Said only if there are; and pages follow one another without a seam."""
    for page in (1, 2, 500):
        monkeypatch.setattr(listed, "_PAGE", page)
        two = run("events", "list", "--limit", "2")
        assert len(two.out.splitlines()) == 2
        assert two.err == "the newest 2; there are more: --limit\n"
        assert run("events", "list", "--limit", "3").err == ""
        assert run("events", "list", "--limit", "1", "--after", f"{log}-2").err == ""
        assert _names(run) == ["stock.low", "order.paid", "order.placed"]


def test_deleted_before(shop: str, log: str, run: Run) -> None:
    """Who goes on from a place that was passed by what is deleted is told."""
    keep = Keep(completed=None, cancelled=None, dead=None, events=1800 * SECOND)
    _in(shop, lambda backend: backend.admin.prune(keep, 100), hours=1)
    said = f"events up to {log}-3 have been deleted, their time being over"
    assert said in run("events", "list", "--after", f"{log}-1").err
    assert "deleted" not in run("events", "list", "--after", f"{log}-3").err
    assert "deleted" not in run("events", "list").err


@pytest.mark.usefixtures("log")
def test_what_nobody_asks_for(run: Run) -> None:
    """Whoever asks for what is not stored hears why it is not there."""
    answer = run("events", "list", "--name", "nobody.asks", "--name", "order.*", "--name", "users.*")
    assert answer.code == 0
    assert answer.err == (
        "no subscription asks for nobody.asks, users.*: events are stored while one asks for them, and always those of "
        "operator.*; `events tail` asks for as long as it runs\n"
    )
    none = run("events", "list", "--name", "nobody.asks")
    assert (none.code, none.out) == (3, "")
    assert none.err.endswith("as long as it runs\nError: no event matches\n")
    # Of these there are none; but they would be stored.
    for name in ("operator.*", "operator.queue.paused", "order.paid.later", "*"):
        assert "no subscription" not in run("events", "list", "--subject", "none", "--name", name).err


@pytest.mark.usefixtures("shop")
def test_no_event(run: Run) -> None:
    """Where there is none, what would be is said."""
    answer = run("events", "list")
    said = "Error: no event matches; stored are operator.* and what a subscription asks for\n"
    assert (answer.code, answer.out, answer.err) == (3, "", said)


def test_what_is_always_kept() -> None:
    """What is said to be stored always is what the catalogue keeps."""
    assert KEPT == ("operator.*",)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--name", "order paid"), "'order paid' asks for no event: write a name"),
        (("--name", ""), "'' asks for no event"),
        (("--name", "job.ded"), "the engine has no event 'job.ded'; did you mean job.dead"),
        (("--name", "node.l.*"), "no event of the engine matches 'node.l.*'; did you mean"),
        (("--after", "42"), "'42' is no cursor; one is '{log}-3', as Event.cursor has it"),
        (("--after", "other-1"), "cursor 'other-1' is of another store: those of this one begin with '{log}-'"),
        (("--after", "{log}-4"), "cursor '{log}-4' lies ahead of this store's newest event, '{log}-3'"),
        (("--since", "soon"), "'soon' is no moment"),
        (("--limit", "0"), "0 is not in the range x>=1"),
    ],
)
@pytest.mark.parametrize("verb", ["list", "tail"])
def test_refused(verb: str, arguments: tuple[str, ...], words: str, log: str, run: Run) -> None:
    """Bad input ends with 2, and says what to write instead."""
    if verb == "tail" and "--limit" in arguments:
        words = "No such option '--limit'"
    answer = run("events", verb, *(argument.format(log=log) for argument in arguments))
    assert (answer.code, answer.out) == (2, "")
    assert words.format(log=log) in " ".join(answer.err.split())
    assert "tail:" not in run("events", "subscriptions").out


# ---- subscriptions and unsubscribe ---------------------------------------------------------------------------------


def test_who_asks(log: str, run: Run) -> None:
    """Who handles, how far behind, since when nobody was seen, and for what; whole in a pipe, and as JSON."""
    assert _table(run("events", "subscriptions", terminal=True).out) == [
        "SUBSCRIPTION  HANDLED BY       BEHIND  SEEN    STANDS AT   ASKS FOR",
        f"mailer        shop:mail_order       3  1h ago  {log}-0  order.*",
        f"nightly       a reader              3  1h ago  {log}-0  order.paid stock.low",
    ]
    then = "2025-06-15T15:06:40.000Z"
    assert run("events", "subscriptions").out.splitlines() == [
        f"mailer\tshop:mail_order\torder.*\t{log}-0\t3\t{then}\t2025-06-16T15:06:40.000Z",
        f"nightly\t\torder.paid stock.low\t{log}-0\t3\t{then}\t2025-06-17T15:06:40.000Z",
    ]
    _, nightly = [json.loads(line) for line in run("events", "subscriptions", "--json").out.splitlines()]
    assert nightly == {
        "name": "nightly",
        "kind": None,
        "patterns": ["order.paid", "stock.low"],
        "cursor": f"{log}-0",
        "behind": 3,
        "ttl": 172800.0,
        "created_at": then,
        "seen_at": then,
        "expires_at": "2025-06-17T15:06:40.000Z",
    }


def test_who_asks_on_a_narrow_terminal(shop: str, run: Run) -> None:
    """A handler that is named as its job is does not say so twice; what is asked for is the last that a terminal cuts."""
    name, patterns = "shop:mail_everybody_of_an_order", ("order.paid", "order.shipped", "stock.low")
    handler = NewSubscription(name=name, patterns=patterns, kind=name, ttl=_DAY)
    _in(shop, lambda backend: backend.events.subscribe(handler))
    wide, narrow = (
        next(
            line
            for line in run("events", "subscriptions", terminal=True, columns=columns).out.splitlines()
            if "every" in line
        )
        for columns in (110, 80)
    )
    assert wide.split()[:4] == ["shop:mail_everybody_of_an_order", "that", "job", "0"]
    assert [line.endswith("order.paid order.shipped stock.low") for line in (wide, narrow)] == [True, True]


@pytest.mark.usefixtures("shop")
def test_nobody_asks(run: Run) -> None:
    """Where nobody asks, what is stored all the same is said."""
    answer = run("events", "subscriptions")
    assert (answer.code, answer.out) == (3, "")
    assert answer.err == "Error: nobody asks for events; only those of operator.* are stored\n"


@pytest.mark.usefixtures("log")
def test_unsubscribe(run: Run) -> None:
    """A person is asked, and told what it comes to; a script says --yes."""
    said = "mailer, handled by shop:mail_order, asks for order.* and is 3 events behind"
    unasked = run("events", "unsubscribe", "mailer")
    assert (unasked.code, unasked.out, unasked.err) == (2, "", f"Error: {said}; --yes forgets it\n")
    refused = run("events", "unsubscribe", "mailer", terminal=True, typed="n\n")
    assert (refused.code, refused.out) == (2, "")
    assert refused.err == f"{said}; forget it? [y/N]: n\nError: nothing was forgotten\n"
    assert len(run("events", "subscriptions").out.splitlines()) == 2
    done = run("events", "unsubscribe", "mailer", terminal=True, typed="y\n")
    assert (done.code, _table(done.out)[1].split()[0]) == (0, "mailer")
    assert done.err.endswith("mailer is forgotten; a node that declares its handler enters it anew, from then on\n")
    reader = run("events", "unsubscribe", "nightly", "--yes", "--json")
    assert (reader.code, json.loads(reader.out)["name"]) == (0, "nightly")
    assert reader.err == "nightly is forgotten; who reads under this name begins anew\n"
    assert run("events", "subscriptions").code == 3


@pytest.mark.usefixtures("log")
def test_nobody_of_this_name(run: Run) -> None:
    """Who is not there cannot be forgotten."""
    answer = run("events", "unsubscribe", "mialer", "--yes")
    assert (answer.code, answer.out) == (3, "")
    assert answer.err == "Error: there is no subscription 'mialer': did you mean 'mailer'?\n"
