"""A release as it would be: what git holds, what was built out of it, and what each extra alone can import."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zipfile
from dataclasses import dataclass
from email.parser import Parser
from functools import cached_property
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

#: Imports whatever stands in the first folder of the path, and prints what failed and for lack of what.
_IMPORT_ALL = """
import importlib, json, pathlib, sys, warnings
warnings.simplefilter("error")
sys.path[:0] = sys.argv[1:3]
failed = {}
for file in sorted(pathlib.Path(sys.argv[1]).glob("backburner/**/*.py")):
    parts = file.relative_to(sys.argv[1]).with_suffix("").parts
    name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    if parts[-1] != "__main__" and "examples" not in parts:
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            cause = error
            while isinstance(cause.__cause__, ModuleNotFoundError):
                cause = cause.__cause__
            failed[name] = (cause.name or str(cause)).partition(".")[0]
        except BaseException as error:
            failed[name] = repr(error)
print(json.dumps(failed))
"""
#: Extras for those who work on backburner itself: nothing of the package stands on them.
FOR_CONTRIBUTORS = frozenset(("dev", "docs", "test"))


@dataclass(frozen=True, kw_only=True)
class Release:
    """What is checked; files are bytes by their paths, from the root of what holds them."""

    #: What git holds.
    tracked: Mapping[str, bytes]
    #: What it would hold but for a commit: paths.
    uncommitted: tuple[str, ...]
    wheel: Mapping[str, bytes]
    sdist: Mapping[str, bytes]
    #: The wheel that the sdist builds.
    rebuilt: Mapping[str, bytes]
    #: By extra, "" for none: the modules that cannot be imported with it alone, and what each lacks.
    imports: Mapping[str, Mapping[str, str]]
    #: By the name of a package that users get: what it says its licence is.
    licences: Mapping[str, str]
    #: Whether it is to be published as it stands, and not only some day.
    final: bool

    @cached_property
    def project(self) -> Mapping[str, str]:
        """Return the project's table in pyproject.toml, of which only texts are asked for."""
        return dict(tomllib.loads(self.tracked["pyproject.toml"].decode())["project"])

    @property
    def info(self) -> str:
        """Return the folder of the wheel's metadata."""
        return f"{self.project['name']}-{self.project['version']}.dist-info"

    @property
    def metadata(self) -> bytes:
        """Return the wheel's metadata; empty where it has none."""
        return self.wheel.get(f"{self.info}/METADATA", b"")

    def text(self, path: str) -> str:
        """Return a tracked file as text; empty where there is none."""
        return self.tracked.get(path, b"").decode()


def gather(root: Path, build: Path, *, final: bool) -> Release:
    """Build the release of a checkout into a folder, and look at all of it."""
    changed = _git(root, "status", "--porcelain", "--untracked-files=all", "--no-renames", "-z")
    names = _git(root, "ls-files", "-z") + ([] if final else _git(root, "ls-files", "-z", "-o", "--exclude-standard"))
    _build(root, build, "--sdist", "--wheel")
    (wheel,), (sdist,) = build.glob("*.whl"), build.glob("*.tar.gz")
    members = wheel_members(wheel)
    with tempfile.TemporaryDirectory() as scratch:
        with tarfile.open(sdist) as archive:
            if hasattr(tarfile, "data_filter"):
                archive.extraction_filter = tarfile.data_filter  # Python 3.11.2, as Debian has it, knows none yet
            archive.extractall(scratch)  # noqa: S202 - we have packed it ourselves
        (source,) = Path(scratch).iterdir()
        _build(source, Path(scratch, "built"), "--wheel")
        rebuilt = wheel_members(next(Path(scratch, "built").glob("*.whl")))
    wanted = _requirements(next(text for name, text in members.items() if name.endswith("/METADATA")))
    extras = {extra for _, extra in wanted} - FOR_CONTRIBUTORS
    closures = {extra: closure(each for each, of in wanted if of in {"", extra}) for extra in sorted(extras)}
    return Release(
        tracked={name: (root / name).read_bytes() for name in names if (root / name).is_file()},
        uncommitted=tuple(line[3:] for line in changed),
        wheel=members,
        sdist=sdist_members(sdist),
        rebuilt=rebuilt,
        imports=_imports(members, closures),
        licences={name: licence(each) for needed in closures.values() for name, each in needed.items()},
        final=final,
    )


def wheel_members(file: Path) -> dict[str, bytes]:
    """Return the files of a wheel."""
    with zipfile.ZipFile(file) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def sdist_members(file: Path) -> dict[str, bytes]:
    """Return the files of an sdist, by their paths below its one folder."""
    with tarfile.open(fileobj=io.BytesIO(file.read_bytes())) as archive:
        opened = ((member.name, archive.extractfile(member)) for member in archive.getmembers())
        return {name.partition("/")[2]: content.read() for name, content in opened if content is not None}


def closure(requirements: Iterable[Requirement]) -> dict[str, Distribution]:
    """Return what these packages bring, as it is installed here: by name, with what each needs in turn."""
    found: dict[str, Distribution] = {}
    ahead = [(each, extra) for each in requirements for extra in {"", *each.extras}]
    seen: set[tuple[str, str]] = set()
    while ahead:
        each, extra = ahead.pop()
        name = canonicalize_name(each.name)
        if (name, extra) not in seen:
            seen.add((name, extra))
            found[name] = distribution(name)
            for text in found[name].requires or ():
                needed = Requirement(text)
                if needed.marker is None or needed.marker.evaluate({"extra": extra}):
                    ahead.extend((needed, more) for more in {"", *needed.extras})
    return found


def licence(package: Distribution) -> str:
    """Return what a package says its licence is, in a line; empty if it says nothing."""
    metadata = Parser().parsestr(package.read_text("METADATA") or "")
    classified = [text for text in metadata.get_all("Classifier", ()) if text.startswith("License ::")]
    said = metadata["License-Expression"] or "; ".join(classified) or metadata["License"] or ""
    return str(said).strip().partition("\n")[0]


def _requirements(metadata: bytes) -> list[tuple[Requirement, str]]:
    """Return what a package asks for here, each with the extra it is for."""
    message = Parser().parsestr(metadata.decode())
    extras = ["", *message.get_all("Provides-Extra", ())]
    found: list[tuple[Requirement, str]] = []
    for text in message.get_all("Requires-Dist", ()):
        each = Requirement(text)
        if canonicalize_name(each.name) != canonicalize_name(message["Name"]):
            of = [extra for extra in extras if each.marker is None or each.marker.evaluate({"extra": extra})]
            found.extend((each, extra) for extra in of[:1])
    return found


def _imports(
    wheel: Mapping[str, bytes], closures: Mapping[str, Mapping[str, Distribution]]
) -> dict[str, dict[str, str]]:
    """Import every module of a wheel where nothing else is but these packages; return what failed, by extra."""
    failed: dict[str, dict[str, str]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        ours = Path(scratch, "ours")
        for name, content in wheel.items():
            (ours / name).parent.mkdir(parents=True, exist_ok=True)
            (ours / name).write_bytes(content)
        for extra, packages in closures.items():
            theirs = Path(scratch, f"theirs-{extra}")
            theirs.mkdir()
            for name, place in _tops(packages.values()):
                (theirs / name).symlink_to(place)
            command = (sys.executable, "-I", "-S", "-c", _IMPORT_ALL, str(ours), str(theirs))
            answer = subprocess.run(command, check=True, capture_output=True, text=True, cwd=scratch)
            failed[extra] = json.loads(answer.stdout)
    return failed


def _tops(packages: Iterable[Distribution]) -> Iterator[tuple[str, Path]]:
    """Yield what packages put at the top of site-packages, by name."""
    tops = {
        file.parts[0]: Path(str(package.locate_file(file.parts[0]))).resolve()
        for package in packages
        for file in package.files or ()
        if ".." not in file.parts and "__pycache__" not in file.parts[:1]
    }
    yield from tops.items()


def _build(source: Path, output: Path, *options: str) -> None:
    command = (sys.executable, "-m", "build", "--no-isolation", "--outdir", str(output), *options, str(source))
    subprocess.run(command, check=True, stdout=subprocess.PIPE)


def _git(root: Path, *command: str) -> list[str]:
    answer = subprocess.run(("git", *command), check=True, cwd=root, capture_output=True, text=True)  # noqa: S607 - whichever git made the checkout
    return [line for line in answer.stdout.split("\0") if line]
