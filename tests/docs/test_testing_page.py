"""docs/how-to/testing.md: its app, and its tests of that, run by pytest."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.docs.reader import blocks

if TYPE_CHECKING:
    from collections.abc import Mapping

pytest_plugins = ["pytester"]

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "testing.md"
#: What FastAPI's client says of the client that it is made of.
IGNORED = "ignore:Using `httpx` with"


def files() -> Mapping[str, str]:
    """Return the files of the page: a block that begins with the name of one goes on with it."""
    found: defaultdict[str, str] = defaultdict(str)
    for _, text in blocks(PAGE, "python"):
        named = re.match(r"# (\w+\.py)\n", text)
        assert named, f"the block names no file: {text[:60]!r}"
        found[named[1]] += text + "\n\n"
    return found


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """Write the page's files, and its settings."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTHONPATH", str(pytester.path))  # for the processes of jobs
    for name, text in files().items():
        (pytester.path / name).write_text(text)
    (settings,) = (text for _, text in blocks(PAGE, "toml"))
    (pytester.path / "pyproject.toml").write_text(settings)
    return pytester


@pytest.mark.parametrize(
    ("plugin", "names", "passed"),
    [
        ("anyio.pytest_plugin", ["test_jobs.py", "test_web.py", "test_flask.py", "test_case.py", "test_plugin.py"], 18),
        ("pytest_asyncio.plugin", ["test_asyncio.py"], 1),
    ],
)
def test_the_tests_of_the_page_pass(project: pytest.Pytester, plugin: str, names: list[str], passed: int) -> None:
    """Each of them, with warnings for errors, under the plugin that it is for."""
    options = ["-p", "backburner.testing.plugin", "-p", plugin, "-p", "no:cacheprovider", "-W", "error", "-W", IGNORED]
    if "asyncio" in plugin:
        options += ["-o", "asyncio_default_fixture_loop_scope=function"]  # it would warn that it will be that
    project.runpytest_subprocess(*options, *names).assert_outcomes(passed=passed)


def test_every_file_of_the_page_is_run() -> None:
    """No file of tests is left out above."""
    assert {name for name in files() if name.startswith("test_")} == {
        "test_asyncio.py",
        "test_case.py",
        "test_flask.py",
        "test_jobs.py",
        "test_plugin.py",
        "test_web.py",
    }
