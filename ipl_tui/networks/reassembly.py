"""Cutting IPv4 packets into fragments, and putting fragments together again, as Linux does (RFC 791 §3.2, RFC 815)."""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from operator import attrgetter

from ipl_tui.networks.topology import Port
from ipl_tui.packets.checksum import internet_checksum
from ipl_tui.packets.ipv4 import (
    DONT_FRAGMENT,
    LONGEST_DATAGRAM,
    MORE_FRAGMENTS,
    OFFSET,
    UNIT,
    flags_and_offset,
    header_length,
)
from ipl_tui.packets.options import ProcessedOptions, for_later_fragments

MOST_DATAGRAMS = 64
MOST_BYTES = 1 << 20
"""Most bytes that wait for more fragments: the oldest datagram makes room."""

OVERHEAD = 512
"""About the bytes that keeping a fragment takes besides its own."""


def write_checksum(packet: bytearray) -> None:
    """Write the right header checksum into a packet (RFC 1071)."""
    packet[10:12] = b"\0\0"
    packet[10:12] = internet_checksum(bytes(packet[: header_length(packet)])).to_bytes(2)


def cut(packet: bytes, mtu: int, raw: bool = False) -> list[bytes]:
    """A packet's fragments, of at most `mtu` bytes (68 or more; RFC 791 §3.2); the packet itself where it fits.

    Don't Fragment is the caller's to obey; the reserved flag is lost, as in Linux. And as in Linux, the options of a
    packet from a `raw` socket are not looked at: all its fragments have them.
    """
    if len(packet) <= mtu:
        return [packet]
    length = header_length(packet)
    header, payload = bytearray(packet[:length]), packet[length:]
    flags = flags_and_offset(packet)
    fragments = []
    begin = 0
    while begin < len(payload):
        size = len(payload) - begin
        if size > mtu - length:
            size = (mtu - length) & ~7
        more = flags & MORE_FRAGMENTS or begin + size < len(payload)
        header[2:4] = (length + size).to_bytes(2)
        # An offset beyond 8,191 runs into the flags: Linux lets it.
        header[6:8] = (
            (flags & OFFSET) + begin // UNIT | flags & DONT_FRAGMENT | (MORE_FRAGMENTS if more else 0)
        ).to_bytes(2)
        write_checksum(header)
        fragments.append(bytes(header) + payload[begin : begin + size])
        if begin == 0 and not flags & OFFSET and not raw:  # in a fragment of a fragment they are as they should be
            header[20:] = for_later_fragments(bytes(header[20:]))
        begin += size
    return fragments


@dataclass(frozen=True, slots=True)
class Arrival:
    """A packet that a host received."""

    packet: bytes
    """Without padding, its options filled in."""
    port: Port
    received: float
    """Seconds, of the clock that expire() is told."""
    alone: bool = True
    """True if it came to this host alone: neither frame nor packet is for several (RFC 1122 §3.2.2)."""
    options: ProcessedOptions = field(default_factory=ProcessedOptions)

    @property
    def header(self) -> int:
        """Bytes of its header."""
        return header_length(self.packet)

    @property
    def flags(self) -> int:
        """Flags and Fragment Offset, 16 bits."""
        return flags_and_offset(self.packet)

    @property
    def source(self) -> bytes:
        return self.packet[12:16]

    @property
    def destination(self) -> bytes:
        return self.packet[16:20]

    @property
    def begin(self) -> int:
        """Offset of a fragment in the datagram's payload, in bytes."""
        return (self.flags & OFFSET) * UNIT

    @property
    def end(self) -> int:
        """Offset of its end, in bytes. All but the last have whole units of 8 bytes (RFC 791 §3.2): Linux cuts off what
        is beyond."""
        end = self.begin + len(self.packet) - self.header
        return end & ~7 if self.flags & MORE_FRAGMENTS else end

    @property
    def whole_units(self) -> bytes:
        """The fragment without what is cut off."""
        return self.packet[: self.header + self.end - self.begin]


@dataclass(frozen=True, slots=True)
class Lost:
    """Fragments that go no further."""

    reason: str
    """Reason: the rest of a sentence that begins with the host and "drops it: "."""
    fragments: list[Arrival]


@dataclass(slots=True)
class _Run:
    """A part of a datagram's payload that came without gaps, in order."""

    begin: int
    end: int
    fragments: list[Arrival]


@dataclass(slots=True)
class _Datagram:
    """Fragments of one datagram that have come."""

    expires: float
    runs: list[_Run] = field(default_factory=list)
    """By their place; no two overlap."""
    length: int = 0
    """Bytes of payload that it has at least; exactly, when the last fragment came."""
    last_came: bool = False
    came: int = 0
    """Bytes of payload that came."""
    kept: int = 0
    """Bytes of memory, about."""

    @property
    def fragments(self) -> list[Arrival]:
        return [fragment for run in self.runs for fragment in run.fragments]

    @property
    def complete(self) -> bool:
        return self.last_came and self.came == self.length

    def agree(self, fragment: Arrival) -> str:
        """Contradiction between this fragment and what is known of the datagram's length; empty without one."""
        if fragment.flags & MORE_FRAGMENTS:
            if fragment.end > self.length and self.last_came:
                return "a fragment goes beyond the end that the last one gave"
        elif fragment.end < self.length or (self.last_came and fragment.end != self.length):
            return "its fragments disagree about where it ends"
        else:
            self.last_came = True
        self.length = max(self.length, fragment.end)
        return "" if fragment.end > fragment.begin else "a fragment has none of the units of 8 bytes that offsets count"

    def insert(self, fragment: Arrival) -> str:
        """Put a fragment in its place. Why it can't be: "duplicate" or "overlap" (RFC 5722 §4); else nothing."""
        begin, end = fragment.begin, fragment.end
        place = bisect_right(self.runs, begin, key=attrgetter("begin"))
        before = self.runs[place - 1] if place else None
        after = self.runs[place] if place < len(self.runs) else None
        if before and end <= before.end:
            return "duplicate"
        if (before and begin < before.end) or (after and end > after.begin):
            return "overlap"
        if before and not after and begin == before.end:  # in order, as nearly all come
            before.end = end
            before.fragments.append(fragment)
        else:
            self.runs.insert(place, _Run(begin, end, [fragment]))
        self.came += end - begin
        self.kept += len(fragment.packet) + OVERHEAD
        return ""


class Reassembly:
    """The datagrams that a host has a part of; bounded, whatever comes."""

    def __init__(self, timeout: float) -> None:
        """`timeout`: seconds from a datagram's first fragment to arrive until it is given up."""
        self._timeout = timeout
        self._datagrams: OrderedDict[tuple[bytes, ...], _Datagram] = OrderedDict()  # the oldest first
        self.kept = 0
        """Bytes of memory that they take, about."""

    def __len__(self) -> int:
        return len(self._datagrams)

    def add(self, fragment: Arrival) -> tuple[Arrival | None, list[Lost]]:
        """Take a fragment. The whole packet, if this completes one; and what is lost."""
        packet = fragment.packet
        # What RFC 791 §3.2 identifies a datagram by, and the port, as Linux does.
        key = (packet[4:6], packet[9:10], packet[12:20], fragment.port.name.encode())
        datagram = self._datagrams.setdefault(key, _Datagram(fragment.received + self._timeout))
        problem = datagram.agree(fragment) or datagram.insert(fragment)
        if problem == "duplicate":
            return None, [Lost("it has these bytes of the datagram already", [fragment])]
        if problem:
            self._forget(key)
            reason = "its fragments overlap" if problem == "overlap" else problem
            return None, [Lost(f"the datagram is spoilt, {reason}", [*datagram.fragments, fragment])]
        self.kept += len(packet) + OVERHEAD
        if datagram.complete:
            self._forget(key)
            whole, problem = _join(datagram.fragments)
            if problem:
                return None, [Lost(problem, datagram.fragments)]
            # As in Linux, its options are those of the first fragment, and it came when and where the last one did.
            first = datagram.runs[0].fragments[0]
            return replace(first, packet=whole, received=fragment.received), []
        lost = []
        while len(self) > MOST_DATAGRAMS or self.kept > MOST_BYTES:
            oldest = self._forget(next(iter(self._datagrams)))
            lost.append(Lost("too many datagrams wait for the rest of their fragments", oldest.fragments))
        return None, lost

    def due(self) -> float | None:
        """Time when the next datagram is given up, in seconds of the fragments' clock; None if none waits."""
        return next((datagram.expires for datagram in self._datagrams.values()), None)

    def expire(self, now: float) -> list[Lost]:
        """Give up the datagrams whose time is over."""
        lost = []
        while self._datagrams and next(iter(self._datagrams.values())).expires <= now:
            datagram = self._forget(next(iter(self._datagrams)))
            reason = f"the rest of its fragments did not come within {self._timeout:g} seconds"
            lost.append(Lost(reason, datagram.fragments))
        return lost

    def _forget(self, key: tuple[bytes, ...]) -> _Datagram:
        datagram = self._datagrams.pop(key)
        self.kept -= datagram.kept
        return datagram


def _join(fragments: list[Arrival]) -> tuple[bytes, str]:
    """The packet that all the fragments of a datagram make, in order; or nothing, and why it is none."""
    first = fragments[0]
    header = bytearray(first.packet[: first.header])
    congestion = _merge_congestion({fragment.packet[1] & 3 for fragment in fragments})
    if congestion is None:
        return b"", "some of its fragments say that their sender uses ECN and some don't (RFC 3168 §5.3)"
    length = first.header + fragments[-1].end
    if length > LONGEST_DATAGRAM:
        return b"", f"put together it would have more than {LONGEST_DATAGRAM:,} bytes (RFC 791 §3.1)"
    header[1] |= congestion
    header[2:4] = length.to_bytes(2)
    # Don't Fragment stays where the longest fragment had it: then no link was too narrow for it.
    longest = max(len(fragment.whole_units) for fragment in fragments)
    kept = any(len(f.whole_units) == longest and f.flags & DONT_FRAGMENT for f in fragments)
    header[6:8] = (DONT_FRAGMENT if kept else 0).to_bytes(2)
    write_checksum(header)
    return bytes(header) + b"".join(fragment.whole_units[fragment.header :] for fragment in fragments), ""


def _merge_congestion(values: set[int]) -> int | None:
    """The ECN bits to add to the first fragment's, for those that the fragments have; None: they don't go together."""
    if 0 in values and len(values) > 1:
        return None
    return 3 if 3 in values and len(values) > 1 else 0
