"""Which way this machine's kernel sends a packet."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from ipaddress import IPv4Address

DISCARD = 9
"""A UDP port; nothing is sent to it."""


@dataclass(frozen=True)
class Route:
    """What the kernel decides for a destination."""

    interface: str
    """The name of the interface that the packets leave by."""
    source: str
    """The dotted quad that they come from."""
    router: str = ""
    """Who takes them; nothing where they need no router."""


def route_to(destination: str) -> Route | None:
    """The route to a dotted quad, in the network namespace of this thread; None where there is none."""
    import psutil

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # Connecting a datagram socket sends nothing: the kernel looks the route up, by all its tables and rules.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            probe.connect((destination, DISCARD))
        except OSError:
            return None
        source = probe.getsockname()[0]
    names = [name for name, entries in psutil.net_if_addrs().items() if source in [entry.address for entry in entries]]
    if source == destination or IPv4Address(source).is_loopback:
        names = [loopback_name()]
    if not names:
        return None
    return Route(names[0], source, _router(IPv4Address(destination), names[0]))


def loopback_name() -> str:
    """The name of the interface for packets to this machine itself."""
    from scapy.config import conf

    return str(conf.loopback_name)


def _router(destination: IPv4Address, interface: str) -> str:
    from scapy.arch import read_routes

    routes = [
        (mask, -metric, gateway)
        for network, mask, gateway, name, _, metric in read_routes()
        if name == interface and int(destination) & mask == network & mask
    ]
    gateway = max(routes)[2] if routes else "0.0.0.0"
    return "" if gateway == "0.0.0.0" else gateway
