"""Framing: the end of a message in a stream of bytes. Its length stands before it, or the reader knows what it says. No
I/O."""

from __future__ import annotations

import struct
from typing import Literal, get_args

Framing = Literal["none", "length"]
"""Framing of messages: none, or their length in the two bytes before each, the most significant first."""

FRAMINGS: tuple[Framing, ...] = get_args(Framing)

LENGTH = struct.Struct("!H")
"""Length before a message, in bytes, as DNS has it over TCP (RFC 1035 §4.2.2)."""


def frame(message: bytes, framing: Framing) -> bytes:
    """A message of up to 65,535 bytes as the stream carries it."""
    return LENGTH.pack(len(message)) + message if framing == "length" else message


class Messages:
    """Cuts what arrives of a stream into messages, wherever the network has cut it.

    It keeps what it was fed until that is taken, so take() before the next feed().
    """

    def __init__(self, expected: bytes, framing: Framing | None = None) -> None:
        """expected: what a message should say, some bytes that do not begin with 0; framing: None to tell by itself."""
        self.framing: Framing | None = framing
        """None until it is known. Then it holds for the rest of the stream."""
        self._expected = expected
        self._arrived = bytearray()

    @property
    def begun(self) -> bytes:
        """Bytes that have arrived of a message that is not whole yet; empty if none have."""
        return bytes(self._arrived)

    def feed(self, data: bytes) -> None:
        """Add what was read."""
        self._arrived += data

    def take(self) -> bytes | None:
        """The next message, without its length; None while it is not whole.

        A first byte of 0 is that of a length, for what is expected has less than 256 bytes and does not begin with 0.
        Without a length, exactly the expected bytes are a message. Anything else that was read is one too, all of it,
        for nothing says where it ends: what is expected is found again only where a read begins with it.
        """
        arrived, expected = self._arrived, self._expected
        if self.framing is None and arrived.startswith(b"\0"):
            self.framing = "length"
        if self.framing == "length":
            if len(arrived) < LENGTH.size:
                return None
            end = LENGTH.size + LENGTH.unpack_from(arrived)[0]
            return self._cut(LENGTH.size, end) if len(arrived) >= end else None
        if arrived.startswith(expected):
            self.framing = "none"
            return self._cut(0, len(expected))
        if expected.startswith(arrived):  # so does nothing at all
            return None
        return self._cut(0, len(arrived))

    def _cut(self, start: int, end: int) -> bytes:
        """Remove all up to the end, and return what begins at the start."""
        message = bytes(self._arrived[start:end])
        del self._arrived[:end]
        return message
