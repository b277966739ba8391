"""Reading an alert's condition: ``dlq.count > 100 for 5m``. Pure."""

from __future__ import annotations

import difflib
import re
from typing import Final, Never

from backburner.errors import InvalidAlert, InvalidOption
from backburner.model import duration
from backburner.model.names import check_name
from backburner.observability.alerts.condition import OPERATORS, Comparison, Condition, Measure
from backburner.observability.alerts.metrics import LONGEST_WINDOW, METRICS, SHORTEST_WINDOW, Metric, Unit

__all__ = ["GRAMMAR", "parse"]

#: What an error says of the grammar.
GRAMMAR: Final = (
    "metric[name] over 15m > 100 for 5m; the name in brackets, over and for may be missing, several are joined by and, or "
    f"by or; metrics are {', '.join(METRICS)}"
)

_BLANK = re.compile(r"\s*")
_WORD = re.compile(r"[\w.]+")
#: A bare name ends at the bracket; one that holds a bracket, or begins with a quote, is quoted.
_NAME = re.compile(r"""\[\s*(?:"([^"]+)"|([^\]"][^\]]*?))\s*\]""")
_OPERATOR = re.compile("|".join(map(re.escape, OPERATORS)))
_NUMBER = re.compile(r"[\w.]+%?")
_WHOLE = re.compile(r"\d{1,15}", re.ASCII)
_PERCENT = re.compile(r"(\d{1,3}(?:\.\d{1,6})?)%", re.ASCII)
_MOST = 100
_LAST = "for"
_JOINS = ("and", "or")


def parse(text: object) -> Condition:
    """Return the condition of a text; raises `InvalidAlert`, which shows where it ends to be one."""
    if not isinstance(text, str):
        raise InvalidAlert(f"when={text!r}: an alert's condition is a text: {GRAMMAR}")
    return _Reading(text).condition()


class _Reading:
    """One text, and how far it has been read."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def condition(self) -> Condition:
        comparisons = [self._comparison()]
        join: str | None = None
        length = 0
        while (word := self._peek()) is not None:
            if word in _JOINS:
                if join is not None and word != join:
                    self._refuse(f"{join!r} and {word!r} cannot be mixed: make it two alerts")
                join = word
                self._take(_WORD)
                comparisons.append(self._comparison())
            elif word == _LAST:
                self._take(_WORD)
                length = self._duration("a duration, such as for 5m")
                if self._rest():
                    self._refuse("nothing comes after for and its duration: they hold for the whole")
            else:
                expected = "and, or, for, or the end" if join is None else f"{join}, for, or the end"
                self._refuse(f"expected {expected}, not {self._found()}")
        return Condition(" ".join(self._text.split()), tuple(comparisons), any=join == "or", duration=length)

    def _comparison(self) -> Comparison:
        metric = self._metric()
        argument = self._argument(metric)
        window = self._window(metric)
        measure = Measure(metric, argument, window)
        found = self._take(_OPERATOR)
        if found is None:
            if metric.alone and self._peek() in (None, *_JOINS, _LAST):
                return Comparison(measure, ">", 0)
            self._refuse(f"expected a comparison ({' '.join(OPERATORS)}), not {self._found()}")
        return Comparison(measure, found[0], self._bound(metric))

    def _metric(self) -> Metric:
        self._skip()
        at = self._at
        found = self._take(_WORD)
        if found is None:
            self._refuse(f"expected a metric, not {self._found()}")
        metric = METRICS.get(found[0])
        if metric is None:
            near = " or ".join(difflib.get_close_matches(found[0], METRICS, n=3, cutoff=0.5))
            self._refuse(f"there is no metric {found[0]!r}{near and f'; did you mean {near}?'}", at)
        return metric

    def _argument(self, metric: Metric) -> str | None:
        self._skip()
        if not self._text.startswith("[", self._at):
            return None
        found = self._take(_NAME)
        if found is None:
            self._refuse(f"expected the name of a {metric.argument} and a ]; one that has a ] is quoted")
        try:
            return check_name(found[1] or found[2], metric.argument)
        except InvalidOption as error:
            self._refuse(str(error), found.start())

    def _window(self, metric: Metric) -> int | None:
        if self._peek() != "over":
            return metric.window
        if metric.window is None:
            self._refuse(f"{metric.name} is of one moment, and not over a while; say for how long it must hold: for 5m")
        self._take(_WORD)
        at = self._here()
        window = self._duration("a duration, such as over 15m")
        if not SHORTEST_WINDOW <= window <= LONGEST_WINDOW:
            self._refuse("over takes 1m to 1h", at)
        return window

    def _bound(self, metric: Metric) -> float:
        at = self._here()
        if metric.unit is Unit.DURATION:
            return self._duration(metric.unit.value)
        found = self._take(_NUMBER)
        text = "" if found is None else found[0]
        read = (_PERCENT if metric.unit is Unit.PERCENT else _WHOLE).fullmatch(text)
        if read is None:
            self._refuse(f"{metric.name} is compared with {metric.unit.value}, not {text or self._found()}", at)
        if metric.unit is Unit.COUNT:
            return int(text)
        percent = float(read[1])
        if percent > _MOST:
            self._refuse(f"no share is above {_MOST}%", at)
        return percent

    def _duration(self, expected: str) -> int:
        at = self._here()
        found = self._take(_NUMBER)
        if found is None:
            self._refuse(f"expected {expected}, not {self._found()}")
        try:
            return duration.parse(found[0])
        except ValueError as error:
            self._refuse(str(error), at)

    # ---- the text --------------------------------------------------------------------------------------------------

    def _skip(self) -> None:
        blank = _BLANK.match(self._text, self._at)
        self._at = self._at if blank is None else blank.end()

    def _here(self) -> int:
        self._skip()
        return self._at

    def _take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """Read what fits here; None, and nothing is read, where that does not."""
        found = pattern.match(self._text, self._here())
        if found is not None:
            self._at = found.end()
        return found

    def _peek(self) -> str | None:
        """Return the word that comes next, some other character, or None at the end."""
        found = _WORD.match(self._text, self._here())
        return found[0] if found is not None else self._text[self._at : self._at + 1] or None

    def _rest(self) -> str:
        return self._text[self._here() :]

    def _found(self) -> str:
        word = self._peek()
        return "the end" if word is None else repr(word)

    def _refuse(self, why: str, at: int | None = None) -> Never:
        position = self._here() if at is None else at
        raise InvalidAlert(
            f"an alert's condition cannot be read at position {position}: {why}\n"
            f"  {_flat(self._text)}\n  {' ' * position}^\nwrite {GRAMMAR}",
            position=position,
        )


def _flat(text: str) -> str:
    """Return a text in one line, each character where it was."""
    return "".join(character if character.isprintable() else " " for character in text)
