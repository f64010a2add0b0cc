"""The explanation of a field: what it is for, where its bits are, and what a value of it says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

Says = Callable[[int, bytes], str]
"""What a value says: told the number, and its header as far as it is there; a sentence, or empty. Never raises for any
header that has the field."""


def _nothing(value: int, header: bytes) -> str:
    return ""


@dataclass(frozen=True)
class Explained:
    """The explanation of one field, whatever its value; and of a value, by says()."""

    name: str
    """Scapy's name of the field; RFC 791's word in lower case for a part of one, such as `dscp` of `tos`."""
    label: str
    """The RFC's words."""
    bit: int
    """Offset of its first bit in its header."""
    bits: int
    """Width in bits; 0 where that varies."""
    rfc: str
    """RFC and section that define it."""
    meaning: str
    """Purpose of the field, in a sentence or two."""
    mistake: str = ""
    """Usual misconception, set right; empty if there is none worth a word."""
    part_of: str = ""
    """Scapy's field that it is a part of, if Scapy has one for several; else empty."""
    value_says: Says = _nothing

    @property
    def title(self) -> str:
        """The RFC's words and Scapy's name beside them: "Total Length · len"."""
        scapy = self.part_of or self.name
        return f"{self.label} · {scapy}"

    def read(self, header: bytes) -> int | None:
        """The number in a header; None if it varies in width, or not all of its bits are there."""
        stop = self.bit + self.bits
        if not self.bits or len(header) * 8 < stop:
            return None
        return int.from_bytes(header) >> (len(header) * 8 - stop) & ((1 << self.bits) - 1)

    def says(self, header: bytes) -> str:
        """What the value in a header says, in a sentence; empty if there is nothing to say, or it is not all there."""
        if not self.bits:
            return self.value_says(0, header)
        value = self.read(header)
        return self.value_says(value, header) if value is not None else ""
