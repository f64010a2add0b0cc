"""Reasons why a packet is not sent: the sentences that all networks say alike."""

from __future__ import annotations

from ipaddress import IPv4Address

from ipl_tui.packets.ipv4 import SHORTEST_HEADER
from ipl_tui.packets.text import counted


def no_header(length: int) -> str:
    """It is too short to be sent."""
    return f"A packet begins with a header of {SHORTEST_HEADER} bytes; this one has {counted(length, 'byte')}."


def longer_than_link(length: int, name: str, mtu: int) -> str:
    return f"The packet has {length:,} bytes and {name} takes {mtu:,} at most (its MTU)."


def longer_than_path(length: int, destination: IPv4Address) -> str:
    return f"The packet has {length:,} bytes, more than a router towards {destination} said it takes."


def impossible_header(header: int, length: int) -> str:
    """A raw socket takes no header of so many bytes in a packet of that length (EINVAL)."""
    says = f"IHL says {header} bytes, the packet has {length}" if header >= SHORTEST_HEADER else "IHL is below 5"
    return f"The kernel refuses this header ({says}); exact sends it as it is."


def own_address(destination: IPv4Address, owner: str) -> str:
    """A frame is for somebody else; owner is whose interface it is: "this machine", "the router"."""
    return f"{destination} is {owner}'s own address and no frame reaches it: kernel delivers it."


def no_route(destination: IPv4Address, name: str, remedy: str = "send from another interface") -> str:
    return f"No route to {destination} on {name}: {remedy}."


def no_neighbour(hop: IPv4Address | None, name: str) -> str:
    return f"Nobody at {hop} answered ARP on {name}."
