"""`backburner schedules`, as it looks, what it changes and what it refuses."""

from __future__ import annotations

import asyncio
import json
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec
import pytest

from backburner.backends import urls
from backburner.backends.sqlite.backend import SqliteBackend
from backburner.backends.sqlite.locks import NodeLocks
from backburner.cli.schedules import desk, preview
from backburner.jobs.standing import Standing
from backburner.model.clock import SECOND
from backburner.model.job import JobState, NewJob, UniqueKey
from backburner.model.node import NodeRecord
from backburner.model.schedule import Outcome, ScheduleChange, ScheduleRecord, TickRecord
from backburner.testing.clock import FakeClock

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from backburner.ports.backend import Backend
    from tests.unit.cli.conftest import Run

T = TypeVar("T")

pytestmark = pytest.mark.usefixtures("shop")

_HOUR = 3600 * SECOND
#: The commands' now: 2025-06-15T16:06:40Z, a Sunday.
_NOW = FakeClock().now() + _HOUR
_MINUTE = 60 * SECOND
_KEY = UniqueKey("report", (JobState.PENDING,))
_WAITS = "waits for a node that knows report"


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have all that commands make themselves go by the clock of the store."""
    clock = FakeClock()
    clock.move(3600)
    for module in (desk, preview):
        monkeypatch.setattr(module, "SystemClock", lambda: clock)


def _in(url: str, work: Callable[[Backend], Awaitable[T]]) -> T:
    async def do() -> T:
        clock = FakeClock()
        clock.move(3600)
        backend = urls.connect(urls.parse(url, base=Path("/")), clock=clock, write_timeout=5)
        await backend.open(create=False)
        try:
            return await work(backend)
        finally:
            await backend.close()

    return asyncio.run(do())


def _record(url: str, name: str) -> ScheduleRecord:
    async def get(backend: Backend) -> ScheduleRecord:
        (record,) = (await backend.schedule_reader.get([name])).schedules
        return record

    return _in(url, get)


def _change(url: str, name: str, *ticks: TickRecord, **fields: object) -> None:
    """Change what is stored of a schedule, as a node would."""

    async def change(backend: Backend) -> None:
        (record,) = (await backend.schedule_reader.get([name])).schedules
        made = ScheduleChange(schedule=msgspec.structs.replace(record, **fields), ticks=ticks)
        (answer,) = (await backend.schedules.change([made])).changes
        assert (answer.outrun, answer.refused) == (False, None)

    _in(url, change)


def _tick(number: int, minutes: int, **fields: object) -> TickRecord:
    """Make a line of five's ledger, of a tick so many minutes before now and decided a second later."""
    moment = _NOW - minutes * _MINUTE
    line = TickRecord(
        id=f"{number:026}",
        schedule="five",
        tick=moment,
        last=moment,
        outcome=Outcome.FIRED,
        job=f"01jj{number}",
        due_at=moment,
        at=moment + SECOND,
    )
    return msgspec.structs.replace(line, **fields)


@contextmanager
def _node(
    url: str,
    kind: str = "report",
    queues: dict[str, int] | None = None,
    kind_queues: dict[str, str] | None = None,
) -> Iterator[None]:
    """Have a node live that knows a kind: ``report(region: str, days: int = 7)``."""
    schema = (
        '{"type":"object","properties":{"region":{"type":"string"},"days":{"type":"integer"}},"required":["region"]}'
    )

    async def publish(backend: Backend) -> None:
        signatures = {kind: schema}
        record = NodeRecord(
            id="web-9",
            host="web-9",
            pid=9,
            started_at=_NOW,
            queues=queues or {},
            kinds=(kind,),
            signatures=signatures,
            kind_queues=kind_queues or {},
        )
        await backend.nodes.publish(record, 30 * SECOND)

    _in(url, publish)
    locks = NodeLocks(Path(f"{url.removeprefix('sqlite:///')}-nodes"))
    locks.hold("web-9")
    try:
        yield
    finally:
        locks.release_all()


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.splitlines()]


# ---- add -----------------------------------------------------------------------------------------------------------


def test_add(run: Run) -> None:
    """A schedule is added, and the next three ticks are shown; what nobody knows is said on stderr."""
    answer = run("schedules", "add", "daily", "report", "--cron", "0  9 * * mon-fri", "--tz", "Europe/Berlin")
    assert (answer.code, answer.out) == (
        0,
        (
            "added\tdaily\nkind\treport\nwhen\t0 9 * * mon-fri Europe/Berlin\n"
            "next\t2025-06-16T07:00:00.000Z\t2025-06-16T09:00:00\tEurope/Berlin\t2025-06-16T07:00:00.000Z\t\n"
            "next\t2025-06-17T07:00:00.000Z\t2025-06-17T09:00:00\tEurope/Berlin\t2025-06-17T07:00:00.000Z\t\n"
            "next\t2025-06-18T07:00:00.000Z\t2025-06-18T09:00:00\tEurope/Berlin\t2025-06-18T07:00:00.000Z\t\n"
        ),
    )
    assert answer.err == (
        "no living node knows report: its jobs wait for one that does, its arguments were not checked\n"
    )


def test_add_for_a_person(run: Run) -> None:
    """On a terminal the ticks stand below, with the day of the week and by how much each is late by its jitter."""
    answer = run("schedules", "add", "five", "report", "--every", "5m", "--jitter", "20s", terminal=True)
    lines = _lines(answer.out)
    assert lines[:5] == ["added  five", "kind   report", "when   every 5m", "", "next"]
    assert [line.split("  ")[1:4] for line in lines[5:]] == [
        ["2025-06-15T16:10:00.000Z", "Sun 2025-06-15 16:10", "UTC"],
        ["2025-06-15T16:15:00.000Z", "Sun 2025-06-15 16:15", "UTC"],
        ["2025-06-15T16:20:00.000Z", "Sun 2025-06-15 16:20", "UTC"],
    ]
    assert all(line.split("  ")[4].startswith("+") for line in lines[5:])


def test_the_same_again_changes_nothing(run: Run, url: str) -> None:
    """The same again is unchanged, however its arguments are laid out; another is changed, and said to be."""
    given = ("schedules", "add", "daily", "report", "--cron", "@daily")
    assert run(*given, "--args", '{"region": "eu"}').out.startswith("added\tdaily\n")
    before = _record(url, "daily")
    assert run(*given, "--args", '{ "region":"eu" }').out.startswith("unchanged\tdaily\n")
    assert _record(url, "daily") == before
    told = json.loads(run(*given, "--args", '{"region":"us"}', "--json").out)
    assert (told["done"], told["name"], told["when"], len(told["following"])) == ("changed", "daily", "@daily", 3)
    after = _record(url, "daily")
    assert (after.version, after.next_tick, after.rule) == (2, before.next_tick, before.rule)
    assert run(*given[:4], "--every", "1h").out.splitlines()[:3] == ["changed\tdaily", "kind\treport", "when\tevery 1h"]


def test_every_policy(run: Run, url: str) -> None:
    """What is said of ticks and jobs is stored, and shown."""
    answer = run(
        *("schedules", "add", "all", "report", "--cron", "30 0 2 * * *", "--seconds", "--tz", "Europe/Berlin"),
        *("--on-gap", "skip", "--on-overlap", "both", "--start", "2026-01-01", "--end", "2027-01-01T00:00Z"),
        *("--exclude", "2026-12-25", "--exclude", "2026-12-26", "--misfire", "all(3)", "--catch-up", "2h"),
        *("--overlap", "queue", "--jitter", "90s", "--tolerance", "5m", "--queue", "slow", "--priority", "0"),
        *("--args", '{"region":"eu"}'),
    )
    assert answer.code == 0, answer.err
    # Where no zone is said, the schedule's is meant.
    assert "--start 2026-01-01 is 2025-12-31T23:00:00.000Z\n" in answer.err
    told = json.loads(run("schedules", "show", "all", "--json").out)
    assert {name: told[name] for name in ("when", "zone", "start", "end", "exclude", "misfire", "catch_up")} == {
        "when": "30 0 2 * * * Europe/Berlin on_gap=skip on_overlap=both",
        "zone": "Europe/Berlin",
        "start": "2025-12-31T23:00:00.000Z",
        "end": "2027-01-01T00:00:00.000Z",
        "exclude": ["2026-12-25", "2026-12-26"],
        "misfire": "all(3)",
        "catch_up": 7200.0,
    }
    assert (told["overlap"], told["jitter"], told["tolerance"]) == ("queue", 90.0, 300.0)
    assert told["job"] == {
        "kind": "report",
        "args": {"region": "eu"},
        "queue": "slow",
        "priority": 0,
        "tags": [],
        "unique": None,
        "said": ["queue", "priority"],
    }
    assert _record(url, "all").declared is False


def test_a_zone_from_the_environment(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where none is said, the clock hangs where the app's does: BACKBURNER_TZ."""
    monkeypatch.setenv("BACKBURNER_TZ", "Europe/Berlin")
    run("schedules", "add", "daily", "report", "--cron", "0 9 * * *")
    told = json.loads(run("schedules", "show", "daily", "--json").out)
    assert (told["when"], told["next"]) == ("0 9 * * * Europe/Berlin", "2025-06-16T07:00:00.000Z")
    monkeypatch.setenv("BACKBURNER_TZ", "Nowhere")
    assert "BACKBURNER_TZ='Nowhere' is refused" in run("schedules", "add", "x", "report", "--cron", "0 9 * * *").err


def test_once(run: Run) -> None:
    """At a moment it fires once; a time of day is the next one, in the zone that is said."""
    answer = run("schedules", "add", "once", "report", "--at", "18:30", "--tz", "Europe/Berlin")
    assert "--at 18:30 is 2025-06-15T16:30:00.000Z\n" in answer.err
    assert [line for line in answer.out.splitlines() if line.startswith("next")] == [
        "next\t2025-06-15T16:30:00.000Z\t2025-06-15T18:30:00\tEurope/Berlin\t2025-06-15T16:30:00.000Z\t"
    ]
    late = run("schedules", "add", "late", "report", "--at", "2025-06-15T16:00Z")
    assert (late.code, late.out) == (2, "")
    assert "schedule 'late' would never fire" in late.err


def test_an_interval_begins_where_it_is_told(run: Run) -> None:
    """An interval counts from --start, as in code."""
    answer = run("schedules", "add", "five", "report", "--every", "1h", "--start", "2025-06-15T10:07Z")
    assert answer.out.splitlines()[2:4] == [
        "when\tevery 1h from 2025-06-15T10:07Z",
        "next\t2025-06-15T16:07:00.000Z\t2025-06-15T16:07:00\tUTC\t2025-06-15T16:07:00.000Z\t",
    ]


def test_arguments_are_checked(run: Run, url: str) -> None:
    """They have to fit what a living node publishes of the kind; --unchecked takes them all the same."""
    given = ("schedules", "add", "daily", "report", "--cron", "@daily", "--args")
    with _node(url):
        refused = run(*given, '{"region":7}')
        assert (refused.code, refused.out) == (2, "")
        assert (
            "report: argument region does not fit the signature: 7 is not of type 'string' (--unchecked" in refused.err
        )
        assert "'region' is a required property" in run(*given, "{}").err
        answer = run(*given, '{"region":"eu"}')
        assert (answer.code, answer.err) == (0, "")
        answer = run(*given, '{"region":7}', "--unchecked")
        assert (answer.code, answer.out.splitlines()[0], answer.err) == (0, "changed\tdaily", "")
        assert "no living node knows reprot" in run("schedules", "add", "x", "reprot", "--every", "1h").err
        assert "did you mean 'report'?" in run("schedules", "add", "x", "reprot", "--every", "1h").err


def test_a_name_that_stands_in_code(run: Run, url: str) -> None:
    """What code declares is changed and removed there; once retired it may be removed here."""
    run("schedules", "add", "daily", "report", "--cron", "@daily")
    _change(url, "daily", declared=True)
    before = _record(url, "daily")
    for given in (("add", "daily", "report", "--cron", "@hourly"), ("remove", "daily")):
        refused = run("schedules", *given)
        assert (refused.code, refused.out) == (2, "")
        assert "schedule 'daily' stands in code" in refused.err
    assert _record(url, "daily") == before
    _change(url, "daily", retired=True, due_at=None)
    assert run("schedules", "list").out.split("\t")[3:5] == ["retired", "code"]
    assert "retired  no living node declares it" not in run("schedules", "show", "daily").out
    assert "state\tretired: no living node declares it\n" in run("schedules", "show", "daily").out
    assert run("schedules", "remove", "daily").code == 0


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ((), "say when: --cron EXPRESSION, --every 5m or --at MOMENT; one of them"),
        (("--cron", "@daily", "--every", "5m"), "one of them"),
        (("--every", "0s"), "'0s' is no interval; the shortest is 10ms"),
        (("--every", "soon"), "'soon' is not a duration"),
        (("--every", "5m", "--seconds"), "--seconds belongs to --cron"),
        (("--every", "5m", "--on-gap", "skip"), "--on-gap belongs to --cron"),
        (("--at", "6h"), "'6h' is a duration; write a moment"),
        (("--cron", "0 9 * *"), "five fields"),
        (("--cron", "0 0 31 2 *"), "write a day up to 29"),
        (("--cron", "@daily", "--tz", "Europe/Brlin"), "did you mean 'Europe/Berlin'"),
        (("--at", "09:00", "--tz", "Europe/Brlin"), "did you mean 'Europe/Berlin'"),
        (("--every", "1h", "--tz", "Mars"), "tz='Mars' is not a time zone"),
        (("--cron", "@daily", "--exclude", "25.12."), "'25.12.' is no day; write 2026-12-25"),
        (("--cron", "@daily", "--misfire", "most"), "misfire='most' is none of"),
        (("--cron", "@daily", "--overlap", "both"), "'both' is not one of 'allow', 'skip', 'queue', 'replace'"),
        (("--cron", "@daily", "--jitter", "much"), "'much' is not a duration"),
        (("--cron", "@daily", "--end", "2025-01-01T00:00Z"), "would never fire"),
        (
            ("--every", "1h", "--start", "2027-01-01T00:00Z", "--end", "2026-01-01T00:00Z"),
            "before it starts",
        ),
        (("--cron", "@daily", "--args", "[1]"), "'[1]' is no JSON object; write"),
        (("--cron", "@daily", "--args", "{"), "'{' is no JSON object"),
        (("--cron", "@daily", "--args", '{"a":"\\u0000"}'), "the arguments contain NUL"),
        (("--cron", "@daily", "--args", '{"a":"' + "x" * 262144 + '"}'), "262,152 bytes, 262,144 are allowed"),
        (("--cron", "@daily", "--priority", "10"), "10 is not in the range 0<=x<=9"),
        (("--cron", "@daily", "--queue", "a\nb"), "queue contains '\\n'"),
    ],
)
def test_what_is_not_added(given: tuple[str, ...], words: str, run: Run) -> None:
    """Bad input ends with 2, says what to write instead, and changes nothing."""
    answer = run("schedules", "add", "daily", "report", *given)
    assert (answer.code, answer.out) == (2, "")
    assert words in " ".join(answer.err.split())
    assert run("schedules", "list").code == 3


# ---- list and show -------------------------------------------------------------------------------------------------


@pytest.fixture
def two(shop: str, run: Run) -> None:
    """Put two schedules: one that is behind, one that is paused."""
    run("schedules", "add", "daily", "report", "--cron", "0 9 * * *", "--tz", "Europe/Berlin")
    run("schedules", "add", "five", "charge", "--every", "5m", "--overlap", "allow", "--args", '{"user":1}')
    run("schedules", "pause", "daily", "--for", "2h", "--reason", "INC-7", "--by", "ada")
    overdue = _NOW - 2 * _MINUTE
    ticks = (_tick(1, 12), _tick(2, 7, outcome=Outcome.SKIPPED, reason="overlap", job="01jj1"))
    _change(
        *(shop, "five", *ticks),
        next_tick=overdue,
        due_at=overdue,
        last_tick=ticks[1].tick,
        last_job="01jj1",
        fired_at=ticks[0].at,
    )


@pytest.mark.usefixtures("two")
def test_list(run: Run) -> None:
    """A line a schedule: what, when, state, last, next, how far behind; and why it does not fire, or what jobs wait for."""
    answer = run("schedules", "list", terminal=True, columns=200)
    assert _lines(answer.out) == [
        "SCHEDULE  KIND    WHEN                     STATE   LAST    NEXT       LAG  OVERLAP  NOTE",
        (
            "daily     report  0 9 * * * Europe/Berlin  paused          in 14h53m       skip     "
            f"paused by ada until 2025-06-15T18:06:40.000Z: INC-7; {_WAITS}"
        ),
        (
            "five      charge  every 5m                 active  7m ago  2m ago     2m   allow    "
            "waits for a node that knows charge"
        ),
    ]
    assert run("schedules", "list").out == (
        "daily\treport\t0 9 * * * Europe/Berlin\tpaused\tput\t\t2025-06-16T07:00:00.000Z\t0s\tskip\t\t\t"
        f"2025-06-15T18:06:40.000Z\tada\tINC-7\t{_WAITS}\n"
        "five\tcharge\tevery 5m\tactive\tput\t2025-06-15T15:59:40.000Z\t2025-06-15T16:04:40.000Z\t2m\tallow\t"
        "2025-06-15T15:54:41.000Z\t01jj1\t\t\t\twaits for a node that knows charge\n"
    )
    assert run("schedules", "list", "--kind", "charge").out.startswith("five\t")


@pytest.mark.usefixtures("two")
def test_list_as_json(run: Run, url: str) -> None:
    """As JSON it is an object a line, with everything."""
    with _node(url, "charge"):
        _, line = run("schedules", "list", "--json").out.splitlines()
    told = json.loads(line)
    assert told.pop("created_at") == told.pop("changed_at") == "2025-06-15T16:06:40.000Z"
    assert told == {
        "name": "five",
        "kind": "charge",
        "when": "every 5m",
        "state": "active",
        "declared": False,
        "kind_known": True,
        "last": "2025-06-15T15:59:40.000Z",
        "next": "2025-06-15T16:04:40.000Z",
        "due": "2025-06-15T16:04:40.000Z",
        "lag": 120.0,
        "fired_at": "2025-06-15T15:54:41.000Z",
        "last_job": "01jj1",
        "zone": "UTC",
        "start": None,
        "end": None,
        "exclude": [],
        "misfire": "one",
        "catch_up": 86400.0,
        "overlap": "allow",
        "jitter": 0.0,
        "tolerance": 60.0,
        "paused_until": None,
        "by": None,
        "reason": None,
    }


@pytest.mark.usefixtures("two")
def test_show(run: Run) -> None:
    """One schedule is shown whole: its rule in words, its job, the last ticks and the next."""
    answer = run("schedules", "show", "five", terminal=True, columns=200)
    assert _lines(answer.out) == [
        "name       five",
        "state      active",
        "when       every 5m",
        "zone       UTC",
        "misfire    one: of ticks that are overdue by more than 1m the last fires, for all, if it is no older than 1d",
        "overlap    allow: jobs run beside each other",
        "stands     as a person put it",
        "kind       charge, which no living node knows: its jobs wait for one that does",
        'arguments  {"user":1}',
        "queue      default, priority 5, unless its code says another queue or priority by then",
        "last       2025-06-15T15:59:40.000Z (7m ago)",
        "fired      2025-06-15T15:54:41.000Z (11m59s ago) 01jj1",
        "next       2025-06-15T16:04:40.000Z (2m ago)",
        "lag        2m",
        "created    2025-06-15T16:06:40.000Z (0s ago)",
        "changed    2025-06-15T16:06:40.000Z (0s ago)",
        "",
        "last ticks",
        "  2025-06-15T15:59:40.000Z  skipped  1s         job 01jj1 had not ended",
        "  2025-06-15T15:54:40.000Z  fired    1s  01jj1",
        "",
        "next",
        "  2025-06-15T16:05:00.000Z  Sun 2025-06-15 16:05  UTC",
        "  2025-06-15T16:10:00.000Z  Sun 2025-06-15 16:10  UTC",
        "  2025-06-15T16:15:00.000Z  Sun 2025-06-15 16:15  UTC",
        "  2025-06-15T16:20:00.000Z  Sun 2025-06-15 16:20  UTC",
        "  2025-06-15T16:25:00.000Z  Sun 2025-06-15 16:25  UTC",
    ]
    piped = run("schedules", "show", "daily").out
    assert "state\tpaused by ada until 2025-06-15T18:06:40.000Z: INC-7\n" in piped
    assert piped.count("\nnext\t") == 6
    told = json.loads(run("schedules", "show", "five", "--json").out)
    assert [tick["outcome"] for tick in told["ticks"]] == ["skipped", "fired"]
    assert [each["tick"][11:16] for each in told["following"]] == ["16:05", "16:10", "16:15", "16:20", "16:25"]


@pytest.mark.parametrize(
    ("misfire", "overlap", "words"),
    [
        ("skip", "queue", ("skip: of ticks that are overdue by more than 1m none fires", "queue: jobs run one after")),
        (
            "all(3)",
            "replace",
            ("all(3): of ticks that are overdue by more than 1m the newest 3 fire", "cancels the job"),
        ),
    ],
)
def test_policies_in_words(misfire: str, overlap: str, words: tuple[str, ...], run: Run) -> None:
    """Each policy is a word, and what it means."""
    run("schedules", "add", "five", "report", "--every", "5m", "--misfire", misfire, "--overlap", overlap)
    shown = run("schedules", "show", "five").out
    assert all(word in shown for word in words)


@pytest.mark.usefixtures("two")
def test_what_another_version_wrote(run: Run, url: str) -> None:
    """A rule or job that cannot be read here is said to be so, and hides no other schedule."""
    _change(url, "daily", rule='{"moon":"full"}', job="[]")
    lines = run("schedules", "list").out.splitlines()
    assert [line.split("\t")[2] for line in lines] == ["not readable here", "every 5m"]
    shown = run("schedules", "show", "daily")
    assert shown.code == 0
    assert "job\tanother version of backburner wrote it\n" in shown.out
    told = json.loads(run("schedules", "show", "daily", "--json").out)
    assert (told["when"], told["zone"], told["job"], told["following"]) == (None, None, None, [])
    assert run("schedules", "trigger", "daily").code == 2


def test_an_ended_one(run: Run, url: str) -> None:
    """A schedule without another tick has ended."""
    run("schedules", "add", "once", "report", "--at", "2025-06-15T17:00Z")
    _change(url, "once", next_tick=None, due_at=None, last_tick=_NOW)
    assert run("schedules", "list").out.split("\t")[3] == "ended"
    assert "state\tended: it has no tick any more\n" in run("schedules", "show", "once").out


def test_nothing_is_there(run: Run) -> None:
    """What is not there ends with 3, and says what there is none of."""
    assert run("schedules", "list").err == "Error: there is no schedule\n"
    assert run("schedules", "list", "--kind", "x").err == "Error: no schedule is of kind x\n"
    assert run("schedules", "ticks").err == "Error: no tick matches\n"
    missing = "there is no schedule 'nope': `backburner schedules list` shows those there are\n"
    for given in ("show", "remove", "pause", "resume", "trigger", "preview", "ticks"):
        answer = run("schedules", given, "nope")
        assert (answer.code, answer.out, answer.err) == (3, "", f"Error: {missing}")
    assert run("schedules", "backfill", "nope", "--since", "1h", "--yes").code == 3


@pytest.mark.usefixtures("two")
def test_reading_changes_nothing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """What only reads opens the store for reading alone, a dry run too."""
    opened: list[bool] = []
    open_ = SqliteBackend.open

    async def watched(self: SqliteBackend, *, create: bool, write: bool = True) -> None:
        opened.append(write)
        await open_(self, create=create, write=write)

    monkeypatch.setattr(SqliteBackend, "open", watched)
    backfill = ("backfill", "five", "--since", "1h", "--dry-run")
    for given in (("list",), ("show", "five"), ("preview", "five"), ("ticks",), backfill):
        answer = run("schedules", *given)
        assert answer.code == 0, answer.err
    assert opened == [False] * 5


# ---- pause, resume, remove, trigger --------------------------------------------------------------------------------


def test_pause_and_resume(run: Run, url: str) -> None:
    """A pause says by whom, until when and why; it is over when it was said to, or by a resume."""
    run("schedules", "add", "five", "report", "--every", "5m")
    paused = run("schedules", "pause", "five", "--until", "2025-06-15T20:00Z", "--reason", "INC-7", "--by", "ada")
    assert paused.out == (
        "five\treport\tevery 5m\tpaused\tput\t\t2025-06-15T16:10:00.000Z\t0s\tskip\t\t\t2025-06-15T20:00:00.000Z\tada\t"
        f"INC-7\t{_WAITS}\n"
    )
    record = _record(url, "five")
    assert (record.paused, record.reason, record.by, record.due_at) == (True, "INC-7", "ada", _NOW + 14000 * SECOND)
    changed = run("schedules", "add", "five", "report", "--every", "10m")
    assert "it is paused by ada until 2025-06-15T20:00:00.000Z: INC-7: nothing fires until `backburner" in changed.err
    resumed = run("schedules", "resume", "five", terminal=True, columns=200)
    assert _lines(resumed.out)[1].split()[:5] == ["five", "report", "every", "10m", "active"]
    assert _record(url, "five").by is None
    for given in (("--until", "2h"), ("--until", "2025-06-15T15:00Z"), ("--until", "2026-01-01", "--for", "2h")):
        assert run("schedules", "pause", "five", *given).code == 2


def test_remove(run: Run, url: str) -> None:
    """What was removed is shown once more; its jobs and its ledger stay."""
    run("schedules", "add", "five", "report", "--every", "5m")
    job = run("schedules", "trigger", "five").out.strip()
    answer = run("schedules", "remove", "five")
    assert (answer.code, answer.out.split("\t")[:3], answer.err) == (
        0,
        ["five", "report", "every 5m"],
        "five was removed; its jobs stay\n",
    )
    assert run("schedules", "list").code == 3
    assert run("jobs", "show", job).code == 0
    assert run("schedules", "ticks", "five").out.split("\t")[6] == job
    assert run("schedules", "ticks", "five", "--outcome", "fired").code == 3
    assert _in(url, lambda backend: backend.schedule_reader.find(limit=1)).schedules == ()


def test_trigger(run: Run) -> None:
    """A job is stored now, with what the schedule says of it, and its id is printed; the ledger says who asked."""
    run("schedules", "add", "five", "report", "--every", "5m", "--queue", "slow", "--args", '{"region":"eu"}')
    answer = run("schedules", "trigger", "five", "--reason", "INC-7", "--by", "ada")
    job_id = answer.out.strip()
    assert (answer.code, answer.err) == (0, "no living node knows report: what is stored waits for one that does\n")
    job = json.loads(run("jobs", "show", job_id, "--json").out)
    assert (job["kind"], job["queue"], job["args"]) == ("report", "slow", {"region": "eu"})
    assert job["headers"] == {"backburner.schedule": "five", "backburner.tick": "2025-06-15T16:06:40+00:00"}
    assert run("schedules", "ticks").out == (
        "five\t2025-06-15T16:06:40.000Z\t2025-06-15T16:06:40.000Z\t1\ttriggered\t\t"
        f"{job_id}\t0s\t2025-06-15T16:06:40.000Z\tada\tINC-7\n"
    )
    assert json.loads(run("schedules", "trigger", "five", "--json").out).keys() == {"schedule", "job", "stored"}


def test_what_no_living_node_takes(run: Run, url: str) -> None:
    """What is stored goes where the schedule says; where no living node takes it from there, that is said."""
    run("schedules", "add", "mine", "report", "--every", "1h", "--queue", "slow")
    run("schedules", "add", "its", "report", "--every", "1h")
    with _node(url):
        nobody = "no living node that knows report takes jobs of queue"
        for given in (("trigger",), ("backfill", "--since", "2h", "--yes"), ("backfill", "--since", "4h", "--dry-run")):
            verb, *more = given
            assert run("schedules", verb, "mine", *more).err == f"{nobody} slow, where it is stored\n"
            told = run("schedules", verb, "its", *more)
            assert (told.code, told.err) == (0, f"{nobody} default, where it is stored\n")
    with _node(url, queues={"default": 1, "slow": 1}):
        assert [run("schedules", "trigger", name).err for name in ("mine", "its")] == ["", ""]


def test_what_goes_to_the_queue_of_its_kind(run: Run, url: str) -> None:
    """A job whose queue the schedule does not say goes where living nodes have its kind, also one put before they lived."""
    run("schedules", "add", "early", "report", "--every", "1h", "--unchecked")
    with _node(url, queues={"mail": 1}, kind_queues={"report": "mail"}):
        run("schedules", "add", "late", "report", "--every", "1h", "--args", '{"region":"eu"}')
        run("schedules", "add", "own", "report", "--every", "1h", "--args", '{"region":"eu"}', "--queue", "slow")
        ids = [run("schedules", "trigger", name).out.strip() for name in ("early", "late", "own")]
    late = run("schedules", "trigger", "late").out.strip()
    queues = [json.loads(run("jobs", "show", job_id, "--json").out)["queue"] for job_id in (*ids, late)]
    assert queues == ["mail", "mail", "slow", "mail"]


def test_trigger_where_another_holds_the_key(run: Run, url: str) -> None:
    """Where another job holds the unique key, that one's id is printed, none is stored, and the exit code is 1."""
    run("schedules", "add", "five", "report", "--every", "5m")
    job = NewJob(id="", kind="report", queue="default", args="{}", unique=_KEY)
    _change(url, "five", job=msgspec.json.encode(Standing(job)).decode())
    first = run("schedules", "trigger", "five")
    second = run("schedules", "trigger", "five")
    assert (first.code, second.code) == (0, 1)
    assert second.out == first.out
    assert second.err == f"no job was stored: {first.out.strip()} holds its unique key\n"
    told = run("schedules", "ticks", "--outcome", "skipped", terminal=True, columns=200)
    assert f"job {first.out.strip()} holds the unique key" in told.out
    assert json.loads(run("schedules", "trigger", "five", "--json").out)["stored"] is False


# ---- preview -------------------------------------------------------------------------------------------------------


def test_preview_marks_changes_of_the_clocks(run: Run) -> None:
    """Without a store: what does not exist and what comes twice is marked, with what will happen."""
    given = ("schedules", "preview", "--cron", "30 2 * * *", "--tz", "Europe/Berlin", "--url", "nowhere://x")
    spring = run(*given, "--since", "2026-03-29", "-n", "1", terminal=True, columns=40)
    assert spring.out == (
        "2026-03-29T01:00:00.000Z  Sun 2026-03-29 02:30  Europe/Berlin  "
        "02:30 does not exist on 2026-03-29: runs at 03:00\n"
    )
    assert spring.err == "--since 2026-03-29 is 2026-03-28T23:00:00.000Z\n"
    skipped = run(*given, "--since", "2026-03-29", "-n", "1", "--on-gap", "skip", terminal=True)
    assert skipped.out.startswith("not run  Sun 2026-03-29 02:30  Europe/Berlin  02:30 does not exist")
    autumn = run(*given, "--since", "2026-10-25", "-n", "2", "--on-overlap", "both")
    assert autumn.out == (
        "2026-10-25T00:30:00.000Z\t2026-10-25T02:30:00\tEurope/Berlin\t2026-10-25T00:30:00.000Z\t"
        "02:30 comes twice on 2026-10-25: this is the first\n"
        "2026-10-25T01:30:00.000Z\t2026-10-25T02:30:00\tEurope/Berlin\t2026-10-25T01:30:00.000Z\t"
        "02:30 comes twice on 2026-10-25: this is the second\n"
    )
    assert json.loads(run(*given, "--since", "2026-03-29", "-n", "1", "--on-gap", "skip", "--json").out) == {
        "tick": None,
        "local": "2026-03-29T02:30:00",
        "zone": "Europe/Berlin",
        "fires": None,
        "note": "02:30 does not exist on 2026-03-29: not run",
    }


def test_preview_of_a_schedule(run: Run) -> None:
    """By a name it is what is stored, from now on or from a moment; a pause is told of."""
    run("schedules", "add", "five", "report", "--every", "5m", "--end", "2025-06-15T16:20Z")
    assert [line.split("\t")[0][11:16] for line in run("schedules", "preview", "five").out.splitlines()] == [
        "16:10",
        "16:15",
    ]
    earlier = run("schedules", "preview", "five", "--since", "2025-06-15T16:00Z", "-n", "1")
    assert earlier.out.startswith("2025-06-15T16:00:00.000Z\t")
    run("schedules", "pause", "five", "--by", "ada")
    assert run("schedules", "preview", "five").err == "five is paused by ada: it does not fire meanwhile\n"
    over = run("schedules", "preview", "five", "--since", "2025-06-15T17:00Z")
    assert (over.code, over.out, over.err.splitlines()[-1]) == (3, "", "Error: nothing comes any more")


def test_preview_of_an_h(run: Run) -> None:
    """An H is drawn from the schedule's name, so that is asked for; the same name has the same moment."""
    given = ("--cron", "H H * * *", "-n", "1")
    refused = run("schedules", "preview", *given)
    assert (refused.code, refused.out) == (2, "")
    assert "an H is drawn from the schedule's name" in refused.err
    run("schedules", "add", "daily", "report", "--cron", "H H * * *")
    assert run("schedules", "preview", "daily", *given).out == run("schedules", "preview", "daily", "-n", "1").out


@pytest.mark.parametrize(
    "given", [(), ("--tz", "UTC"), ("x", "--tz", "UTC"), ("x", "--seconds"), ("--cron", "@daily", "-n", "0")]
)
def test_preview_of_nothing(given: tuple[str, ...], run: Run) -> None:
    """What says nothing, or says what a stored schedule has of its own, is wrong usage."""
    assert run("schedules", "preview", *given).code == 2


# ---- ticks and backfill --------------------------------------------------------------------------------------------


@pytest.fixture
def ledger(shop: str, run: Run) -> None:
    """Have a schedule that fired, was skipped for each reason, and was asked for."""
    run("schedules", "add", "five", "report", "--every", "5m")
    skipped = {"outcome": Outcome.SKIPPED, "job": None}
    _change(
        *(shop, "five", _tick(1, 60), _tick(2, 55, **skipped | {"reason": "overlap", "job": "01jj1"})),
        _tick(3, 50, **skipped, reason="missed", count=3, last=_NOW - 40 * _MINUTE, due_at=_NOW - 40 * _MINUTE),
        _tick(4, 35, **skipped, reason="paused", count=0, last=_NOW - 30 * _MINUTE, due_at=_NOW - 30 * _MINUTE),
        _tick(5, 25, **skipped, reason="merged"),
        _tick(6, 20, **skipped, reason="changed"),
        _tick(7, 15, outcome=Outcome.TRIGGERED, by="ada", note="INC-7"),
    )


@pytest.mark.usefixtures("ledger")
def test_ticks(run: Run) -> None:
    """The ledger, the last decided first: fired by which job and how late, skipped and why, how many, who asked."""
    answer = run("schedules", "ticks", terminal=True, columns=200)
    assert _lines(answer.out) == [
        "SCHEDULE  TICK                      OUTCOME    LATE  JOB    NOTE",
        "five      2025-06-15T15:51:40.000Z  triggered        01jj7  by ada: INC-7",
        "five      2025-06-15T15:46:40.000Z  skipped    1s           the schedule had become another",
        "five      2025-06-15T15:41:40.000Z  skipped    1s           a later one fired in its place",
        (
            "five      2025-06-15T15:31:40.000Z  skipped    0s           the schedule was paused; very many until "
            "2025-06-15T15:36:40.000Z"
        ),
        (
            "five      2025-06-15T15:16:40.000Z  skipped    0s           its time had passed; 3 until "
            "2025-06-15T15:26:40.000Z"
        ),
        "five      2025-06-15T15:11:40.000Z  skipped    1s           job 01jj1 had not ended",
        "five      2025-06-15T15:06:40.000Z  fired      1s    01jj1",
    ]
    assert run("schedules", "ticks", "five", "--outcome", "skipped", "--since", "52m", "--until", "45m").out == (
        "five\t2025-06-15T15:16:40.000Z\t2025-06-15T15:26:40.000Z\t3\tskipped\tmissed\t\t0s\t2025-06-15T15:16:41.000Z\t\t\n"
    )
    few = run("schedules", "ticks", "--limit", "2", "--outcome", "fired", "--outcome", "triggered", "--json")
    assert [json.loads(line)["outcome"] for line in few.out.splitlines()] == ["triggered", "fired"]
    assert (few.code, few.err) == (0, "")
    assert run("schedules", "ticks", "--limit", "2").err == "the newest 2; there are more: --limit\n"
    fired = json.loads(run("schedules", "ticks", "--outcome", "fired", "--json").out)
    assert fired == {
        "id": f"{1:026}",
        "schedule": "five",
        "tick": "2025-06-15T15:06:40.000Z",
        "last": "2025-06-15T15:06:40.000Z",
        "count": 1,
        "outcome": "fired",
        "reason": None,
        "job": "01jj1",
        "late": 1.0,
        "decided_at": "2025-06-15T15:06:41.000Z",
        "by": None,
        "note": None,
    }


def test_ticks_on_many_pages(run: Run, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many there are, all that were asked for are listed, once each."""
    run("schedules", "add", "five", "report", "--every", "5m")
    _change(url, "five", *(_tick(number, number) for number in range(1, 8)))
    monkeypatch.setattr("backburner.cli.schedules.ticks._PAGE", 2)
    jobs = [line.split("\t")[6] for line in run("schedules", "ticks").out.splitlines()]
    assert jobs == [f"01jj{number}" for number in range(7, 0, -1)]
    assert len(run("schedules", "ticks", "--limit", "5").out.splitlines()) == 5


def test_backfill(run: Run, url: str) -> None:
    """Ticks of the past that had no job get one, once; those that had keep theirs."""
    run("schedules", "add", "hourly", "report", "--every", "1h", "--args", '{"region":"eu"}')
    had = _NOW - _NOW % _HOUR - 2 * _HOUR
    _change(url, "hourly", _tick(1, 0, schedule="hourly", tick=had, last=had, due_at=had))
    given = ("schedules", "backfill", "hourly", "--since", "2025-06-15T12:00Z")
    dry = run(*given, "--until", "2025-06-15T16:00Z", "--dry-run")
    assert (dry.code, dry.out) == (0, "ticks\t3\nknown\t1\n")
    refused = run(*given)
    assert (refused.code, refused.out) == (2, "")
    assert refused.err.endswith("4 ticks of hourly had no job; --yes backfills them, --dry-run only counts\n")
    asked = run(*given, terminal=True, typed="n\n")
    assert "4 ticks of hourly had no job; backfill them? [y/N]: " in asked.err
    assert (asked.code, run("schedules", "ticks", "--outcome", "backfilled").code) == (2, 3)
    done = json.loads(run(*given, "--yes", "--reason", "INC-7", "--by", "ada", "--json").out)
    assert (done["ticks"], done["known"], done["stored"], len(done["jobs"])) == (4, 1, 4, 4)
    lines = run("schedules", "ticks", "--outcome", "backfilled").out.splitlines()
    assert [(line.split("\t")[1][11:16], *line.split("\t")[9:]) for line in lines] == [
        (f"{hour}:00", "ada", "INC-7") for hour in (16, 15, 13, 12)
    ]
    shown = json.loads(run("jobs", "show", done["jobs"][0], "--json").out)
    assert shown["headers"]["backburner.tick"] == "2025-06-15T12:00:00+00:00"
    again = run(*given, "--yes")
    assert (again.code, again.out) == (3, "")
    assert again.err == "Error: no tick of hourly in that time lacks a job: all 5 there were have one\n"


def test_a_backfill_of_too_much(run: Run) -> None:
    """More ticks than the limit are refused, and counted; so is what has not passed."""
    run("schedules", "add", "hourly", "report", "--every", "1h")
    refused = run("schedules", "backfill", "hourly", "--since", "2025-06-15T04:00Z", "--limit", "3", "--yes")
    assert (refused.code, refused.out) == (2, "")
    assert "13 ticks of 'hourly' lie in that range without a job, 3 are allowed" in refused.err
    for given in (("--since", "1h", "--until", "2h"), ("--since", "1h", "--until", "2030-01-01"), ()):
        assert run("schedules", "backfill", "hourly", *given, "--yes").code == 2
    none = run("schedules", "backfill", "hourly", "--since", "2025-06-15T16:01Z", "--yes")
    assert (none.code, none.err) == (3, "Error: no tick of hourly in that time lacks a job: there was none\n")


def test_a_backfill_where_others_hold_the_key(run: Run, url: str) -> None:
    """Ticks whose unique key is held get no job: they are counted, and the exit code is 1."""
    run("schedules", "add", "hourly", "report", "--every", "1h")
    job = NewJob(id="", kind="report", queue="default", args="{}", unique=_KEY)
    _change(url, "hourly", job=msgspec.json.encode(Standing(job)).decode())
    answer = run("schedules", "backfill", "hourly", "--since", "3h", "--yes")
    assert answer.code == 1
    assert answer.out.startswith("ticks\t3\nknown\t0\nstored\t1\njob\t")
    assert answer.err.endswith("2 ticks have none, since other jobs hold the unique key\n")
