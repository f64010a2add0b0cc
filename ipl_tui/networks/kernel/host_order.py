"""Raw IP sockets of macOS, which have two fields of the header in the host's byte order (ip(4) there).

These are Total Length, and the word of the flags and Fragment Offset. What was received says its length without its
header. This follows that page and what others have reported; it was not tried on a Mac.
"""

from __future__ import annotations

import socket
import sys

from ipl_tui.packets.ipv4 import SHORTEST_HEADER


def for_host(packet: bytes) -> bytes:
    """A packet as such a socket takes it."""
    return packet[:2] + _turned(packet[2:4]) + packet[4:6] + _turned(packet[6:8]) + packet[8:]


def from_host(packet: bytes) -> bytes:
    """A packet that such a socket gave, as it was on the wire: its kernel has cut off all that was behind it."""
    if len(packet) < SHORTEST_HEADER:
        return packet
    return packet[:2] + len(packet).to_bytes(2) + packet[4:6] + _turned(packet[6:8]) + packet[8:]


def _turned(word: bytes) -> bytes:
    return word if sys.byteorder == "big" else word[::-1]


class RawSocketWrapper:
    """A raw IP socket, and what is put around it: as it is, but for what is done otherwise."""

    def __init__(self, raw: socket.socket) -> None:
        self._raw = raw

    def setsockopt(self, level: int, option: int, value: int, /) -> None:
        self._raw.setsockopt(level, option, value)

    def settimeout(self, seconds: float | None, /) -> None:
        self._raw.settimeout(seconds)

    def sendto(self, packet: bytes, address: tuple[str, int], /) -> int:
        return self._raw.sendto(packet, address)

    def recv(self, size: int, /) -> bytes:
        return self._raw.recv(size)

    def fileno(self) -> int:
        return self._raw.fileno()

    def close(self) -> None:
        self._raw.close()


class HostOrderSocket(RawSocketWrapper):
    """A raw IP socket of macOS with packets as they are on the wire, both ways."""

    def sendto(self, packet: bytes, address: tuple[str, int], /) -> int:
        return super().sendto(for_host(packet), address)

    def recv(self, size: int, /) -> bytes:
        return from_host(super().recv(size))
