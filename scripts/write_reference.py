"""Writes the pages of docs/reference that are made of the code; `--check` only tells whether they are up to date."""

from __future__ import annotations

import sys
from pathlib import Path

from scripts.reference import commands, errors, settings, telemetry

FOLDER = Path(__file__).parents[1] / "docs" / "reference"
PAGES = {
    "command-line.md": commands.page,
    "errors.md": errors.page,
    "settings.md": settings.page,
    "telemetry.md": telemetry.page,
}


def main() -> int:
    """Write the pages, or compare."""
    stale = [name for name, page in PAGES.items() if not _is(FOLDER / name, page())]
    if "--check" not in sys.argv[1:]:
        for name in stale:
            (FOLDER / name).write_text(PAGES[name](), "utf-8")
        return 0
    for name in stale:
        print(
            f"docs/reference/{name} is not what the code says: run python scripts/write_reference.py", file=sys.stderr
        )
    return 1 if stale else 0


def _is(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text("utf-8") == text


if __name__ == "__main__":
    sys.exit(main())
