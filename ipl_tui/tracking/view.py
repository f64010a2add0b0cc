"""View of a capture on what comes back for a packet: its filter may leave that out."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address

from ipl_tui.capture.filters import FilterError, compile_filter
from ipl_tui.packets.craft import Draft, craft
from ipl_tui.packets.icmp import ICMP_HEADER
from ipl_tui.packets.ipv4 import ICMP, header_length, payload_of, without_padding
from ipl_tui.packets.link_layer import link_header
from ipl_tui.packets.messages import SERVER_RESPONSE
from ipl_tui.tracking.matching import QUOTED

DESTINATION_UNREACHABLE, PROTOCOL_UNREACHABLE = 3, 2
"""ICMP's type and code (RFC 792)."""


@dataclass(frozen=True, slots=True)
class View:
    """Packets that are captured on a link. They begin with their IPv4 header, which has its 20 bytes."""

    filter: str = ""
    """Capture filter (BPF); empty: everything is captured."""
    linktype: int | None = None
    """libpcap's number for the shape of its frames; None where that is not known."""

    def passes(self, packet: bytes) -> bool:
        """True if a packet is captured, as far as that can be told."""
        header = link_header(self.linktype) if self.linktype is not None else None
        if not self.filter or self.linktype is None or header is None:
            return True
        try:
            return compile_filter(self.filter, self.linktype).matches(header + packet)
        except FilterError:
            return True

    def hides_answer(self, request: bytes) -> bool:
        """True if the filter leaves the answer to a packet out: an echo reply, or else a ServerResponse."""
        if not self.filter:
            return False
        proto, payload = request[9], payload_of(without_padding(request))
        answer = b"\0" + payload[1:] if proto == ICMP else SERVER_RESPONSE
        return not self.passes(
            craft(Draft(proto=proto, src=_at(request, 16), dst=_at(request, 12), payload=answer)).packet
        )

    def hides_error(self, request: bytes) -> bool:
        """True if the filter leaves an ICMP error about a packet out: nobody listens, no way leads on."""
        if not self.filter:
            return False
        kind = bytes([DESTINATION_UNREACHABLE, PROTOCOL_UNREACHABLE]).ljust(ICMP_HEADER, b"\0")
        quote = kind + request[: header_length(request) + QUOTED]
        return not self.passes(
            craft(Draft(proto=ICMP, src=_at(request, 16), dst=_at(request, 12), payload=quote)).packet
        )


def _at(packet: bytes, place: int) -> str:
    """The dotted quad at a place of a header."""
    return str(IPv4Address(packet[place : place + 4]))
