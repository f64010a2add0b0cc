"""What the system says of its own interfaces: on Linux asked by rtnetlink(7), elsewhere by psutil.

psutil takes no name that is not UTF-8: one such interface, and it lists none.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Interface

from ipl_tui.networks.interface import State

# linux/netlink.h, rtnetlink.h, if_link.h, if_addr.h, if.h
NLMSG_ERROR, NLMSG_DONE = 2, 3
NLM_F_REQUEST, NLM_F_DUMP = 0x1, 0x300
RTM_NEWLINK, RTM_GETLINK, RTM_NEWADDR, RTM_GETADDR = 16, 18, 20, 22
IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU = 1, 3, 4
IFA_ADDRESS, IFA_LOCAL, IFA_BROADCAST = 1, 2, 4
IFF_UP, IFF_LOOPBACK, IFF_RUNNING, IFF_NOARP = 0x1, 0x8, 0x40, 0x80
LONGEST_MESSAGE = 1 << 16  # bytes


@dataclass(frozen=True)
class Device:
    """An interface of this machine, in the network namespace of the thread that asked."""

    name: str
    """What os.fsencode() turns back into the kernel's bytes."""
    state: State
    loopback: bool
    arp: bool
    """Whether it would ask for neighbours, were it Ethernet."""
    mtu: int
    hardware_address: bytes
    """Empty where it has none."""
    addresses: tuple[IPv4Interface, ...] = ()
    broadcasts: tuple[IPv4Address, ...] = ()
    """What it was told of its networks' broadcast addresses: mostly, but not always, what the addresses say."""


def devices() -> list[Device]:
    """Every interface there is now."""
    if sys.platform == "linux":
        with suppress(OSError):  # a container's policy may forbid AF_NETLINK
            return _ask_netlink()
    return _ask_psutil()


def own_addresses() -> set[str]:
    """The dotted quads of all interfaces."""
    if sys.platform == "linux":
        with suppress(OSError):
            return {str(address.ip) for _, address, _ in _dump_addresses()}
    import psutil

    return {entry.address for entries in psutil.net_if_addrs().values() for entry in entries}


def nameable(name: str) -> bool:
    """Whether libraries that take names as UTF-8 can be told this one: libpcap's, and Python's packet sockets."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _ask_netlink() -> list[Device]:
    """Raises OSError."""
    found: dict[int, Device] = {}
    for message in _dump(RTM_GETLINK, RTM_NEWLINK, struct.pack("=BxHiII", socket.AF_UNSPEC, 0, 0, 0, 0)):
        _, _, index, flags, _ = struct.unpack_from("=BxHiII", message)
        values = _attributes(message, 16)
        up, running = flags & IFF_UP, flags & IFF_RUNNING
        found[index] = Device(
            name=os.fsdecode(values[IFLA_IFNAME].rstrip(b"\0")),
            state="up" if running else "no carrier" if up else "down",
            loopback=bool(flags & IFF_LOOPBACK),
            arp=not flags & (IFF_LOOPBACK | IFF_NOARP),
            mtu=struct.unpack("=I", values[IFLA_MTU])[0],
            hardware_address=values.get(IFLA_ADDRESS, b""),
        )
    for index, address, broadcasts in _dump_addresses():
        if known := found.get(index):
            found[index] = replace(
                known, addresses=(*known.addresses, address), broadcasts=(*known.broadcasts, *broadcasts)
            )
    return list(found.values())


def _dump_addresses() -> Iterator[tuple[int, IPv4Interface, list[IPv4Address]]]:
    """Each IPv4 address with the index of its interface, and its network's broadcast if it has one. Raises OSError."""
    for message in _dump(RTM_GETADDR, RTM_NEWADDR, struct.pack("=BBBBI", socket.AF_INET, 0, 0, 0, 0)):
        family, length, _, _, index = struct.unpack_from("=BBBBI", message)
        values = _attributes(message, 8)
        # Of a link between two points IFA_ADDRESS is the other end's.
        if family == socket.AF_INET and (own := values.get(IFA_LOCAL) or values.get(IFA_ADDRESS)):
            broadcasts = [IPv4Address(values[IFA_BROADCAST])] if IFA_BROADCAST in values else []
            yield index, IPv4Interface((own, length)), broadcasts


def _dump(question: int, answer: int, body: bytes) -> Iterator[bytes]:
    """What rtnetlink has of a kind, a message each, without its header. Raises OSError."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as kernel:
        kernel.send(struct.pack("=IHHII", 16 + len(body), question, NLM_F_REQUEST | NLM_F_DUMP, 0, 0) + body)
        while True:
            data = kernel.recv(LONGEST_MESSAGE)
            at = 0
            while at < len(data):
                length, kind = struct.unpack_from("=IH", data, at)
                if kind == NLMSG_DONE:
                    return
                if kind == NLMSG_ERROR:
                    (error,) = struct.unpack_from("=i", data, at + 16)
                    raise OSError(-error, os.strerror(-error))
                if kind == answer:
                    yield data[at + 16 : at + length]
                at += length + 3 & ~3


def _attributes(message: bytes, at: int) -> dict[int, bytes]:
    """The values that follow a message's own header of `at` bytes, by their kind."""
    values = {}
    while at + 4 <= len(message):
        size, kind = struct.unpack_from("=HH", message, at)
        values[kind] = message[at + 4 : at + size]
        at += max(size, 4) + 3 & ~3
    return values


def _ask_psutil() -> list[Device]:
    import psutil

    addresses = psutil.net_if_addrs()
    found = []
    for name, stats in psutil.net_if_stats().items():
        flags = set(stats.flags.split(","))
        entries = addresses.get(name, [])
        hardware = [_parse_hardware_address(entry.address) for entry in entries if entry.family == psutil.AF_LINK]
        found.append(
            Device(
                name=name,
                # Windows gives no flags; there and elsewhere isup says that it runs.
                state="up" if stats.isup else "no carrier" if "up" in flags else "down",
                loopback="loopback" in flags,
                arp=not flags & {"loopback", "noarp"},
                mtu=stats.mtu,
                hardware_address=next(filter(None, hardware), b""),
                addresses=tuple(
                    IPv4Interface(f"{entry.address}/{entry.netmask or 32}")
                    for entry in entries
                    if entry.family == socket.AF_INET
                ),
                broadcasts=tuple(
                    IPv4Address(entry.broadcast)
                    for entry in entries
                    if entry.family == socket.AF_INET and entry.broadcast
                ),
            )
        )
    return found


def _parse_hardware_address(text: str) -> bytes:
    try:
        return bytes.fromhex(text.replace(":", "").replace("-", ""))
    except ValueError:
        return b""
