"""Which addresses a webhook may go to: those of the public internet alone. Pure.

Named here, not asked of `ipaddress`, whose answers change with the patch version of Python. Source: the registries of
special addresses at IANA, as of 2025.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Network, ip_address

__all__ = ["refusal"]

_IPV4 = {
    "0.0.0.0/8": "of this network",
    "10.0.0.0/8": "private",
    "100.64.0.0/10": "private, behind a carrier's NAT",
    "127.0.0.0/8": "loopback",
    "168.63.129.16/32": "Azure's own, seen from its machines alone",
    "169.254.0.0/16": "link-local, where clouds keep metadata",
    "172.16.0.0/12": "private",
    "192.0.0.0/24": "reserved",
    "192.0.2.0/24": "for documentation",
    "192.88.99.0/24": "reserved, once of 6to4",
    "192.168.0.0/16": "private",
    "198.18.0.0/15": "for measuring networks",
    "198.51.100.0/24": "for documentation",
    "203.0.113.0/24": "for documentation",
    "224.0.0.0/4": "multicast",
    "240.0.0.0/4": "reserved",
}
#: The first that holds an address tells. All that is not global unicast is refused by the last.
_IPV6 = {
    "::/128": "of no host",
    "::1/128": "loopback",
    "::ffff:0:0/96": "IPv4 in another form",
    "64:ff9b::/96": "IPv4 behind a NAT64",
    "64:ff9b:1::/48": "IPv4 behind a NAT64",
    "fc00::/7": "private",
    "fe80::/10": "link-local",
    "fec0::/10": "private",
    "ff00::/8": "multicast",
    "2001::/23": "reserved",
    "2001:db8::/32": "for documentation",
    "2002::/16": "IPv4 behind a 6to4 relay",
    "3fff::/20": "for documentation",
    "::/3": "reserved",
    "4000::/2": "reserved",
    "8000::/1": "reserved",
}
_REFUSED4 = tuple((IPv4Network(network), why) for network, why in _IPV4.items())
_REFUSED6 = tuple((IPv6Network(network), why) for network, why in _IPV6.items())


def refusal(address: str) -> str | None:
    """Return why an address is none of the public internet, in words, or None for one that is.

    Raises `ValueError` for what is no address, or one in a form that was given up, such as ``0177.0.0.1``.
    """
    found = ip_address(address)
    if isinstance(found, IPv4Address):
        return next((why for network, why in _REFUSED4 if found in network), None)
    return next((why for network, why in _REFUSED6 if found in network), None)
