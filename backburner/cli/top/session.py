"""A live view under way: what is typed and what is read comes in, and is drawn."""

from __future__ import annotations

import asyncio
import io
from contextlib import redirect_stderr
from dataclasses import replace
from functools import partial
from random import Random
from typing import TYPE_CHECKING

from backburner.cli.controls import controls
from backburner.cli.render import note
from backburner.cli.top.acting import carry_out
from backburner.cli.top.draw import draw
from backburner.cli.top.glance import Glance
from backburner.cli.top.keys import Keys
from backburner.cli.top.state import Model, failed, press, saw, told
from backburner.cli.top.terminal import Terminal
from backburner.errors import BackburnerError
from backburner.model.clock import SECOND, SystemClock, pause
from backburner.model.duration import about
from backburner.resilience.backoff import exponential

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from backburner.cli.top.state import Act

__all__ = ["Session"]

#: Between two tries to read a store that is away.
_BACKOFF = exponential(1, factor=2, cap=30)


class Session:
    """Draws whenever something has changed. Whatever comes, comes by one inbox: a change of the model."""

    def __init__(self, url: str | None, *, by: str | None, every: float) -> None:
        self._url = url
        self._by = by
        self._every = every
        self._clock = SystemClock()
        self._random = Random()  # noqa: S311 - spreads tries over time
        self._keys = Keys()
        self._model = Model()
        self._inbox: asyncio.Queue[Callable[[Model], Model]] = asyncio.Queue()
        self._thawed = asyncio.Event()
        self._tasks = set[asyncio.Task[None]]()
        #: Those of them that do what a person asked for.
        self._acts = set[asyncio.Task[None]]()
        self._left = False

    async def run(self) -> int:
        """Show the store until a person, or a signal, ends that; return which signal, 0 where it was a person.

        Raises what the store raises if it cannot be read at once.
        """
        ended = 0

        def end(by: int) -> None:
            nonlocal ended
            ended = by
            self._redraw()

        async with controls(self._url):
            # Where there is nothing to be seen, that is said as by any command.
            pass
        try:
            with (
                redirect_stderr(_Heard(self._say)),
                Terminal(typed=self._typed, resized=self._redraw, ended=end) as terminal,
            ):
                self._start(self._read())
                while not (self._model.ended or ended):
                    terminal.show(draw(self._model, *terminal.size))
                    self._model = (await self._inbox.get())(self._model)
                    # What has come meanwhile is drawn with it: a draw of very many queues takes longer than a key.
                    while not (self._model.ended or self._inbox.empty()):
                        self._model = self._inbox.get_nowait()(self._model)
                    if not self._model.frozen:
                        self._thawed.set()
        finally:
            # The person has their terminal back meanwhile: a read under way is awaited, and what they have asked for.
            self._left = True
            await self._stop()
        return ended

    def _typed(self, data: bytes) -> None:
        if not data:
            self._inbox.put_nowait(_closed)
        for key in self._keys.feed(data):
            self._inbox.put_nowait(partial(self._press, key=key))

    def _redraw(self) -> None:
        self._inbox.put_nowait(lambda model: model)

    def _press(self, model: Model, key: str) -> Model:
        model, act = press(model, key)
        if act is not None:
            self._start(self._carry_out(act), asked=True)
        return model

    async def _carry_out(self, act: Act) -> None:
        became = await carry_out(act, self._url, self._by)
        if self._left:
            note(became)
        else:
            self._say(became)

    def _say(self, text: str) -> None:
        self._inbox.put_nowait(partial(told, text=text))

    async def _read(self) -> None:
        """Read for as long as the view is there; a store that went away is opened anew, later and later."""
        failures = 0
        while True:
            try:
                async with controls(self._url) as opened:
                    glance = Glance(opened, every=self._every, clock=self._clock)
                    while True:
                        seen = await glance.take()
                        failures = 0
                        self._inbox.put_nowait(partial(saw, seen=seen))
                        await pause(self._clock, self._every)
                        await self._thaw()
            except (BackburnerError, OSError) as error:
                failures += 1
                delay = _BACKOFF.delay(failures, random=self._random)
                why = f"cannot be read, next try in {about(delay - delay % SECOND or SECOND)}: {error}"
                self._inbox.put_nowait(partial(failed, why=why))
                await pause(self._clock, delay / SECOND)

    async def _thaw(self) -> None:
        if self._model.frozen:
            self._thawed.clear()
            await self._thawed.wait()

    def _start(self, work: Coroutine[None, None, None], *, asked: bool = False) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        if asked:
            self._acts.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        """Have what nobody expected end the view, with its traceback once the terminal is as it was."""
        self._tasks.discard(task)
        self._acts.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:

            def broken(_: Model) -> Model:
                raise error

            self._inbox.put_nowait(broken)

    async def _stop(self) -> None:
        tasks = [*self._tasks]
        for task in self._tasks - self._acts:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class _Heard(io.TextIOBase):
    """Takes the place of stderr: what is written there would tear the screen."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say

    def write(self, text: str, /) -> int:
        """Have the view say it."""
        if text.strip():
            self._say(text.strip())
        return len(text)


def _closed(model: Model) -> Model:
    """End: whoever could be asked is not there any more."""
    return replace(model, asking=None, ended=True)
