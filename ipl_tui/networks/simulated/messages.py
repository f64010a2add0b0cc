"""ICMP messages of a simulated host and the packets around them, byte by byte, built with Scapy."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address

from scapy.layers.inet import ICMP, IP

from ipl_tui.networks.reassembly import write_checksum
from ipl_tui.networks.simulated.routing import is_multicast
from ipl_tui.packets.checksum import internet_checksum

ICMP_PROTOCOL, TCP_PROTOCOL, UDP_PROTOCOL = 1, 6, 17

ECHO_REPLY, UNREACHABLE, REDIRECT, ECHO, TIME_EXCEEDED = 0, 3, 5, 8, 11
PARAMETER_PROBLEM, TIMESTAMP, TIMESTAMP_REPLY = 12, 13, 14
"""ICMP types (RFC 792)."""

ICMP_HEADER = 8

DAY = 86_400_000
"""Milliseconds."""


@lru_cache(maxsize=256)  # building with Scapy takes some 0.2 ms, and mostly the same is said again and again
def icmp(**fields: int | str) -> bytes:
    """The header of an ICMP message, by Scapy's names (RFC 792); its checksum is 0 still."""
    return bytes(ICMP(**fields, chksum=0))  # type: ignore[arg-type]  # Scapy types no field's value


def parameter_problem(at: int) -> bytes:
    """The header of the ICMP error about a byte of a header that makes no sense, by its place (RFC 792)."""
    return icmp(type=PARAMETER_PROBLEM, ptr=at)


def complete(
    proto: int, tos: int, source: bytes, destination: bytes, options: bytes, identification: bytes, message: bytes
) -> bytes:
    """The packet around an ICMP or TCP message; its length and checksums are written here, the message's too."""
    packet = bytearray(_header(proto, tos, source, destination, options) + message)
    packet[2:4] = len(packet).to_bytes(2)
    packet[4:6] = identification
    at = len(packet) - len(message)
    if proto == TCP_PROTOCOL:
        packet[at + 16 : at + 18] = pseudo_checksum(bytes(packet[12:20]), proto, message).to_bytes(2)
    else:
        # Of nothing but zeros, as in the reply to an empty echo request, it may be 0 or 0xFFFF: Linux writes 0.
        packet[at + 2 : at + 4] = (internet_checksum(message) % 0xFFFF).to_bytes(2)
    if is_multicast(destination):
        packet[8] = 1  # RFC 1112 §6.1
    write_checksum(packet)
    return bytes(packet)


@lru_cache(maxsize=256)
def _header(proto: int, tos: int, source: bytes, destination: bytes, options: bytes) -> bytes:
    """The header of what this host says; length, identification and checksum are to be written."""
    src, dst = str(IPv4Address(source)), str(IPv4Address(destination))
    flags = "DF" if proto == TCP_PROTOCOL else 0
    return bytes(IP(proto=proto, tos=tos, id=0, flags=flags, src=src, dst=dst, options=options))


def pseudo_checksum(addresses: bytes, proto: int, segment: bytes) -> int:
    """The checksum over a UDP datagram or TCP segment and its pseudo-header: 0, if it has it (RFC 9293 §3.1)."""
    return internet_checksum(addresses + bytes([0, proto]) + len(segment).to_bytes(2) + segment)


def since_midnight(now: float) -> int:
    """Milliseconds since midnight UT (RFC 791 §3.1, Internet Timestamp), of seconds since 1970."""
    return int(now * 1000) % DAY
