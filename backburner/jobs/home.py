"""What a job's code may ask of the engine it belongs to, wherever that code was called from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backburner.errors import NotRunning

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from backburner.jobs.client import Client

__all__ = ["Home"]


class Home:
    """One `Backburner`, seen from its jobs: the same object through all its lives."""

    __slots__ = ("client", "overrides", "state")

    def __init__(self) -> None:
        #: While it runs.
        self.client: Client | None = None
        #: What its ``lifespan=`` yielded.
        self.state: object = None
        #: What is opened in place of a dependency, by its factory.
        self.overrides: dict[Callable[..., Any], Callable[..., Any]] = {}

    @property
    def running(self) -> Client:
        """The client of the engine that runs; raises `NotRunning`."""
        if self.client is None:
            raise NotRunning
        return self.client
