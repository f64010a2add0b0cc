"""Capture files made by hand, and what reading them gives."""

import struct
from pathlib import Path
from tempfile import TemporaryDirectory

from ipl_tui.capture.errors import CaptureError
from ipl_tui.capture.files import read_capture
from ipl_tui.capture.formats.table import FORMATS
from ipl_tui.capture.frames import StoredInterface
from ipl_tui.capture.store import Store
from tests.capture.test_store import Packet, packets

SECOND = 1_000_000_000

NO_CAPTURE = f"is not a capture file ({' or '.join(each.name for each in FORMATS)})."
"""What is said of a file in none of the formats that there are."""


def pcap(order: str, nanoseconds: bool, sent: list[Packet], linktype: int = 1) -> bytes:
    magic, unit = (0xA1B23C4D, 1) if nanoseconds else (0xA1B2C3D4, 1000)
    parts = [struct.pack(f"{order}IHHiIII", magic, 2, 4, 0, 0, 262_144, linktype)]
    for time, frame, length in sent:
        parts.append(struct.pack(f"{order}4I", time // SECOND, time % SECOND // unit, len(frame), length) + frame)
    return b"".join(parts)


def block(order: str, kind: int, body: bytes) -> bytes:
    body += bytes(-len(body) % 4)
    return struct.pack(f"{order}II", kind, len(body) + 12) + body + struct.pack(f"{order}I", len(body) + 12)


def option(order: str, code: int, value: bytes) -> bytes:
    return struct.pack(f"{order}HH", code, len(value)) + value + bytes(-len(value) % 4)


def section(order: str) -> bytes:
    return block(order, 0x0A0D0D0A, struct.pack(f"{order}IHHq", 0x1A2B3C4D, 1, 0, -1))


def interface(order: str, linktype: int, *options: bytes, snaplen: int = 0) -> bytes:
    return block(order, 1, struct.pack(f"{order}HHI", linktype, 0, snaplen) + b"".join(options))


def enhanced(order: str, number: int, ticks: int, frame: bytes, length: int) -> bytes:
    header = struct.pack(f"{order}5I", number, ticks >> 32, ticks & 0xFFFFFFFF, len(frame), length)
    return block(order, 6, header + frame + bytes(-len(frame) % 4) + option(order, 1, b"a comment"))


def read(content: bytes, filter: str = "") -> tuple[list[Packet], list[StoredInterface], str]:
    """What a file with this content gives, and the sentence that reading it ended with."""
    with TemporaryDirectory() as folder, Store() as store:
        path = Path(folder, "x")
        path.write_bytes(content)
        problem = ""
        try:
            read_capture(path, store, filter)
        except CaptureError as error:
            problem = str(error).replace(str(path), "x")
        return packets(store), store.interfaces, problem


PCAP_HEADER = pcap("<", False, [])

TWO: list[Packet] = [(1000, b"first", 5), (2000, b"second", 6)]
PCAP = pcap("<", False, TWO)
PCAPNG = section("<") + interface("<", 1) + enhanced("<", 0, 1, b"first", 5) + enhanced("<", 0, 2, b"second", 6)
