"""The examples as programs, started as their readers start them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Self

import httpx

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["EXAMPLES", "PATIENCE", "Program", "Site"]

EXAMPLES = Path(__file__).parents[2] / "examples"
#: Seconds after which whatever hangs is ended.
PATIENCE = 60


class Program:
    """A program under way: a command line, as a shell reads it. What it says, on either stream, is read line by line."""

    def __init__(self, command: str, cwd: Path, environ: Mapping[str, str] | None = None) -> None:
        programs = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        path = f"{EXAMPLES}:{EXAMPLES.parent}"
        self.process = subprocess.Popen(
            ["/bin/sh", "-c", f"exec env {command}"],
            cwd=cwd,
            env={**os.environ, "PATH": programs, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1", **(environ or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._last_resort = threading.Timer(PATIENCE, self.process.kill)
        self._last_resort.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._last_resort.cancel()
        # What has children of its own ends them, unless it hangs.
        self.process.terminate()
        try:
            self.process.communicate(timeout=PATIENCE / 4)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()

    def hear(self, words: str) -> str:
        """Wait for the line that contains the words."""
        assert self.process.stdout is not None
        said: list[str] = []
        for line in self.process.stdout:
            said.append(line)
            if words in line:
                return line
        raise AssertionError(f"it ended without saying {words!r}: {''.join(said)}")

    def stop(self) -> tuple[int, str]:
        """Tell it to stop, wait for its end; return exit code and the rest of what it said."""
        self.process.send_signal(signal.SIGTERM)
        return self.end()

    def end(self) -> tuple[int, str]:
        """Wait for its end; return exit code and the rest of what it said."""
        said, _ = self.process.communicate()
        return self.process.returncode, said


class Site(Program):
    """A web app under uvicorn, on a free port, with a browser at it."""

    def __init__(self, command: str, cwd: Path, environ: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{command} --port 0", cwd, environ)
        try:
            address = re.search(r"http://\S+", self.hear("Uvicorn running on"))
        except BaseException:
            self.__exit__()
            raise
        assert address is not None
        self.browser = httpx.Client(base_url=address[0], timeout=PATIENCE, trust_env=False)

    def __exit__(self, *_: object) -> None:
        if hasattr(self, "browser"):
            self.browser.close()
        super().__exit__()
