"""The fields of the layers around IPv4 explained: Ethernet, ARP, ICMP, UDP and TCP."""

from __future__ import annotations

from collections.abc import Mapping

from ipl_tui.packets.explanations.explained import Explained
from ipl_tui.packets.explanations.ipv4 import explain_address
from ipl_tui.packets.icmp import ERRORS
from ipl_tui.packets.messages import PORT
from ipl_tui.packets.text import counted

_ETHERTYPES = {0x0800: "IPv4", 0x0806: "ARP", 0x8100: "a VLAN tag", 0x86DD: "IPv6", 0x88A8: "a provider's VLAN tag",
               0x8847: "MPLS", 0x88CC: "LLDP"}  # fmt: skip


def _mac(value: int, header: bytes) -> str:
    if value == (1 << 48) - 1:
        return "the broadcast: every host on the link."
    if value >> 40 & 1:
        return "a group of hosts: the lowest bit of the first byte is 1."
    kind = "given by software: locally administered" if value >> 41 & 1 else "given by the card's maker"
    return f"one card's, {kind}."


def _ethertype(value: int, header: bytes) -> str:
    if value < 0x600:
        return f"{value}: a length, as IEEE 802.3 has it; LLC follows."
    return f"{value:#06x}: {_ETHERTYPES.get(value, 'no type that the lab knows by name')}."


_OPERATIONS = {1: "1: a request, who has this address?", 2: "2: a reply, this address is at that card."}

_ICMP_TYPES = {0: "echo reply: the answer to a ping", 3: "destination unreachable", 4: "source quench, out of use",
               5: "redirect: a better first router", 8: "echo request: a ping", 9: "router advertisement",
               10: "router solicitation", 11: "time exceeded", 12: "parameter problem", 13: "timestamp request",
               14: "timestamp reply", 17: "address mask request", 18: "address mask reply"}  # fmt: skip


def _icmp_type(value: int, header: bytes) -> str:
    return f"{value}: {_ICMP_TYPES.get(value, 'no type that the lab knows by name')}."


def _icmp_code(value: int, header: bytes) -> str:
    if (said := ERRORS.get((header[0], value))) is not None:
        return f"{header[0]}/{value}: {said}."
    return f"{value}: the only one of its type." if header[0] in (0, 8, 13, 14) and not value else f"{value}."


def _port(value: int, header: bytes) -> str:
    if value == PORT:
        return f"{value}: the asyncio engine's."
    if value < 1024:
        return f"{value}: a well-known port, given by IANA (RFC 6335)."
    return f"{value}: a registered port (RFC 6335)." if value < 49152 else f"{value}: a dynamic port (RFC 6335)."


def _udp_length(value: int, header: bytes) -> str:
    if value < 8:
        return f"{counted(value, 'byte')}: less than the header has."
    return f"{value} bytes: 8 of header and {value - 8} of data."


def _udp_checksum(value: int, header: bytes) -> str:
    return "0: the sender made none." if value == 0 else f"{value:#06x}."


def _data_offset(value: int, header: bytes) -> str:
    if value < 5:
        are = "is" if value == 1 else "are"
        return f"{counted(value, 'word')} {are} {4 * value} bytes: less than any TCP header has."
    return f"{value} words of 4 bytes are {4 * value} bytes: {4 * value - 20} of options."


_TCP_FLAGS = ("FIN: no more data", "SYN: opens a connection", "RST: breaks off", "PSH: pass it on at once",
              "ACK: the acknowledgment counts", "URG: the urgent pointer counts", "ECE: congestion was met",
              "CWR: sends less now", "AE")  # fmt: skip


def _tcp_flags(value: int, header: bytes) -> str:
    return "; ".join(text for bit, text in enumerate(_TCP_FLAGS) if value >> bit & 1) or "none is set"


def _bytes_of(value: int, header: bytes) -> str:
    return f"{counted(value, 'byte')}."


AROUND_IPV4: Mapping[str, tuple[Explained, ...]] = {
    "Ethernet": (
        Explained("dst", "Destination Address", 0, 48, "IEEE 802.3 §3.2.4", "The card on this link that is to take the "
                  "frame. A router makes a new frame for each link.", value_says=_mac),
        Explained("src", "Source Address", 48, 48, "IEEE 802.3 §3.2.5", "The card on this link that sent the frame.",
                  "It is the last hop's, not the sender's of the packet.", value_says=_mac),
        Explained("type", "EtherType", 96, 16, "IEEE 802.3 §3.2.6", "What the frame carries.", value_says=_ethertype),
    ),
    "ARP": (
        Explained("hwtype", "Hardware Type", 0, 16, "RFC 826", "The kind of link: 1 is Ethernet."),
        Explained("ptype", "Protocol Type", 16, 16, "RFC 826", "The kind of address asked for, as an EtherType.",
                  value_says=_ethertype),
        Explained("hwlen", "Hardware Length", 32, 8, "RFC 826", "Bytes of a link address: 6 on Ethernet."),
        Explained("plen", "Protocol Length", 40, 8, "RFC 826", "Bytes of a protocol address: 4 with IPv4."),
        Explained("op", "Operation", 48, 16, "RFC 826", "Whether somebody asks or answers.",
                  value_says=lambda value, header: _OPERATIONS.get(value, f"{value}: rarely seen.")),
        Explained("hwsrc", "Sender Hardware Address", 64, 48, "RFC 826", "The card of the one who sends this."),
        Explained("psrc", "Sender Protocol Address", 112, 32, "RFC 826", "The IPv4 address of the one who sends this.",
                  "Nobody verifies it: that is ARP spoofing.", value_says=explain_address),
        Explained("hwdst", "Target Hardware Address", 144, 48, "RFC 826", "The card asked for; zeros in a request."),
        Explained("pdst", "Target Protocol Address", 192, 32, "RFC 826", "The IPv4 address asked for.",
                  value_says=explain_address),
    ),
    "ICMP": (
        Explained("type", "Type", 0, 8, "RFC 792", "The kind of message.", value_says=_icmp_type),
        Explained("code", "Code", 8, 8, "RFC 792", "What exactly, within the type.", value_says=_icmp_code),
        Explained("chksum", "Checksum", 16, 16, "RFC 792", "Guards the whole ICMP message, its data too."),
        Explained("id", "Identifier", 32, 16, "RFC 792", "Tells the pings of several programs apart.",
                  "It is another than the IPv4 header's Identification."),
        Explained("seq", "Sequence Number", 48, 16, "RFC 792", "Tells the pings of one program apart."),
        Explained("nexthopmtu", "Next-Hop MTU", 48, 16, "RFC 1191 §4", "Most bytes that the next link takes.",
                  value_says=_bytes_of),
        Explained("ptr", "Pointer", 32, 8, "RFC 792", "The byte of the header where the problem is.",
                  value_says=lambda value, header: f"byte {value} of the quoted header."),
        Explained("gw", "Gateway Internet Address", 32, 32, "RFC 792", "The better first router.",
                  value_says=explain_address),
    ),
    "UDP": (
        Explained("sport", "Source Port", 0, 16, "RFC 768", "The program that sent it, and where answers go.",
                  value_says=_port),
        Explained("dport", "Destination Port", 16, 16, "RFC 768", "The program that it is for.", value_says=_port),
        Explained("len", "Length", 32, 16, "RFC 768", "Bytes of UDP header and data.", value_says=_udp_length),
        Explained("chksum", "Checksum", 48, 16, "RFC 768", "Guards header, data and the IPv4 addresses.",
                  value_says=_udp_checksum),
    ),
    "TCP": (
        Explained("sport", "Source Port", 0, 16, "RFC 9293 §3.1", "The program that sent it.", value_says=_port),
        Explained("dport", "Destination Port", 16, 16, "RFC 9293 §3.1", "The program that it is for.",
                  value_says=_port),
        Explained("seq", "Sequence Number", 32, 32, "RFC 9293 §3.1", "The number of its first byte of data.",
                  "It counts bytes, not segments."),
        Explained("ack", "Acknowledgment Number", 64, 32, "RFC 9293 §3.1", "The next byte that its sender waits for."),
        Explained("dataofs", "Data Offset", 96, 4, "RFC 9293 §3.1", "Where the data begins, in words of 4 bytes.",
                  value_says=_data_offset),
        Explained("reserved", "Reserved", 100, 3, "RFC 9293 §3.1", "Must be zero."),
        Explained("flags", "Control Bits", 103, 9, "RFC 9293 §3.1", "What the segment is there for.",
                  value_says=_tcp_flags),
        Explained("window", "Window", 112, 16, "RFC 9293 §3.1", "Bytes that its sender is ready to receive, unscaled.",
                  value_says=_bytes_of),
        Explained("chksum", "Checksum", 128, 16, "RFC 9293 §3.1", "Guards header, data and the IPv4 addresses."),
        Explained("urgptr", "Urgent Pointer", 144, 16, "RFC 9293 §3.1", "Where urgent data ends, if URG is set."),
        Explained("options", "Options", 160, 0, "RFC 9293 §3.2", "What both ends agree on, most of it when they open."),
    ),
}  # fmt: skip
"""Fields by Scapy's name of their layer, in header order."""
