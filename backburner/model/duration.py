"""Durations as people write them: ``30s 15m 2h 7d 500ms 1h30m``. A plain number is seconds."""

from __future__ import annotations

import re
from itertools import pairwise

from backburner.model.clock import LONGEST

__all__ = ["GRAMMAR", "about", "meant", "parse", "short"]

#: What an error says of the grammar.
GRAMMAR = "write it like 500ms, 30s, 15m, 2h, 7d or 1h30m; a plain number is seconds"

#: Microseconds by unit, longest first.
_UNITS = {"d": 86_400_000_000, "h": 3_600_000_000, "m": 60_000_000, "s": 1_000_000, "ms": 1000, "us": 1}
_PART = re.compile(r"(\d+)(\.\d+)?(us|ms|[dhms])", re.ASCII)
_NUMBER = re.compile(r"(\d+)(\.\d+)?", re.ASCII)
_DIGITS = 20
#: Units as others write them, by ours; a week is seven days.
_FOREIGN = {
    name: unit
    for unit, names in {
        "ms": "ms msec millis millisecond milliseconds",
        "s": "s sec secs second seconds",
        "m": "m min mins minute minutes",
        "h": "h hr hrs hour hours",
        "d": "d day days",
        "w": "w week weeks",
    }.items()
    for name in names.split()
}
_WORDS = re.compile(rf"\s*(\d{{1,6}})\s*({'|'.join(_FOREIGN)})(?:\s+ago)?\s*", re.ASCII | re.IGNORECASE)


def parse(text: str) -> int:
    """Return the microseconds of a duration.

    Parts go from the longest unit to the shortest, each at most once: ``1d12h``. Raises `ValueError`, whose message
    says how to write one, for anything else and for more than 285 years.
    """
    compact = text.strip()
    number = _NUMBER.fullmatch(compact)
    parts = [(*number.groups(), "s")] if number else _PART.findall(compact)
    if not parts or (not number and "".join(map("".join, parts)) != compact):
        raise ValueError(f"{text!r} is not a duration{meant(text)}; {GRAMMAR}")
    if any(_UNITS[left[2]] <= _UNITS[right[2]] for left, right in pairwise(parts)):
        raise ValueError(f"{text!r} names its units out of order; {GRAMMAR}")
    total = sum(_micros(whole, fraction or "", unit) for whole, fraction, unit in parts)
    if total > LONGEST:
        raise ValueError(f"{text!r} is longer than 285 years")
    return total


def meant(text: str) -> str:
    """Return what an error adds of a text with units of other kinds: `` (did you mean 5m?)``; empty for any other."""
    words = _WORDS.fullmatch(text)
    if words is None:
        return ""
    number, unit = words[1], _FOREIGN[words[2].casefold()]
    return f" (did you mean {int(number) * 7}d?)" if unit == "w" else f" (did you mean {number}{unit}?)"


def short(duration: int) -> str:
    """Return the exact, shortest text of a duration in microseconds: ``parse(short(x)) == x`` for what is not negative."""
    if duration < 0:
        return "-" + short(-duration)
    return "".join(_parts(duration)) or "0s"


def about(duration: int) -> str:
    """Return a duration for a person's eye: its two longest units, milliseconds only below ten seconds."""
    if duration < 0:
        return "-" + about(-duration)
    finest = 1000 if duration < 10 * _UNITS["s"] else _UNITS["s"]
    return "".join(_parts(duration - duration % finest)[:2]) or "0s"


def _micros(whole: str, fraction: str, unit: str) -> int:
    if len(whole) > _DIGITS or len(fraction) > _DIGITS:
        raise ValueError(f"a duration of {len(whole) + len(fraction)} digits; {GRAMMAR}")
    exact = int(whole) * _UNITS[unit]
    # Whole numbers stay exact: a float carries 15 digits, a century in microseconds has 16.
    return exact + round(float(fraction or 0) * _UNITS[unit])


def _parts(duration: int) -> list[str]:
    parts: list[str] = []
    for unit, size in _UNITS.items():
        count, duration = divmod(duration, size)
        if count:
            parts.append(f"{count}{unit}")
    return parts
