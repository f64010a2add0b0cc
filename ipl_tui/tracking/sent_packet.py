"""A packet that was sent, and what comes of it: its frame in the capture, and the ICMP error about it."""

from __future__ import annotations

from ipl_tui.capture.errors import CaptureError
from ipl_tui.capture.store import Store
from ipl_tui.packets.link_layer import network_layer
from ipl_tui.tracking.matching import IcmpError, asks, error_about, is_sent_as
from ipl_tui.tracking.view import View

MOST_FRAMES = 500
"""Frames that are looked at after sending: what has not come back among so many is lost in other traffic."""

EVERYTHING = View()


class SentPacket:
    """Looks for one packet in what is captured after it was sent."""

    def __init__(self, store: Store, packet: bytes, view: View = EVERYTHING) -> None:
        """packet begins with its IPv4 header; it is about to be sent. view: what is captured."""
        self.sent_as = 0
        """The number of its first frame, once that is captured."""
        self.error: IcmpError | None = None
        """The first ICMP error about it."""
        self._store = store
        self.packet = packet
        self.view = view
        self.after = len(store)
        """The number of the last frame that was captured before it was sent."""
        self._looked = self.after
        self._last = self.after + MOST_FRAMES

    @property
    def asks(self) -> bool:
        """True if an answer to it can be expected."""
        return asks(self.packet)

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
        if not self.sent_as and is_sent_as(self.packet, packet):
            self.sent_as = number
        elif not self.error:
            self.error = error_about(self.packet, packet)
