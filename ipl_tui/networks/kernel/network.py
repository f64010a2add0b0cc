"""This machine's own interfaces: captured on with libpcap, sent from with the kernel's sockets.

Scapy takes 0.3 s to import, and the first screen does not wait for it: whatever loads it is imported inside functions.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path
from typing import TYPE_CHECKING

from ipl_tui.capture.errors import CaptureError, permission_remedy
from ipl_tui.networks.interface import (
    Ability,
    Interface,
    Method,
    Network,
    RawSocket,
    Route,
    SendError,
    State,
    broadcasts_of,
)
from ipl_tui.networks.kernel.devices import devices, nameable, own_addresses
from ipl_tui.networks.kernel.host_order import HostOrderSocket, RawSocketWrapper, for_host
from ipl_tui.networks.kernel.routes import loopback_name, route_to
from ipl_tui.networks.socket_interface import ETHERTYPE_IPV4, GONE, LINUX, SendCache, SocketInterface
from ipl_tui.packets.link_layer import ETHERNET

if TYPE_CHECKING:
    from scapy.supersocket import SuperSocket

    from ipl_tui.capture.sniffer import CaptureSocket

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
IP_UNICAST_IF = 50  # linux/in.h
LOOPBACK_INDEX = 1  # Linux's number for lo in every network namespace

NEIGHBOUR_COMPLETE = 0x2  # ATF_COM in linux/if_arp.h: the entry's hardware address is known


@dataclass(frozen=True)
class KernelInterface(SocketInterface):
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
    rewritten: frozenset[str] = field(default=Interface.rewritten if LINUX else frozenset(), init=False)
    network: str = field(default="kernel", init=False)
    of_this_machine: bool = field(default=True, init=False)
    hears_all: bool = field(default=True, init=False)
    owner: str = field(default="this machine", init=False)
    remedy_for_no_route: str = field(default="send from another interface, or add a route", init=False)
    _kept: SendCache = field(default_factory=SendCache, init=False, repr=False, compare=False)

    def can_capture(self) -> Ability:
        if not nameable(self.name):
            return Ability(False, self._unnameable("libpcap"))
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

        if not nameable(self.name):
            raise CaptureError(self._unnameable("libpcap"))
        if pcapy is not None:
            return PcapySocket(self.name, filter)
        linktype = ETHERNET if self.linktype is None else self.linktype
        try:
            compile_filter(filter, linktype)  # refuses all but a blank one: without libpcap nothing would run it
            return FrameSocket(conf.L2listen(iface=self.name), linktype)
        except (FilterError, OSError, RuntimeError, Scapy_Exception) as error:
            raise CaptureError(f"Cannot capture on {self.name}: {error}.") from error

    def broadcasts(self) -> frozenset[IPv4Address]:
        there = devices()
        addresses = [address for device in there for address in device.addresses]
        set_otherwise = {broadcast for device in there for broadcast in device.broadcasts}
        return (broadcasts_of(addresses) | set_otherwise) - {address.ip for address in addresses}

    def choose_method(self, destination: str) -> Method:
        if not nameable(self.name):
            return "kernel"  # the only one that can
        if self.loopback or self.is_own(destination):
            return "kernel"  # on the wire nobody answers for them, and a frame written to lo is not delivered
        return "exact"

    def _send_exact(self, packet: bytes, destination: IPv4Address) -> None:
        if not nameable(self.name):
            raise SendError(f"{self._unnameable('a packet socket')} Until then, kernel sends.")
        if LINUX:
            super()._send_exact(packet, destination)
            return
        link_address = self._link_address(destination)
        if self.linktype != ETHERNET:
            raise SendError(f"{self.name} is not Ethernet: here the kernel method is the one that sends.")
        from scapy.layers.l2 import Ether
        from scapy.packet import Raw

        with self._open_link() as link:
            link.send(Ether(src=self.hardware_address, dst=link_address, type=ETHERTYPE_IPV4) / Raw(packet))

    def _send_kernel(self, packet: bytes, destination: IPv4Address) -> None:
        super()._send_kernel(for_host(packet) if sys.platform == "darwin" else packet, destination)

    def _unnameable(self, user: str) -> str:
        """The sentence for a name that only raw sockets take."""
        return f"{self.name} has a name that is not UTF-8, which {user} does not take: rename it with ip link set."

    def _open_frames(self) -> socket.socket:
        return socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)

    def _open_raw(self, proto: int, bound: bool = True) -> socket.socket:
        raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, proto)
        try:
            raw.setsockopt(socket.IPPROTO_IP, socket.IP_HDRINCL, 1)
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            if bound and LINUX:
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, os.fsencode(self.name))
            elif bound and sys.platform == "darwin":
                raw.setsockopt(socket.IPPROTO_IP, IP_BOUND_IF, socket.if_nametoindex(self.name))
            elif bound and self.addresses:
                raw.bind((str(self.addresses[0].ip), 0))
        except BaseException:
            raw.close()
            raise
        return raw

    def open_raw(self, proto: int) -> RawSocket:
        raw = self._listen(proto)
        return HostOrderSocket(raw) if sys.platform == "darwin" else AnsweringSocket(raw, self)

    def open_stream(self) -> socket.socket:
        return socket.socket(socket.AF_INET, socket.SOCK_STREAM)

    def open_protocol(self, proto: int, discarding: bool = False) -> SuperSocket:
        if discarding:
            return super().open_protocol(proto, discarding)
        if not nameable(self.name):
            raise SendError(self._unnameable("a packet socket"))
        from ipl_tui.networks.kernel.arrivals import ArrivalSocket, ArrivalSource, PacketTap, frame_tap

        open_tap = PacketTap if LINUX else frame_tap
        doors = []
        with ExitStack() as opening:
            quieting = opening.enter_context(super().open_protocol(proto, discarding=True))
            try:
                tap = opening.enter_context(open_tap(self.name, proto))
                doors.append(ArrivalSource(tap, self.name, self.loopback, self.hardware_address))
                if loopback := self._loopback_beside():
                    tap = opening.enter_context(open_tap(loopback, proto))
                    doors.append(ArrivalSource(tap, loopback, True, only=frozenset(self._own)))
            except OSError as error:
                raise SendError(self._why_not_opened("Listening", error)) from error
            opening.pop_all()
        return ArrivalSocket(doors, [quieting])

    @property
    def _own(self) -> list[bytes]:
        """Its addresses, 4 bytes each."""
        return [address.ip.packed for address in self.addresses]

    def _loopback_beside(self) -> str:
        """The loopback interface, by which this machine's own packets to this interface's addresses come; nothing
        where that is this one, or is off."""
        name = loopback_name()
        return name if not self.loopback and self.addresses and _is_up(name) else ""

    def _listen(self, proto: int) -> socket.socket:
        from ipl_tui.capture.filters import attach_arrivals

        raw = super()._listen(proto)
        if not LINUX:
            return raw
        # A socket bound to an interface misses some packets that this machine sends to the interface's own addresses:
        # they come by loopback. So from now on, it is the filter that tells what is for it.
        try:
            here = socket.if_nametoindex(self.name)
            attach_arrivals(raw, here, LOOPBACK_INDEX, self._own)
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"")
            raw.setsockopt(socket.IPPROTO_IP, IP_UNICAST_IF, struct.pack("!I", here))
            raw.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, struct.pack("=8xI", here))
        except OSError as error:
            raw.close()
            raise SendError(self._why_not_opened("Listening", error)) from error
        return raw

    def _open_link(self) -> SuperSocket:
        from scapy.config import conf

        try:
            return conf.L2socket(iface=self.name, promisc=False)
        except ValueError as error:  # Scapy's word for an interface that is not there
            raise OSError(errno.ENODEV, os.strerror(errno.ENODEV)) from error

    def is_own(self, address: str) -> bool:
        return IPv4Address(address).is_loopback or address in own_addresses()

    def route(self, destination: str) -> Route | None:
        return route_to(destination)

    def _router_for(self, destination: IPv4Address) -> IPv4Address | None:
        # Read at every need, routes change; and not conf.route, which can't tell "no route" from "on this link".
        from scapy.arch import read_routes

        routes = [
            (mask, -metric, gateway)
            for network, mask, gateway, name, _, metric in read_routes()
            if name == self.name and int(destination) & mask == network & mask
        ]
        return IPv4Address(max(routes)[2]) if routes else None

    def _known_neighbour(self, hop: IPv4Address) -> bytes:
        try:
            table = Path("/proc/thread-self/net/arp").read_bytes().splitlines()[1:]
        except OSError:
            return b""  # no such table on this system
        for line in table:
            address, _, flags, hardware_address, _, device = line.split()
            here = (address, device) == (str(hop).encode(), os.fsencode(self.name))
            if here and int(flags, 16) & NEIGHBOUR_COMPLETE:
                return bytes.fromhex(hardware_address.decode().replace(":", ""))
        return b""

    def _is_up_now(self) -> bool:
        return _is_up(self.name)

    def _mtu_now(self) -> int:
        answer = _ask_device(self.name, SIOCGIFMTU)
        return int(struct.unpack_from("=i", answer)[0]) if answer else self.mtu

    def _why_not_opened(self, doing: str, error: OSError) -> str:
        if isinstance(error, PermissionError):
            return f"{doing} on {self.name} needs permission: {permission_remedy()}."
        if error.errno in GONE:
            return f"{self.name} is no longer there: choose another interface."
        return f"{doing} on {self.name} failed: {error.strerror}."


REMEMBER_OWN = 1.0  # seconds: as long as a series of answers, shorter than anybody takes to move an address


class AnsweringSocket(RawSocketWrapper):
    """A raw socket that sends by its interface, except to addresses that this machine has elsewhere: what comes from
    those by loopback, is answered there."""

    def __init__(self, raw: socket.socket, interface: KernelInterface) -> None:
        super().__init__(raw)
        self._interface = interface
        self._elsewhere: dict[str, bool] = {}
        self._until = 0.0
        """Time when addresses are asked for anew, seconds of the monotonic clock: asking takes longer than sending."""

    def sendto(self, packet: bytes, address: tuple[str, int], /) -> int:
        now = time.monotonic()
        if now > self._until:
            self._elsewhere.clear()
            self._until = now + REMEMBER_OWN
        elsewhere = self._elsewhere.get(address[0])
        if elsewhere is None:
            elsewhere = self._interface.is_own_elsewhere(IPv4Address(address[0]))
            self._elsewhere[address[0]] = elsewhere
        if not elsewhere:
            return super().sendto(packet, address)
        self._interface.send_unbound(packet, IPv4Address(address[0]))
        return len(packet)


class KernelNetwork(Network):
    """The interfaces of this machine, as its kernel has them."""

    name = "kernel"
    purpose = "This machine's own interfaces: real packets and neighbours."

    def interfaces(self) -> list[Interface]:
        interfaces: list[Interface] = []
        for device in devices():
            linktype, hardware_address = _read_link(device.name)
            hardware_address = hardware_address or device.hardware_address
            if linktype is None and len(hardware_address) == 6:
                linktype = ETHERNET
            own = device.addresses
            interfaces.append(
                KernelInterface(
                    name=device.name,
                    state=device.state,
                    addresses=own,
                    linktype=linktype,
                    mtu=device.mtu,
                    hardware_address=hardware_address,
                    loopback=device.loopback,
                    destination=str(own[0].ip) if own and own[0].ip.is_loopback else "",
                    asks_arp=linktype == ETHERNET and device.arp,
                )
            )
        return interfaces

    def way_out(self, destination: str) -> Interface | None:
        if IPv4Address(destination).is_loopback:
            return self.find(loopback_name())
        route = route_to(destination)
        return self.find(route.interface) if route is not None else None

    def way_to(self, destination: str, interface: Interface) -> Interface:
        if any(address.ip.is_loopback for address in interface.addresses) or not interface.is_own(destination):
            return interface
        return next((each for each in self.interfaces() if each.name == loopback_name()), interface)

    def close(self) -> None:
        """Nothing of it is kept running: this machine goes on without."""


def _is_up(name: str) -> bool:
    """True if an interface is switched on; taken for granted where the system does not tell."""
    answer = _ask_device(name, SIOCGIFFLAGS)
    return not answer or bool(struct.unpack_from("=H", answer)[0] & 1)  # IFF_UP


def _ask_device(name: str, request: int) -> bytes:
    """The answer of Linux to an interface request (netdevice(7)): 16 bytes; nothing where it does not answer."""
    if not LINUX:
        return b""
    import fcntl

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        try:
            return fcntl.ioctl(asker, request, struct.pack("16s24x", os.fsencode(name)))[16:32]
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
