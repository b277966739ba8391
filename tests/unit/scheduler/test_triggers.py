"""When a schedule is due, as people say it: checked, described, combined, stored."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backburner.errors import InvalidSchedule
from backburner.scheduler.triggers import AllOf, AnyOf, At, Cron, Every, Trigger

calm = settings(deadline=None)

NINE = datetime(2026, 1, 1, 9, tzinfo=UTC)

decoder = msgspec.json.Decoder[Trigger](Trigger)


@pytest.mark.parametrize(
    ("trigger", "text"),
    [
        (Cron("0 9 * * mon-fri", tz="Europe/Berlin"), "0 9 * * mon-fri Europe/Berlin"),
        (Cron("  0  9 * * mon-fri "), "0 9 * * mon-fri"),
        (Cron("@daily", tz="UTC"), "@daily UTC"),
        (Cron("0 0 9 * * *", seconds=True), "0 0 9 * * *"),
        (Cron("0 9 * * *", on_gap="skip", on_overlap="both"), "0 9 * * * on_gap=skip on_overlap=both"),
        (Every(minutes=5), "every 5m"),
        (Every(hours=1, seconds=1.5), "every 1h1s500ms"),
        (Every(weeks=1), "every 7d"),
        (Every(minutes=5, start=NINE), "every 5m from 2026-01-01T09:00Z"),
        (At(NINE), "at 2026-01-01T09:00Z"),
        (At(NINE + timedelta(seconds=1)), "at 2026-01-01T09:00:01Z"),
        (At(datetime(2026, 1, 1, 9, tzinfo=ZoneInfo("Europe/Berlin"))), "at 2026-01-01T08:00Z"),
        (Cron("@daily") & Every(days=2), "@daily and every 2d"),
        (Cron("@daily") & (Every(days=2) | At(NINE)), "@daily and (every 2d or at 2026-01-01T09:00Z)"),
        ((Cron("@daily") & Every(days=2)) | At(NINE), "(@daily and every 2d) or at 2026-01-01T09:00Z"),
    ],
    ids=str,
)
def test_it_is_described_in_a_line(trigger: Trigger, text: str) -> None:
    """People read when it is due as they would write it."""
    assert trigger.describe() == text


@pytest.mark.parametrize(
    ("options", "part", "said"),
    [
        ({}, None, "an interval of nothing"),
        ({"minutes": 0}, None, "an interval of nothing"),
        ({"seconds": 0.009}, None, "9ms"),
        ({"minutes": -5}, "minutes", "negative"),
        ({"hours": 2, "minutes": -1}, "minutes", "negative"),
        ({"seconds": float("nan")}, "seconds", "nan"),
        ({"seconds": float("inf")}, "seconds", "inf"),
        ({"days": True}, "days", "True"),
        ({"minutes": "5"}, "minutes", "'5'"),
        ({"minutes": timedelta(minutes=5)}, "minutes", "Every(minutes=5)"),
        ({"weeks": 10**6}, None, "285 years"),
        ({"weeks": 10**300}, "weeks", "285 years"),
        ({"seconds": 1e300}, "seconds", "285 years"),
        ({"minutes": 5, "start": datetime(2026, 1, 1)}, "start", "tzinfo=UTC"),  # noqa: DTZ001 - that is what is refused
        ({"minutes": 5, "start": "2026-01-01"}, "start", "aware datetime"),
        ({"minutes": 5, "start": datetime(2999, 1, 1, tzinfo=UTC)}, "start", "285 years"),
    ],
    ids=str,
)
def test_an_interval_is_checked(options: dict[str, Any], part: str | None, said: str) -> None:
    """An interval of nothing, a negative one, one without a number, and one too long to be stored are refused."""
    with pytest.raises(InvalidSchedule) as refused:
        Every(**options)
    assert refused.value.part == part
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("moment", "said"),
    [
        (datetime(2026, 1, 1), "tzinfo=UTC"),  # noqa: DTZ001 - that is what is refused
        ("2026-01-01", "aware datetime"),
        (1_790_000_000, "aware datetime"),
        (NINE.date(), "aware datetime"),
        (datetime.max.replace(tzinfo=timezone(timedelta(hours=-23))), "285 years"),
    ],
    ids=repr,
)
def test_a_moment_is_checked(moment: datetime, said: str) -> None:
    """A moment whose zone nobody knows, or that is none, is refused."""
    with pytest.raises(InvalidSchedule, match=said) as refused:
        At(moment)
    assert refused.value.part == "moment"


@pytest.mark.parametrize(
    ("options", "part", "said"),
    [
        ({"tz": "Europe/Berlni"}, "tz", "'Europe/Berlin'"),
        ({"tz": 1}, "tz", "name of a time zone"),
        ({"tz": ZoneInfo("UTC")}, "tz", "name of a time zone"),
        ({"tz": ["UTC"]}, "tz", "name of a time zone"),
        ({"on_gap": "later"}, "on_gap", "run_after, skip"),
        ({"on_overlap": "third"}, "on_overlap", "first, second, both"),
        ({"seconds": 0}, "seconds", "True or False"),
    ],
    ids=str,
)
def test_options_of_a_cron_are_checked(options: dict[str, Any], part: str, said: str) -> None:
    """An unknown zone, an unknown policy and a second that is no yes or no are refused."""
    with pytest.raises(InvalidSchedule) as refused:
        Cron("0 9 * * *", **options)
    assert refused.value.part == part
    assert said in str(refused.value)


@pytest.mark.parametrize("expression", [None, 5, b"0 9 * * *", ["0 9 * * *"]], ids=str)
def test_an_expression_is_a_text(expression: str) -> None:
    """What is no text is refused as such."""
    with pytest.raises(InvalidSchedule, match="is a text") as refused:
        Cron(expression)
    assert refused.value.part == "expression"


def test_only_triggers_combine() -> None:
    """A trigger and something else cannot be combined, nor one alone, nor more than 32."""
    stranger: Any = "0 9 * * *"
    with pytest.raises(TypeError):
        Cron("@daily") & stranger
    with pytest.raises(TypeError):
        stranger | Cron("@daily")
    with pytest.raises(TypeError):
        Cron("@daily") | stranger
    with pytest.raises(InvalidSchedule, match="does not say when"):
        AnyOf((Cron("@daily"), stranger))
    with pytest.raises(InvalidSchedule, match="two triggers or more, not 1"):
        AllOf((Cron("@daily"),))
    with pytest.raises(InvalidSchedule, match="33 triggers"):
        AnyOf(tuple(Every(minutes=1 + each) for each in range(33)))


def test_the_same_is_equal_however_it_was_said() -> None:
    """Lengths, moments and nested combinations have one form, so that a changed text is no changed schedule."""
    assert Every(minutes=90) == Every(hours=1.5) == Every(hours=1, minutes=30)
    assert Every(weeks=1) == Every(days=7)
    assert At(NINE) == At(NINE.astimezone(ZoneInfo("Asia/Tokyo")))
    a, b, c = Cron("@daily"), Every(minutes=1), At(NINE)
    assert (a & b) & c == a & (b & c) == AllOf((a, b, c))
    assert (a | b) | c == a | (b | c) == AnyOf((a, b, c))
    assert len({Every(minutes=60), Every(hours=1)}) == 1


crons = st.builds(
    Cron,
    st.sampled_from(("0 9 * * mon-fri", "H H * * *", "@daily", "*/5 8-18 L * *", "0 0 * * 5#3")),
    tz=st.sampled_from((None, "UTC", "Europe/Berlin")),
    on_gap=st.sampled_from(("run_after", "skip")),
    on_overlap=st.sampled_from(("first", "second", "both")),
)
moments = st.datetimes(datetime(1800, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - the zone stands beside
intervals = st.builds(
    Every,
    weeks=st.integers(0, 9),
    days=st.integers(0, 9),
    hours=st.integers(0, 99) | st.floats(0, 9),
    minutes=st.integers(0, 99),
    seconds=st.integers(1, 99) | st.floats(0.01, 99),
    start=st.none() | moments,
)
triggers = st.recursive(
    crons | intervals | st.builds(At, moments),
    lambda inner: st.builds(lambda a, b: a & b, inner, inner) | st.builds(lambda a, b: a | b, inner, inner),
    max_leaves=6,
)


@given(triggers)
@calm
def test_it_comes_back_from_json_as_it_was(trigger: Trigger) -> None:
    """Whatever can be said is stored as JSON and read as the same, in the same text again."""
    text = msgspec.json.encode(trigger)
    read = decoder.decode(text)
    assert read == trigger
    assert type(read) is type(trigger)
    assert hash(read) == hash(trigger)
    assert msgspec.json.encode(read) == text
    assert read.describe() == trigger.describe()


@pytest.mark.parametrize(
    ("text", "trigger"),
    [
        ('{"type":"cron","expression":"0 9 * * *","tz":"UTC","on_gap":"skip"}', Cron("0 9 * * *", tz="UTC", on_gap="skip")),
        ('{"type":"every","minutes":5}', Every(minutes=5)),
        ('{"type":"every","hours":1,"minutes":30,"start":"2026-01-01T09:00:00Z"}', Every(minutes=90, start=NINE)),
        ('{"type":"at","moment":"2026-01-01T09:00:00Z"}', At(NINE)),
        ('{"type":"all","triggers":[{"type":"cron","expression":"@daily"},{"type":"at","moment":"2026-01-01T09:00:00Z"}]}', Cron("@daily") & At(NINE)),
        ('{"type":"any","triggers":[{"type":"every","days":1},{"type":"every","hours":7}]}', Every(days=1) | Every(hours=7)),
    ],
)  # fmt: skip
def test_what_is_stored_stays_readable(text: str, trigger: Trigger) -> None:
    """The stored form is a contract: what was written yesterday is read tomorrow."""
    assert msgspec.json.encode(trigger).decode() == text
    assert decoder.decode(text) == trigger


@pytest.mark.parametrize(
    "text",
    [
        '{"type":"cron","expression":"0 9 * * *","tz":"Mars/Olympus"}',
        '{"type":"cron","expression":"*/90 * * * *"}',
        '{"type":"every"}',
        '{"type":"every","minutes":5,"phase":2}',
        '{"type":"moon"}',
    ],
)
def test_what_other_code_stored_is_not_guessed_at(text: str) -> None:
    """A stored trigger with a zone, a word or a kind that this code does not know is refused, not half read."""
    with pytest.raises(msgspec.ValidationError):
        decoder.decode(text)
