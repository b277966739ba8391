"""Which addresses webhooks may go to."""

from __future__ import annotations

import ipaddress

import pytest

from backburner.events.sinks.webhooks.addresses import refusal


@pytest.mark.parametrize(
    "address",
    [
        *("0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.100.100.200", "127.0.0.1"),  # noqa: S104 - refused
        *("127.255.255.254", "168.63.129.16", "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.192"),
        *("192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1", "198.51.100.7", "203.0.113.9", "224.0.0.1"),
        *("239.255.255.255", "240.0.0.1", "255.255.255.255"),
        *("::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::ffff:0:8.8.8.8", "64:ff9b::7f00:1"),
        *("64:ff9b:1::7f00:1", "100::1", "2001::1", "2001:db8::1", "2002:7f00:1::", "3fff::1", "5f00::1"),
        *("fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%lo", "fec0::1", "ff02::1", "ff0e::1", "8000::1"),
    ],
)
def test_what_is_not_of_the_public_internet_is_refused(address: str) -> None:
    """Private, loopback, link-local, multicast, reserved, shared, and IPv4 in the guise of IPv6."""
    assert refusal(address)


@pytest.mark.parametrize(
    "address",
    [
        *("1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255"),
        *("128.0.0.0", "169.253.255.255", "172.15.255.255", "172.32.0.0", "192.167.255.255", "223.255.255.255"),
        *("2606:4700:4700::1111", "2a00:1450::1", "2001:200::1", "2003::1", "3ffe::1"),
    ],
)
def test_what_is_public_may_be_sent_to(address: str) -> None:
    """Also right beside what may not."""
    assert refusal(address) is None


@pytest.mark.parametrize("network", ["0.0.0.0/0", "::/0"])
def test_whatever_python_knows_as_special_is_refused(network: str) -> None:
    """An address in each block of Python's own lists, which stand for the registries at IANA."""
    constants = ipaddress._IPv4Constants if "." in network else ipaddress._IPv6Constants  # type: ignore[attr-defined]
    exceptions = getattr(constants, "_private_networks_exceptions", [])
    for block in constants._private_networks:
        assert refusal(str(block[0])) or block[0] in exceptions
        assert refusal(str(block[-1])) or any(block[-1] in other for other in exceptions)


@pytest.mark.parametrize("text", ["2130706433", "0177.0.0.1", "0x7f.1", "127.1", "localhost", ""])
def test_other_forms_are_no_addresses(text: str) -> None:
    """A number, octal, hexadecimal, shortened, a name."""
    with pytest.raises(ValueError, match="does not appear to be"):
        refusal(text)
