"""The options of the IPv4 header, as a Linux host checks, fills in and answers them (RFC 791 §3.1, RFC 1812 §5.2.4)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ipl_tui.packets.fields import SHORTEST_HEADER

END, NO_OPERATION = 0, 1
RECORD_ROUTE, TIMESTAMP, COMMERCIAL_SECURITY, ROUTER_ALERT = 7, 68, 134, 148
SOURCE_ROUTES = (131, 137)
"""Loose and strict."""
COPIED = 0x80
"""The bit of an option's type that says that every fragment has it."""

TIMES, ADDRESSES_AND_TIMES, GIVEN_ADDRESSES = 0, 1, 3
"""The timestamp's flags."""


@dataclass(slots=True)
class Options:
    """What a host found in a packet's options and wrote there; positions count from the header's first byte."""

    problem: int | None = None
    """The position of the first byte that makes no sense: the pointer of ICMP parameter problem (RFC 792)."""
    changed: bool = False
    """Whether something was written that the header checksum does not cover yet."""
    source_route: int = 0
    """Where it is; 0: there is none. Likewise the next three."""
    record_route: int = 0
    timestamp: int = 0
    security: int = 0
    recorded: bool = False
    """Whether the route got an address."""
    stamped_address: bool = False
    stamped_time: bool = False


def fill_in(packet: bytearray, address: bytes, is_own: Callable[[bytes], bool], time: int) -> Options:
    """Check a received packet's options and write into them what they ask for: addresses and times.

    `address` is the host's own that it writes, 4 bytes; `time` is in ms since midnight UT; `is_own` tells whether an
    address belongs to the host. The checksum stays as it was.
    """
    options = Options()
    at, end = SHORTEST_HEADER, (packet[0] & 15) * 4
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
        if length < 2 or at + length > end:
            options.problem = at
        elif kind in SOURCE_ROUTES:
            options.problem = _check_source_route(packet, at, options)
        elif kind == RECORD_ROUTE:
            options.problem = _record(packet, at, options, address)
        elif kind == TIMESTAMP:
            options.problem = _stamp(packet, at, options, address, is_own, time)
        elif kind == COMMERCIAL_SECURITY:  # a domain of interpretation that nobody here has configured (FIPS 188)
            options.problem = at + (1 if length < 8 else 2)
            options.security = at
        elif kind == ROUTER_ALERT and length < 4:  # RFC 2113 §2.1
            options.problem = at + 1
        at += length
    return options


def _check_source_route(packet: bytearray, at: int, options: Options) -> int | None:
    if packet[at + 1] < 3:
        return at + 1
    if packet[at + 2] < 4:
        return at + 2
    if options.source_route:
        return at
    options.source_route = at
    return None


def _record(packet: bytearray, at: int, options: Options, address: bytes) -> int | None:
    if options.record_route:
        return at
    length = packet[at + 1]
    if length < 3:
        return at + 1
    pointer = packet[at + 2]  # counts from 1, at the option's type
    if pointer < 4 or length - 3 < pointer <= length:
        return at + 2
    if pointer <= length:
        packet[at + pointer - 1 : at + pointer + 3] = address
        packet[at + 2] += 4
        options.recorded = options.changed = True
    options.record_route = at
    return None


def _stamp(
    packet: bytearray, at: int, options: Options, address: bytes, is_own: Callable[[bytes], bool], time: int
) -> int | None:
    if options.timestamp:
        return at
    length = packet[at + 1]
    if length < 4:
        return at + 1
    pointer, flags = packet[at + 2], packet[at + 3] & 15
    room = 7 if flags in (ADDRESSES_AND_TIMES, GIVEN_ADDRESSES) else 3
    if pointer < 5 or pointer <= length < pointer + room:
        return at + 2
    place = at + pointer - 1
    if pointer > length:
        if flags != GIVEN_ADDRESSES:  # the hosts that found no room are counted
            if packet[at + 3] >> 4 == 15:
                return at + 3
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
    return None


def answer(packet: bytes, options: Options, source: bytes, is_own: Callable[[bytes], bool], time: int) -> bytes | None:
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
