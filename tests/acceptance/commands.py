"""An operator, who has the store's URL and none of the app's code."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from click.testing import CliRunner

from backburner.cli import main

__all__ = ["command", "told"]


async def command(url: str, *arguments: str) -> tuple[int, str, str]:
    """Run a command as another process would, on a loop of its own; return its exit code, output and errors."""

    def call() -> tuple[int, str, str]:
        answer = CliRunner().invoke(main, arguments, env={"BACKBURNER_URL": url}, catch_exceptions=False)
        return answer.exit_code, answer.stdout, answer.stderr

    return await asyncio.to_thread(call)


async def told(url: str, *arguments: str) -> list[Any]:
    """Run a command that goes well; return the objects that it writes as JSON."""
    code, out, err = await command(url, *arguments, "--json")
    assert code == 0, err
    return [json.loads(line) for line in out.splitlines()]
