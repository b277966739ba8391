"""Compare what a no-op job costs in machine instructions with another commit: `python bench/instructions.py cbaf107`.

Counted by valgrind (which has to be installed), so that whatever else the machine does matters little, and from after the
first jobs on, so that neither the start nor the imports count. Prints a line a store: the
instructions a job here, those there, and their ratio.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parents[1]
COUNTED = HERE / "bench" / "counted.py"
JOBS = 1_000
#: The least of so many counts: what goes by the clock, a beat or a look at the store, only ever adds to one.
ROUNDS = 3
_COUNT = re.compile(r"Collected : (\d+)")


def main() -> None:
    """Count here and there, and print both and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("commit", help="what to compare with")
    parser.add_argument("--store", action="append", choices=("memory", "sqlite"), help="one of them; both unless given")
    options = parser.parse_args()
    valgrind, git = (tool(name) for name in ("valgrind", "git"))
    with tempfile.TemporaryDirectory(prefix="instructions-") as directory:
        there = Path(directory)
        _unpack(git, options.commit, there)
        for store in options.store or ("memory", "sqlite"):
            now, before = (per_job(valgrind, checkout, store) for checkout in (HERE, there))
            print(
                f"{store}: {now:,.0f} instructions a job, {before:,.0f} at {options.commit}: ratio {now / before:.4f}"
            )


def tool(name: str) -> str:
    """Return where a program is, or end saying that it is missing."""
    return shutil.which(name) or sys.exit(f"{name} is not installed, and this needs it")


def _unpack(git: str, commit: str, directory: Path) -> None:
    """Write the package down as it was at a commit; the repository notes nothing."""
    archive = subprocess.run([git, "-C", HERE, "archive", commit, "backburner"], check=True, stdout=subprocess.PIPE)
    subprocess.run([tool("tar"), "-x", "-C", directory], check=True, input=archive.stdout)


def per_job(valgrind: str, checkout: Path, store: str, watched: str = "by-nobody") -> float:
    """Return the instructions of a no-op job, stored and run; ``watched`` as `counted.py` knows it."""
    # The first run compiles what it imports and keeps that; it is not counted.
    _run([], checkout, store, 1, watched)
    return min(_count(valgrind, checkout, store, watched) for _ in range(ROUNDS)) / JOBS


def _count(valgrind: str, checkout: Path, store: str, watched: str) -> int:
    counter = [valgrind, "--tool=callgrind", "--instr-atstart=no", "--callgrind-out-file=/dev/null"]
    told = _run(counter, checkout, store, JOBS, watched, tool("vgdb"))
    found = _COUNT.search(told)
    assert found is not None, told
    return int(found[1])


def _run(counter: list[str], checkout: Path, store: str, jobs: int, *watched: str) -> str:
    """Run the program on a checkout's package, in a new directory; return what was written to stderr."""
    fixed = {"PYTHONPATH": str(checkout), "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": ""}
    with tempfile.TemporaryDirectory(prefix="instructions-") as directory:
        done = subprocess.run(
            [*counter, sys.executable, COUNTED, store, str(jobs), *watched],
            cwd=directory,
            env=os.environ | fixed,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    if done.returncode:
        sys.exit(f"{checkout}: the program failed\n{done.stderr}")
    return done.stderr


if __name__ == "__main__":
    main()
