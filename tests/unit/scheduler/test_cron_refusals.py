"""What looks like a cron expression and is refused: why, where, and how to write what was meant."""

from __future__ import annotations

import re

import pytest

from backburner.errors import CallRefused, InvalidSchedule
from backburner.scheduler.cron import read
from backburner.scheduler.triggers import Cron
from backburner.scheduler.walls import walls

REFUSED = [
    # What croniter reads as something else.
    ("0 0 1-1 * *", "day of month", "write 1"),
    ("5-5 * * * *", "minute", "write 5"),
    ("0 0 * jan-jan *", "month", "write jan"),
    ("0 0 * * 7-7", "day of week", "write 7"),
    ("0 0 * * 0-7", "day of week", "write *"),
    ("*/90 * * * *", "minute", "Every(minutes=90)"),
    ("0 */24 * * *", "hour", "write 0"),
    ("10-20/15 * * * *", "minute", "write 10"),
    ("59/15 * * * *", "minute", "write 59"),
    ("0 0 * * */7", "day of week", "write 0"),
    ("0 22-2/3 * * *", "hour", "one by one"),
    ("*,5 * * * *", "minute", "write *"),
    ("0 0 * * *,mon", "day of week", "write *"),
    ("0 0 *,L * *", "day of month", "write *"),
    ("R * * * *", "minute", "write H"),
    ("R(0-29) * * * *", "minute", "write H(0-29)"),
    ("0 0 H * *", "day of month", "H(1-28)"),
    ("0 0 H(28-31) 2 *", "day of month", "up to 29"),
    # Where crons differ, or only half of it would count.
    ("0 0 */2 * mon", "day of month", 'Cron("0 0 */2 * *") & Cron("0 0 * * mon")'),
    ("0 0 1 * */2", "day of month", 'Cron("0 0 1 * *") & Cron("0 0 * * */2")'),
    ("0 0 1-9/2 * mon", "day of month", "&"),
    ("0 0 15W * mon", "day of month", "&"),
    ("0 0 13 * fri#2", "day of month", "&"),
    ("0 0 13 * L5", "day of month", "&"),
    ("0 0 * * mon,fri#2", "day of week", "joined by |"),
    ("0 0 * * mon-fri#1", "day of week", "fri#1"),
    # Fields.
    ("", None, "* * * * *"),
    ("   ", None, "* * * * *"),
    ("0 9 * *", None, "five fields"),
    ("0 0 9 * * *", "second", "seconds=True"),
    ("0 0 9 * * * 2027", "year", "start= and end="),
    ("0 0 0 9 * * * *", None, "five fields"),
    ("1," * 400 + "1 * * * *", None, "512"),
    # What other crons know.
    ("@reboot", None, "where your app starts"),
    ("@every 5m", None, "write Every(minutes=5)"),
    ("@every 36h", None, "write Every(hours=36)"),
    ("@every 1h30m", None, "write Every(minutes=90)"),
    ("@every 1.5s", None, "write Every(seconds=1.5)"),
    ("@every", None, "write Every(minutes=5)"),
    ("@fortnightly", None, "@weekly"),
    ("@daily @hourly", None, "each alone"),
    ("CRON_TZ=Europe/Berlin 0 9 * * *", "tz", 'Cron("0 9 * * *", tz="Europe/Berlin")'),
    ("TZ=UTC 0 9 * * *", "tz", 'Cron("0 9 * * *", tz="UTC")'),
    ("0 0 LW * *", "day of month", "31W"),
    ("0 0 WL * *", "day of month", "31W"),
    ("0 0 L-3 * *", "day of month", "name the days"),
    ("0 0 1-L * *", "day of month", "up to 31"),
    ("0 0 W15 * *", "day of month", "15W"),
    ("0 0 32W * *", "day of month", "15W"),
    ("0 0 0W * *", "day of month", "15W"),
    ("0 0 1,15W * *", "day of month", "joined by |"),
    ("0 0 1-15W * *", "day of month", "15W"),
    ("0 0 * * 5L", "day of week", "L5"),
    ("0 0 * * friL", "day of week", "L5"),
    ("0 0 * * Lfri", "day of week", "L5"),
    ("0 0 * * L", "day of week", "L6"),
    ("0 0 * * 5#6", "day of week", "1 to 5"),
    ("0 0 * * 5#0", "day of week", "1 to 5"),
    ("0 0 L3 * *", "day of month", "write L"),
    # Days that never come.
    ("0 0 31 2 *", "day of month", "up to 29"),
    ("0 0 30,31 feb *", "day of month", "up to 29"),
    ("0 0 31 4,6,9,11 *", "day of month", "up to 30"),
    ("0 0 31 2 mon", "day of month", "up to 29"),
    # What is no number.
    ("60 * * * *", "minute", "0 to 59"),
    ("0 24 * * *", "hour", "0 to 23"),
    ("0 0 0 * *", "day of month", "1 to 31"),
    ("0 0 1 13 *", "month", "1 to 12"),
    ("0 0 1 0 *", "month", "1 to 12"),
    ("0 0 * * 8", "day of week", "0 to 7"),
    ("0 0 * * monday", "day of week", "mon"),
    ("0 0 * mon *", "month", "jan"),
    ("0 0 * * jan", "day of week", "mon"),
    ("-5 * * * *", "minute", "not negative"),
    ("5.5 * * * *", "minute", "0 to 59"),
    ("+5 * * * *", "minute", "0 to 59"),
    ("\u0663 * * * *", "minute", "0 to 59"),
    ("1,,2 * * * *", "minute", "0 to 59"),
    ("1, * * * *", "minute", "0 to 59"),
    ("*/0 * * * *", "minute", "step from 1"),
    ("*-5 * * * *", "minute", "0 to 59"),
    ("*/x * * * *", "minute", "steps */2"),
    ("99999999999999999999 * * * *", "minute", "0 to 59"),
    ("? * * * *", "minute", "write *"),
    ("0 0 ?,1 * *", "day of month", "stands alone"),
    ("L * * * *", "minute", "as the day of month"),
    ("0 0 * 5#3 *", "month", "as the day of week"),
    ("H,30 * * * *", "minute", "H stands alone"),
    ("H-5 * * * *", "minute", "H"),
    ("H(5-5) * * * *", "minute", "H(0-59)"),
    ("H(0-99) * * * *", "minute", "H(0-59)"),
    ("H/90 * * * *", "minute", "Every(minutes=90)"),
    ("0 0 * * H(0-7)", "day of week", "H(0-6)"),
    ("0 9 * * \U0001f40c", "day of week", "mon"),
    ("0 9 * * \ud800", "day of week", "mon"),
]

#: What a message offers is let through itself; six fields it offers with seconds=True.
OFFERED = re.compile(r'Cron\("([^"]+)"(?:, tz="([^"]+)")?\)')


@pytest.mark.parametrize(("text", "part", "mend"), REFUSED, ids=[repr(text)[:40] for text, _, _ in REFUSED])
def test_it_is_refused_with_the_reason_and_a_correct_spelling(text: str, part: str | None, mend: str) -> None:
    """The error names the field to blame and says how to write what may have been meant."""
    with pytest.raises(InvalidSchedule) as refused:
        Cron(text)
    assert refused.value.part == part
    assert mend in str(refused.value)
    assert isinstance(refused.value, CallRefused)
    assert not str(refused.value).endswith(".")
    for offered, tz in OFFERED.findall(str(refused.value)):
        Cron(offered, tz=tz or None)


def test_five_fields_are_too_few_with_seconds() -> None:
    """Where seconds were asked for, five fields are refused rather than guessed at."""
    with pytest.raises(InvalidSchedule, match='write "0 0 9') as refused:
        Cron("0 9 * * *", seconds=True)
    assert refused.value.part == "second"
    with pytest.raises(InvalidSchedule, match="six fields: second, minute"):
        Cron("0 9 * *", seconds=True)


@pytest.mark.parametrize(
    "text",
    [
        "0 9 * * mon-fri",
        "0 9 * * MON-FRI",
        "00 09 * JAN,jul *",
        "0 22-2 * * sat-mon",
        "0 0 13 * fri",
        "0 0 L * fri",
        "0 0 15,L * ?",
        "0 0 ? * 5#3",
        "0 0 * * sun#5,7#1,L0",
        "0 0 15W * *",
        "0 0 31W * *",
        "0 0 * * 1-7/2",
        "5/15 * * * *",
        "0 0 29 2 *",
        "0 0 30 1,2 *",
        "H H * * *",
        "H/15 H(9-16)/2 H(1-28) H H",
        "@hourly",
        "@DAILY",
        "@midnight",
        "@weekly",
        "@monthly",
        "@yearly",
        "@annually",
        "0 9\u00a0* * *",
    ],
)
def test_what_is_plain_is_let_through(text: str) -> None:
    """Names, ranges that go round, lists, steps, L, W, #, ?, H and the names of common ones are read."""
    assert len(read(text, seconds=False).text.split()) == 5
    assert walls(Cron(text).expression, seconds=False, seed="a name").first(0) is not None


@pytest.mark.parametrize(
    ("text", "seconds", "elapsed"),
    [
        ("0 9 * * *", False, False),
        ("@hourly", False, True),
        ("@daily", False, False),
        ("@daily", True, False),
        ("*/5 9 * * *", False, True),
        ("5,*/20 9 * * *", False, True),
        ("H/15 9 * * *", False, True),
        ("H(0-29)/10 9 * * *", False, False),
        ("H H * * *", False, False),
        ("0-59 0-23 * * *", False, False),
        ("*/10 0 9 * * *", True, True),
        ("0 0 9 * * *", True, False),
    ],
)
def test_what_follows_elapsed_time(text: str, *, seconds: bool, elapsed: bool) -> None:
    """A second, minute or hour that says "each so many" follows elapsed time; numbers are times of the day."""
    assert read(text, seconds=seconds).elapsed == elapsed
