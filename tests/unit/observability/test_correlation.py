"""Correlation ids: from a request into its jobs."""

from __future__ import annotations

import logging
import subprocess
import sys
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
import structlog

from backburner.codec.payloads import canonical
from backburner.errors import InvalidOption
from backburner.model.job import Claim
from backburner.observability.correlation import (
    Correlation,
    CorrelationId,
    correlated,
    correlation_filter,
    correlation_id,
    uncorrelated,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, MutableMapping

AWS = "Root=1-67891233-abcdef012345678912345678;Parent=463ac35c9f6413ad;Sampled=1"


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    with structlog.contextvars.bound_contextvars():
        structlog.contextvars.clear_contextvars()
        yield
        structlog.contextvars.clear_contextvars()


def claim(headers: Mapping[str, str] | None) -> Claim:
    """Make the claim of a job that carries these."""
    return Claim(
        id="a1",
        kind="work",
        queue="default",
        args="{}",
        priority=5,
        attempt=1,
        failures=0,
        crashes=0,
        interruptions=0,
        token=1,
        timeout=None,
        retry=None,
        backoff=None,
        created_at=0,
        due_at=0,
        expires_at=None,
        claimed_at=0,
        headers=None if headers is None else canonical(dict(headers)).decode(),
    )


def test_outside_there_is_none() -> None:
    """Without a request there is no id, and jobs carry none."""
    assert correlation_id() is None
    assert Correlation().headers() == {}


def test_within_a_block() -> None:
    """A block has an id of its own, the one given or a new one, and gives back what was before."""
    with correlated("abc") as outer:
        assert (outer, correlation_id()) == ("abc", "abc")
        assert Correlation().headers() == {"correlation_id": "abc"}
        with correlated() as inner:
            assert correlation_id() == inner
            assert UUID(inner).version == 4
        assert correlation_id() == "abc"
    assert correlation_id() is None


def test_structlog_shows_it() -> None:
    """A block's id is in structlog's context, and whatever was there before comes back."""
    structlog.contextvars.bind_contextvars(correlation_id="the app's own")
    with correlated("abc"):
        assert structlog.contextvars.get_contextvars() == {"correlation_id": "abc"}
    assert structlog.contextvars.get_contextvars() == {"correlation_id": "the app's own"}


@pytest.mark.parametrize("bad", ["", "a b", "x" * 129, "é", "a\n", 'a"b', "\x00"])
def test_what_is_no_id_is_refused(bad: str) -> None:
    """An id is short and goes into any log and header as it is."""
    with pytest.raises(InvalidOption, match="is no correlation id") as caught, correlated(bad):
        pass
    assert caught.value.option == "id"


def test_what_the_app_has_bound_counts() -> None:
    """An id that the app keeps in structlog's context is taken: its correlation id rather than its request id."""
    structlog.contextvars.bind_contextvars(request_id="r1")
    assert correlation_id() == "r1"
    structlog.contextvars.bind_contextvars(correlation_id=UUID(int=7))
    assert Correlation().headers() == {"correlation_id": "00000000-0000-0000-0000-000000000007"}
    with correlated("abc"):
        assert correlation_id() == "abc"


@pytest.mark.parametrize("bound", ["two words", "x" * 129, 17, None])
def test_what_is_unfit_stays_where_it_is(bound: object) -> None:
    """Something else under that name does not travel, and refuses no job."""
    structlog.contextvars.bind_contextvars(request_id=bound)
    assert correlation_id() is None


def test_a_run_has_the_id_of_its_job() -> None:
    """It is there for the job's code, its logs and the jobs it stores, and nowhere afterwards."""
    with Correlation().carrying(claim({"correlation_id": "abc", "other": "x"})):
        assert correlation_id() == "abc"
        assert structlog.contextvars.get_contextvars() == {"correlation_id": "abc"}
        assert Correlation().headers() == {"correlation_id": "abc"}
    assert correlation_id() is None
    assert structlog.contextvars.get_contextvars() == {}


@pytest.mark.parametrize("headers", [{}, {"tenant": "correlation_id"}, {"correlation_id": "two words"}])
def test_a_run_without_an_id_costs_nothing(headers: dict[str, str]) -> None:
    """A job that carries none runs as if nobody watched."""
    assert isinstance(Correlation().carrying(claim(headers)), nullcontext)


def test_a_run_has_not_the_id_of_who_started_the_engine() -> None:
    """What is made under no id does not run everybody's jobs under that of the request it was made in."""
    with correlated("startup"):
        with uncorrelated():
            assert correlation_id() is None
            assert Correlation().headers() == {}
        assert correlation_id() == "startup"


def test_the_stdlib_shows_it(caplog: pytest.LogCaptureFixture) -> None:
    """A handler with the filter has it in each record, for its format."""
    caplog.handler.addFilter(correlation_filter)
    try:
        with correlated("abc"):
            logging.getLogger("app").warning("within")
        logging.getLogger("app").warning("outside")
    finally:
        caplog.handler.removeFilter(correlation_filter)
    assert [record.__dict__["correlation_id"] for record in caplog.records] == ["abc", "-"]


def test_it_does_not_import_structlog() -> None:
    """An app that logs by the stdlib does not pay for structlog."""
    code = (
        "import sys\n"
        "from backburner.observability.correlation import correlated, correlation_id\n"
        "with correlated('abc'):\n"
        "    print(correlation_id(), 'structlog' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "abc False\n"


# ---- the middleware -----------------------------------------------------------------------------------------------


class App:
    """Answers what the id was."""

    def __init__(self, *headers: tuple[bytes, bytes]) -> None:
        self.seen: list[str | None] = []
        self._headers = headers

    async def __call__(self, scope: MutableMapping[str, Any], _receive: object, send: Any) -> None:  # noqa: ANN401 - ASGI's
        self.seen.append(correlation_id())
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": self._headers})
            await send({"type": "http.response.body"})
        elif scope["type"] == "websocket":
            await send({"type": "websocket.accept"})


async def serve(
    app: CorrelationId,
    *headers: tuple[bytes, bytes],
    type: str = "http",  # noqa: A002 - ASGI's word
) -> list[tuple[bytes, bytes]]:
    """Serve a request; return the headers of the answer."""
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> MutableMapping[str, Any]:
        raise AssertionError

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    await app({"type": type, "headers": list(headers)}, receive, send)
    assert correlation_id() is None
    return [header for message in sent for header in message.get("headers", ())]


@pytest.mark.parametrize("type", ["http", "websocket"])
@pytest.mark.parametrize("given", ["abc", "01JD8Z", "a" * 128, AWS])
async def test_it_takes_what_the_client_sent(type: str, given: str) -> None:  # noqa: A002
    """An id from the client is the request's, and is answered."""
    app = App()
    answered = await serve(CorrelationId(app), (b"X-Request-ID", given.encode()), type=type)
    assert app.seen == [given]
    assert answered == [(b"x-request-id", given.encode())]


@pytest.mark.parametrize(
    "given",
    [(), (b"",), (b"two words",), (b"x" * 129,), (b"\xe9",), (b"a\x1b[31m",), (b"one", b"two")],
    ids=["none", "empty", "two words", "too long", "not ASCII", "control characters", "two of them"],
)
async def test_it_makes_one_otherwise(given: tuple[bytes, ...]) -> None:
    """What is missing, ambiguous or unfit is replaced by a new id."""
    app = App((b"content-type", b"text/plain"))
    answered = await serve(CorrelationId(app), *((b"x-request-id", each) for each in given))
    (seen,) = app.seen
    assert seen is not None
    assert UUID(seen).version == 4
    assert answered == [(b"content-type", b"text/plain"), (b"x-request-id", seen.encode())]


async def test_another_header() -> None:
    """The header's name is the app's choice."""
    app = App()
    answered = await serve(CorrelationId(app, header="X-Correlation-ID"), (b"x-correlation-id", b"abc"))
    assert app.seen == ["abc"]
    assert answered == [(b"x-correlation-id", b"abc")]


async def test_what_the_app_answers_stays() -> None:
    """A response that has the header already keeps it."""
    answered = await serve(CorrelationId(App((b"X-Request-Id", b"mine"))), (b"x-request-id", b"abc"))
    assert answered == [(b"X-Request-Id", b"mine")]


async def test_a_lifespan_has_no_id() -> None:
    """What is no request passes through."""
    app = App()
    await serve(CorrelationId(app), type="lifespan")
    assert app.seen == [None]


def test_a_header_that_is_none_is_refused() -> None:
    """A name that no header can have is refused where it is given."""
    with pytest.raises(InvalidOption, match="is no name of a header"):
        CorrelationId(App(), header="request id")
