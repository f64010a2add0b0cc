"""What a format of capture files is: how it is recognized and read, and how it is asked for and written."""

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
    """What a file says of a frame, and where it is."""

    interface: int
    """Index in Store.interfaces."""
    time: int
    """In ns since the epoch, or NO_TIME."""
    start: int
    """Where the frame begins, in bytes from where its block does."""
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
    """What users call it: "pcapng"."""
    magics: frozenset[bytes]
    """What its files begin with, MAGIC_SIZE bytes each; no other format's do."""
    reader: Callable[[bytes], Reader]
    """Begins to read a file; it is told with which magic that begins."""
    ending: str
    """Of the name of a file that is to be saved in it: ".pcapng"."""
    write: Callable[[SavedPackets], Iterator[bytes]]
    """The file that holds these packets, in pieces. Raises CaptureError for what the format can't say."""
