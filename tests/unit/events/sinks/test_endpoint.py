"""The URLs of webhooks."""

from __future__ import annotations

import pytest

from backburner.errors import InvalidUrl
from backburner.events.sinks.webhooks.endpoint import endpoint_of


@pytest.mark.parametrize(
    ("url", "host", "port", "authority"),
    [
        ("https://hooks.example.com/a/b?c=d", "hooks.example.com", 443, "hooks.example.com"),
        ("https://Hooks.Example.COM.:8443/", "hooks.example.com.", 8443, "hooks.example.com.:8443"),
        ("https://hooks.example.com:443", "hooks.example.com", 443, "hooks.example.com"),
        ("https://bücher.example/ü", "xn--bcher-kva.example", 443, "xn--bcher-kva.example"),
        ("https://8.8.8.8/", "8.8.8.8", 443, "8.8.8.8"),
        ("https://[2606:4700:4700::1111]:8443/", "2606:4700:4700::1111", 8443, "[2606:4700:4700::1111]:8443"),
        ("https://my_service.internal", "my_service.internal", 443, "my_service.internal"),
    ],
)
def test_what_may_be_sent_to(url: str, host: str, port: int, authority: str) -> None:
    """Names in any script, addresses, ports."""
    found = endpoint_of(url, allow_http=False, allow_private=False)
    assert (found.host, found.port, found.authority) == (host, port, authority)


@pytest.mark.parametrize(
    ("url", "mend"),
    [
        ("http://hooks.example.com/", "allow_http=True"),
        ("ftp://hooks.example.com/", "must be https"),
        ("hooks.example.com/secretpath", "must be https"),
        ("", "must be https"),
        ("https:///secretpath", "names no host"),
        ("https://user:secretpath@hooks.example.com/", 'headers={"Authorization": …}'),
        ("https://hooks.example.com\\@169.254.169.254/", "user and a password"),
        ("https://hooks.example.com/#secretpath", "fragment"),
        ("https://hooks.example.com:0/", "0 is no port"),
        ("https://hooks.example.com:70000/", "70000 is no port"),
        ("https://hooks.example.com:x/", "no URL"),
        ("https://hooks example.com/", "is no name"),
        ("https://hooks.example.com%00/", "is no name"),
        ("https://hooks..example.com/", "is no name"),
        ("https://-hooks.example.com/", "is no name"),
        (f"https://{'a' * 64}.example.com/", "is no name"),
        (f"https://{'a.' * 127}com/", "is no name"),
        ("https://hooks.example.com/\nsecretpath", "no URL"),
        ("https://2130706433/", "not all read alike"),
        ("https://0x7f000001/", "not all read alike"),
        ("https://127.1/", "not all read alike"),
        ("https://0x7f.0.0.1/", "not all read alike"),
        ("https://127.0.0.1./", "not all read alike"),
        ("https://0177.0.0.1/", "no URL"),
        ("https://127.0.0.1/", "loopback.*allow_private=True"),
        ("https://169.254.169.254/latest/meta-data/", "link-local.*allow_private=True"),
        ("https://[::1]/", "loopback"),
        ("https://[::ffff:127.0.0.1]/", "another form"),
        ("https://[64:ff9b::7f00:1]/", "NAT64"),
        ("https://[fe80::1%25lo]/", "zone|no URL|not all read alike"),
        (None, "no URL"),
    ],
    ids=lambda value: repr(value)[:60],
)
def test_what_may_not_be_sent_to_is_refused_at_once(url: str, mend: str) -> None:
    """With how to mend it, and nothing that might be secret."""
    with pytest.raises(InvalidUrl, match=mend) as refused:
        endpoint_of(url, allow_http=False, allow_private=False)
    assert "secretpath" not in str(refused.value)


def test_what_was_asked_for_is_allowed() -> None:
    """Plain http, and this machine."""
    found = endpoint_of("http://127.0.0.1:8000/", allow_http=True, allow_private=True)
    assert (found.host, found.port, found.authority) == ("127.0.0.1", 8000, "127.0.0.1:8000")
    assert endpoint_of("http://localhost/", allow_http=True, allow_private=True).port == 80


def test_paths_and_queries_are_not_shown() -> None:
    """They are told apart by a hash, the same in every process."""
    one = endpoint_of("https://hooks.example.com/services/T00000000/XXXXXXXXXX", allow_http=False, allow_private=False)
    other = endpoint_of(
        "https://hooks.example.com/services/T00000000/YYYYYYYYYY", allow_http=False, allow_private=False
    )
    assert one.shown == "https://hooks.example.com/e1d17916"
    assert one.shown != other.shown
    assert "XXXXXXXXXX" not in repr(one)
