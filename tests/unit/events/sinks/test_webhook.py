"""Webhooks, against a server on loopback."""

from __future__ import annotations

import asyncio
import base64
import gzip
import hashlib
import hmac
import json
import ssl
import traceback
from contextlib import nullcontext
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import httpx
import pytest

from backburner.errors import BackburnerError, CallRefused, DeliveryFailed, DeliveryRefused, InvalidOption, InvalidUrl
from backburner.events.sinks import extras
from backburner.events.sinks.webhook import webhook
from backburner.events.sinks.webhooks import poster
from backburner.model.clock import SECOND, instant
from backburner.resilience.retry import Verdict
from backburner.resilience.retry_after import retry_after
from backburner.testing.clock import FakeClock
from tests.servers.certificate import issue
from tests.unit.events.sinks.examples import SECRET, example, hook
from tests.unit.events.sinks.receiver import Receiver, Request, answer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence
    from pathlib import Path

    from backburner.events.sinks.webhooks.webhook import Webhook
    from tests.unit.events.sinks.receiver import Behaviour

OTHER = "whsec_fX3oS9vQm1rYkT7uHcWzP5aLd0eGjN8iBq2KxZsVtRw="
NOW = 1_750_000_000 * SECOND
#: Seconds in which what is to be out of time is.
SOON = 0.3


def verified(request: Request, secret: str) -> bool:
    """Tell whether a request is signed by a secret, by the text of Standard Webhooks alone."""
    headers = request.headers
    content = b".".join((headers["webhook-id"].encode(), headers["webhook-timestamp"].encode(), request.body))
    key = base64.b64decode(secret.split("_", 1)[1])
    wanted = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
    versions = (signature.split(",", 1) for signature in headers["webhook-signature"].split(" "))
    return any(version == "v1" and hmac.compare_digest(found, wanted) for version, found in versions)


class Names:
    """A resolver that says what a test tells it, answer by answer; the last one stays."""

    def __init__(self, *answers: Sequence[str] | OSError) -> None:
        self._answers = list(answers)
        self.asked: list[tuple[str, int]] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append((host, port))
        answer = self._answers[min(len(self.asked), len(self._answers)) - 1]
        if isinstance(answer, OSError):
            raise answer
        return answer


async def test_an_event_is_posted_as_a_signed_cloudevent() -> None:
    """All that the two standards ask for."""
    async with Receiver() as receiver:
        sink = hook(f"{receiver.url}?a=b%20c", clock=FakeClock(NOW), headers={"Authorization": "Bearer abc"})
        await sink.send(example())
        await sink.close()
    [request] = receiver.requests
    assert request.line == "POST /hook?a=b%20c HTTP/1.1"
    assert request.headers["host"] == f"127.0.0.1:{receiver.port}"
    assert request.headers["content-type"] == "application/cloudevents+json"
    assert request.headers["authorization"] == "Bearer abc"
    assert request.headers["webhook-id"] == "k3xq90ab-42"
    assert request.headers["webhook-timestamp"] == "1750000000"
    assert verified(request, SECRET)
    assert not verified(request, OTHER)
    assert json.loads(request.body) == {
        "specversion": "1.0",
        "id": "k3xq90ab-42",
        "source": "/backburner/k3xq90ab",
        "type": "order.paid",
        "subject": "order/42",
        "time": "2025-06-15T15:06:40.250000Z",
        "datacontenttype": "application/json",
        "sequence": "000000000000000042",
        "cursor": "k3xq90ab-42",
        "data": {"amount": 12.5, "who": "Ada Łovelace"},
    }


async def test_another_attempt_has_the_id_and_body_of_the_first_and_a_time_of_its_own() -> None:
    """So receivers can tell a repetition, and refuse what is old."""
    clock = FakeClock(NOW)
    async with Receiver() as receiver:
        sink = hook(receiver.url, clock=clock)
        await sink.send(example())
        clock.move(90.7)
        await sink.send(example())
        await sink.close()
    first, second = receiver.requests
    assert (first.headers["webhook-id"], first.body) == (second.headers["webhook-id"], second.body)
    assert second.headers["webhook-timestamp"] == "1750000090"
    assert verified(second, SECRET)


@pytest.mark.parametrize(
    ("id", "header"),
    [("order/42 ü", "order%2F42%20%C3%BC"), ("a.1", "a%2E1"), ("a%2E1", "a%252E1"), ("a\r\nb", "a%0D%0Ab")],
)
async def test_any_id_fits_a_header(id: str, header: str) -> None:
    """Escaped where it must be, and so that no two look the same."""
    async with Receiver() as receiver:
        sink = hook(receiver.url)
        await sink.send(example(id=id))
        await sink.close()
    [request] = receiver.requests
    assert request.headers["webhook-id"] == header
    assert verified(request, SECRET)
    assert json.loads(request.body)["id"] == id


async def test_a_secret_is_changed_without_a_gap() -> None:
    """Both sign while receivers know one or the other."""
    async with Receiver() as receiver:
        sink = hook(receiver.url, secret=[OTHER, SECRET])
        await sink.send(example())
        await sink.close()
    [request] = receiver.requests
    assert request.headers["webhook-signature"].count("v1,") == 2
    assert verified(request, SECRET)
    assert verified(request, OTHER)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
async def test_2xx_is_success(status: int) -> None:
    """Whatever its body says."""
    async with Receiver([answer(status, "" if status == 204 else "error")]) as receiver:
        sink = hook(receiver.url)
        await sink.send(example())
        await sink.close()


@pytest.mark.parametrize("status", [300, 304, 400, 401, 403, 404, 409, 410, 413, 422, 451])
async def test_what_would_be_answered_again_is_refused(status: int) -> None:
    """Its delivery is a dead letter."""
    async with Receiver([answer(status)]) as receiver:
        sink = hook(receiver.url)
        with pytest.raises(DeliveryRefused, match=rf"127\.0\.0\.1:\d+/\w{{8}} answered {status}") as refused:
            await sink.send(example())
        await sink.close()
    assert sink.retry.rule(type(refused.value)) is Verdict.REJECT


@pytest.mark.parametrize("status", [408, 425, 429, 500, 501, 502, 503, 504, 599])
async def test_what_passes_is_tried_again(status: int) -> None:
    """Later, by the one policy for deliveries."""
    async with Receiver([answer(status)]) as receiver:
        sink = hook(receiver.url)
        with pytest.raises(DeliveryFailed, match=f"answered {status}") as failed:
            await sink.send(example())
        await sink.close()
    assert sink.retry.rule(type(failed.value)) is Verdict.RETRY
    assert retry_after(failed.value, NOW) is None


@pytest.mark.parametrize(("told", "wait"), [("120", 120), ("Sun, 15 Jun 2025 15:07:40 GMT", 60)])
@pytest.mark.parametrize("status", [429, 503])
async def test_a_receiver_that_asks_for_time_has_it(status: int, told: str, wait: int) -> None:
    """In seconds, or until a moment."""
    async with Receiver([answer(status, Retry_After=told)]) as receiver:
        sink = hook(receiver.url)
        with pytest.raises(DeliveryFailed) as failed:
            await sink.send(example())
        await sink.close()
    assert retry_after(failed.value, instant(datetime(2025, 6, 15, 15, 6, 40, tzinfo=UTC))) == wait * SECOND
    assert sink.retry.rule(type(failed.value)) is Verdict.RETRY


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_not_followed(status: int) -> None:
    """The error says where they point, without what may be secret there."""
    async with Receiver() as target:
        location = f"http://user:pw@127.0.0.1:{target.port}/elsewhere?token=abc#part"
        async with Receiver([answer(status, Location=location)]) as receiver:
            sink = hook(receiver.url)
            with pytest.raises(DeliveryRefused) as refused:
                await sink.send(example())
            await sink.close()
    assert f"'http://127.0.0.1:{target.port}/elsewhere?***'" in str(refused.value)
    assert target.connections == 0


async def test_errors_show_the_beginning_of_an_answer_and_no_secret() -> None:
    """On one line, whatever was echoed."""
    echoed = (
        f"<h1>\x1b[31mNo</h1>\r\n {SECRET} {SECRET[6:]} Bearer abc123 abc123 /hook/hushhushhush tok-12345 {'x' * 300}"
    )
    async with Receiver([answer(400, echoed)]) as receiver:
        sink = hook(f"{receiver.url}/hushhushhush?key=tok-12345", headers={"X-Key": "Bearer abc123"})
        with pytest.raises(DeliveryRefused) as refused:
            await sink.send(example())
        await sink.close()
    _, _, shown = str(refused.value).partition(" answered 400 Bad Request: ")
    assert shown.startswith("<h1> [31mNo</h1> *** *** *** *** /hook/*** *** xxx")
    assert len(shown) == 200
    for secret in (SECRET[6:], "abc123", "hushhushhush", "tok-12345"):
        assert secret not in str(refused.value) + repr(sink) + sink.name


async def test_a_secret_that_is_cut_off_is_not_shown_either() -> None:
    """Where the end of what was read lies inside it."""
    async with Receiver([answer(500, f"you sent {SECRET}")]) as receiver:
        sink = hook(receiver.url, max_response=30)
        with pytest.raises(DeliveryFailed, match="answered 500") as failed:
            await sink.send(example())
        await sink.close()
    assert SECRET[:12] not in str(failed.value)


async def test_packed_answers_are_not_unpacked() -> None:
    """A small one may be large inside."""
    packed = gzip.compress(b"0" * 10_000_000)
    head = f"HTTP/1.1 500 No\r\nContent-Encoding: gzip\r\nContent-Length: {len(packed)}\r\n\r\n"
    async with Receiver([head.encode() + packed]) as receiver:
        sink = hook(receiver.url)
        with pytest.raises(DeliveryFailed, match=r"500 Internal Server Error$"):
            await sink.send(example())
        await sink.close()
    assert receiver.requests[0].headers["accept-encoding"] == "identity"


@pytest.mark.parametrize(("status", "failure"), [(200, None), (500, DeliveryFailed), (404, DeliveryRefused)])
async def test_an_endless_answer_is_cut(status: int, failure: type[BackburnerError] | None) -> None:
    """The status decides, and the connection is closed."""

    async def endless(writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 {status} Whatever\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        while True:
            writer.write(b"400\r\n" + b"x" * 1024 + b"\r\n")
            await writer.drain()

    async with Receiver([endless]) as receiver:
        sink = hook(receiver.url)
        await delivered(sink.send(example()), failure)
        await receiver.ended.wait()
        await sink.close()


@pytest.mark.parametrize(("status", "failure"), [(200, None), (503, DeliveryFailed)])
async def test_a_body_that_does_not_come_is_not_waited_for(
    status: int, failure: type[BackburnerError] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The status decides."""

    async def halting(writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 {status} Whatever\r\nContent-Length: 10\r\n\r\nabc".encode())

    monkeypatch.setattr(poster, "_BODY", SOON)
    async with Receiver([halting]) as receiver:
        sink = hook(receiver.url)
        await delivered(sink.send(example()), failure)
        await receiver.ended.wait()
        await sink.close()


async def nothing(_: asyncio.StreamWriter) -> None:
    """Do not answer."""


async def hints(writer: asyncio.StreamWriter) -> None:
    """Say for ever that the answer is to come."""
    while True:
        writer.write(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100)
        await writer.drain()


@pytest.mark.parametrize("slow", [nothing, hints], ids=["silent", "hinting"])
async def test_the_whole_takes_no_longer_than_it_may(slow: Behaviour) -> None:
    """However the time is spent."""
    async with Receiver([slow]) as receiver:
        sink = hook(receiver.url, timeout=SOON)
        with pytest.raises(DeliveryFailed, match="took longer than 300ms"):
            await sink.send(example())
        await receiver.ended.wait()
        await sink.close()


async def test_the_time_to_look_up_a_name_counts() -> None:
    """A resolver that does not answer."""

    async def forever(_: str, __: int) -> Sequence[str]:
        await asyncio.Event().wait()
        return ()

    sink = hook("https://hooks.test", timeout=SOON, resolve=forever)
    with pytest.raises(DeliveryFailed, match="took longer than 300ms"):
        await sink.send(example())


@pytest.mark.parametrize(
    "garbage",
    [b"", f"220 smtp {SECRET}\r\n".encode(), b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 200_000],
    ids=["hung up", "no HTTP", "endless header"],
)
async def test_what_is_no_answer_is_a_failure(garbage: bytes) -> None:
    """Tried again."""

    async def broken(writer: asyncio.StreamWriter) -> None:
        writer.write(garbage)
        writer.close()

    async with Receiver([broken]) as receiver:
        sink = hook(receiver.url)
        with pytest.raises(DeliveryFailed, match=r"/\w{8}: RemoteProtocolError|/\w{8}: ReadError") as failed:
            await sink.send(example())
        await sink.close()
    assert SECRET[6:] not in "".join(traceback.format_exception(failed.value))


async def test_nobody_there_is_a_failure() -> None:
    """Tried again."""
    async with Receiver() as receiver:
        pass
    sink = hook(receiver.url)
    with pytest.raises(DeliveryFailed, match="ConnectError"):
        await sink.send(example())
    await sink.close()


async def test_connections_are_kept_and_cookies_are_not() -> None:
    """And closing closes them; closing twice is fine, and so is sending afterwards."""
    async with Receiver([answer(200, "fine", Set_Cookie="a=b; Path=/")]) as receiver:
        sink = hook(receiver.url)
        await sink.close()
        await sink.send(example())
        await sink.send(example())
        assert receiver.connections == 1
        await sink.close()
        await receiver.ended.wait()
        await sink.close()
        await sink.send(example())
        assert receiver.connections == 2
        await sink.close()
    assert "cookie" not in receiver.requests[1].headers


def test_another_loop_is_fine_after_closing() -> None:
    """An engine may be entered again."""
    sinks: list[Webhook] = []

    async def once(port: int) -> int:
        async with Receiver(port=port) as receiver:
            if not sinks:
                sinks.append(hook(receiver.url))
            await sinks[0].send(example())
            await sinks[0].close()
            assert len(receiver.requests) == 1
            return receiver.port

    asyncio.run(once(asyncio.run(once(0))))


async def test_the_environment_names_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be asked to go where this may not."""
    async with Receiver() as proxy, Receiver() as receiver:
        for variable in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(variable, f"http://127.0.0.1:{proxy.port}")
        sink = hook(receiver.url)
        await sink.send(example())
        await sink.close()
        assert (proxy.connections, receiver.connections) == (0, 1)


@pytest.mark.parametrize(
    ("addresses", "why"),
    [
        (["127.0.0.1"], "loopback"),
        (["10.1.2.3"], "private"),
        (["169.254.169.254"], "link-local"),
        (["::1"], "loopback"),
        (["::ffff:127.0.0.1"], "another form"),
        (["64:ff9b::a9fe:a9fe"], "NAT64"),
        (["fe80::1%lo"], "link-local"),
        (["93.184.215.14", "127.0.0.1"], "127.0.0.1, which is loopback"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
async def test_a_name_that_leads_inside_is_refused(
    addresses: Sequence[str], why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anybody is connected to, even if only one of its addresses does."""
    sent = watch(monkeypatch)
    sink = hook("https://hooks.example.com/", allow_private=False, resolve=Names(addresses))
    with pytest.raises(DeliveryRefused, match=f"{why}.*allow_private=True"):
        await sink.send(example())
    await sink.close()
    assert sent == []


async def test_the_address_that_was_checked_is_the_one_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that changes in between changes nothing: it is looked up once a delivery, and each answer is checked."""
    sent = watch(monkeypatch)
    names = Names(["93.184.215.14"], ["127.0.0.1"])
    sink = hook("https://hooks.example.com:8443/a?b", allow_private=False, resolve=names)
    await sink.send(example())
    [request] = sent
    assert str(request.url) == "https://93.184.215.14:8443/a?b"
    assert request.headers["host"] == "hooks.example.com:8443"
    assert request.extensions["sni_hostname"] == "hooks.example.com"
    assert names.asked == [("hooks.example.com", 8443)]
    with pytest.raises(DeliveryRefused, match="loopback"):
        await sink.send(example())
    assert len(sent) == 1
    await sink.close()


async def test_the_next_address_is_tried_where_one_does_not_answer() -> None:
    """Nothing was sent to the first; they are all of one name."""
    async with Receiver() as receiver:
        sink = hook(f"http://hooks.test:{receiver.port}/", resolve=Names(["::1", "127.0.0.1"]))
        await sink.send(example())
        await sink.close()
    assert receiver.requests[0].headers["host"] == f"hooks.test:{receiver.port}"


@pytest.mark.parametrize("answer", [OSError(-2, "Name or service not known"), ()], ids=["unknown", "none"])
async def test_a_name_without_an_address_is_a_failure(answer: OSError | Sequence[str]) -> None:
    """It may have one later."""
    sink = hook("https://hooks.test/", resolve=Names(answer))
    with pytest.raises(DeliveryFailed, match=r"hooks\.test has no address"):
        await sink.send(example())


async def test_the_system_is_asked_for_names() -> None:
    """Where nobody else is named: localhost is refused, and with leave is reached."""
    async with Receiver() as receiver:
        url = f"http://localhost:{receiver.port}/"
        with pytest.raises(DeliveryRefused, match=r"localhost is at .* loopback"):
            await hook(url, allow_private=False).send(example())
        sink = hook(url)
        await sink.send(example())
        await sink.close()
    assert receiver.requests[0].headers["host"] == f"localhost:{receiver.port}"


async def test_certificates_are_asked_for_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Although an address is connected to."""
    certificate = issue(tmp_path)
    if certificate is None:
        pytest.skip("there is no openssl to make a certificate with")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate.chain, certificate.key)
    here = Names(["127.0.0.1"])
    async with Receiver(tls=tls) as receiver:
        stranger = hook(f"https://localhost:{receiver.port}/", resolve=here)
        with pytest.raises(DeliveryFailed, match="CERTIFICATE_VERIFY_FAILED"):
            await stranger.send(example())
        await stranger.close()
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate.chain))
        monkeypatch.setattr(poster, "trusted", httpx.create_ssl_context)
        for host in ("localhost", "127.0.0.1"):
            sink = hook(f"https://{host}:{receiver.port}/", resolve=here)
            await sink.send(example())
            await sink.close()
        other = hook(f"https://hooks.test:{receiver.port}/", resolve=here)
        with pytest.raises(DeliveryFailed, match=r"not valid for 'hooks\.test'"):
            await other.send(example())
        await other.close()
    assert len(receiver.requests) == 2


@pytest.mark.parametrize(
    ("headers", "why"),
    [
        ({"Webhook-Id": "1"}, "'Webhook-Id' is set by each delivery"),
        ({"Host": "other"}, "'Host' is set"),
        ({"Content-Length": "1"}, "is set"),
        ({"X Key": "1"}, "no header's name"),
        ({"": "1"}, "no header's name"),
        ({"X-Key": "hush\r\nHost: other"}, "visible ASCII"),
        ({"X-Key": "hush "}, "visible ASCII"),
        ({"X-Key": "hüsh"}, "visible ASCII"),
        ({"X-Key": ""}, "visible ASCII"),
        ({"X-Key": 1}, "visible ASCII"),
        ({"X-Key": "1", "x-key": "2"}, "there twice"),
    ],
    ids=lambda value: repr(value)[:60],
)
def test_headers_are_checked(headers: dict[str, str], why: str) -> None:
    """Ours cannot be changed, and no value begins another header; none is shown."""
    with pytest.raises(InvalidOption, match=why) as refused:
        hook("https://hooks.test/", headers=headers)
    assert refused.value.option == "headers"
    assert "hush" not in str(refused.value)


@pytest.mark.parametrize(
    ("options", "option"),
    [
        ({"timeout": 0}, "timeout"),
        ({"timeout": -1}, "timeout"),
        ({"max_response": 0}, "max_response"),
        ({"name": ""}, "name"),
        ({"secret": "hunter2"}, "secret"),
    ],
    ids=repr,
)
def test_options_are_checked(options: dict[str, object], option: str) -> None:
    """At the call."""
    with pytest.raises(InvalidOption) as refused:
        hook("https://hooks.test/", **options)
    assert refused.value.option == option


def test_urls_are_checked() -> None:
    """At the call: https, and the public internet."""
    with pytest.raises(InvalidUrl, match="allow_http=True"):
        webhook("http://hooks.test/", secret=SECRET)
    with pytest.raises(InvalidUrl, match="allow_private=True"):
        webhook("https://127.0.0.1/", secret=SECRET)


def test_what_it_goes_by() -> None:
    """A name that tells where it goes and no more; one breaker a host."""
    one = webhook("https://hooks.test/services/hush", secret=SECRET)
    other = webhook("https://hooks.test:8443/", secret=SECRET, name="billing", timeout=3)
    assert one.name == "webhook:hooks.test/0f091e06"
    assert repr(one) == "<sink webhook:hooks.test/0f091e06>"
    assert (other.name, other.timeout) == ("billing", 3.0)
    assert one.breaker == other.breaker == "webhook:hooks.test"
    long = webhook(f"https://{'a' * 60}.{'b' * 60}.{'c' * 60}/", secret=SECRET)
    assert len(long.name) == len(long.breaker) == 128


def test_without_its_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the call."""
    monkeypatch.setattr(extras, "find_spec", lambda _: None)
    with pytest.raises(CallRefused, match=r"pip install 'backburner\[webhook\]'"):
        webhook("https://hooks.test/", secret=SECRET)


async def delivered(sending: Awaitable[None], failure: type[BackburnerError] | None) -> None:
    """Await a delivery that fails so, or does not."""
    with nullcontext() if failure is None else pytest.raises(failure):
        await sending


def watch(monkeypatch: pytest.MonkeyPatch) -> list[httpx.Request]:
    """Answer in place of the network; return what would have been sent."""
    sent: list[httpx.Request] = []

    async def handle(_: httpx.AsyncHTTPTransport, request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(204, stream=httpx.ByteStream(b""))

    monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", handle)
    return sent
