"""This machine's own interfaces: listed with psutil, captured on with libpcap, sent from with the kernel's sockets.

Scapy takes 0.3 s to import and the first screen does not wait for it: whatever loads it is imported inside functions.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import psutil

from ipl_tui.capture.errors import CaptureError, permission_remedy
from ipl_tui.networks.interface import Ability, Interface, Method, Network, SendError, State

if TYPE_CHECKING:
    from scapy.supersocket import SuperSocket

    from ipl_tui.capture.sniffer import CaptureSocket

LINUX = sys.platform == "linux"

ETHERTYPE_IPV4 = 0x0800
ETHERNET = 1
LIMITED_BROADCAST = IPv4Address("255.255.255.255")
ETHERNET_BROADCAST = b"\xff" * 6

LINK_TYPE_OF_HARDWARE = {
    1: ETHERNET,
    772: ETHERNET,  # loopback
    512: 113,  # PPP: Linux cooked
    519: 12,  # raw IP, as are the tunnels:
    768: 12,
    776: 12,
    778: 12,
    65534: 12,
    801: 105,  # 802.11
    803: 127,  # 802.11 with radiotap
}
"""The link type libpcap gives to each hardware type of the kernel (linux/if_arp.h)."""

SIOCGIFFLAGS = 0x8913
SIOCGIFMTU = 0x8921
SIOCGIFHWADDR = 0x8927
IP_BOUND_IF = 25  # macOS, netinet/in.h

NEIGHBOUR_COMPLETE = 0x2  # ATF_COM in linux/if_arp.h: the entry's hardware address is known
REMEMBER_LINK_ADDRESS = 5.0  # seconds: as long as a series of sends, shorter than anybody takes to change a cable
GONE = {errno.ENODEV, errno.ENXIO, errno.EBADF}


@dataclass(frozen=True)
class KernelInterface(Interface):
    """An interface of this machine, in the network namespace of the thread that uses it."""

    name: str
    state: State
    addresses: tuple[IPv4Interface, ...]
    linktype: int | None
    mtu: int
    hardware_address: bytes = b""
    destination: str = ""
    loopback: bool = False
    asks_arp: bool = False
    """Whether its neighbours are found with ARP (RFC 826): Ethernet, but not loopback, tunnels or NOARP devices."""
    network: str = field(default="kernel", init=False)
    _sockets: dict[Method, socket.socket] = field(default_factory=dict, init=False, repr=False, compare=False)
    _link_addresses: dict[IPv4Address, tuple[float, bytes]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    _lock: Lock = field(default_factory=Lock, init=False, repr=False, compare=False)

    def can_capture(self) -> Ability:
        if LINUX:
            return self._permitted("Capturing")
        try:
            self.open_capture().close()
        except CaptureError as error:
            return Ability(False, str(error))
        return Ability(True)

    def can_send(self) -> Ability:
        return self._permitted("Sending")

    def _permitted(self, doing: str) -> Ability:
        if self.state == "down":
            return Ability(False, f"{self.name} is down: bring it up first.")
        try:
            # Raw and packet sockets need the same capability, but closing a packet socket takes the kernel 12 ms.
            socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW).close()
        except OSError as error:
            return Ability(False, self._why_not_opened(doing, error))
        return Ability(True)

    def open_capture(self, filter: str = "") -> CaptureSocket:
        from scapy.config import conf
        from scapy.error import Scapy_Exception

        from ipl_tui.capture.filters import FilterError, compile_filter, pcapy
        from ipl_tui.capture.sniffer import FrameSocket, PcapySocket

        if pcapy is not None:
            return PcapySocket(self.name, filter)
        linktype = ETHERNET if self.linktype is None else self.linktype
        try:
            compile_filter(filter, linktype)  # refuses all but a blank one: without libpcap nothing would run it
            return FrameSocket(conf.L2listen(iface=self.name), linktype)
        except (FilterError, OSError, RuntimeError, Scapy_Exception) as error:
            raise CaptureError(f"Cannot capture on {self.name}: {error}.") from error

    def choose_method(self, destination: str) -> Method:
        if self.loopback or _is_own(IPv4Address(destination)):
            return "kernel"  # on the wire nobody answers for them, and a frame written to lo is not delivered
        return "exact"

    def send(self, packet: bytes, method: Method) -> None:
        if len(packet) < 20:
            raise SendError(f"A packet begins with a header of 20 bytes; this one has {len(packet)} bytes.")
        destination = IPv4Address(packet[16:20])
        transmit = self._send_exact if method == "exact" else self._send_kernel
        try:
            try:
                transmit(packet, destination)
            except OSError as error:
                if error.errno not in GONE:
                    raise
                self.close()  # perhaps only replaced by another of its name
                transmit(packet, destination)
        except OSError as error:
            raise SendError(self._why_not_sent(packet, destination, method, error)) from error

    def _send_exact(self, packet: bytes, destination: IPv4Address) -> None:
        link_address = self._link_address(destination)
        if LINUX:
            # SOCK_DGRAM: the kernel puts the link header before the packet, whatever the interface's kind. Protocol 0:
            # the socket receives nothing.
            sender = self._socket("exact", lambda: socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0))
            sender.sendto(packet, (self.name, ETHERTYPE_IPV4, 0, 0, link_address))
            return
        if self.linktype != ETHERNET:
            raise SendError(f"{self.name} is not Ethernet: here the kernel method is the one that sends.")
        from scapy.config import conf
        from scapy.layers.l2 import Ether
        from scapy.packet import Raw

        with conf.L2socket(iface=self.name) as link:
            link.send(Ether(src=self.hardware_address, dst=link_address, type=ETHERTYPE_IPV4) / Raw(packet))

    def _send_kernel(self, packet: bytes, destination: IPv4Address) -> None:
        if sys.platform == "darwin":  # its raw sockets want Total Length and Fragment Offset in host order: ip(4)
            packet = packet[:2] + packet[3:1:-1] + packet[4:6] + packet[7:5:-1] + packet[8:]
        here = any(destination == address.ip for address in self.addresses)
        if not here and _is_own(destination):
            # Bound to this interface it would be routed past the one that holds the address, and lost.
            with self._open_raw(socket.IPPROTO_RAW, bound=False) as sender:
                sender.sendto(packet, (str(destination), 0))
        else:
            bound = self._socket("kernel", lambda: self._open_raw(socket.IPPROTO_RAW))
            bound.sendto(packet, (str(destination), 0))

    def open_protocol(self, proto: int, deaf: bool = False) -> SuperSocket:
        from scapy.layers.inet import IP
        from scapy.supersocket import SimpleSocket

        from ipl_tui.capture.filters import attach_reject_all

        try:
            receiver = self._open_raw(proto)
        except OSError as error:
            raise SendError(self._why_not_opened("Listening", error)) from error
        if deaf and LINUX:  # elsewhere there are no such filters, and it fills
            attach_reject_all(receiver)
        return SimpleSocket(receiver, IP)

    def close(self) -> None:
        with self._lock:
            while self._sockets:
                self._sockets.popitem()[1].close()

    def _socket(self, method: Method, opener: Callable[[], socket.socket]) -> socket.socket:
        """The socket kept for a method. Raises SendError when it is not permitted."""
        with self._lock:
            if method not in self._sockets:
                try:
                    self._sockets[method] = opener()
                except PermissionError as error:
                    raise SendError(self._why_not_opened("Sending", error)) from error
            return self._sockets[method]

    def _open_raw(self, proto: int, bound: bool = True) -> socket.socket:
        """A raw IP socket, bound to this interface."""
        raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, proto)
        try:
            raw.setsockopt(socket.IPPROTO_IP, socket.IP_HDRINCL, 1)
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            if bound and LINUX:
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, self.name.encode())
            elif bound and sys.platform == "darwin":
                raw.setsockopt(socket.IPPROTO_IP, IP_BOUND_IF, socket.if_nametoindex(self.name))
            elif bound and self.addresses:
                raw.bind((str(self.addresses[0].ip), 0))
        except BaseException:
            raw.close()
            raise
        return raw

    def _link_address(self, destination: IPv4Address) -> bytes:
        """The link-layer address a frame to this destination goes to; empty where frames have none."""
        if not self.asks_arp:
            return bytes(6) if self.linktype == ETHERNET else b""
        if destination.is_multicast:  # RFC 1112 §6.4: the low 23 bits of the group
            return b"\x01\x00\x5e" + (int(destination) & 0x7FFFFF).to_bytes(3)
        networks = [address.network for address in self.addresses if address.network.prefixlen < 31]  # RFC 3021
        if destination in (LIMITED_BROADCAST, *(network.broadcast_address for network in networks)):
            return ETHERNET_BROADCAST
        now = time.monotonic()
        expires, link_address = self._link_addresses.get(destination, (0.0, b""))
        if expires < now:
            hop = self._next_hop(destination)
            link_address = self._known_neighbour(hop) or self._ask_neighbour(hop)
            with self._lock:
                for old in [key for key, (expiry, _) in self._link_addresses.items() if expiry < now]:
                    del self._link_addresses[old]
                self._link_addresses[destination] = (now + REMEMBER_LINK_ADDRESS, link_address)
        return link_address

    def _next_hop(self, destination: IPv4Address) -> IPv4Address:
        """Who takes a packet to this destination from this interface: itself on the same subnet, else a router."""
        if _is_own(destination):
            raise SendError(f"{destination} is this machine's own address and no frame reaches it: kernel delivers it.")
        if any(destination in address.network for address in self.addresses):
            return destination
        # Read at every need, routes change; and not conf.route, which can't tell "no route" from "on this link".
        from scapy.arch import read_routes

        routes = [
            (mask, -metric, gateway)
            for network, mask, gateway, name, _, metric in read_routes()
            if name == self.name and int(destination) & mask == network & mask
        ]
        if not routes:
            raise SendError(self._no_route(destination))
        gateway = IPv4Address(max(routes)[2])
        return destination if gateway.is_unspecified else gateway

    def _known_neighbour(self, hop: IPv4Address) -> bytes:
        """The kernel's own knowledge of a neighbour's hardware address, or nothing."""
        try:
            table = Path("/proc/thread-self/net/arp").read_text().splitlines()[1:]
        except OSError:
            return b""  # no such table on this system
        for line in table:
            address, _, flags, hardware_address, _, device = line.split()
            if (address, device) == (str(hop), self.name) and int(flags, 16) & NEIGHBOUR_COMPLETE:
                return bytes.fromhex(hardware_address.replace(":", ""))
        return b""

    def _ask_neighbour(self, hop: IPv4Address) -> bytes:
        """A neighbour's hardware address, by ARP (RFC 826) from this interface. Raises SendError after two seconds."""
        from scapy.layers.l2 import ARP, Ether
        from scapy.sendrecv import srp1

        who_has = ARP(hwsrc=self.hardware_address, psrc=self.source_for(str(hop)), pdst=str(hop))
        frame = Ether(src=self.hardware_address, dst=ETHERNET_BROADCAST) / who_has
        try:
            answer = srp1(frame, iface=self.name, promisc=False, timeout=1, retry=1, verbose=0)
        except PermissionError as error:
            raise SendError(self._why_not_opened("Sending", error)) from error
        except ValueError as error:  # Scapy's word for an interface that is not there
            raise OSError(errno.ENODEV, os.strerror(errno.ENODEV)) from error
        if answer is None:
            raise SendError(f"Nobody at {hop} answered ARP on {self.name}.")
        return bytes.fromhex(answer[ARP].hwsrc.replace(":", ""))

    def _no_route(self, destination: IPv4Address) -> str:
        return f"No route to {destination} on {self.name}: send from another interface, or add a route."

    def _why_not_opened(self, doing: str, error: OSError) -> str:
        if isinstance(error, PermissionError):
            return f"{doing} on {self.name} needs permission: {permission_remedy()}."
        if error.errno in GONE:
            return f"{self.name} is no longer there: choose another interface."
        return f"{doing} on {self.name} failed: {error.strerror}."

    def _why_not_sent(self, packet: bytes, destination: IPv4Address, method: Method, error: OSError) -> str:
        """What the kernel objects to, and what would help."""
        header = (packet[0] & 15) * 4
        match error.errno:
            case errno.ENODEV | errno.ENXIO | errno.EBADF:
                return self._why_not_opened("Sending", error)
            case errno.ENETDOWN | errno.ENETUNREACH if not _is_up(self.name):
                return f"{self.name} is down: bring it up first."
            case errno.EMSGSIZE if len(packet) > (mtu := _read_mtu(self.name) or self.mtu):
                return f"The packet has {len(packet):,} bytes and {self.name} takes {mtu:,} at most (its MTU)."
            case errno.EMSGSIZE:
                return f"The packet has {len(packet):,} bytes, more than a router towards {destination} said it takes."
            case errno.EINVAL if method == "kernel" and not 20 <= header <= len(packet):
                says = f"IHL says {header} bytes, the packet has {len(packet)}" if header >= 20 else "IHL is below 5"
                return f"The kernel refuses this header ({says}); exact sends it as it is."
            case errno.EINVAL if method == "kernel":
                return "The kernel refuses this header; exact sends it as it is."
            case errno.ENETUNREACH | errno.EHOSTUNREACH:
                return self._no_route(destination)
            case errno.EPERM:
                return "The firewall of this machine stopped the packet."
            case errno.EACCES:
                return f"The kernel does not let packets to {destination} out on {self.name}; exact sends them."
            case errno.ENOBUFS:
                return f"The queue of {self.name} is full: send more slowly."
        return f"{self.name} did not take the packet: {error.strerror}."


class KernelNetwork(Network):
    """The interfaces of this machine, as its kernel has them."""

    name = "kernel"
    purpose = "This machine's own interfaces: real packets, real neighbours."

    def interfaces(self) -> list[Interface]:
        addresses = psutil.net_if_addrs()
        interfaces: list[Interface] = []
        for name, stats in psutil.net_if_stats().items():
            flags = set(stats.flags.split(","))
            linktype, hardware_address = _read_link(name)
            for entry in addresses.get(name, []):
                if entry.family == psutil.AF_LINK and not hardware_address:
                    hardware_address = _parse_hardware_address(entry.address)
            if linktype is None and len(hardware_address) == 6:
                linktype = ETHERNET
            own = tuple(
                IPv4Interface(f"{entry.address}/{entry.netmask or 32}")
                for entry in addresses.get(name, [])
                if entry.family == socket.AF_INET
            )
            interfaces.append(
                KernelInterface(
                    name=name,
                    # Windows gives no flags; there and elsewhere isup says that it runs.
                    state="up" if stats.isup else "no carrier" if "up" in flags else "down",
                    addresses=own,
                    linktype=linktype,
                    mtu=stats.mtu,
                    hardware_address=hardware_address,
                    loopback="loopback" in flags,
                    destination=str(own[0].ip) if own and own[0].ip.is_loopback else "",
                    asks_arp=linktype == ETHERNET and not flags & {"loopback", "noarp"},
                )
            )
        return interfaces


    def close(self) -> None:
        """Nothing of it is kept running: this machine goes on without."""


def _is_own(destination: IPv4Address) -> bool:
    """Whether packets to this address end in this machine."""
    own = (entry.address for entries in psutil.net_if_addrs().values() for entry in entries)
    return destination.is_loopback or str(destination) in own


def _parse_hardware_address(text: str) -> bytes:
    try:
        return bytes.fromhex(text.replace(":", "").replace("-", ""))
    except ValueError:
        return b""


def _ask_device(name: str, request: int) -> bytes:
    """The answer of Linux to an interface request (netdevice(7)): 16 bytes; nothing where it does not answer."""
    if not LINUX:
        return b""
    import fcntl

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        try:
            return fcntl.ioctl(asker, request, struct.pack("16s24x", name.encode()))[16:32]
        except OSError:
            return b""


def _read_link(name: str) -> tuple[int | None, bytes]:
    """An interface's link type and hardware address, as far as the system tells them without opening it."""
    answer = _ask_device(name, SIOCGIFHWADDR)
    if not answer:
        return None, b""
    (kind,) = struct.unpack_from("=H", answer)
    linktype = LINK_TYPE_OF_HARDWARE.get(kind)
    return linktype, answer[2:8] if linktype == ETHERNET else b""


def _is_up(name: str) -> bool:
    """Whether an interface is switched on now; taken for granted where the system does not tell."""
    answer = _ask_device(name, SIOCGIFFLAGS)
    return not answer or bool(struct.unpack_from("=H", answer)[0] & 1)  # IFF_UP


def _read_mtu(name: str) -> int:
    """An interface's MTU now, in bytes; 0 when the system does not tell."""
    answer = _ask_device(name, SIOCGIFMTU)
    return int(struct.unpack_from("=i", answer)[0]) if answer else 0
