"""Captured frames: one alone, and many as they arrive."""

from dataclasses import dataclass
from typing import NamedTuple

from ipl_tui.packets.text import counted

NO_TIME = -(1 << 100)
"""Stands in place of a frame's time where nobody wrote one down. It is before all that a file can say."""

SNAPLEN = 262_144
"""The most bytes of a frame that are kept: libpcap's own maximum, more than any link carries."""


class Batch(NamedTuple):
    """Frames as they arrive: many in one bytes object."""

    data: bytes
    records: list[tuple[int, int, int, int]]
    """A frame each: time in ns since the epoch or NO_TIME, offset in data, captured length, length on the wire."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A captured frame, link header included."""

    number: int
    """1-based, in the order of arrival."""
    time: int
    """In ns since the epoch; NO_TIME where nobody wrote it down."""
    data: bytes
    length: int
    """On the wire: more than len(data) when the capture was cut."""
    interface: int
    """Index in Store.interfaces."""

    @property
    def cut(self) -> str:
        """Note on what a snap length left: "captured 68 of 421 bytes"; empty if all of it is here."""
        captured = len(self.data)
        return f"captured {captured:,} of {counted(self.length, 'byte')}" if captured < self.length else ""


@dataclass(frozen=True, slots=True)
class StoredInterface:
    """An interface that frames were captured on; linktype is the number that capture files use."""

    name: str
    linktype: int


def file_linktype(linktype: int) -> int:
    """The number that files use for a libpcap handle's link type: raw IP is 101 there, 12 (on OpenBSD 14) here."""
    return 101 if linktype in (12, 14) else linktype
