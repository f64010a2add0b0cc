"""Routes by which this machine's kernel sends packets."""

from __future__ import annotations

import socket
import sys
from contextlib import suppress
from ipaddress import IPv4Address

from ipl_tui.networks.interface import Route
from ipl_tui.networks.rtnetlink import Rtnetlink

DISCARD = 9
"""A UDP port; nothing is sent to it."""


def route_to(destination: str) -> Route | None:
    """The route to a dotted quad, in the network namespace of this thread; None where there is none."""
    if sys.platform == "linux":
        with suppress(OSError):  # a container's policy may forbid AF_NETLINK
            return ask_netlink(destination)
    return ask_socket(destination)


def loopback_name() -> str:
    """The name of the interface for packets to this machine itself."""
    from scapy.config import conf

    return str(conf.loopback_name)


def ask_netlink(destination: str) -> Route | None:
    """Route that rtnetlink(7) gives, by all tables and rules; it alone tells interfaces with the same address apart."""
    with Rtnetlink() as kernel:
        route = kernel.route(socket.inet_aton(destination))
    if route is None:
        return None
    router = socket.inet_ntoa(route.router) if route.router else ""
    return Route(socket.if_indextoname(route.link), socket.inet_ntoa(route.source), router)


def ask_socket(destination: str) -> Route | None:
    """The same for every system: the source address tells the interface, and its routes the router."""
    import psutil
    from scapy.arch import read_routes

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # Connecting a datagram socket sends nothing: the kernel looks the route up, by all its tables and rules.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            probe.connect((destination, DISCARD))
        except OSError:
            return None
        source = probe.getsockname()[0]
    if source == destination or IPv4Address(source).is_loopback:
        return Route(loopback_name(), source)
    names = [name for name, entries in psutil.net_if_addrs().items() if source in [entry.address for entry in entries]]
    routes = [
        (mask, -metric, name, gateway)
        for network, mask, gateway, name, _, metric in read_routes()
        if name in names and int(IPv4Address(destination)) & mask == network & mask
    ]
    if routes:
        *_, name, gateway = max(routes)
        return Route(name, source, "" if gateway == "0.0.0.0" else gateway)
    return Route(names[0], source) if names else None
