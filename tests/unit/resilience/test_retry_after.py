"""What the other side asked for."""

from __future__ import annotations

import email.message
import urllib.error
from datetime import UTC, datetime, timedelta, timezone
from types import MappingProxyType, SimpleNamespace

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backburner.model.clock import SECOND, instant
from backburner.resilience.retry_after import retry_after

#: A busy machine is no failure.
calm = settings(deadline=None)
#: The moment of RFC 9110's example, half a minute before it.
NOW = instant(datetime(1994, 11, 6, 8, 49, 7, tzinfo=UTC))
DAY = 86_400 * SECOND


class TooManyRequests(Exception):
    """An SDK's own error, with whatever attributes are given."""

    def __init__(self, **attributes: object) -> None:
        super().__init__("429")
        vars(self).update(attributes)


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        (7, 7),
        (2.5, 2.5),
        ("7", 7),
        (" 0.25 ", 0.25),
        (timedelta(minutes=2), 120),
        (datetime(1994, 11, 6, 8, 50, 7, tzinfo=UTC), 60),
        (datetime(1994, 11, 6, 9, 50, 7, tzinfo=timezone(timedelta(hours=1))), 60),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 30),
        ("Sunday, 06-Nov-94 08:49:37 GMT", 30),
        ("Sun Nov  6 08:49:37 1994", 30),
        ("Sun, 06 Nov 1994 08:49:37 -0000", 30),
    ],
    ids=repr,
)
def test_it_is_understood_in_every_form(told: object, seconds: float) -> None:
    """Seconds, a timedelta, an aware datetime, the header's text, HTTP's three kinds of date."""
    assert retry_after(TooManyRequests(retry_after=told), NOW) == seconds * SECOND


@pytest.mark.parametrize(
    "told", [-3, "Sun, 06 Nov 1994 08:00:00 GMT", datetime.min.replace(tzinfo=UTC)], ids=lambda told: repr(told)[:40]
)
def test_what_has_passed_is_now(told: object) -> None:
    """A moment that has passed asks for no wait, and never for less than none."""
    assert retry_after(TooManyRequests(retry_after=told), NOW) == 0


@pytest.mark.parametrize(
    "told", [10**9, 10**400, "999999999999999", timedelta.max, datetime.max.replace(tzinfo=UTC), 1e300], ids=repr
)
def test_nobody_is_waited_for_longer_than_a_day(told: object) -> None:
    """However much is asked for."""
    assert retry_after(TooManyRequests(retry_after=told), NOW) == DAY


@pytest.mark.parametrize(
    "told",
    [
        None,
        True,
        "",
        "soon",
        "-5",
        "1e5",
        "٣",
        "7, 8",
        float("nan"),
        float("inf"),
        datetime(1994, 11, 6),  # noqa: DTZ001 - whose zone nobody knows
        "Sun, 99 Nov 99999 08:49:37 GMT",
        object(),
        retry_after,
    ],
    ids=lambda told: repr(told)[:15],
)
def test_what_cannot_be_understood_is_passed_over(told: object) -> None:
    """The backoff alone decides then."""
    assert retry_after(TooManyRequests(retry_after=told), NOW) is None
    assert retry_after(TooManyRequests(retry_after=told, headers={"Retry-After": "7"}), NOW) == 7 * SECOND


def test_an_error_that_says_nothing() -> None:
    """Most errors."""
    assert retry_after(ValueError("no"), NOW) is None
    assert retry_after(TooManyRequests(response=None), NOW) is None
    assert retry_after(TooManyRequests(headers=7, response=SimpleNamespace(headers=[])), NOW) is None
    assert retry_after(TooManyRequests(headers={}), NOW) is None


def test_httpx() -> None:
    """`raise_for_status` raises with the response, whose headers do not mind their spelling."""
    request = httpx.Request("GET", "https://example.org")
    with pytest.raises(httpx.HTTPStatusError) as caught:
        httpx.Response(429, headers={"rEtry-aftEr": "7"}, request=request).raise_for_status()
    assert retry_after(caught.value, NOW) == 7 * SECOND
    assert retry_after(httpx.ConnectTimeout("no answer"), NOW) is None


def test_urllib() -> None:
    """Its error is its response."""
    headers = email.message.Message()
    headers["retry-after"] = "7"
    with urllib.error.HTTPError("https://example.org", 503, "busy", headers, None) as error:
        assert retry_after(error, NOW) == 7 * SECOND


@pytest.mark.parametrize("name", ["Retry-After", "retry-after"])
def test_plain_mappings(name: str) -> None:
    """Requests and aiohttp have mappings of their own; SDKs hand on plain ones, in either spelling."""
    headers = MappingProxyType({name: "7"})
    assert retry_after(TooManyRequests(headers=headers), NOW) == 7 * SECOND
    assert retry_after(TooManyRequests(response=SimpleNamespace(headers=headers)), NOW) == 7 * SECOND


def test_the_attribute_outranks_the_response_and_that_the_error() -> None:
    """The nearer to the caller, the better it is understood."""
    response = SimpleNamespace(headers={"Retry-After": "2"})
    headers = {"Retry-After": "3"}
    assert retry_after(TooManyRequests(retry_after=1, response=response, headers=headers), NOW) == SECOND
    assert retry_after(TooManyRequests(response=response, headers=headers), NOW) == 2 * SECOND


def test_an_error_that_fails_when_asked() -> None:
    """A property may raise, as httpx's own do; the run is settled all the same."""

    class Unset(Exception):
        @property
        def response(self) -> object:
            raise RuntimeError("the response was never set")

    assert retry_after(Unset(), NOW) is None


@calm
@given(
    st.one_of(st.integers(), st.floats(), st.text(), st.timedeltas(), st.datetimes(timezones=st.just(UTC))),
    st.integers(0, 4 * 10**15),
)
def test_whatever_is_told_the_answer_can_be_waited_for(told: object, now: int) -> None:
    """None, or microseconds from none to a day."""
    answer = retry_after(TooManyRequests(retry_after=told), now)
    assert answer is None or (type(answer) is int and 0 <= answer <= DAY)
