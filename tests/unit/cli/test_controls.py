"""`queues`, `kinds`, `breakers` and `limits`, as they look and what they refuse; obeyed, in tests/acceptance/test_pausing.py."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from backburner.backends import urls
from backburner.model.clock import SECOND
from backburner.model.lane import Limit, Rate
from backburner.resilience import breaker
from backburner.resilience.breaker import BreakerState, Phase
from backburner.resilience.budget import Budget
from backburner.testing.clock import FakeClock

if TYPE_CHECKING:
    from tests.unit.cli.conftest import Run

_NOW = FakeClock().now()


@pytest.fixture
def limited(shop: str) -> str:
    """Give the shop's store limits, and breakers of each kind."""

    async def declare() -> None:
        backend = urls.connect(urls.parse(shop, base=Path("/")), clock=FakeClock(), write_timeout=5)
        await backend.open(create=False)
        try:
            rate = Rate(limit=100, period=60 * SECOND)
            await backend.limits.declare(
                {
                    "budget:stripe": Budget("stripe").limit(),
                    "concurrency:charge": Limit(slots=4),
                    "rate:charge": Limit(rate=rate),
                }
            )
            opened = BreakerState(phase=Phase.OPEN, since=_NOW, until=_NOW + 7200 * SECOND)
            await backend.cells.swap("breaker:stripe", breaker.encode(opened), 0, Limit(slots=0))
            await backend.cells.swap("breaker:smtp", breaker.encode(BreakerState()), 0, Limit())
        finally:
            await backend.close()

    asyncio.run(declare())
    return shop


def _table(out: str) -> list[str]:
    return [line.rstrip() for line in out.splitlines()]


@pytest.mark.usefixtures("shop")
def test_a_queue_for_people(run: Run) -> None:
    """On a terminal a queue is a line of a table: who holds it back, why, and until when."""
    assert run("queues", "set", "default", "--slots", "2", "--rate", "100/minute", "--by", "bob").code == 0
    answer = run("queues", "pause", "default", "--for", "2h", "--reason", "INC-7", "--by", "ada", terminal=True)
    assert _table(answer.out) == [
        "QUEUE    STATE   NODES  RUNNING  SLOTS       RATE        UNTIL                     BY   REASON",
        "default  paused      0        0  0 (2 each)  100/minute  2025-06-15T18:06:40.000Z  ada  INC-7",
    ]
    assert (
        run("queues", "list").out == "default\tpaused\t0\t0\t0\t2\t100/minute\t2025-06-15T18:06:40.000Z\tada\tINC-7\n"
    )
    # Who paused it and why outlives what else is set.
    kept = json.loads(run("queues", "set", "default", "--slots", "default", "--by", "bob", "--json").out)
    assert (kept["by"], kept["reason"], kept["slots_each"], kept["state"]) == ("ada", "INC-7", None, "paused")
    assert run("queues", "resume", "default").out == "default\tunserved\t0\t0\t0\t\t100/minute\t\t\t\n"


@pytest.mark.usefixtures("shop")
def test_a_kind_for_people(run: Run) -> None:
    """A kind that no live node knows may be paused as long as jobs have it."""
    end = ("--until", "2025-06-15T20:00Z")
    assert _table(run("kinds", "pause", "charge", *end, "--by", "ada", terminal=True).out) == [
        "KIND    STATE   NODES  UNTIL                     BY   REASON",
        "charge  paused      0  2025-06-15T20:00:00.000Z  ada",
    ]
    assert run("kinds", "list").out == "charge\tpaused\t0\t2025-06-15T20:00:00.000Z\tada\t\n"
    assert run("kinds", "resume", "charge").out == "charge\tunserved\t0\t\t\t\n"


@pytest.mark.usefixtures("limited")
def test_breakers_for_people(run: Run) -> None:
    """Their phase, since when and until when; or who opened them."""
    run("breakers", "open", "smtp", "--by", "ada", "--reason", "INC-7")
    assert _table(run("breakers", "list", terminal=True).out) == [
        "BREAKER  STATE   SINCE                     UNTIL                     SLOTS  BY   REASON",
        "smtp     opened                                                          0  ada  INC-7",
        "stripe   open    2025-06-15T15:06:40.000Z  2025-06-15T17:06:40.000Z      0",
    ]
    assert run("breakers", "auto", "smtp").out == "smtp\tclosed\t\t\t\t\t\n"
    # Opened by hand, it is moved by nothing but a hand.
    assert run("breakers", "open", "stripe", "--by", "ada").out.split("\t")[1:4] == [
        "opened",
        "2025-06-15T15:06:40.000Z",
        "",
    ]


@pytest.mark.usefixtures("limited")
def test_a_limit_keeps_what_is_left_out(run: Run) -> None:
    """To set a rate leaves the slots as they hold, and the other way round."""
    run("limits", "set", "concurrency:charge", "--slots", "2")
    assert run("limits", "set", "concurrency:charge", "--rate", "5/s").out.split("\t")[2] == "2 at once, 5/second"
    assert run("limits", "set", "rate:charge", "--slots", "3").out.split("\t")[2] == "3 at once, 100/minute"


@pytest.mark.usefixtures("limited")
def test_limits_for_people(run: Run) -> None:
    """What is declared, what is set in its place, by whom and why; breakers have a list of their own."""
    run("limits", "set", "concurrency:charge", "--slots", "0", "--by", "ada", "--reason", "INC-7")
    run("limits", "set", "budget:stripe", "--rate", "30/minute", "--by", "ada")
    table = _table(run("limits", "list", terminal=True, columns=200).out)
    share = "0.2 retries each"
    assert [re.split(r"\s{2,}", line) for line in table] == [
        ["LIMIT", "DECLARED", "SET", "RUNNING", "FREE AT", "BY", "REASON"],
        ["budget:stripe", f"{share} + 1/s, 100 saved up", f"{share} + 0.5/s, 100 saved up", "ada"],
        ["concurrency:charge", "4 at once", "0 at once", "ada", "INC-7"],
        ["rate:charge", "100/minute"],
    ]
    reset = json.loads(run("limits", "reset", "concurrency:charge", "--json").out)
    assert (reset["set"], reset["declared"]) == (None, {"slots": 4, "rate": None, "retries_each": None})


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("queues", "pause", "defualt"), "(--anyway takes it all the same): did you mean 'default'?"),
        (("queues", "resume", "defualt"), "did you mean 'default'?"),
        (("queues", "pause", "default", "--until", "2h"), "'2h' is a duration: --for 2h"),
        (("queues", "pause", "default", "--until", "soon"), "'soon' is no moment"),
        (
            ("queues", "pause", "default", "--until", "2025-06-15T15:00Z"),
            "is 2025-06-15T15:00:00.000Z, which has passed",
        ),
        (("queues", "pause", "default", "--until", "2030-01-01", "--for", "2h"), "one of the two"),
        (("queues", "set", "default"), "set what? --slots N, --rate 100/minute; queues pause stops a queue"),
        (("queues", "set", "default", "--slots", "0"), "slots is a whole number from 1, not 0; pause stops a queue"),
        (("queues", "set", "default", "--slots", "many"), "'many' is no number of slots; write 4, or default"),
        (("queues", "set", "default", "--rate", "100"), "'100' is not a rate; write it like \"100/minute\""),
        (("kinds", "pause", "chrage"), "did you mean 'charge'?"),
        (("breakers", "open", "strype"), "there is no breaker 'strype': did you mean 'stripe'?"),
        (("limits", "set", "rate:charge"), "set what? --slots N (how many at once), --rate 100/minute"),
        (
            ("limits", "set", "rate:chrage", "--slots", "1"),
            "there is no limit 'rate:chrage': did you mean 'rate:charge'?",
        ),
        (("limits", "set", "budget:stripe", "--rate", "5/s fixed"), "the reserve of a retry budget takes no windows"),
        (("limits", "reset", "breaker:stripe"), "breaker:stripe goes by how runs end: open that breaker"),
    ],
)
@pytest.mark.usefixtures("limited")
def test_refused(arguments: tuple[str, ...], words: str, run: Run) -> None:
    """Bad input ends with 2, says what to write instead, and changes nothing."""
    known = [json.loads(line) for line in run("limits", "list", "--json").out.splitlines()]
    run("kinds", "pause", "charge")
    queues = run("queues", "list")
    answer = run(*arguments)
    assert (answer.code, answer.out) == (2, "")
    assert words in " ".join(answer.err.split())
    assert [json.loads(line) for line in run("limits", "list", "--json").out.splitlines()] == known
    assert run("queues", "list") == queues


@pytest.mark.usefixtures("shop")
def test_a_name_that_is_not_there_yet(run: Run) -> None:
    """`--anyway` pauses what a deploy will bring."""
    assert run("queues", "pause", "later", "--anyway").out.startswith("later\tpaused\t")
    assert run("kinds", "pause", "later", "--anyway").out.startswith("later\tpaused\t")


def test_nothing_is_there(run: Run) -> None:
    """An empty list ends with 3, and says what there is none of."""
    assert run("db", "upgrade").code == 0
    for group, words in (
        ("queues", "no live node has a queue, nothing is set for any, and no job is in one"),
        ("kinds", "no live node knows a kind, none is paused, and no job waits for one"),
        ("breakers", "no node has declared a breaker yet"),
        ("limits", "no node has declared a limit yet"),
    ):
        answer = run(group, "list")
        assert (answer.code, answer.out, answer.err) == (3, "", f"Error: {words}\n")


@pytest.mark.usefixtures("shop")
def test_a_queue_that_nobody_serves(run: Run) -> None:
    """A queue in which jobs wait is listed, with what runs on nodes that died, though no living node has it."""
    assert run("queues", "list").out == "default\tunserved\t0\t0\t0\t\t\t\t\t\n"


@pytest.mark.usefixtures("shop")
def test_why(run: Run) -> None:
    """A sentence a reason for a person; a word, the sentence and its end in a pipe; one object as JSON."""
    run("queues", "pause", "default", "--for", "4h", "--by", "ada")
    paused = "queue default is paused by ada"
    assert _table(run("jobs", "why", "01jd4", terminal=True).out) == [
        f"{paused} until 2025-06-15T20:06:40.000Z (in 4h)",
        "no node is alive",
        "it is not due until 2025-06-15T17:06:40.000Z (in 1h)",
    ]
    first, *_ = run("jobs", "why", "01jd4").out.splitlines()
    assert first == f"queue-paused\t{paused}\t2025-06-15T20:06:40.000Z\t"
    answer = json.loads(run("jobs", "why", "01jd1", "--json").out)
    reason: dict[str, object] = {"code": "ended", "text": "it is dead: exhausted", "until": None, "jobs": []}
    assert answer == {"id": "01jd1", "state": "dead", "reasons": [reason]}
    assert run("jobs", "why", "nope").code == 3
