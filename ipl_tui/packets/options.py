"""The options of the IPv4 header, as a Linux host checks, fills in and answers them (RFC 791 §3.1, RFC 1812 §5.2.4)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .ipv4 import LONGEST_HEADER, SHORTEST_HEADER, header_length
from .text import counted

END, NO_OPERATION = 0, 1
RECORD_ROUTE, TIMESTAMP, COMMERCIAL_SECURITY, ROUTER_ALERT = 7, 68, 134, 148
SOURCE_ROUTES = (131, 137)
"""Loose and strict."""
COPIED = 0x80
"""The bit of an option's type that says that every fragment has it."""

TIMES, ADDRESSES_AND_TIMES, GIVEN_ADDRESSES = 0, 1, 3
"""The timestamp's flags."""

NAMES = {
    RECORD_ROUTE: "Record Route",
    TIMESTAMP: "Internet Timestamp",
    131: "Loose Source Route",
    137: "Strict Source Route",
    COMMERCIAL_SECURITY: "Commercial Security",
    ROUTER_ALERT: "Router Alert",
}
"""The types that hosts look into, as RFC 791, FIPS 188 and RFC 2113 call them."""


@dataclass(slots=True)
class ProcessedOptions:
    """Result of a host's processing of a packet's options; positions count from the header's first byte."""

    problem: int | None = None
    """The position of the first byte that makes no sense: the pointer of ICMP parameter problem (RFC 792)."""
    why: str = ""
    """Reason why it makes none; one sentence, empty without a problem."""
    changed: bool = False
    """True if something was written that the header checksum does not cover yet."""
    source_route: int = 0
    """Position of the source route; 0: there is none. Likewise the next three."""
    record_route: int = 0
    timestamp: int = 0
    security: int = 0
    recorded: bool = False
    """True if the route got an address."""
    stamped_address: bool = False
    stamped_time: bool = False

    def object(self, position: int, why: str) -> None:
        """Note a problem."""
        self.problem, self.why = position, why


def fill_in(packet: bytearray, address: bytes, is_own: Callable[[bytes], bool], time: int) -> ProcessedOptions:
    """Check a received packet's options and write into them what they ask for: addresses and times.

    `address` is the host's own that it writes, 4 bytes; `time` is in ms since midnight UT; `is_own` tells whether an
    address belongs to the host. The checksum stays as it was.
    """
    return _fill_in(packet, header_length(packet), address, is_own, time)


def contradiction(options: bytes) -> str:
    """Objection that the next host will have to options that are to be sent, or the reason why they lead nowhere; empty
    if all is well.

    It is one sentence, about the first such option. `options` are those of a whole header, padded to words; what is
    beyond the longest header is no part of it.
    """
    header = (bytes(SHORTEST_HEADER) + options)[:LONGEST_HEADER]
    found = _fill_in(bytearray(header), len(header), bytes(4), lambda address: False, 0)
    if found.problem is not None:
        return found.why
    for at in filter(None, (found.source_route, found.record_route, found.timestamp)):
        length, pointer = header[at + 1], header[at + 2]
        if pointer > length + 1:  # it counts as full, and is just behind the last byte when it became so
            return f"{name_of(header[at])}'s pointer says {pointer}, beyond its {length} bytes."
        if at == found.source_route and pointer <= length < pointer + 3:  # who follows the route objects
            return _no_room(header, at, "an address")
    return ""


def name_of(kind: int) -> str:
    """The name of an option's type, or its number for those that hosts do not look into."""
    return NAMES.get(kind, f"Option {kind}")


def _fill_in(
    packet: bytearray, end: int, address: bytes, is_own: Callable[[bytes], bool], time: int
) -> ProcessedOptions:
    options = ProcessedOptions()
    at = SHORTEST_HEADER
    while at < end and options.problem is None:
        kind = packet[at]
        if kind == NO_OPERATION:
            at += 1
            continue
        if kind == END:
            options.changed |= any(packet[at:end])
            packet[at:end] = bytes(end - at)
            break
        length = packet[at + 1] if at + 1 < end else 0
        if at + 1 == end:
            options.object(at, f"{name_of(kind)} is the last byte of the header: its length is missing.")
        elif length < 2:
            options.object(at, f"{name_of(kind)} says {_count(length)}; its type and length are 2.")
        elif at + length > end:
            options.object(at, f"{name_of(kind)} says {_count(length)}, only {end - at} are left in the header.")
        elif kind in SOURCE_ROUTES:
            _check_source_route(packet, at, options)
        elif kind == RECORD_ROUTE:
            _record(packet, at, options, address)
        elif kind == TIMESTAMP:
            _stamp(packet, at, options, address, is_own, time)
        elif kind == COMMERCIAL_SECURITY:
            options.security = at
            if not _is_short(packet, at, 8, options):  # FIPS 188; none is set up here
                options.object(at + 2, "Hosts object to a Commercial Security domain that they were not set up for.")
        elif kind == ROUTER_ALERT:  # RFC 2113 §2.1
            _is_short(packet, at, 4, options)
        at += length
    return options


def _is_short(packet: bytearray, at: int, least: int, options: ProcessedOptions) -> bool:
    """True if an option has fewer bytes than it needs, which is then noted."""
    length = packet[at + 1]
    if length < least:
        options.object(at + 1, f"{name_of(packet[at])} says {_count(length)}; it needs {least} at least.")
    return length < least


def _no_room(packet: bytes | bytearray, at: int, what: str) -> str:
    length, pointer = packet[at + 1], packet[at + 2]
    return f"{name_of(packet[at])}'s pointer says {pointer}: from there its {length} bytes have no room for {what}."


def _pointer_is_low(packet: bytearray, at: int, least: int, options: ProcessedOptions) -> bool:
    """True if an option's pointer, which counts from 1 at its type, is before its first entry; that is then noted."""
    pointer = packet[at + 2]
    if pointer < least:
        options.object(at + 2, f"{name_of(packet[at])}'s pointer says {pointer}; its first entry is at {least}.")
    return pointer < least


def _check_source_route(packet: bytearray, at: int, options: ProcessedOptions) -> None:
    if _is_short(packet, at, 3, options) or _pointer_is_low(packet, at, 4, options):
        return
    if options.source_route:
        options.object(at, "There is a second source route; a packet has one at most.")
        return
    options.source_route = at


def _record(packet: bytearray, at: int, options: ProcessedOptions, address: bytes) -> None:
    if options.record_route:
        options.object(at, "There is a second Record Route; a packet has one at most.")
        return
    if _is_short(packet, at, 3, options) or _pointer_is_low(packet, at, 4, options):
        return
    length, pointer = packet[at + 1], packet[at + 2]
    if length - 3 < pointer <= length:
        options.object(at + 2, _no_room(packet, at, "an address"))
        return
    if pointer <= length:
        packet[at + pointer - 1 : at + pointer + 3] = address
        packet[at + 2] += 4
        options.recorded = options.changed = True
    options.record_route = at


def _stamp(
    packet: bytearray, at: int, options: ProcessedOptions, address: bytes, is_own: Callable[[bytes], bool], time: int
) -> None:
    if options.timestamp:
        options.object(at, "There is a second Internet Timestamp; a packet has one at most.")
        return
    if _is_short(packet, at, 4, options) or _pointer_is_low(packet, at, 5, options):
        return
    length, pointer, flags = packet[at + 1], packet[at + 2], packet[at + 3] & 15
    with_address = flags in (ADDRESSES_AND_TIMES, GIVEN_ADDRESSES)
    room = 7 if with_address else 3
    if pointer <= length < pointer + room:
        options.object(at + 2, _no_room(packet, at, "an address and a time" if with_address else "a time"))
        return
    place = at + pointer - 1
    if pointer > length:
        if flags != GIVEN_ADDRESSES:  # the hosts that found no room are counted
            if packet[at + 3] >> 4 == 15:
                options.object(at + 3, "Internet Timestamp counts 15 hosts that found no room, and can count no more.")
                return
            packet[at + 3] += 1 << 4
            options.changed = True
    elif flags == TIMES:
        packet[place : place + 4] = time.to_bytes(4)
        packet[at + 2] += 4
        options.stamped_time = options.changed = True
    elif flags == ADDRESSES_AND_TIMES:
        packet[place : place + 8] = address + time.to_bytes(4)
        packet[at + 2] += 8
        options.stamped_address = options.stamped_time = options.changed = True
    elif flags == GIVEN_ADDRESSES and is_own(bytes(packet[place : place + 4])):
        packet[place + 4 : place + 8] = time.to_bytes(4)
        packet[at + 2] += 8
        options.stamped_time = options.changed = True
    options.timestamp = at


def answer(
    packet: bytes, options: ProcessedOptions, source: bytes, is_own: Callable[[bytes], bool], time: int
) -> bytes | None:
    """The options of the answer to a packet whose own were filled in: its Record Route and Timestamp, gone on with.

    `source` is the answer's source address, which they get. None where an entry does not fit: Linux answers nothing.
    """
    result = b""
    if options.record_route:
        route = _option(packet, options.record_route)
        pointer = route[2]
        if options.recorded and pointer <= len(route):
            if pointer + 3 > len(route):
                return None
            route[pointer - 1 : pointer + 3] = source
            route[2] += 4
        result += route
    if options.timestamp:
        stamps = _option(packet, options.timestamp)
        pointer = stamps[2]
        stamp = time.to_bytes(4)
        if pointer <= len(stamps) and options.stamped_time:
            if stamps[3] & 15 == GIVEN_ADDRESSES:
                entry = bytes(stamps[pointer - 1 : pointer + 3])
                entry = entry + stamp if pointer + 7 <= len(stamps) and is_own(entry) else b""
            else:
                entry = source + stamp if options.stamped_address else stamp
            if pointer + max(len(entry), 4) - 1 > len(stamps):
                return None
            stamps[pointer - 1 : pointer - 1 + len(entry)] = entry
            stamps[2] += len(entry)
        result += stamps
    if options.security:
        result += _option(packet, options.security)
    return result + bytes(-len(result) % 4)


def _option(packet: bytes, at: int) -> bytearray:
    return bytearray(packet[at : at + packet[at + 1]])


def for_later_fragments(options: bytes) -> bytes:
    """The options of all fragments but the first: No Operation in place of what is not copied (RFC 791 §3.1)."""
    result = bytearray(options)
    at = 0
    while at < len(result) and result[at] != END:
        length = 1 if result[at] == NO_OPERATION else result[at + 1] if at + 1 < len(result) else 0
        if length == 0 or at + length > len(result) or (length < 2 and result[at] != NO_OPERATION):
            break
        if not result[at] & COPIED:
            result[at : at + length] = bytes([NO_OPERATION]) * length
        at += length
    return bytes(result)


def _count(length: int) -> str:
    return counted(length, "byte")
