"""What a cron expression says, and why some that look like one are refused.

The calendar itself is croniter's (`backburner.scheduler.walls`), which reads more than it should: `1-1` as every day,
`*/90` as `0`, `22-2/3` wrongly, and an `H` or an `R` without telling. So nothing reaches it that this grammar does not
know, and each refusal says how to write what was meant.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Final, NamedTuple, NoReturn

from backburner.errors import InvalidSchedule
from backburner.model.duration import parse

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Reading", "read"]

#: Characters: each minute and each hour, by number, are fewer.
_LONGEST = 512

_FIVE: Final = 5
_SIX: Final = 6

_MONTHS = {
    name: at
    for at, name in enumerate(("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), 1)
}
_DAYS = {name: at for at, name in enumerate(("sun", "mon", "tue", "wed", "thu", "fri", "sat"))}
_LONGEST_MONTH = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)

_ALIASES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}

_ITEM = re.compile(r"(\*|\w+)(?:-(\w+))?(?:/(\d+))?", re.ASCII)
_HASH = re.compile(r"h(?:\((\d+)-(\d+)\))?(?:/(\d+))?", re.ASCII)
_RANDOM = re.compile(r"r(?:\(.*\))?(?:/\d+)?")
_NTH = re.compile(r"(\w+)#(\d)", re.ASCII)
_LAST = re.compile(r"l(\w+)", re.ASCII)
_LAST_REVERSED = re.compile(r"(\w+)l", re.ASCII)
_WEEKDAY = re.compile(r"(\d+)w", re.ASCII)


class Reading(NamedTuple):
    """A cron expression that was understood."""

    #: As croniter is to read it: in small letters, the seconds first where there are any.
    text: str
    seconds: bool
    #: Its second, minute or hour begins with ``*``: it follows elapsed time, not fixed times of the day.
    elapsed: bool
    #: It has an ``H``: where that falls depends on the schedule's name.
    spread: bool


class _Field(NamedTuple):
    name: str
    low: int
    high: int
    names: Mapping[str, int]


_SECOND = _Field("second", 0, 59, {})
_MINUTE = _Field("minute", 0, 59, {})
_HOUR = _Field("hour", 0, 23, {})
_DAY = _Field("day of month", 1, 31, {})
_MONTH = _Field("month", 1, 12, _MONTHS)
_WEEK = _Field("day of week", 0, 7, _DAYS)


@functools.lru_cache(4_096)
def read(expression: str, *, seconds: bool) -> Reading:
    """Return what an expression says; raises `InvalidSchedule`, which tells how to write what may have been meant."""
    fields = _fields(expression, seconds=seconds)
    second, minute, hour, day, month, week = fields
    for field, text in zip((_SECOND, _MINUTE, _HOUR, _MONTH), (second, minute, hour, month), strict=True):
        _check_list(field, text)
    _check_days(day)
    _check_weekdays(week)
    _check_both(fields, seconds=seconds)
    _check_possible(day, month)
    return Reading(
        text=" ".join(fields if seconds else fields[1:]),
        seconds=seconds,
        elapsed=any(_follows(text) for text in ((second, minute, hour) if seconds else (minute, hour))),
        spread=any(text.startswith("h") for text in fields),
    )


# ---- fields --------------------------------------------------------------------------------------------------------


def _fields(expression: str, *, seconds: bool) -> tuple[str, str, str, str, str, str]:
    """Return its six fields, in small letters; a second of 0 where it has none."""
    if len(expression) > _LONGEST:
        _refuse(f"a cron expression of {len(expression)} characters; {_LONGEST} are allowed: write ranges and steps")
    fields = expression.lower().split()
    if not fields:
        _refuse('an empty cron expression; "* * * * *" is every minute, "0 9 * * mon-fri" each weekday at nine')
    if fields[0].startswith("@"):
        fields = ["0", *_alias(expression, fields).split()]
    elif "=" in fields[0]:
        setting, *rest = expression.split()
        zone = setting.partition("=")[2]
        _refuse(
            f'{expression!r} sets a time zone inside the expression: write Cron("{" ".join(rest)}", tz="{zone}")', "tz"
        )
    elif len(fields) != (_SIX if seconds else _FIVE):
        _refuse_count(" ".join(expression.split()), len(fields), seconds=seconds)
    elif not seconds:
        fields = ["0", *fields]
    return (fields[0], fields[1], fields[2], fields[3], fields[4], fields[5])


def _refuse_count(expression: str, count: int, *, seconds: bool) -> NoReturn:
    if count == _FIVE:
        _refuse(
            f'{expression!r} has five fields, and seconds=True asks for six, the second first: write "0 {expression}"',
            "second",
        )
    if count == _SIX:
        _refuse(
            f"{expression!r} has six fields: seconds come first and are asked for by name, "
            f'Cron("{expression}", seconds=True); without them there are five, minute, hour, day of month, month, '
            "day of week",
            "second",
        )
    if count == _SIX + 1:
        _refuse(
            f"{expression!r} has seven fields, and there is none for the year: say start= and end= beside the "
            "schedule, or At(moment) for a single tick",
            "year",
        )
    fields = "six fields: second, " if seconds else "five fields: "
    _refuse(f"{expression!r} has {count}, and a cron expression {fields}minute, hour, day of month, month, day of week")


def _alias(expression: str, fields: list[str]) -> str:
    word = fields[0]
    if word == "@every":
        _refuse(f"{expression!r} is an interval, not a cron expression: write {_interval(' '.join(fields[1:]))}")
    if word == "@reboot":
        _refuse("'@reboot' names no moment: create the job where your app starts")
    if len(fields) > 1 or word not in _ALIASES:
        _refuse(f"{expression!r} is not known; {', '.join(_ALIASES)} are, each alone")
    return _ALIASES[word]


def _interval(text: str) -> str:
    try:
        length = parse(text)
    except ValueError:
        return "Every(minutes=5)"
    for unit, size in (("hours", 3_600_000_000), ("minutes", 60_000_000), ("seconds", 1_000_000)):
        if length and not length % size:
            return f"Every({unit}={length // size})"
    return f"Every(seconds={length / 1_000_000:g})"


# ---- what each may hold --------------------------------------------------------------------------------------------


def _check_list(field: _Field, text: str) -> None:
    """Check a field that holds numbers, names, ranges and steps, or one `H`."""
    if _check_drawn(field, text):
        return
    items = text.split(",")
    if len(items) > 1 and "*" in items:
        _refuse(f"{text!r} is every {field.name}, whatever else it lists: write *, or the list without it", field.name)
    for item in items:
        _numbers(field, item, text)


def _numbers(field: _Field, item: str, text: str) -> range | list[int]:
    """Return the numbers of a single one, of a range, or of steps through either."""
    match = _ITEM.fullmatch(item)
    if match is None:
        _refuse_item(field, item, text)
    low, high, step = match[1], match[2], match[3]
    if low == "*":
        if high is not None:
            _refuse_item(field, item, text)
        first, last = field.low, min(field.high, 6) if field is _WEEK else field.high
    else:
        first = _number(field, low, text)
        # From there on to the end, in steps.
        end = field.high - (field is _WEEK)
        last = first if high is None and step is None else end if high is None else _number(field, high, text)
        if high is not None and (first == last or {first, last} == {0, 7}):
            same = "every day" if first != last else f"the {field.name} {low} alone, which some read as every"
            _refuse(f"{item!r} is {same}: write {'*' if first != last else low}", field.name)
    if step is None:
        if first > last:
            return [*range(first, field.high + 1), *range(field.low, last + 1)]
        return range(first, last + 1)
    return _stepped(field, item, first, last, int(step))


def _stepped(field: _Field, item: str, first: int, last: int, step: int) -> range:
    if first > last:
        _refuse(
            f"{item!r} steps over the end of its range: write the {field.name}s one by one, with commas", field.name
        )
    if step == 0:
        _refuse(f"{item!r} steps by nothing: write a step from 1", field.name)
    if step > last - first:
        every = {"hour": "hours", "minute": "minutes", "second": "seconds", "day of month": "days"}.get(field.name)
        otherwise = f"; for a longer interval, Every({every}={step})" if every else ""
        _refuse(
            f"{item!r} steps beyond its range, {first} to {last}, so it is {first} alone: write {first}{otherwise}",
            field.name,
        )
    return range(first, last + 1, step)


def _number(field: _Field, word: str, text: str) -> int:
    if word in field.names:
        return field.names[word]
    if not word.isdecimal():
        _refuse_item(field, word, text)
    # No longer than a number of the field may be, so that none takes long to read.
    number = int(word) if len(word) < _FIVE else -1
    if not field.low <= number <= field.high:
        _refuse(f"{word} is no {field.name}: they go from {field.low} to {field.high}", field.name)
    return number


def _check_drawn(field: _Field, text: str) -> bool:
    """Check a field that is drawn from the schedule's name; False: it is not."""
    if _RANDOM.fullmatch(text):
        _refuse(
            f"{text.upper()!r} is drawn anew by each process, which would not agree: write {'H' + text[1:]}, which is "
            "drawn from the schedule's name",
            field.name,
        )
    match = _HASH.fullmatch(text)
    if match is None:
        return False
    most = 6 if field is _WEEK else field.high
    if match[1] is None and match[3] is None and field is _DAY:
        _refuse("'H' may fall on the 29th to the 31st, which some months lack: write H(1-28)", field.name)
    first, last = (field.low, most) if match[1] is None else (int(match[1][:_FIVE]), int(match[2][:_FIVE]))
    if not field.low <= first < last <= most:
        _refuse(
            f"{text.upper()!r} is drawn from no range of a {field.name}, which go from {field.low} to {most}: "
            f"write H({field.low}-{most})",
            field.name,
        )
    if match[3] is not None:
        _stepped(field, text.upper(), first, last, int(match[3][:_FIVE]))
    return True


def _check_days(text: str) -> None:
    """Check the day of the month: as `_check_list`, or ``?``, ``L`` among others, or ``15W`` alone."""
    if text == "?" or _check_drawn(_DAY, text):
        return
    items = text.split(",")
    if any("w" in item for item in items):
        _check_weekday(text, items)
        return
    for item in items:
        if item.startswith("l-"):
            _refuse(
                f"{text.upper()!r} counts back from the end of the month, which cannot be said: write L for its last "
                "day, or name the days, each with its months: "
                'Cron("0 0 28 1,3,5,7,8,10,12 *") | Cron("0 0 27 4,6,9,11 *")',
                _DAY.name,
            )
        if "l" in item and item != "l":
            _refuse(f"{item.upper()!r} is no day of month: write L, alone or in a list, or a range up to 31", _DAY.name)
    listed = ",".join(item for item in items if item != "l")
    if listed:
        _check_list(_DAY, listed if len(items) == 1 or listed != "*" else "*,l")


def _check_weekday(text: str, items: list[str]) -> None:
    match = _WEEKDAY.fullmatch(text)
    if text in ("lw", "wl"):
        _refuse(
            "'LW' is not known: write 31W, the weekday nearest to the 31st, in shorter months to their last day",
            _DAY.name,
        )
    if len(items) > 1:
        _refuse(f"{text.upper()!r} lists a nearest weekday among others: write one Cron each, joined by |", _DAY.name)
    if match is None or not 1 <= int(match[1][:_FIVE]) <= _DAY.high:
        _refuse(f"{text.upper()!r} is no day of month: write a day from 1 to 31 before the W, such as 15W", _DAY.name)


def _check_weekdays(text: str) -> None:
    """Check the day of the week: as `_check_list`, or ``?``, or ``5#3`` and ``L5``, in lists of only such."""
    if text == "?" or _check_drawn(_WEEK, text):
        return
    items = text.split(",")
    special = [_check_special(item, text) for item in items]
    if any(special) and not all(special):
        _refuse(
            f"{text!r} lists certain weeks beside every week: write one Cron each, joined by |",
            _WEEK.name,
        )
    if not any(special):
        _check_list(_WEEK, text)


def _check_special(item: str, text: str) -> bool:
    nth = _NTH.fullmatch(item)
    if nth is not None:
        _number(_WEEK, nth[1], text)
        if not 1 <= int(nth[2]) <= _FIVE:
            _refuse(f"{item!r} is never: a month has at most five of a weekday; write # and 1 to 5", _WEEK.name)
        return True
    if "#" in item:
        _refuse(f"{item!r} is no day of week: before the # stands one day, such as fri#1 or 5#1,5#3", _WEEK.name)
    if item == "l":
        _refuse("'L' is no day of week: write sat, or L6 for the month's last Saturday", _WEEK.name)
    last = _LAST.fullmatch(item)
    reverse = _LAST_REVERSED.fullmatch(item)
    if reverse is not None:
        _refuse(
            f"{item.upper()!r} is no day of week: the last of a month is written L{_number(_WEEK, reverse[1], text)}",
            _WEEK.name,
        )
    if last is None:
        return False
    number = _number(_WEEK, last[1], text)
    if not last[1].isdecimal():
        _refuse(f"{item!r} is no day of week: the last of a month is written L{number}", _WEEK.name)
    return True


# ---- days of both kinds --------------------------------------------------------------------------------------------


def _check_both(fields: tuple[str, str, str, str, str, str], *, seconds: bool) -> None:
    """Refuse days of the month and of the week together, where it is not sure whether either or both are meant."""
    *times, day, month, week = fields if seconds else fields[1:]
    if day in ("*", "?") or week in ("*", "?"):
        return
    if any("*" in text or "/" in text for text in (day, week)):
        said = "some crons read as either and some as both"
    elif "w" in day or "#" in week or week.startswith("l"):
        said = "croniter takes for one of them alone"
    else:
        return
    time = " ".join(times)
    option = ", seconds=True" if seconds else ""
    _refuse(
        f"the day of month {day.upper()} beside the day of week {week.upper()}, which {said}: write "
        f'Cron("{time} {day} {month} *"{option}) & Cron("{time} * {month} {week}"{option}) for days that are both, '
        "| for days that are either",
        _DAY.name,
    )


def _check_possible(day: str, month: str) -> None:
    """Refuse days of the month that none of the months has."""
    months = set(range(1, 13)) if month.startswith("h") else _all(_MONTH, month)
    longest = max(_LONGEST_MONTH[each - 1] for each in months)
    drawn = _HASH.fullmatch(day)
    if drawn is not None:
        # Schedules of some names would run, and others never.
        impossible = drawn[2] is not None and int(drawn[2]) > longest
    elif day in ("*", "?") or "l" in day or "w" in day:
        impossible = False
    else:
        impossible = min(_all(_DAY, day)) > longest
    if impossible:
        _refuse(
            f"the day of month {day.upper()} may never come: the longest month of {month} has {longest} days; "
            f"write a day up to {longest}, or L for the last",
            _DAY.name,
        )


def _all(field: _Field, text: str) -> set[int]:
    return {number for item in text.split(",") for number in _numbers(field, item, text)}


# ---- words ---------------------------------------------------------------------------------------------------------


def _follows(text: str) -> bool:
    """Whether a field says "each", or "each so many": ``*``, ``*/5``, ``H/5``, also in a list."""
    return any(item.startswith("*") for item in text.split(",")) or text.startswith("h/")


def _refuse_item(field: _Field, item: str, text: str) -> NoReturn:
    if item.startswith("-"):
        said = f"a {field.name} is not negative"
    elif "?" in item:
        said = "? stands alone, for the day of month or the day of week: write *"
    elif "h" in item and ("(" in item or item == "h"):
        said = "H stands alone, as H, H(0-29) or H/15: for more than one write one Cron each, joined by |"
    elif "l" in item or "w" in item or "#" in item:
        said = "write L and 15W as the day of month, 5#3 and L5 as the day of week"
    else:
        names = f", or {', '.join(field.names)}" if field.names else ""
        said = f"write {field.low} to {field.high}{names}; a range 2-5, a list 2,5, steps */2, or *"
    of = "" if item == text else f" in {text!r}"
    _refuse(f"{item!r}{of} is no {field.name}: {said}", field.name)


def _refuse(message: str, part: str | None = None) -> NoReturn:
    raise InvalidSchedule(message, part=part)
