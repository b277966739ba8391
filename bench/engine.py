"""Measure the engine beside the raw limit of its store, in the same run: `python bench/engine.py --store sqlite`.

Figures are medians over rounds in which both sides take turns. A figure alone says little on another machine, its ratio
to the raw limit does: that is what goals are set for. This is a program to read, not a test to pass.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
from pathlib import Path

from bench.apart import hush
from bench.measures import MEASURES
from bench.places import open_host
from bench.report import HEADING
from bench.stage import Stage


def main() -> None:
    """Measure what the command line asks for, and print a line a figure."""
    options = _options()
    hush()
    options.directory.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(dir=options.directory, prefix="bench-") as directory,
        open_host(options.store, Path(directory), options.url) as host,
    ):
        stage = Stage(store=options.store, host=host, rounds=options.rounds, scale=0.1 if options.quick else 1)
        print(_circumstances(stage))
        print(HEADING, flush=True)
        missed = [line for name in options.only or MEASURES for line in _measure(name, stage)]
    print(f"missed: {', '.join(missed)}" if missed else "every goal was reached")


def _measure(name: str, stage: Stage) -> list[str]:
    """Print what a measure finds; return the names of the lines that missed their goal."""
    missed: list[str] = []
    for line in MEASURES[name](stage):
        print(line, flush=True)
        if line.verdict == "MISSED":
            missed.append(line.name.strip())
    return missed


def _circumstances(stage: Stage) -> str:
    return (
        f"{stage.store}: {stage.host.description}, Python {platform.python_version()}, {os.cpu_count()} cores, "
        f"{stage.rounds} rounds{'' if stage.scale == 1 else ', a tenth of every count'}"
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--store", choices=("sqlite", "memory", "postgres", "redis"), default="sqlite")
    parser.add_argument("--url", help="a server of your own, for postgres and redis; otherwise one is started")
    parser.add_argument(
        "--only", action="append", choices=MEASURES, metavar="NAME", help=f"one of: {', '.join(MEASURES)}"
    )
    parser.add_argument("--rounds", type=int, default=5, help="how often both sides take turns")
    parser.add_argument("--quick", action="store_true", help="a tenth of every count: shows that it works, no more")
    parser.add_argument(
        "--directory",
        type=Path,
        default=Path(__file__).parents[1] / "build",
        help="where files of SQLite lie: on a real disk, or commits cost nothing",
    )
    options = parser.parse_args()
    if options.url is not None and options.store not in {"postgres", "redis"}:
        parser.error(f"--url names a server, and {options.store} has none")
    return options


if __name__ == "__main__":
    main()
