"""Effects of a frame, a packet or the time at a simulated host, for its owner to carry out in order."""

from __future__ import annotations

from dataclasses import dataclass

from ipl_tui.networks.topology import Host, Port


@dataclass(frozen=True, slots=True)
class Transmit:
    """Put this Ethernet frame on that port's link."""

    port: Port
    frame: bytes


@dataclass(frozen=True, slots=True)
class Deliver:
    """A whole IPv4 packet (reassembled, without padding) for the sockets that listen to its protocol number."""

    packet: bytes
    port: Port
    """Ingress port; for what the host sends to itself, the port that has the address, or "lo"."""


@dataclass(frozen=True, slots=True)
class Discard:
    """A packet goes no further."""

    reason: str
    """One sentence for a student: the host, the cause, the RFC section."""
    port: Port | None
    """Ingress port; None for what the host itself sent."""
    received: float = 0.0
    """The `now` of its arrival or sending: what waits for ARP or for fragments is discarded seconds later."""


@dataclass(frozen=True, slots=True)
class Sent:
    """The packet given with this ticket was put on the link: its Transmit comes just before."""

    ticket: int


@dataclass(frozen=True, slots=True)
class Unreachable:
    """The packet given with this ticket is not sent: nobody answered ARP for its next hop."""

    ticket: int


Effect = Transmit | Deliver | Discard | Sent | Unreachable


@dataclass(frozen=True, slots=True)
class ToItself:
    """A packet that a host sends arrives at the host itself. Never leaves it: the stack carries this out."""

    packet: bytes
    port: Port
    """Ingress port."""
    alone: bool = True
    """True if it is for this host alone; else it went to others, too."""


Outcome = Effect | ToItself
"""Effect of a part of a host, as its parts tell each other."""


def discard(host: Host, cause: str, port: Port | None, received: float) -> Discard:
    """`cause` ends the sentence "The client discards it: ...", without the full stop."""
    return Discard(f"The {host.name} discards it: {cause}.", port, received)
