"""scripts/release_check.py: every check passes a sound release, and each finds what it is for."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from packaging.requirements import Requirement

from scripts import release_check as checks
from scripts.release import Release, closure, licence

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

METADATA = b"""Metadata-Version: 2.4
Name: backburner
Version: 1.2.0
Summary: jobs
License-Expression: MIT
License-File: LICENSE
Classifier: Typing :: Typed
Description-Content-Type: text/markdown

# Jobs

See [the docs](https://example.org) and the house.
"""
TRACKED = {
    "pyproject.toml": b'[project]\nname = "backburner"\nversion = "1.2.0"\n',
    "README.md": b"# Jobs\n\nSee [the docs](https://example.org) and [the house](docs/house.md#two-words).\n",
    "CHANGELOG.md": b"# Changelog\n\n## [Unreleased]\n\n## [1.2.0] - 2026-11-21\n",
    "docs/house.md": b"# House\n\n## Two `words`\n\nBack to [the README](../README.md); [all](../docs).\n",
    "examples/stdlib_census.py": b"...\n",
    "backburner/__init__.py": b"",
    "backburner/py.typed": b"",
    "backburner/sql/claim.sql": b"SELECT 1;\n",
}
INFO = "backburner-1.2.0.dist-info"
WHEEL = {
    "backburner/__init__.py": b"",
    "backburner/py.typed": b"",
    "backburner/sql/claim.sql": b"SELECT 1;\n",
    "backburner/examples/stdlib_census.py": b"...\n",
    f"{INFO}/METADATA": METADATA,
    f"{INFO}/RECORD": b"...",
}
SOUND = Release(
    tracked=TRACKED,
    uncommitted=(),
    wheel=WHEEL,
    sdist={**TRACKED, "PKG-INFO": METADATA},
    rebuilt=WHEEL,
    imports={
        "": {"backburner.stores.redis": "redis", "backburner.testing.contracts.claiming": "pytest"},
        "redis": {"backburner.testing.contracts.claiming": "pytest"},
        "otel": {"backburner.stores.redis": "redis", "backburner.testing.contracts.claiming": "pytest"},
    },
    licences={"anyio": "MIT", "tzdata": "Apache-2.0"},
    final=True,
)


def tracked(**files: bytes) -> Release:
    """Return the release with other files in git, named without their dots."""
    named = {"readme": "README.md", "changelog": "CHANGELOG.md", "page": "docs/house.md", "more": "scripts/more.py"}
    return replace(SOUND, tracked={**TRACKED, **{named[name]: content for name, content in files.items()}})


def described(old: bytes, new: bytes) -> Release:
    """Return the release with other metadata."""
    assert old in METADATA
    changed = METADATA.replace(old, new)
    return replace(SOUND, wheel={**WHEEL, f"{INFO}/METADATA": changed}, sdist={**TRACKED, "PKG-INFO": changed})


def without(files: dict[str, bytes], path: str) -> dict[str, bytes]:
    """Return the files without one."""
    return {each: content for each, content in files.items() if each != path}


@pytest.mark.parametrize("check", checks.CHECKS, ids=lambda check: check.__name__)
def test_a_sound_release_passes(check: Callable[[Release], Iterator[str]]) -> None:
    """No check finds anything wrong with a release that is as it should be."""
    assert list(check(SOUND)) == []


DOCTORED = [
    (checks.metadata_is_valid, described(b"Metadata-Version: 2.4\n", b""), "metadata version"),
    (checks.metadata_is_valid, described(b"Version: 1.2.0", b"Version: one"), "version"),
    (checks.metadata_is_valid, described(b"Typing :: Typed", b"Typing :: Wildly"), "no classifier 'Typing :: Wildly'"),
    (checks.metadata_is_valid, described(b"License-File: LICENSE\n", b""), "no licence file"),
    (checks.description_stands_alone, described(b"the house", b"[the house](docs/house.md)"), "links to docs/house.md"),
    (checks.description_stands_alone, described(b"text/markdown", b"text/plain"), "not Markdown"),
    (checks.description_stands_alone, tracked(readme=b"words " * 100), "not the README"),
    (checks.versions_agree, described(b"Version: 1.2.0", b"Version: 1.1.0"), "says version 1.1.0"),
    (checks.versions_agree, tracked(changelog=b"## [Unreleased]\n"), "no section [1.2.0]"),
    (checks.versions_agree, tracked(changelog=b"## [1.2.0]\n"), "no date"),
    (checks.versions_agree, tracked(changelog=b"## [1.2.0] - soon\n"), "no date"),
    (checks.versions_agree, replace(SOUND, wheel=without(WHEEL, f"{INFO}/METADATA")), "not of version 1.2.0"),
    (checks.versions_agree, replace(tracked(changelog=b""), final=False), "neither"),
    (
        checks.tree_is_committed,
        replace(SOUND, uncommitted=("backburner/app.py",)),
        "backburner/app.py is not committed",
    ),
    (checks.links_resolve, tracked(readme=b"[x](docs/gone.md)"), "there is no docs/gone.md"),
    (checks.links_resolve, tracked(page=b"[x](../gone/)"), "there is no gone"),
    (checks.links_resolve, tracked(page=b"# A\n\n[x](#b)"), "docs/house.md has no such heading"),
    (
        checks.wheel_holds_the_package,
        replace(SOUND, wheel=without(WHEEL, "backburner/sql/claim.sql")),
        "lacks backburner/sql",
    ),
    (checks.wheel_holds_the_package, replace(SOUND, wheel={**WHEEL, "tests/x.py": b""}), "holds tests/x.py"),
    (
        checks.wheel_holds_the_package,
        replace(SOUND, wheel={**WHEEL, "backburner/__init__.py": b"1"}),
        "another backburner",
    ),
    (
        checks.wheel_holds_the_package,
        replace(SOUND, wheel=without(WHEEL, "backburner/examples/stdlib_census.py")),
        "lacks",
    ),
    (checks.wheel_holds_the_package, replace(SOUND, tracked=without(TRACKED, "backburner/py.typed")), "type checker"),
    (checks.sdist_holds_the_checkout, replace(SOUND, sdist={**SOUND.sdist, "jobs.db": b""}), "holds jobs.db"),
    (checks.sdist_holds_the_checkout, replace(SOUND, sdist=without(TRACKED, "README.md")), "lacks README.md"),
    (
        checks.sdist_builds_the_wheel,
        replace(SOUND, rebuilt=without(WHEEL, "backburner/py.typed")),
        "lacks backburner/py",
    ),
    (checks.sdist_builds_the_wheel, replace(SOUND, rebuilt={**WHEEL, f"{INFO}/RECORD": b""}), "another"),
    (
        checks.imports_are_declared,
        replace(
            SOUND,
            imports={
                **SOUND.imports,
                "": {"backburner.app": "requests"},
                "redis": {"backburner.app": "requests"},
                "otel": {"backburner.app": "requests"},
            },
        ),
        "backburner.app needs requests",
    ),
    (
        checks.imports_are_declared,
        replace(SOUND, imports={**SOUND.imports, "otel": {"backburner.app": "ValueError()"}}),
        "cannot be imported with the extra otel",
    ),
    (checks.licences_are_permissive, replace(SOUND, licences={"gnu": "GPL-3.0"}), "GPL-3.0"),
    (checks.licences_are_permissive, replace(SOUND, licences={"mute": ""}), "not said"),
    (
        checks.no_index_is_named,
        tracked(more="a\nURL = 'http://packages.local/{}/'\n".format("simple").encode()),
        "scripts/more.py:2",
    ),
    (checks.no_index_is_named, tracked(more="https://pypi{}org/project/x".format(".").encode()), "scripts/more.py:1"),
]


@pytest.mark.parametrize(("check", "release", "finding"), DOCTORED)
def test_what_is_wrong_is_told(check: Callable[[Release], Iterator[str]], release: Release, finding: str) -> None:
    """Each check can fail: what was doctored is told, by its name."""
    assert any(finding in told for told in check(release)), list(check(release))


def test_every_check_can_fail() -> None:
    """No check is without a release that it refuses."""
    assert {check for check, *_ in DOCTORED} == set(checks.CHECKS)


def test_only_a_release_is_held_to_its_day() -> None:
    """Before the day, changes may be uncommitted and the changelog unreleased."""
    some_day = replace(tracked(changelog=b"## [Unreleased]\n"), uncommitted=("README.md",), final=False)
    assert list(checks.versions_agree(some_day)) == list(checks.tree_is_committed(some_day)) == []


def test_everything_is_told_at_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """All findings of all checks are told, and the command fails, also when the wheel works."""
    broken = replace(SOUND, licences={"mute": ""}, uncommitted=("README.md", "LICENSE"))
    monkeypatch.setattr(checks, "gather", lambda *_, **__: broken)
    monkeypatch.setattr(checks, "smoke", lambda: 0)
    monkeypatch.setattr(checks, "BUILD", tmp_path / "build")
    assert checks.main() == 1
    assert len(capsys.readouterr().err.splitlines()) == 3


def test_a_closure_is_all_that_a_package_brings() -> None:
    """What a package needs in turn belongs to what users get; what only its extras need does not."""
    assert {"httpx", "httpcore", "h11", "anyio", "idna", "certifi"} <= closure([Requirement("httpx")]).keys()
    assert "hiredis" not in closure([Requirement("redis")])
    assert "hiredis" in closure([Requirement("redis[hiredis]")])
    assert licence(closure([Requirement("anyio")])["anyio"]) == "MIT"
