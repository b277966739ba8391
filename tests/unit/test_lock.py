"""What make installs: requirements/*.txt, which scripts/lock.py writes."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
LOCKED = ("build", "core", "dev")

PINNED = re.compile(r"(?P<name>[a-z0-9._-]+)(\[[a-z0-9,._-]+\])?==(?P<version>[\w.+!]+)( ; [^\\]+)? \\")
HASH = re.compile(r"    --hash=sha256:[0-9a-f]{64}( \\)?")


def pins(text: str) -> dict[str, dict[str, frozenset[str]]]:
    """Return name -> version -> hashes; refuse whatever else a lock could hold."""
    found: dict[str, dict[str, frozenset[str]]] = {}
    name, version, more = "", "", False
    for line in text.splitlines():
        if more:
            assert HASH.fullmatch(line), line
            found[name][version] |= {line.strip(" \\")}
        elif not line.lstrip().startswith("#"):
            pinned = PINNED.fullmatch(line)
            assert pinned, line
            name, version = canonicalize_name(pinned["name"]), pinned["version"]
            found.setdefault(name, {})[version] = frozenset()
        more = line.endswith("\\")
    return found


def asked() -> dict[str, list[str]]:
    """Return what pyproject.toml asks for, by the lock that has to have it."""
    core = PROJECT["project"]["dependencies"]
    build = PROJECT["build-system"]["requires"]
    extras = PROJECT["project"]["optional-dependencies"].values()
    return {"core": core, "build": build, "dev": [*core, *build, *(each for extra in extras for each in extra)]}


@pytest.fixture(params=LOCKED)
def lock(request: pytest.FixtureRequest) -> str:
    """One lock's name."""
    return str(request.param)


def read(lock: str) -> str:
    """Return a lock's text."""
    return (ROOT / "requirements" / f"{lock}.txt").read_text("utf-8")


def test_nothing_but_pins(lock: str) -> None:
    """A lock holds exact versions with the hashes of their files, and no address of any index."""
    text = read(lock)
    assert pins(text)
    assert "://" not in text


@pytest.mark.parametrize(
    "line",
    [
        "--index-url https://example.org/wheels",
        "--extra-index-url example.org",
        "--find-links /wheels",
        "anyio @ https://example.org/anyio.whl",
        "anyio>=4",
        "anyio==4.16.0",
        "-e .",
    ],
)
def test_anything_else_is_noticed(line: str) -> None:
    """An index, an address, an open version or one without hashes would be noticed."""
    with pytest.raises(AssertionError, match=re.escape(line)):
        pins(read("core") + line + "\n")


def test_a_pin_without_hashes_is_noticed() -> None:
    """A pin whose hashes were cut off would be noticed."""
    with pytest.raises(AssertionError):
        pins("anyio==4.16.0 \\\nclick==8.5.1 \\\n")


def test_all_that_the_project_asks_for_is_locked(lock: str) -> None:
    """What pyproject.toml asks for, in any extra and to be built, is locked at a version that it allows."""
    locked = pins(read(lock))
    for text in asked()[lock]:
        wanted = Requirement(text)
        if (name := canonicalize_name(wanted.name)) != "backburner":
            assert name in locked, f"{name} is not locked: run make lock"
            allowed = (wanted.specifier.contains(version, prereleases=True) for version in locked[name])
            assert all(allowed), f"{text}: run make lock"


def test_parts_agree_with_the_whole() -> None:
    """What the core and the build are installed with is what contributors have."""
    whole = pins(read("dev"))
    for part in ("core", "build"):
        for name, versions in pins(read(part)).items():
            assert versions.items() <= whole[name].items(), f"{name}: run make lock"
