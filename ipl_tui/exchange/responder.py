"""The responder's choice of packets to answer."""

from __future__ import annotations

from ipaddress import IPv4Address

from ipl_tui.networks.interface import Interface
from ipl_tui.packets.ipv4 import payload_of
from ipl_tui.packets.messages import CLIENT_MESSAGE, PROTOCOL


def would_answer(place: Interface, packet: bytes) -> bool:
    """True if a responder at an interface answers an IPv4 packet, as far as its payload and its destination tell."""
    from ipl_tui.exchange.engine import ServerConfig  # which the first screen does without

    asked = packet[9] == PROTOCOL and payload_of(packet) == CLIENT_MESSAGE
    return asked and ServerConfig(place).is_for_us(str(IPv4Address(packet[16:20])))
