"""What the programs of the bench share: their options, and a report of a line a figure.

Figures are medians over rounds in which both sides take turns. A figure alone says little on another machine, its ratio
to the raw limit does: that is what goals are set for. These are programs to read, not tests to pass.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from bench.apart import hush
from bench.places import open_host
from bench.report import HEADING
from bench.stage import Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from bench.report import Line

__all__ = ["measure"]


def measure(description: str | None, measures: Mapping[str, Callable[[Stage], Iterator[Line]]]) -> None:
    """Measure what the command line asks for, and print a line a figure."""
    options = _options((description or "").partition("\n")[0], measures)
    hush()
    options.directory.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(dir=options.directory, prefix="bench-") as directory,
        open_host(options.store, Path(directory), options.url) as host,
    ):
        stage = Stage(store=options.store, host=host, rounds=options.rounds, scale=0.1 if options.quick else 1)
        print(_circumstances(stage))
        print(HEADING, flush=True)
        missed = [line for name in options.only or measures for line in _measured(measures[name](stage))]
    print(f"missed: {', '.join(missed)}" if missed else "every goal was reached")


def _measured(lines: Iterator[Line]) -> list[str]:
    """Print what a measure finds; return the names of the lines that missed their goal."""
    missed: list[str] = []
    for line in lines:
        print(line, flush=True)
        if line.verdict == "MISSED":
            missed.append(line.name.strip())
    return missed


def _circumstances(stage: Stage) -> str:
    return (
        f"{stage.store}: {stage.host.description}, Python {platform.python_version()}, {os.cpu_count()} cores, "
        f"{stage.rounds} rounds{'' if stage.scale == 1 else ', a tenth of every count'}"
    )


def _options(description: str, measures: Mapping[str, object]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--store", choices=("sqlite", "memory", "postgres", "redis"), default="sqlite")
    parser.add_argument("--url", help="a server of your own, for postgres and redis; otherwise one is started")
    parser.add_argument(
        "--only", action="append", choices=measures, metavar="NAME", help=f"one of: {', '.join(measures)}"
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
