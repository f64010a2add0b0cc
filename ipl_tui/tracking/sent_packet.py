"""A packet that was sent, once or several times, and what comes of it: its frame in the capture, the answers, and the
ICMP error about it."""

from __future__ import annotations

from ipl_tui.capture.errors import CaptureError
from ipl_tui.capture.frames import Frame
from ipl_tui.capture.store import Store
from ipl_tui.packets.link_layer import network_layer
from ipl_tui.tracking.expected_answers import Answer, ExpectedAnswers
from ipl_tui.tracking.matching import IcmpError, asks, error_about, is_sent_as
from ipl_tui.tracking.view import View

MOST_FRAMES = 500
"""Frames that are looked at after sending: what has not come back among so many is lost in other traffic."""

FRAMES_EACH = 20
"""Frames that are looked at besides for each packet more: it and its answer, at every hop of a path."""

AT_ONCE = 1_000
"""Frames that are looked at before others have their turn: some 10 ms."""

PATIENCE = 60 * 10**9
"""Time in ns after which what comes back is no longer taken for an answer."""

EVERYTHING = View()


class SentPacket:
    """Looks for one packet in what is captured after it was sent."""

    def __init__(self, store: Store, packet: bytes, view: View = EVERYTHING, count: int = 1) -> None:
        """packet begins with its IPv4 header; it is about to be sent so many times. view: what is captured."""
        self.sent_as = 0
        """The number of its first frame, once that is captured."""
        self.error: IcmpError | None = None
        """The first ICMP error about it."""
        self.answers: list[tuple[int, Answer]] = []
        """Each answer to it, and each ICMP error about it, with the number of its frame; only on the interface where
        it was first captured, so that a path counts once."""
        self._store = store
        self._count = count
        self._expected = ExpectedAnswers(packet, PATIENCE)
        self._interface = -1  # where it was first captured
        self.packet = packet
        self.view = view
        self.after = len(store)
        """The number of the last frame that was captured before it was sent."""
        self._looked = self.after
        self._last = self.after + MOST_FRAMES + FRAMES_EACH * (count - 1)

    @property
    def asks(self) -> bool:
        """True if an answer to it can be expected."""
        return asks(self.packet)

    @property
    def counted(self) -> bool:
        """True if all that was captured since has been looked at."""
        return self._looked >= len(self._store)

    def look(self) -> None:
        """Look at what has been captured since."""
        end = min(len(self._store), self._last, self._looked + AT_ONCE)
        while self._looked < end and not (self.sent_as and self.error and self._count == 1):
            self._looked += 1
            try:
                frame = self._store.frame(self._looked)
            except CaptureError:  # the file was changed below us; the list says so
                return
            linktype = self._store.interfaces[frame.interface].linktype
            self._see(frame, frame.data[network_layer(frame.data, linktype) :])
            if frame.interface == self._interface:
                answer = self._expected.see(frame.time, frame.data, linktype)
                if answer is not None:
                    self.answers.append((frame.number, answer))

    def _see(self, frame: Frame, packet: bytes) -> None:
        if not self.sent_as and is_sent_as(self.packet, packet):
            self.sent_as, self._interface = frame.number, frame.interface
        elif not self.error:
            self.error = error_about(self.packet, packet)
