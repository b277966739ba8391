"""The pytest plugin: a fixture that tests an app, and a guard that lets nothing pass unnoticed.

It is loaded wherever backburner is installed. Until a test asks for `backburner_testing` it only looks whether calls of jobs
were forgotten.
"""

from __future__ import annotations

import sys
import warnings
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from backburner import Backburner
    from backburner.testing.kit import Testing

__all__ = ["backburner_app", "backburner_guard", "backburner_testing"]

_FAILED = pytest.StashKey[bool]()
_MARKER = "backburner(mode, start, state, strict): how backburner_testing tests the app"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take the settings of a project."""
    parser.addini("backburner_app", "where the app is that backburner_testing tests, such as shop.jobs:bb")
    parser.addini(
        "backburner_strict",
        "fail a test that forgets a call of a job, or leaves jobs that nobody expected",
        type="bool",
        default=True,
    )


def pytest_configure(config: pytest.Config) -> None:
    """Know the marker."""
    config.addinivalue_line("markers", _MARKER)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Know which tests have failed: what those leave behind is no news."""
    if call.when == "call":
        item.stash[_FAILED] = call.excinfo is not None
    return (yield)


@pytest.fixture
def backburner_app(request: pytest.FixtureRequest) -> Backburner[Any]:
    """Bring the app that `backburner_testing` tests: that of the setting ``backburner_app``, unless a project says otherwise."""
    from backburner import Backburner  # noqa: PLC0415 - for those alone who test with it

    named = str(request.config.getini("backburner_app"))
    module, _, name = named.partition(":")
    if not name:
        raise pytest.UsageError(
            "backburner_testing does not know your app: set `backburner_app = shop.jobs:bb` where pytest is configured, "
            "or define a fixture backburner_app that returns it"
        )
    found = getattr(import_module(module), name, None)
    if not isinstance(found, Backburner):
        raise pytest.UsageError(f"backburner_app = {named} is no Backburner, but {type(found).__name__}")
    return found  # pyright: ignore[reportUnknownVariableType] - whatever it yields


@pytest.fixture
def backburner_testing(request: pytest.FixtureRequest, backburner_app: Backburner[Any]) -> Iterator[Testing]:
    """Bring the jobs of the app under test, as `Backburner.testing` answers them, for tests with and without an event loop.

    The marker ``@pytest.mark.backburner(mode="inline")`` says how. A test that leaves jobs which it has neither run nor
    expected fails, unless ``strict=False``.
    """
    marker = request.node.get_closest_marker("backburner")
    options = {} if marker is None else {name: value for name, value in marker.kwargs.items() if name != "strict"}
    with backburner_app.testing(**options) as jobs:
        yield jobs
        if _strict(request) and not request.node.stash.get(_FAILED, False):
            jobs.check()


@pytest.fixture(autouse=True)
def backburner_guard(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that makes a call of a job and neither stores nor awaits it; ``pytest.warns`` may expect that."""
    if "backburner" not in sys.modules or not _strict(request):
        yield
        return
    from backburner import CallNotUsed  # noqa: PLC0415 - as above

    with warnings.catch_warnings(record=True) as recorded:
        warnings.filterwarnings("always", category=CallNotUsed)
        yield
    forgotten = [each for each in recorded if issubclass(each.category, CallNotUsed)]
    for each in recorded:
        if each not in forgotten:
            warnings.warn_explicit(each.message, each.category, each.filename, each.lineno, source=each.source)
    if forgotten:
        pytest.fail("\n".join(str(each.message) for each in forgotten), pytrace=False)


def _strict(request: pytest.FixtureRequest) -> bool:
    marker = request.node.get_closest_marker("backburner")
    own = None if marker is None else marker.kwargs.get("strict")
    return bool(request.config.getini("backburner_strict") if own is None else own)
