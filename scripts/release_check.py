"""Builds the release, checks it, and tells everything that stands against it at once.

`--unreleased` leaves out what only holds on the day: a section of the changelog with its date, a tree without changes.
"""

from __future__ import annotations

import posixpath
import re
import shutil
import subprocess
import sys
import venv
from datetime import date
from email.parser import Parser
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.metadata import Metadata
from trove_classifiers import classifiers

from scripts.release import Release, gather

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "build"

#: A link in Markdown; what it leads to is the group.
_LINK = re.compile(r"(?<!!)\[[^\]]+\]\(([^)\s]+)[^)]*\)")
_HEADING = re.compile(r"^#+ +(.+?) *$", re.MULTILINE)
_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
#: Addresses of package indexes: what is installed is pinned by hash, and from where is everybody's own affair.
_INDEX = re.compile(
    r"https?://[^\s\"'`)>]*/simple\b|\bpypi\.(?:org|python\.org)|pythonhosted\.org|npmjs\.(?:org|com)|index-url\s*=",
    re.IGNORECASE,
)
#: Licences that an app under any other may have beside it.
_PERMISSIVE = re.compile(
    r"\b(?:MIT|BSD|Apache|ISC|PSF|Python Software Foundation|0BSD|Unlicense|MPL|Mozilla)\b", re.IGNORECASE
)
#: Of the package, but not for its users' apps: for those who test one, or a store of their own, with pytest.
_FOR_TESTS = ("backburner.testing.contracts", "backburner.testing.plugin")


def metadata_is_valid(release: Release) -> Iterator[str]:
    """An index takes the metadata: what `twine check` looks at, and the classifiers."""
    for where, content in (("wheel", release.metadata), ("sdist", release.sdist.get("PKG-INFO", b""))):
        try:
            metadata = Metadata.from_email(content)
        except ExceptionGroup as group:
            yield from (f"the {where}'s metadata: {error}" for error in group.exceptions)
            continue
        for classifier in metadata.classifiers or ():
            if classifier not in classifiers:
                yield f"the {where}'s metadata: there is no classifier {classifier!r}"
        if not metadata.license_files:
            yield f"the {where}'s metadata names no licence file"


def description_stands_alone(release: Release) -> Iterator[str]:
    """The README, as an index shows it, has text, is Markdown, and links to nothing that stands beside it here."""
    metadata = Parser().parsestr(release.metadata.decode())
    description = str(metadata.get_payload())
    if len(description) < len(release.text("README.md")) // 2:
        yield "the description is not the README"
    if metadata["Description-Content-Type"] != "text/markdown":
        yield f"the description is not Markdown, but {metadata['Description-Content-Type']}"
    for target in _LINK.findall(_FENCE.sub("", description)):
        if "://" not in target and not target.startswith("mailto:"):
            yield f"the description links to {target}, which an index does not have"


def versions_agree(release: Release) -> Iterator[str]:
    """The wheel, its metadata and the changelog speak of the version of pyproject.toml."""
    version = release.project["version"]
    if not release.metadata:
        yield f"the wheel is not of version {version}: it has no {release.info}"
    for where, content in (("wheel", release.metadata), ("sdist", release.sdist.get("PKG-INFO", b""))):
        if content and (said := Parser().parsestr(content.decode())["Version"]) != version:
            yield f"the {where} says version {said}, pyproject.toml {version}"
    sections = _sections(release.text("CHANGELOG.md"))
    if not release.final:
        if version not in sections and "Unreleased" not in sections:
            yield f"CHANGELOG.md has neither a section [{version}] nor [Unreleased]"
    elif version not in sections:
        yield f"CHANGELOG.md has no section [{version}]: give Unreleased that name, and the date"
    elif not _is_date(sections[version]):
        yield f"CHANGELOG.md: section [{version}] has no date: ## [{version}] - 2026-01-31"


def tree_is_committed(release: Release) -> Iterator[str]:
    """What is released is what git holds."""
    if release.final:
        yield from (f"{path} is not committed" for path in release.uncommitted)


def links_resolve(release: Release) -> Iterator[str]:
    """Each link of a page to a file of the checkout, or to a heading, leads somewhere."""
    for page in (path for path in release.tracked if path.endswith(".md")):
        for target in _LINK.findall(_FENCE.sub("", release.text(page))):
            if re.match(r"[a-z]+:", target):
                continue
            name, _, anchor = target.partition("#")
            path = posixpath.normpath(posixpath.join(posixpath.dirname(page), name)) if name else page
            if path not in release.tracked and not any(each.startswith(f"{path}/") for each in release.tracked):
                yield f"{page} links to {target}: there is no {path}"
            elif anchor and path.endswith(".md") and anchor not in _anchors(release.text(path)):
                yield f"{page} links to {target}: {path} has no such heading"


def wheel_holds_the_package(release: Release) -> Iterator[str]:
    """The wheel holds what git holds below backburner/, the example that the demo runs, its metadata, and no more."""
    expected = {path: content for path, content in release.tracked.items() if path.startswith("backburner/")}
    expected["backburner/examples/stdlib_census.py"] = release.tracked.get("examples/stdlib_census.py", b"")
    if "backburner/py.typed" not in expected:
        yield "backburner/py.typed is missing: nobody's type checker would look at the package"
    files = {path: content for path, content in release.wheel.items() if not path.startswith(f"{release.info}/")}
    yield from _differences("the wheel", files, expected)


def sdist_holds_the_checkout(release: Release) -> Iterator[str]:
    """The sdist holds what git holds, its metadata, and no more."""
    files = {path: content for path, content in release.sdist.items() if path != "PKG-INFO"}
    yield from _differences("the sdist", files, release.tracked)


def sdist_builds_the_wheel(release: Release) -> Iterator[str]:
    """The wheel that is built out of the sdist is the wheel."""
    yield from _differences("the wheel built out of the sdist", release.rebuilt, release.wheel)


def imports_are_declared(release: Release) -> Iterator[str]:
    """The package imports nothing that it does not declare, and each extra alone brings what its modules import."""
    failed = {
        extra: {module: lacks for module, lacks in modules.items() if not module.startswith(_FOR_TESTS)}
        for extra, modules in release.imports.items()
    }
    mended = {module for extra, modules in failed.items() for module in failed[""] if extra and module not in modules}
    undeclared = ((module, lacks) for module, lacks in failed[""].items() if module not in mended)
    for lacks, named in _by_cause(undeclared).items():
        yield f"{named} needs {lacks}, which neither the package nor one of its extras alone brings"
    for extra, modules in failed.items():
        broken = ((module, lacks) for module, lacks in modules.items() if module not in failed[""])
        for lacks, named in _by_cause(broken).items():
            yield f"{named} cannot be imported with the extra {extra}: {lacks}"


def licences_are_permissive(release: Release) -> Iterator[str]:
    """Whatever users get beside the package says that they may use it in an app of any licence."""
    for name, licence in release.licences.items():
        if not _PERMISSIVE.search(licence):
            yield f"the licence of {name} is {licence or 'not said'}: look at it, and if it will do, let this check know"


def no_index_is_named(release: Release) -> Iterator[str]:
    """No file says which index packages come from."""
    for path, content in release.tracked.items():
        for number, line in enumerate(content.decode(errors="replace").splitlines(), 1):
            if named := _INDEX.search(line):
                yield f"{path}:{number} names an index: {named.group()}"


#: Each says in its docstring what holds, and yields what does not.
CHECKS: tuple[Callable[[Release], Iterator[str]], ...] = (
    metadata_is_valid,
    description_stands_alone,
    versions_agree,
    tree_is_committed,
    links_resolve,
    wheel_holds_the_package,
    sdist_holds_the_checkout,
    sdist_builds_the_wheel,
    imports_are_declared,
    licences_are_permissive,
    no_index_is_named,
)


def _differences(where: str, found: Mapping[str, bytes], expected: Mapping[str, bytes]) -> Iterator[str]:
    yield from (f"{where} lacks {path}" for path in sorted(expected.keys() - found.keys()))
    yield from (f"{where} holds {path}, which does not belong there" for path in sorted(found.keys() - expected.keys()))
    for path in sorted(found.keys() & expected.keys()):
        if found[path] != expected[path]:
            yield f"{where} holds another {path}"


def _by_cause(failed: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return what failed by what it lacks: the first by name, the others by number."""
    causes: dict[str, list[str]] = {}
    for module, lacks in failed:
        causes.setdefault(lacks, []).append(module)
    return {lacks: each[0] + (f" (as {len(each) - 1} others)" if each[1:] else "") for lacks, each in causes.items()}


def _sections(changelog: str) -> dict[str, str]:
    """Return what stands behind the name of each section."""
    return dict(re.findall(r"^## \[([^\]]+)\](?: - )?(.*)$", changelog, re.MULTILINE))


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text.strip()).isoformat() == text.strip()
    except ValueError:
        return False


def _anchors(page: str) -> set[str]:
    """Return what the headings of a page are called in links, as those who show Markdown do it."""
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in _HEADING.findall(_FENCE.sub("", page)))
    return {heading.replace(" ", "-") for heading in plain}


def smoke() -> int:
    """Install the wheel in an empty environment, and run a durable job there; return the last program's exit code."""
    (wheel,) = BUILD.glob("*.whl")
    venv.create(BUILD / "env", with_pip=True)
    python = BUILD / "env" / "bin" / "python"
    install = (str(python), "-m", "pip", "install", "--quiet")
    subprocess.run((*install, "--require-hashes", "-r", "requirements/core.txt"), check=True, cwd=ROOT)
    subprocess.run((*install, "--no-deps", "--no-index", str(wheel)), check=True)
    subprocess.run((str(python), "-m", "pip", "check"), check=True, stdout=subprocess.PIPE)
    subprocess.run((str(python.with_name("backburner")), "--version"), check=True, cwd=BUILD)
    return subprocess.run((str(python), str(ROOT / "scripts" / "wheel_smoke.py")), check=False, cwd=BUILD).returncode


def main() -> int:
    """Build, check, tell."""
    shutil.rmtree(BUILD, ignore_errors=True)
    release = gather(ROOT, BUILD, final="--unreleased" not in sys.argv[1:])
    findings = [finding for check in CHECKS for finding in check(release)]
    for finding in findings:
        print(f"release: {finding}", file=sys.stderr)
    return smoke() or bool(findings)


if __name__ == "__main__":
    sys.exit(main())
