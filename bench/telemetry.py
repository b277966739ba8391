"""Compare what a no-op job costs watched and unwatched, in machine instructions: `python bench/telemetry.py`.

Counted by valgrind (which has to be installed). Prints a line for each store and each way to watch: the instructions a
job, and their ratio to those of a job that nobody watches.
"""

from __future__ import annotations

import argparse

from bench.instructions import HERE, per_job, tool

WATCHED = ("listener", "others", "prometheus", "tracing")


def main() -> None:
    """Count each way, and print its ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--store", action="append", choices=("memory", "sqlite"), help="one of them; both unless given")
    parser.add_argument("--watched", action="append", choices=WATCHED, help="one of the ways; all unless given")
    options = parser.parse_args()
    valgrind = tool("valgrind")
    for store in options.store or ("memory", "sqlite"):
        alone = per_job(valgrind, HERE, store)
        print(f"{store}, watched by nobody: {alone:,.0f} instructions a job", flush=True)
        for watched in options.watched or WATCHED:
            counted = per_job(valgrind, HERE, store, watched)
            print(f"{store}, {watched}: {counted:,.0f} instructions a job: ratio {counted / alone:.4f}", flush=True)


if __name__ == "__main__":
    main()
