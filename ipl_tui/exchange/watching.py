"""What comes of a packet that was sent: its frame in the capture, and the ICMP error about it."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address

from ipl_tui.capture.errors import CaptureError
from ipl_tui.capture.store import Store
from ipl_tui.packets.fields import SHORTEST_HEADER
from ipl_tui.packets.icmp import ERROR_TYPES
from ipl_tui.packets.link_layer import network_layer

MOST_FRAMES = 500
"""Frames that are looked at after sending: what has not come back among so many is lost in other traffic."""

ICMP, ICMP_HEADER = 1, 8
QUOTED = 8
"""Bytes of its payload that an error quotes at least (RFC 792)."""
UNSPECIFIED = bytes(4)


@dataclass(frozen=True)
class IcmpError:
    """An ICMP error about the packet."""

    source: str
    type: int
    code: int


class Watch:
    """Looks for one packet in what is captured after it was sent."""

    def __init__(self, store: Store, packet: bytes) -> None:
        """packet begins with its IPv4 header; it is about to be sent."""
        self.sent_as = 0
        """The number of its first frame, once that is captured."""
        self.error: IcmpError | None = None
        """The first ICMP error about it."""
        self._store = store
        self._packet = packet
        self._looked = len(store)
        self._last = self._looked + MOST_FRAMES

    def look(self) -> None:
        """Look at what has been captured since."""
        end = min(len(self._store), self._last)
        while self._looked < end and not (self.sent_as and self.error):
            self._looked += 1
            try:
                frame = self._store.frame(self._looked)
            except CaptureError:  # the file was changed below us; the list says so
                return
            linktype = self._store.interfaces[frame.interface].linktype
            self._see(frame.number, frame.data[network_layer(frame.data, linktype) :])

    def _see(self, number: int, packet: bytes) -> None:
        if len(packet) < SHORTEST_HEADER:
            return
        if not self.sent_as and (packet.startswith(self._packet) or is_same(self._packet, packet)):
            self.sent_as = number
        elif not self.error:
            self.error = error_about(self._packet, packet)


def error_about(packet: bytes, seen: bytes) -> IcmpError | None:
    """The ICMP error that `seen` is, if it quotes `packet`; both begin with their IPv4 header."""
    if len(seen) < SHORTEST_HEADER or seen[9] != ICMP:
        return None
    message = _payload(seen)
    quoted = message[ICMP_HEADER:]
    if len(quoted) < SHORTEST_HEADER or message[0] not in ERROR_TYPES or not is_same(packet, quoted, QUOTED):
        return None
    return IcmpError(str(IPv4Address(seen[12:16])), message[0], message[1])


def is_same(packet: bytes, seen: bytes, length: int | None = None) -> bool:
    """Whether `seen` is the packet, for all that a kernel may have written into its header: by protocol, addresses and
    so much of the payload (None: all of it)."""
    own, payload = _payload(packet), _payload(seen)
    end = len(own) if length is None else min(length, len(own))
    return (
        seen[9] == packet[9]
        and seen[16:20] == packet[16:20]
        and packet[12:16] in (UNSPECIFIED, seen[12:16])
        and payload[:end] == own[:end]
    )


def _payload(packet: bytes) -> bytes:
    return packet[4 * (packet[0] & 15) :]
