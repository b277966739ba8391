"""A fresh interpreter, to see what a program loads."""

from __future__ import annotations

import os
import subprocess
import sys


def loaded_by(program: str) -> set[str]:
    """Run a program in a fresh interpreter and return the names of the modules it has loaded at its end."""
    # Coverage, started in the child, would load sqlite3 for itself.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    program = f"{program}\nimport sys\nprint()\nprint(*sys.modules)"
    child = subprocess.run([sys.executable, "-c", program], env=environment, check=True, capture_output=True, text=True)
    return set(child.stdout.splitlines()[-1].split())
