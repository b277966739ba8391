"""The pytest plugin, in the tests of a project: each in a pytest of its own."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytest_plugins = ["pytester"]

#: A project's app.
JOBS = """
    import logging

    from backburner import Backburner, RetryPolicy, constant

    logging.getLogger("backburner").setLevel(logging.CRITICAL)
    bb = Backburner("sqlite:////nowhere/at/all.db", retry=RetryPolicy(attempts=2, backoff=constant(60)))
    sent = []

    @bb.job
    async def send(to):
        sent.append(to)

    @bb.job
    async def charge(invoice):
        raise ConnectionError(f"no answer for {invoice}")
"""
SETTINGS = """
    [pytest]
    pythonpath = .
    filterwarnings = error
    strict_markers = true
    backburner_app = jobs:bb
"""
FORGOTTEN = "send(to='ada') was neither stored nor awaited: write `await bb.create_task(…)`, or await it to run it here"
#: Just the plugins that are meant, also where others are installed.
PLUGINS = {
    "anyio": ("-p", "backburner.testing.plugin", "-p", "anyio.pytest_plugin"),
    "asyncio": ("-p", "backburner.testing.plugin", "-p", "pytest_asyncio.plugin"),
}


class Project:
    """A project with an app, and with tests."""

    def __init__(self, pytester: pytest.Pytester) -> None:
        self._pytester = pytester
        pytester.makepyfile(jobs=JOBS)
        self.set(SETTINGS)

    @property
    def folder(self) -> Path:
        return self._pytester.path

    def set(self, settings: str) -> None:
        """Say how pytest is configured."""
        self._pytester.makefile(".ini", pytest=settings)

    def test(self, tests: str, *options: str, plugins: str = "anyio") -> pytest.RunResult:
        """Run tests; they import all of the app."""
        self._pytester.makepyfile(test_shop=f"import pytest\nfrom jobs import *\n{_dedented(tests)}")
        return self._pytester.runpytest_inprocess("-p", "no:cacheprovider", *PLUGINS[plugins], *options)


def _dedented(text: str) -> str:
    from textwrap import dedent  # noqa: PLC0415 - here alone

    return dedent(text)


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """Bring a project whose pytest loads what it is told to, and not what is installed beside it."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTHONASYNCIODEBUG", "1")
    logger = logging.getLogger("backburner")
    level = logger.level
    yield Project(pytester)
    logger.setLevel(level)  # the app, in this very process, has set it


# ---- the fixture -----------------------------------------------------------------------------------------------------


def test_the_app_is_found_by_a_setting(project: Project) -> None:
    """Tests with and without an event loop have the jobs of the app that the setting names, one after the other."""
    answer = project.test("""
        import asyncio

        def test_without_a_loop(backburner_testing):
            bb.blocking.create_task(send("ada"))
            assert asyncio.run(backburner_testing.drain()).completed == 1

        @pytest.mark.anyio
        @pytest.mark.parametrize("again", [1, 2])
        async def test_with_one(backburner_testing, again, anyio_backend):
            assert backburner_testing.all() == ()
            await bb.create_task(send("ada"), delay=3600)
            backburner_testing.assert_enqueued(send("ada"), delay=3600)
            assert (await backburner_testing.advance(hours=1, drain=True)).completed == 1

        @pytest.fixture
        def anyio_backend():
            return "asyncio"
    """)
    answer.assert_outcomes(passed=3)


@pytest.mark.parametrize("mode", ["auto", "strict"])
def test_it_works_under_pytest_asyncio(project: Project, mode: str) -> None:
    """The same fixture, and `async with` in an async fixture, in both of its modes."""
    project.set(f"{SETTINGS}    asyncio_mode = {mode}\n    asyncio_default_fixture_loop_scope = function\n")
    answer = project.test(
        """
        import pytest_asyncio

        @pytest_asyncio.fixture
        async def jobs():
            async with bb.testing() as testing:
                yield testing

        @pytest.mark.asyncio
        @pytest.mark.parametrize("again", [1, 2])
        async def test_fixture(backburner_testing, again):
            await bb.create_task(send("ada"))
            assert (await backburner_testing.drain()).completed == 1
            assert sent.pop() == "ada"

        @pytest.mark.asyncio
        async def test_entered(jobs):
            handle = await bb.create_task(send("ada"))
            await jobs.drain()
            await handle

        @pytest.mark.asyncio
        @pytest.mark.backburner(mode="inline")
        async def test_inline(backburner_testing):
            await bb.create_task(send("bob"))
            assert sent.pop() == "bob"

        @pytest.mark.asyncio
        async def test_forgotten(jobs):
            send("ada")
        """,
        plugins="asyncio",
    )
    answer.assert_outcomes(passed=4, failed=1)
    answer.stdout.fnmatch_lines([FORGOTTEN])


def test_a_project_may_bring_its_app_by_a_fixture(project: Project) -> None:
    """A fixture of its own says which app is tested, whatever the setting says."""
    project.set("[pytest]\npythonpath = .\n")
    answer = project.test("""
        @pytest.fixture
        def backburner_app():
            return bb

        def test_it(backburner_testing):
            bb.blocking.create_task(send("ada"))
            backburner_testing.assert_enqueued(send("ada"))
    """)
    answer.assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("named", "told"),
    [
        ("", "backburner_testing does not know your app: set `backburner_app = shop.jobs:bb`*"),
        ("jobs", "backburner_testing does not know your app by 'jobs': set*"),
        ("shop.jobs:bb", "backburner_app = shop.jobs:bb: there is no module shop; is its folder in pytest's*"),
        ("jobs:app", "backburner_app = jobs:app: jobs has no app"),
        ("jobs:sent", "backburner_app = jobs:sent: that is no Backburner, but of type list"),
        ("broken:bb", "*No module named 'no_such_driver'*"),
    ],
)
def test_a_wrong_path_is_told(project: Project, named: str, told: str) -> None:
    """What is wrong with the setting stands in a line, without a stack; what a module itself raises has one."""
    project.set(f"[pytest]\npythonpath = .\nbackburner_app = {named}\n")
    (project.folder / "broken.py").write_text("import no_such_driver\n")
    answer = project.test("""
        def test_it(backburner_testing):
            pass
    """)
    answer.assert_outcomes(errors=1)
    answer.stdout.fnmatch_lines([told])


# ---- the marker ------------------------------------------------------------------------------------------------------


def test_the_marker_says_how(project: Project) -> None:
    """Mode, time and state go to `bb.testing`; of two markers the closer one says the last word."""
    answer = project.test("""
        from datetime import UTC, datetime

        START = datetime(2027, 1, 1, tzinfo=UTC)

        @pytest.mark.backburner(mode="inline", start=START, state="a double")
        class TestMarked:
            def test_as_its_class(self, backburner_testing):
                assert backburner_testing.now == START
                bb.blocking.create_task(send("ada"))
                assert sent.pop() == "ada"

            @pytest.mark.backburner(mode="manual")
            def test_another_mode(self, backburner_testing):
                bb.blocking.create_task(send("ada"))
                assert not sent
                assert backburner_testing.now == START
                backburner_testing.assert_enqueued(send)
    """)
    answer.assert_outcomes(passed=2)


def test_a_wrong_marker_is_told(project: Project) -> None:
    """An option that there is not, and one without its name, fail the test and say so."""
    answer = project.test("""
        @pytest.mark.backburner(mod="inline")
        def test_unknown(backburner_testing):
            pass

        @pytest.mark.backburner("inline")
        def test_unnamed(backburner_testing):
            pass
    """)
    answer.assert_outcomes(errors=2)
    answer.stdout.fnmatch_lines(
        [
            "*testing has no option 'mod'; it takes mode, start, state",
            "@pytest.mark.backburner takes options by name, mode='inline', not 'inline'",
        ]
    )


# ---- forgotten calls -------------------------------------------------------------------------------------------------

FORGETFUL = """
    def test_forgetful():
        send("ada")

    def test_in_a_circle():
        import gc
        call = send("bob")
        call = [call]
        call.append(call)
        del call
        gc.collect()
"""


@pytest.mark.parametrize("options", [(), ("-W", "error"), ("-W", "default")], ids=str)
def test_a_forgotten_call_fails_its_test(project: Project, options: tuple[str, ...]) -> None:
    """A call that is neither stored nor awaited fails the test that made it, whatever becomes of warnings otherwise."""
    answer = project.test(FORGETFUL, *options)
    answer.assert_outcomes(failed=2)
    answer.stdout.fnmatch_lines([FORGOTTEN])


def test_a_forgotten_call_may_be_expected(project: Project) -> None:
    """Whoever expects the warning, ignores it, or wants no guard, is not told."""
    answer = project.test("""
        import warnings
        from backburner import CallNotUsed

        def test_expected():
            with pytest.warns(CallNotUsed):
                send("ada")

        @pytest.mark.filterwarnings("ignore::backburner.CallNotUsed")
        def test_ignored():
            send("ada")

        @pytest.mark.filterwarnings("ignore::backburner.CallNotUsed")
        @pytest.mark.backburner(strict=False)
        def test_unguarded():
            send("ada")
    """)
    answer.assert_outcomes(passed=3)


def test_a_project_may_do_without_the_guard(project: Project) -> None:
    """``backburner_strict = false`` leaves the warning a warning, and what jobs came to alone."""
    project.set(SETTINGS.replace("error", "default") + "    backburner_strict = false\n")
    answer = project.test("""
        def test_forgetful(backburner_testing):
            send("ada")
            bb.blocking.create_task(send("bob"))

        @pytest.mark.backburner(strict=True)
        def test_strict_itself(backburner_testing):
            send("ada")
    """)
    answer.assert_outcomes(passed=1, failed=1, warnings=1)


def test_other_warnings_are_still_heard(project: Project) -> None:
    """The guard hands on what is not its own: pytest counts it, or fails for it where warnings are errors."""
    tests = """
        import warnings

        def test_other():
            warnings.warn("of something else", DeprecationWarning)

        def test_recorded(recwarn):
            warnings.warn("of something else", UserWarning)
            assert len(recwarn) == 1

        def test_failing():
            warnings.warn("before it failed", UserWarning)
            assert False
    """
    project.set(SETTINGS.replace("error", "default"))
    project.test(tests).assert_outcomes(passed=2, failed=1, warnings=2)
    project.set(SETTINGS)
    answer = project.test(tests)
    answer.assert_outcomes(passed=1, failed=2)
    answer.stdout.fnmatch_lines(["E * DeprecationWarning: of something else"])


# ---- what is left ----------------------------------------------------------------------------------------------------


def test_jobs_that_nobody_expected_fail_the_test(project: Project) -> None:
    """A job that was neither run to its end nor looked at fails the test, with the stack of what it raised."""
    answer = project.test("""
        import asyncio

        def test_left(backburner_testing):
            bb.blocking.create_task(send("ada"))

        def test_failed(backburner_testing):
            bb.blocking.create_task(charge(7))
            asyncio.run(backburner_testing.drain())

        def test_looked_at(backburner_testing):
            bb.blocking.create_task(charge(7))
            asyncio.run(backburner_testing.drain())
            assert backburner_testing.all()[0].error == "ConnectionError: no answer for 7"

        @pytest.mark.backburner(strict=False)
        def test_left_on_purpose(backburner_testing):
            bb.blocking.create_task(send("ada"))
    """)
    answer.assert_outcomes(passed=4, errors=2)
    answer.stdout.fnmatch_lines(
        [
            "*AssertionError: 1 job was left that nobody expected:*",
            "*send(to='ada'), waiting, *",
            "*raise ConnectionError(f*",
            "*ConnectionError: no answer for 7",
            "*charge(invoice=7), retrying, *: ConnectionError: no answer for 7",
        ]
    )


def test_a_failed_test_is_not_told_twice(project: Project) -> None:
    """Where the test fails, or a fixture of it, or it is skipped, nothing more is said of the jobs that it left."""
    answer = project.test("""
        @pytest.fixture
        def broken(backburner_testing):
            bb.blocking.create_task(send("ada"))
            raise ValueError

        def test_failed(backburner_testing):
            bb.blocking.create_task(send("ada"))
            assert False

        def test_broken(broken):
            pass

        def test_skipped(backburner_testing):
            bb.blocking.create_task(send("ada"))
            pytest.skip("today")

        def test_forgetful(backburner_testing):
            bb.blocking.create_task(send("ada"))
            send("bob")
    """)
    answer.assert_outcomes(failed=2, errors=1, skipped=1)
    answer.stdout.no_fnmatch_line("*nobody expected*")


# ---- in company ------------------------------------------------------------------------------------------------------


def test_it_works_in_parallel(project: Project) -> None:
    """Workers of xdist each have their own; what fails is told by the one that hands out the tests."""
    tests = f"""{FORGETFUL}
    def test_it(backburner_testing):
        bb.blocking.create_task(send("ada"))
        backburner_testing.assert_enqueued(send)
    """
    answer = project.test(tests, "-p", "xdist", "-n", "2")
    answer.assert_outcomes(passed=1, failed=2)


def test_it_guards_unittest(project: Project) -> None:
    """`IsolatedAsyncioTestCase` enters `bb.testing` by itself, and its forgotten calls are found too."""
    answer = project.test("""
        import unittest

        class TestShop(unittest.IsolatedAsyncioTestCase):
            async def asyncSetUp(self):
                self.jobs = await self.enterAsyncContext(bb.testing())

            async def test_one(self):
                await bb.create_task(send("ada"))
                assert (await self.jobs.drain()).completed == 1

            async def test_again(self):
                assert self.jobs.all() == ()

            async def test_forgotten(self):
                send("ada")
    """)
    answer.assert_outcomes(passed=2, failed=1)


def test_it_is_found_where_backburner_is_installed(pytester: pytest.Pytester) -> None:
    """Pytest loads it by itself, and shows its fixture and its marker."""
    pytester.makepyfile("")
    answer = pytester.run(sys.executable, "-m", "pytest", "--markers", "-p", "no:asyncio")
    answer.stdout.fnmatch_lines(["@pytest.mark.backburner(mode, start, state, strict): how*"])
