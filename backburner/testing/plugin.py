"""The pytest plugin: a fixture that tests an app, and a guard that lets no forgotten call pass.

It is loaded wherever backburner is installed. Until a test asks for `backburner_testing` it only looks whether calls of jobs
were forgotten.
"""

from __future__ import annotations

import warnings
from importlib import import_module
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from backburner import Backburner
from backburner.errors import CallNotUsed

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from backburner.testing.kit import Testing

__all__ = ["backburner_app", "backburner_guard", "backburner_testing"]

_RECORDED = pytest.StashKey[list[warnings.WarningMessage]]()
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
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    """Fail a test that has forgotten a call: itself, rather than its teardown."""
    answer = yield
    if _RECORDED in item.stash:
        _fail_for_forgotten(item.stash[_RECORDED])
    return answer


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Know which tests have failed: what those leave behind is no news."""
    if call.excinfo is not None:
        item.stash[_FAILED] = True
    return (yield)


@pytest.fixture(autouse=True)
def backburner_guard(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that makes a call of a job and neither stores nor awaits it.

    ``pytest.warns`` may expect that, and whoever has the warning ignored is not told of it either.
    """
    if not _strict(request.node) or _ignored():
        yield
        return
    recorded: list[warnings.WarningMessage] = []
    try:
        # Before any other fixture, so that one that records warnings has its own: `recwarn`.
        with warnings.catch_warnings(record=True) as recorded:
            # Where warnings are errors, too: raised from where a call is thrown away, it would reach nobody.
            warnings.filterwarnings("always", category=CallNotUsed)
            request.node.stash[_RECORDED] = recorded
            yield
        _fail_for_forgotten(recorded)
    finally:
        _warn_again(recorded)


@pytest.fixture
def backburner_app(request: pytest.FixtureRequest) -> Backburner[Any]:
    """Bring the app that `backburner_testing` tests: that of the setting ``backburner_app``, unless a project says otherwise."""
    named = str(request.config.getini("backburner_app"))
    module, _, name = named.partition(":")
    if not module or not name:
        _refuse(
            f"backburner_testing does not know your app{f' by {named!r}' if named else ''}: set `backburner_app = "
            "shop.jobs:bb` where pytest is configured, or define a fixture backburner_app that returns it"
        )
    try:
        home = import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise
        _refuse(f"backburner_app = {named}: there is no module {error.name}; is its folder in pytest's `pythonpath`?")
    if not hasattr(home, name):
        _refuse(f"backburner_app = {named}: {module} has no {name}")
    found = getattr(home, name)
    if not isinstance(found, Backburner):
        _refuse(f"backburner_app = {named}: that is no Backburner, but of type {type(found).__name__}")
    return found  # pyright: ignore[reportUnknownVariableType] - whatever it yields


@pytest.fixture
def backburner_testing(request: pytest.FixtureRequest, backburner_app: Backburner[Any]) -> Iterator[Testing]:
    """Bring the jobs of the app under test, as `Backburner.testing` answers them, for tests with and without an event loop.

    The marker ``@pytest.mark.backburner(mode="inline")`` says how. A test that leaves jobs which it has neither run nor
    expected fails, unless ``strict=False``.
    """
    with backburner_app.testing(**_options(request.node)) as jobs:
        yield jobs
        if _strict(request.node) and not request.node.stash.get(_FAILED, False):
            jobs.check()


def _options(item: pytest.Item) -> dict[str, Any]:
    """Return what the test says of how it is tested; what is said closer to it wins."""
    options: dict[str, Any] = {}
    for marker in item.iter_markers("backburner"):
        if marker.args:
            _refuse(f"@pytest.mark.backburner takes options by name, mode='inline', not {marker.args[0]!r}")
        options = {**marker.kwargs, **options}
    options.pop("strict", None)
    return options


def _strict(item: pytest.Item) -> bool:
    said = (marker.kwargs["strict"] for marker in item.iter_markers("backburner") if "strict" in marker.kwargs)
    return bool(next(said, item.config.getini("backburner_strict")))


def _ignored() -> bool:
    return any(action == "ignore" and category is CallNotUsed for action, _, category, *_ in warnings.filters)


def _fail_for_forgotten(recorded: list[warnings.WarningMessage]) -> None:
    forgotten = [each for each in recorded if issubclass(each.category, CallNotUsed)]
    recorded[:] = [each for each in recorded if each not in forgotten]
    if forgotten:
        _refuse("\n".join(str(each.message) for each in forgotten))


def _warn_again(recorded: Sequence[warnings.WarningMessage]) -> None:
    """Let pytest hear of warnings that were none of ours; they have passed its filters."""
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        for each in recorded:
            warnings.warn_explicit(each.message, each.category, each.filename, each.lineno, source=each.source)


def _refuse(why: str) -> NoReturn:
    pytest.fail(why, pytrace=False)
