"""Signals as log records."""

from __future__ import annotations

import logging

import pytest

from backburner.errors import StoreUnavailable
from backburner.observability.hearing import guarded
from backburner.observability.logs import LogListener
from backburner.ports.telemetry import Hooks, Signal


def _failure() -> ValueError:
    error = ValueError("no route")
    try:
        raise error
    except ValueError:
        return error


@pytest.mark.parametrize("signal", Signal)
def test_every_signal_is_logged(signal: Signal, caplog: pytest.LogCaptureFixture) -> None:
    """Every signal has a record: a logger under `backburner`, an event that is its name."""
    caplog.set_level(logging.DEBUG)
    LogListener()(signal, id="a1")
    assert caplog.messages == [f"{signal} id=a1"]
    assert caplog.records[0].name.startswith("backburner.")


def test_start_and_stop_are_info(caplog: pytest.LogCaptureFixture) -> None:
    """Start and stop are INFO."""
    caplog.set_level(logging.DEBUG)
    LogListener()(Signal.ENGINE_STARTED)
    LogListener()(Signal.ENGINE_STOPPED)
    assert [record.levelno for record in caplog.records] == [logging.INFO, logging.INFO]


def test_retry_is_a_warning_without_traceback(caplog: pytest.LogCaptureFixture) -> None:
    """A retry is a WARNING that shows the error in a line."""
    LogListener()(Signal.JOB_RETRY, error=_failure(), kind="charge", id="a1", attempt=3, attempts=10)
    record = caplog.records[0]
    assert record.getMessage() == 'job.retry kind=charge id=a1 attempt=3/10 error="ValueError: no route"'
    assert (record.levelno, record.exc_info) == (logging.WARNING, None)


def test_death_is_an_error_with_traceback(caplog: pytest.LogCaptureFixture) -> None:
    """A death is an ERROR with its traceback; its cause is told once."""
    error = _failure()
    LogListener()(Signal.JOB_DEAD, error=error, kind="charge", id="a1", cause="ValueError: no route")
    record = caplog.records[0]
    assert record.getMessage() == 'job.dead kind=charge id=a1 cause="ValueError: no route"'
    assert record.levelno == logging.ERROR
    assert record.exc_info is not None
    assert record.exc_info[1] is error


def test_an_absent_store_is_no_alarm(caplog: pytest.LogCaptureFixture) -> None:
    """A store that is busy or away is a WARNING without traceback: it passes by itself."""
    LogListener()(Signal.STORE_WAITING, error=StoreUnavailable("gone"), loop="settler")
    record = caplog.records[0]
    assert record.getMessage() == 'store.waiting loop=settler error="StoreUnavailable: gone"'
    assert (record.levelno, record.exc_info) == (logging.WARNING, None)


def test_an_absent_store_does_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """Of many failures in a row the first is a WARNING, then each time that their number has doubled."""
    caplog.set_level(logging.DEBUG)
    for failures in range(1, 11):
        LogListener()(Signal.STORE_WAITING, error=StoreUnavailable("gone"), loop="settler", failures=failures)
    loud = [number for number, record in enumerate(caplog.records, 1) if record.levelno == logging.WARNING]
    assert loud == [1, 2, 4, 8]
    assert len(caplog.records) == 10


def test_long_messages_are_cut(caplog: pytest.LogCaptureFixture) -> None:
    """An error's message of many kilobytes does not fill the log; the store has all of it."""
    LogListener()(Signal.JOB_RETRY, error=ValueError("x" * 10_000))
    assert caplog.messages == ['job.retry error="ValueError: ' + "x" * 500 + '…"']


def test_an_error_without_words_is_told_all_the_same(caplog: pytest.LogCaptureFixture) -> None:
    """A user's error whose own text cannot be made does not keep its death from the log."""

    class Speechless(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    LogListener()(Signal.JOB_RETRY, error=Speechless())
    assert caplog.messages == ['job.retry error="Speechless: (its text could not be made)"']


def test_a_raising_listener_hurts_nobody(caplog: pytest.LogCaptureFixture) -> None:
    """What a listener raises is told to the log, and the caller never sees it."""

    def broken(_: Signal, /, **__: object) -> None:
        raise RuntimeError("sink is gone")

    guarded(broken, Hooks())(Signal.JOB_DEAD, id="a1")
    assert caplog.messages == ["a listener raised on job.dead; the engine goes on"]
    assert caplog.records[0].exc_info is not None


def test_a_guarded_listener_hears_everything() -> None:
    """The guard passes signal, error and fields on unchanged."""
    heard: list[object] = []
    error = _failure()

    def listener(signal: Signal, /, *, error: BaseException | None = None, **fields: object) -> None:
        heard.append((signal, error, fields))

    guarded(listener, Hooks())(Signal.JOB_DEAD, error=error, id="a1")
    assert heard == [(Signal.JOB_DEAD, error, {"id": "a1"})]
