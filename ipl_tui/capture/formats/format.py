"""Formats of capture files: how each is recognized and read, and how it is asked for and written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from ipl_tui.capture.frames import StoredInterface

MAGIC_SIZE = 4
"""Bytes that a file begins with, which tell its format."""

LARGEST_BLOCK = 16 << 20
"""Bytes. A longer frame or block is damage: capture programs write none, and libpcap refuses it too."""


class Run(NamedTuple):
    """Consecutive packets of one interface of a file that is read."""

    interface: StoredInterface
    records: list[tuple[int, int, int, int]]
    """As in Batch.records, of the data that was parsed."""


class Reader(Protocol):
    """Reads one file from its first byte on."""

    damaged: bool
    """Nothing that follows makes sense."""

    def parse(self, data: bytes) -> tuple[list[Run], int]:
        """The whole packets at the start of data, and how many bytes they take; data goes on where those ended."""


class Record(NamedTuple):
    """A frame's record in a file: its time, its lengths, and its place."""

    interface: int
    """Index in Store.interfaces."""
    time: int
    """In ns since the epoch, or NO_TIME."""
    start: int
    """Offset of the frame's first byte from that of its block, in bytes."""
    captured: int
    """Bytes of it that there are."""
    length: int
    """On the wire."""


@dataclass(frozen=True)
class SavedPackets:
    """The packets that a store holds when they are saved: what a writer is given."""

    interfaces: Sequence[StoredInterface]
    pcapng: Callable[[], Iterator[bytes]]
    """Gives the file that the store keeps them in, in pieces. Raises CaptureError."""
    records: Callable[[], Iterator[tuple[Record, bytes]]]
    """Gives each packet, in the order of arrival: what is known of it, and the captured bytes. Raises CaptureError."""


@dataclass(frozen=True)
class Format:
    """A row of the table of formats."""

    name: str
    """Users' name of it: "pcapng"."""
    magics: frozenset[bytes]
    """First MAGIC_SIZE bytes of its files, each kind of them; no other format's files begin so."""
    reader: Callable[[bytes], Reader]
    """Begins to read a file; it is told with which magic that begins."""
    ending: str
    """Of the name of a file that is to be saved in it: ".pcapng"."""
    write: Callable[[SavedPackets], Iterator[bytes]]
    """The file that holds these packets, in pieces. Raises CaptureError for what the format can't say."""
