"""This machine's interfaces as the system tells them: on Linux asked by rtnetlink(7), elsewhere by psutil.

psutil takes no name that is not UTF-8: one such interface, and it lists none.
"""

from __future__ import annotations

import os
import socket
import sys
from contextlib import suppress
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Interface

from ipl_tui.networks.interface import State
from ipl_tui.networks.rtnetlink import Rtnetlink


@dataclass(frozen=True)
class Device:
    """An interface of this machine, in the network namespace of the thread that asked."""

    name: str
    """Name, which os.fsencode() turns back into the kernel's bytes."""
    state: State
    loopback: bool
    arp: bool
    """True if it would ask for neighbours, were it Ethernet."""
    mtu: int
    hardware_address: bytes
    """Empty where it has none."""
    addresses: tuple[IPv4Interface, ...] = ()
    broadcasts: tuple[IPv4Address, ...] = ()
    """Broadcast addresses that it was told of its networks: mostly, but not always, those that the addresses give."""


def devices() -> list[Device]:
    """Every interface there is now."""
    if sys.platform == "linux":
        with suppress(OSError):  # a container's policy may forbid AF_NETLINK
            return _ask_netlink()
    return _ask_psutil()


def own_addresses() -> set[str]:
    """The dotted quads of all interfaces."""
    if sys.platform == "linux":
        with suppress(OSError), Rtnetlink() as kernel:
            return {socket.inet_ntoa(each.address) for each in kernel.addresses()}
    import psutil

    return {entry.address for entries in psutil.net_if_addrs().values() for entry in entries}


def nameable(name: str) -> bool:
    """True if libraries that take names as UTF-8 can be told this one: libpcap's, and Python's packet sockets."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _ask_netlink() -> list[Device]:
    """Raises OSError."""
    with Rtnetlink() as kernel:
        links, addresses = kernel.links(), kernel.addresses()
    found = {
        link.number: Device(
            name=os.fsdecode(link.name),
            state="up" if link.running else "no carrier" if link.up else "down",
            loopback=link.loopback,
            arp=link.arp,
            mtu=link.mtu,
            hardware_address=link.hardware_address,
        )
        for link in links
    }
    for each in addresses:
        if known := found.get(each.link):
            address = IPv4Interface((each.address, each.prefix_length))
            broadcasts = [IPv4Address(each.broadcast)] if each.broadcast else []
            found[each.link] = replace(
                known, addresses=(*known.addresses, address), broadcasts=(*known.broadcasts, *broadcasts)
            )
    return list(found.values())


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
