"""The two messages of the exchange, and the protocol number they travel under."""

from ipl_tui.packets.fields import SHORTEST_HEADER

PROTOCOL = 253
"""For experiments and testing (RFC 3692 §2.1)."""

CLIENT_MESSAGE = b"ClientMessage"
SERVER_RESPONSE = b"ServerResponse"


def is_client_message(packet: bytes) -> bool:
    """Whether an IPv4 packet, whatever its header says of its length, is a ClientMessage."""
    return len(packet) >= SHORTEST_HEADER and packet[9] == PROTOCOL and packet.endswith(CLIENT_MESSAGE)
