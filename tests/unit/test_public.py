"""The public surface is chosen."""

from __future__ import annotations

import pydoc

import pytest

import backburner
from backburner import errors

NAMES = """
Adaptive At Backburner BackburnerError Breaker Budget Bulkhead Call CallNotUsed CallRefused Cancel ClaimLost Cron
Event EventsGone Every InvalidCursor Job JobCancelled JobContext JobDead JobExpired JobFailed JobHandle JobNotFound
JobStatus Lock LockLost LockTimeout NotRunning Provide Reason Registry Reject Retry RetryPolicy Secret Snooze
StoreBusy StoreError StoreUnavailable TaskGroup Unique constant current_job decorrelated exponential fibonacci linear
polynomial rate
"""


def test_the_root_names() -> None:
    """The package offers these names; a new one is a decision, not an accident."""
    assert backburner.__all__ == NAMES.split()
    assert all(hasattr(backburner, name) for name in backburner.__all__)


def test_every_error_is_one_of_ours() -> None:
    """Every public error stands in the one tree, and its docstring is a message."""
    for name in errors.__all__:
        kind = getattr(errors, name)
        if isinstance(kind, type):
            assert issubclass(kind, errors.BackburnerError | RuntimeWarning), name
            assert kind.__doc__
            assert kind.__doc__.strip().splitlines()[0].endswith((".", "`", ":")), name


def test_an_error_speaks_without_words() -> None:
    """An error raised without a message says its docstring's first line."""
    assert str(errors.NotRunning()).startswith("The engine is not running")


@pytest.mark.parametrize("name", backburner.__all__)
def test_help_shows_every_name(name: str) -> None:
    """`help` and a prompt can show everything that is public."""
    assert name in pydoc.plain(pydoc.render_doc(getattr(backburner, name)))
