"""A worker process, as `backburner run` makes one."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Self

__all__ = ["Worker"]


class Worker:
    """A worker process under way; what it says on stderr is read line by line."""

    def __init__(self, directory: Path, *options: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "backburner", "run", "shop_app:bb", *options],
            cwd=directory,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        # Whatever hangs, in the worker or in what is read from it, ends with its death.
        self._last_resort = threading.Timer(60, self.process.kill)
        self._last_resort.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._last_resort.cancel()
        with self.process:
            self.process.kill()

    def hear(self, word: str) -> str:
        """Wait for the line that contains the word."""
        assert self.process.stderr is not None
        said: list[str] = []
        for line in self.process.stderr:
            said.append(line)
            if word in line:
                return line
        raise AssertionError(f"it ended without saying {word}: {''.join(said)}")

    def end(self) -> tuple[int, str, str]:
        """Wait for its end; return exit code and the rest of what it said."""
        out, err = self.process.communicate()
        return self.process.returncode, out, err
