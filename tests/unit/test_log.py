"""One way to a log, in both worlds."""

from __future__ import annotations

import logging
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from structlog.testing import LogCapture

from backburner.log import emit, get_logger

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def captured() -> Iterator[list[Any]]:
    """Configure structlog as an app would, and give what reached its processors."""
    capture = LogCapture()
    structlog.configure(processors=[capture])
    yield capture.entries
    structlog.reset_defaults()


def test_stdlib_record(caplog: pytest.LogCaptureFixture) -> None:
    """Without structlog configuration a record goes to the stdlib: text for people, fields for tools."""
    emit("backburner.x", "warning", "job.retry", {"id": "a1", "error": "no route: x=1", "name": "clash", "empty": ""})
    record = caplog.records[0]
    assert (record.name, record.levelno) == ("backburner.x", logging.WARNING)
    assert record.getMessage() == 'job.retry id=a1 error="no route: x=1" name=clash empty=""'
    assert vars(record)["backburner"] == {
        "event": "job.retry",
        "id": "a1",
        "error": "no route: x=1",
        "name": "clash",
        "empty": "",
    }


def test_values_for_people(caplog: pytest.LogCaptureFixture) -> None:
    """Moments, durations, mappings and line breaks are written so that a line stays one readable line."""
    emit(
        "backburner.x",
        "error",
        "e",
        {
            "at": datetime(2026, 11, 21, 3, 4, tzinfo=UTC),
            "took": timedelta(seconds=90),
            "queues": {"default": 10, "mail": 5},
            "text": "a\nb",
            "attempt": 3,
            "attempts": 10,
            "percent": "100%s",
        },
    )
    assert caplog.messages == [
        'e at=2026-11-21T03:04:00Z took=1m30s queues=default:10,mail:5 text="a\\nb" attempt=3/10 percent=100%s'
    ]


def test_disabled_level_costs_no_record(caplog: pytest.LogCaptureFixture) -> None:
    """What the app's levels hide is not rendered."""
    caplog.set_level(logging.ERROR, "backburner.x")

    class Trap:
        def __str__(self) -> str:
            raise AssertionError

    emit("backburner.x", "info", "e", {"trap": Trap()})
    get_logger("backburner.x").info("e", trap=Trap())
    assert caplog.records == []


def test_structlog_world(captured: list[Any], caplog: pytest.LogCaptureFixture) -> None:
    """Where the app has configured structlog, events go through its processors and nowhere else."""
    error = ValueError("x")
    emit("backburner.x", "error", "job.dead", {"at": datetime(2026, 11, 21, tzinfo=UTC)}, error=error)
    get_logger("backburner.job").bind(id="a1").info("sent", to="b")
    assert captured == [
        {"event": "job.dead", "log_level": "error", "exc_info": error, "at": "2026-11-21T00:00:00Z"},
        {"event": "sent", "log_level": "info", "id": "a1", "to": "b"},
    ]
    assert caplog.records == []


def test_user_logger(caplog: pytest.LogCaptureFixture) -> None:
    """A job's logger takes fields, placeholders and bound context, and names the file and line of the job's code."""
    caplog.set_level(logging.INFO, "backburner.job")
    log = get_logger("backburner.job").bind(id="a1")
    with structlog.contextvars.bound_contextvars(tenant=7):
        log.info("sent %d", 3, to="b c")
    record = caplog.records[0]
    assert record.getMessage() == 'sent 3 id=a1 to="b c" tenant=7'
    assert (Path(record.pathname), record.funcName) == (Path(__file__), "test_user_logger")


def test_user_logger_traceback(caplog: pytest.LogCaptureFixture) -> None:
    """`log.exception` brings the traceback along."""
    log = get_logger("backburner.job")
    error = ValueError("x")
    try:
        raise error
    except ValueError:
        log.exception("failed")
    exc_info = caplog.records[0].exc_info
    assert exc_info is not None
    assert exc_info[1] is error


def test_engine_logs_load_no_structlog() -> None:
    """The engine's own records do not import structlog, which an app that logs by the stdlib need not pay for."""
    code = (
        "import sys; from backburner.log import emit; emit('x', 'error', 'e', {}); sys.exit('structlog' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, capture_output=True).returncode == 0
