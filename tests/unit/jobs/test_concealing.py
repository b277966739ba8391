"""An error of a run with secrets, as others are told of it."""

from __future__ import annotations

import traceback

import pytest

from backburner.codec.scrubber import Scrubber
from backburner.jobs.account import account, class_of
from backburner.jobs.concealing import conceal
from backburner.jobs.lanes import lanes
from backburner.jobs.process_report import report, revive
from backburner.jobs.signals import Cancel, Reject, Retry, Snooze
from backburner.model.fingerprint import fingerprint

SECRET = "hunter2"  # noqa: S105 - that is the test
clean = Scrubber([SECRET])


class Trouble(ConnectionError):
    """An error of the app's."""


class Unwilling(Reject):
    """A signal of the app's."""


def raised() -> Trouble:
    """Raise in a frame that knows the secret."""
    password = SECRET
    try:
        raise Trouble(f"{password} is wrong")
    except Trouble as error:
        return error


def test_it_says_the_same() -> None:
    """The same name, the same words, the same cause to be grouped by; no frames, and no secret."""
    error = raised()
    told = conceal(error, clean)
    assert (type(told).__qualname__, type(told).__module__, str(told)) == ("Trouble", __name__, "*** is wrong")
    assert class_of(told) is Trouble
    assert account(told).fingerprint == fingerprint(error)
    shown = "".join(traceback.TracebackException.from_exception(told, capture_locals=True).format())
    assert SECRET not in shown
    assert "in raised" in shown
    assert shown.startswith("backburner.Original: as it was raised, without its secrets:")
    assert told.__traceback__ is None
    assert told.__context__ is None


def test_it_is_concealed_once() -> None:
    """Another time changes nothing, and neither does the way out of another process."""
    once = conceal(raised(), clean)
    assert account(conceal(once, clean)) == account(once)
    elsewhere = revive(report(raised(), 0, None, clean))
    assert SECRET not in str(elsewhere)
    assert account(conceal(elsewhere, clean)).traceback == account(elsewhere).traceback


@pytest.mark.parametrize(
    ("signal", "kind"),
    [
        (Retry(f"{SECRET} is busy", delay=1), Retry),
        (Snooze(1, f"{SECRET} is busy"), Snooze),
        (Reject(f"{SECRET} is busy"), Reject),
        (Unwilling(f"{SECRET} is busy"), Reject),
        (Cancel(f"{SECRET} is busy"), Cancel),
    ],
    ids=["retry", "snooze", "reject", "own", "cancel"],
)
def test_signals_stay_signals(signal: Exception, kind: type[Exception]) -> None:
    """Whoever goes by what kind of end it was still can."""
    told = conceal(signal, clean)
    assert (type(told), str(told)) == (kind, "*** is busy")


def test_what_ends_the_process_stays() -> None:
    """An interrupt is one."""
    assert type(conceal(KeyboardInterrupt(SECRET), clean)) is KeyboardInterrupt


def test_half_a_secret_is_none() -> None:
    """A text is cleaned before it is cut to what a store takes."""
    told = account(ValueError(SECRET + "x" * 4 * 1024), clean)
    assert told.message.startswith("x")
    assert "unter2" not in told.message


def test_a_lane_goes_by_a_hash() -> None:
    """The name of a lane is shown to everybody."""
    keyed = lanes(
        breaker=None, budget=None, bulkhead=None, concurrency=1, concurrency_key=["tenant", "token"], rate=None
    )
    assert keyed is not None
    (open_,) = keyed.names("job", '{"tenant":"acme","token":"t"}')
    (hidden,) = keyed.names("job", '{"tenant":"acme","token":{"$secret":"t"}}')
    assert open_ == 'concurrency:job/["acme","t"]'
    assert len(hidden.partition("/")[2]) == 32
