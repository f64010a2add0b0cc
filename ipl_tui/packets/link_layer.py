"""Where in a captured frame the IPv4 packet begins."""

ETHERNET = 1
"""libpcap's link type."""

_NETWORK_LAYER = {0: 4, 12: 0, 14: 0, 101: 0, 108: 4, 113: 16, 228: 0, 276: 20}
"""Offset of the packet by link type. Ethernet is not here: VLAN tags shift it."""

_ETHERTYPE_IPV4 = b"\x08\x00"
_VLAN_TAGS = (b"\x81\x00", b"\x88\xa8", b"\x91\x00")


def network_layer(frame: bytes, linktype: int) -> int:
    """Where the packet begins; the frame's end if it is not IPv4 or its link type is not known here.

    Only Ethernet and VLAN tags name a protocol: with the other link types, what begins there may be anything.
    """
    if linktype != ETHERNET:
        return _NETWORK_LAYER.get(linktype, len(frame))
    at = 12
    while frame[at : at + 2] in _VLAN_TAGS:
        at += 4
    return at + 2 if frame[at : at + 2] == _ETHERTYPE_IPV4 else len(frame)
