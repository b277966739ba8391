"""What the other side asked for: ``Retry-After``, as HTTP clients and SDKs hand it on with their exceptions."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from backburner.model.clock import SECOND, instant, micros

__all__ = ["retry_after"]

#: The longest that is waited because somebody asked for it, in microseconds: a day.
_LONGEST = 86_400 * SECOND
#: Seconds, as RFC 9110 (10.2.3) has them; some servers add decimals.
_SECONDS = re.compile(r"\d{1,15}(\.\d{1,15})?", re.ASCII)


def retry_after(error: BaseException, now: int) -> int | None:
    """Return after how many microseconds the other side wants to be asked again, a day at most; None if it did not say.

    Looked for in this order: the error's ``retry_after`` (seconds, a `timedelta`, an aware `datetime`, or the header's
    text); the ``Retry-After`` of ``error.response.headers`` (httpx, requests) and of ``error.headers`` (aiohttp,
    urllib): seconds, or an HTTP date. What cannot be understood is passed over. ``now`` is the moment that dates are
    counted from.
    """
    try:
        told = (
            getattr(error, "retry_after", None),
            _header(getattr(getattr(error, "response", None), "headers", None)),
            _header(getattr(error, "headers", None)),
        )
        delays = [delay for value in told if (delay := _delay(value, now)) is not None]
    except Exception:  # noqa: BLE001 - an error's attributes run code of others, and the run has to be settled
        return None
    return min(_LONGEST, max(0, delays[0])) if delays else None


def _header(headers: Any) -> object:  # noqa: ANN401 - any mapping, also one that is no `Mapping`
    get = getattr(headers, "get", None)
    if not callable(get):
        return None
    # A plain dict has it in one of two spellings; the clients' own mappings do not mind.
    return get("Retry-After") or get("retry-after")


def _delay(value: object, now: int) -> int | None:
    match value:
        case int() | float() if not isinstance(value, bool) and abs(value) < math.inf:
            return micros(max(0, min(value, _LONGEST / SECOND)))
        case timedelta():
            return micros(value)
        case datetime() if value.utcoffset() is not None:
            return instant(value) - now
        case str():
            return _parsed(value.strip(), now)
        case _:
            return None


def _parsed(text: str, now: int) -> int | None:
    if _SECONDS.fullmatch(text):
        return micros(float(text))
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    # An HTTP date is GMT, whether or not it says so in a way that the parser knows.
    return instant(moment if moment.utcoffset() is not None else moment.replace(tzinfo=UTC)) - now
