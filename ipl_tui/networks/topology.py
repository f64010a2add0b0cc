"""The topology that the simulated network and the sandbox share, the plan: three hosts and the two links between them.

client c0 10.0.1.10/24 ── r0 10.0.1.1 [router] r1 10.0.2.1 ── s0 10.0.2.20/24 server
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface

SMALLEST_MTU, LARGEST_MTU = 68, 65_535
"""Bytes: every link passes 68 (RFC 791 §3.2), and no IPv4 packet is longer than 65,535."""


@dataclass(frozen=True)
class Port:
    """A host's connection to a link."""

    host: str
    name: str
    address: IPv4Interface

    @property
    def hardware_address(self) -> bytes:
        """Locally administered (IEEE 802), and made of the IPv4 address, so that one is recognised by the other."""
        return b"\x02\x00" + self.address.ip.packed


@dataclass(frozen=True)
class Host:
    """A computer: what it is connected to, and where it sends what is for no network of its own."""

    name: str
    ports: tuple[Port, ...]
    gateway: IPv4Address | None
    """The next hop for all that is not on its own links; without one there is no route."""
    forwards: bool
    """True if it passes on what is for others: a router."""


@dataclass(frozen=True)
class Link:
    """A cable between two ports, and how it treats packets, in either direction."""

    ends: tuple[str, str]
    """The names of the two ports."""
    mtu: int = 1500
    """The longest IP packet it takes, in bytes."""
    latency: float | None = 0.0
    """Seconds from one end to the other; None where it cannot be set."""
    loss: float | None = 0.0
    """The part of the frames that never arrive, 0 to 1; None where it cannot be set."""

    @property
    def name(self) -> str:
        return "-".join(self.ends)


_C0 = Port("client", "c0", IPv4Interface("10.0.1.10/24"))
_R0 = Port("router", "r0", IPv4Interface("10.0.1.1/24"))
_R1 = Port("router", "r1", IPv4Interface("10.0.2.1/24"))
_S0 = Port("server", "s0", IPv4Interface("10.0.2.20/24"))

HOSTS = (
    Host("client", (_C0,), _R0.address.ip, forwards=False),
    Host("router", (_R0, _R1), None, forwards=True),
    Host("server", (_S0,), _R1.address.ip, forwards=False),
)

LINKS = (Link(("c0", "r0")), Link(("r1", "s0"), mtu=576))
"""The second link is the narrower: 576 bytes, what every host must be able to receive (RFC 791 §3.1), so that the
router has something to fragment."""

PATH = (_C0, _R0, _R1, _S0)
"""The ports in the order in which a packet from the client to the server passes them."""

SERVER = _S0
"""Host of the responder."""


def default_destination(port: Port) -> str:
    """The address a new draft from this port goes to: the other end, or the end that is on the router's link."""
    return str((_C0 if port in (_R0, _S0) else _S0).address.ip)
