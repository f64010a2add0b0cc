"""Link layers: where in a captured frame the IPv4 packet begins, and the headers before it."""

import sys

ETHERNET = 1
"""libpcap's link type."""

_WITHOUT_PROTOCOL = {0: 4, 12: 0, 14: 0, 101: 0, 108: 4, 228: 0}
"""Offset of the packet by link type: raw IP by its several numbers, and BSD's loopback. That names a family in one byte
order or the other, and IPv6 by a number of each system's own; the packet's version says the same."""

_ETHERTYPES = {ETHERNET: (12, 14), 113: (14, 16), 276: (0, 20)}
"""By link type: where the EtherType is, and what it names. 113 and 276 are Linux's cooked capture."""

_AF_INET = 2
"""The number of the IPv4 family, the same on all systems."""

_NOT_NAMED = b"\x00\x00"
_IPV4 = b"\x08\x00"
_VLAN_TAGS = (b"\x81\x00", b"\x88\xa8", b"\x91\x00")
_MPLS = (b"\x88\x47", b"\x88\x48")


def network_layer(frame: bytes, linktype: int) -> int:
    """Offset of the IPv4 packet in a frame, bytes; the frame's end if it is not IPv4 or its link type is not known
    here. Only EtherTypes name a protocol: with the other link types, what begins there may be anything. VLAN tags and
    MPLS labels are passed over.

    Only EtherTypes name a protocol: with the other link types, what begins there may be anything. VLAN tags and MPLS
    labels are passed over.
    """
    if linktype not in _ETHERTYPES:
        return _WITHOUT_PROTOCOL.get(linktype, len(frame))
    kind, at = _ETHERTYPES[linktype]
    while frame[kind : kind + 2] in _VLAN_TAGS:
        kind, at = at + 2, at + 4
    named = frame[kind : kind + 2]
    if named in _MPLS:
        return _behind_labels(frame, at)
    return at if named == _IPV4 or (linktype != ETHERNET and named == _NOT_NAMED) else len(frame)


def _behind_labels(frame: bytes, at: int) -> int:
    """End of a stack of MPLS labels, if IPv4 follows (RFC 3032 §2.1): no label says so, its version does."""
    while at + 4 < len(frame):
        last = frame[at + 2] & 1
        at += 4
        if last:
            return at if frame[at] >> 4 == 4 else len(frame)
    return len(frame)


def link_header(linktype: int) -> bytes | None:
    """First bytes of a frame of a link type when it carries IPv4, addresses being zeros; None where that is not known
    here. https://www.tcpdump.org/linktypes.html"""
    if linktype in _ETHERTYPES:
        kind, at = _ETHERTYPES[linktype]
        return bytes(kind) + _IPV4 + bytes(at - kind - len(_IPV4))
    families = {0: sys.byteorder, 108: "big"}  # BSD loopback says AF_INET as its host counts, OpenBSD's as networks do
    if order := families.get(linktype):
        return _AF_INET.to_bytes(4, "little" if order == "little" else "big")
    return b"" if linktype in _WITHOUT_PROTOCOL else None
