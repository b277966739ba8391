"""Writes requirements/*.txt: the exact versions that make installs, with the hashes of all their files.

What is locked stays as it is, unless pyproject.toml asks for another; `--upgrade` takes the newest of everything,
`--upgrade-package NAME` of one. No address of an index gets into the files, wherever this looks things up.
"""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
UV = str(Path(sys.executable).with_name("uv"))
#: One resolution for every platform, and for every Python from the oldest that pyproject.toml allows.
FOR_ALL = ("--universal", "--python-version", "3.11", "--no-python-downloads", "--generate-hashes")
WITHOUT_ADDRESSES = ("--no-emit-index-url", "--no-emit-find-links")
QUIET = ("--quiet", "--custom-compile-command", "make lock")


def lock(name: str, sources: tuple[str, ...], *options: str, lines: tuple[str, ...] = ()) -> None:
    """Write one lock, out of sources, of which ``-`` stands for the lines."""
    command = (UV, "pip", "compile", *sources, *FOR_ALL, *WITHOUT_ADDRESSES, *QUIET, *options)
    output = ("--output-file", f"requirements/{name}.txt")
    subprocess.run((*command, *output), check=True, cwd=ROOT, input="\n".join(lines), text=True, stdout=subprocess.PIPE)


def main() -> None:
    """Lock all that contributors need, then two parts of it at the same versions: the core, and what builds it."""
    backend = tuple(tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["build-system"]["requires"])
    lock("dev", ("pyproject.toml", "-"), "--all-extras", *sys.argv[1:], lines=backend)
    lock("core", ("pyproject.toml",), "--constraints", "requirements/dev.txt", "--no-annotate")
    lock("build", ("-",), "--constraints", "requirements/dev.txt", "--no-annotate", lines=backend)


if __name__ == "__main__":
    main()
