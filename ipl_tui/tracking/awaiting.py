"""What comes back for a packet that is sent, once or again and again: answers to it, and ICMP errors about it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from ipl_tui.packets.fields import SHORTEST_HEADER
from ipl_tui.packets.icmp import ICMP_HEADER, IcmpError, error_about, is_same
from ipl_tui.packets.ipv4 import ICMP, payload_of, without_padding
from ipl_tui.packets.link_layer import network_layer
from ipl_tui.packets.messages import CLIENT_MESSAGE, SERVER_RESPONSE

REPLIES = {8: 0, 13: 14, 15: 16, 17: 18}
"""The ICMP queries (RFC 792, RFC 950), and what answers them."""

WITH_PORTS = (6, 17)
"""TCP and UDP, which begin with the ports of source and destination."""


@dataclass(frozen=True)
class Answer:
    """What came back for one packet."""

    frame: bytes
    packet: bytes
    """The IPv4 packet in it, without the padding of the link."""
    delay: int
    """From the packet to this, in ns, as both passed the interface."""
    sure: bool
    """Whether it can be for no other of the equal packets; else the delay is a guess."""
    error: IcmpError | None = None
    """What it says, if it is an ICMP error."""


class Awaiting:
    """Told of all frames from before the packet is sent, it finds the packet and what comes back for it.

    Equal packets can't be told apart by their answers: what comes back is taken to be for the newest that waits, which
    is true as long as answers come before the next packet is sent, though others be lost.
    """

    def __init__(self, packet: bytes, patience: int) -> None:
        """packet begins with its IPv4 header; it waits `patience` ns for its answer."""
        self.seen = b""
        """The packet as it passed the interface last, where a kernel may have filled in some fields; nothing before."""
        self._packet = packet
        self._patience = patience
        self._waiting: deque[int] = deque()  # when each was sent
        self._doubtful = -1  # what was sent up to this time may have had its answer

    def see(self, time: int, frame: bytes, linktype: int) -> Answer | None:
        """What a frame is that passes at a time in ns, if it came back for the packet."""
        seen = frame[network_layer(frame, linktype) :]
        if len(seen) < SHORTEST_HEADER:
            return None
        packet = without_padding(seen)
        if seen.startswith(self._packet) or (len(packet) == len(self._packet) and is_same(self._packet, packet)):
            self.seen = packet
            self._waiting.append(time)
            return None
        error = error_about(self._packet, packet)
        if error is None and not (self.seen and is_answer(self.seen, packet)):
            return None
        while self._waiting and time - self._waiting[0] > self._patience:
            self._waiting.popleft()
        if not self._waiting:
            return None
        asked = self._waiting.pop()
        sure = not self._waiting and asked > self._doubtful
        if self._waiting:
            self._doubtful = self._waiting[-1]
        return Answer(frame, packet, time - asked, sure, error)


def is_answer(request: bytes, packet: bytes) -> bool:
    """Whether a packet answers another, both from their IPv4 headers on: it goes back, by the same protocol.

    An ICMP query is answered by its reply with the same identifier and sequence number (RFC 792), TCP and UDP between
    the same ports, ClientMessage by exactly ServerResponse.
    """
    if len(packet) < SHORTEST_HEADER:
        return False
    packet = without_padding(packet)
    back = packet[9] == request[9] and packet[12:20] == request[16:20] + request[12:16]
    if not back or packet[0] >> 4 != 4 or int.from_bytes(packet[6:8]) & 0x1FFF:  # the rest of a fragmented one
        return False
    asked, answer = payload_of(request), payload_of(packet)
    if request[9] == ICMP:
        enough = min(len(asked), len(answer)) >= ICMP_HEADER
        return enough and REPLIES.get(asked[0]) == answer[0] and asked[4:8] == answer[4:8]
    if request[9] in WITH_PORTS:
        return len(asked) >= 4 and answer[:4] == asked[2:4] + asked[:2]
    return asked != CLIENT_MESSAGE or answer == SERVER_RESPONSE
