"""Writes the texts anew: ``python -m tests.unit.cli.golden``; read the difference before you keep it."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.unit.cli.golden.collecting import FOLDER, collect

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        _found = collect(Path(folder))
    for _old in FOLDER.glob("*.txt"):
        _old.unlink()
    for _name, _text in _found.items():
        (FOLDER / f"{_name}.txt").write_text(_text, "utf-8")
