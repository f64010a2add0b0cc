"""Sending and listening through a real kernel, this machine's or the sandbox's: next hop, ARP, what it objects to.

Scapy takes 0.3 s to import and the first screen does not wait for it: whatever loads it is imported inside functions.
"""

from __future__ import annotations

import errno
import socket
import sys
import time
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from threading import Lock
from typing import TYPE_CHECKING

from ipl_tui.networks.interface import Interface, Method, RawSocket, SendError
from ipl_tui.networks.send_errors import (
    impossible_header,
    longer_than_link,
    longer_than_path,
    no_header,
    no_neighbour,
    no_route,
    own_address,
)
from ipl_tui.packets.ipv4 import SHORTEST_HEADER, header_length
from ipl_tui.packets.link_layer import ETHERNET

if TYPE_CHECKING:
    from scapy.supersocket import SuperSocket

LINUX = sys.platform == "linux"

ETHERTYPE_IPV4 = 0x0800
LIMITED_BROADCAST = IPv4Address("255.255.255.255")
ETHERNET_BROADCAST = b"\xff" * 6

REMEMBER_LINK_ADDRESS = 5.0  # seconds: as long as a series of sends, shorter than anybody takes to change a cable
GONE = {errno.ENODEV, errno.ENXIO, errno.EBADF}


@dataclass
class SendCache:
    """An interface's memory from send to send."""

    sockets: dict[Method, socket.socket] = field(default_factory=dict)
    link_addresses: dict[IPv4Address, tuple[float, bytes]] = field(default_factory=dict)
    """Link address for frames to a destination, and its expiry in seconds of the monotonic clock."""
    lock: Lock = field(default_factory=Lock)


class SocketInterface(Interface):
    """An interface of a real kernel. Where that kernel is, and how its sockets are opened, is for others to say."""

    asks_arp: bool
    """True if its neighbours are found with ARP (RFC 826): Ethernet, but not loopback, tunnels or NOARP devices."""
    owner: str
    """Owner of the interface, in words."""
    remedy_for_no_route: str
    """Advice for a user without a route, the end of a sentence."""
    _kept: SendCache

    @abstractmethod
    def _open_frames(self) -> socket.socket:
        """A packet socket (SOCK_DGRAM, packet(7)) that receives nothing: the kernel puts the link header before what
        is sent, whatever the interface's kind. Raises OSError."""

    @abstractmethod
    def _open_raw(self, proto: int, bound: bool = True) -> socket.socket:
        """A raw IP socket (IP_HDRINCL, raw(7)), bound to this interface or not. Raises OSError."""

    @abstractmethod
    def _open_link(self) -> SuperSocket:
        """A Scapy socket for Ethernet frames of this interface. Raises OSError."""

    @abstractmethod
    def _router_for(self, destination: IPv4Address) -> IPv4Address | None:
        """The router that takes packets to an address of no subnet of this interface: 0.0.0.0 if they need none here,
        None if there is no route."""

    @abstractmethod
    def _known_neighbour(self, hop: IPv4Address) -> bytes:
        """The kernel's own knowledge of a neighbour's hardware address, or nothing."""

    @abstractmethod
    def _is_up_now(self) -> bool:
        """True if it is switched on."""

    @abstractmethod
    def _mtu_now(self) -> int:
        """Its MTU in bytes."""

    @abstractmethod
    def _why_not_opened(self, doing: str, error: OSError) -> str:
        """The sentence for a socket that was not opened; `doing` is its first word."""

    def send(self, packet: bytes, method: Method) -> None:
        if len(packet) < SHORTEST_HEADER:
            raise SendError(no_header(len(packet)))
        destination = IPv4Address(packet[16:20])
        transmit = self._send_exact if method == "exact" else self._send_kernel
        try:
            try:
                transmit(packet, destination)
            except OSError as error:
                if error.errno not in GONE:
                    raise
                self._forget_sockets()  # perhaps only replaced by another of its name
                transmit(packet, destination)
        except OSError as error:
            raise SendError(self._why_not_sent(packet, destination, method, error)) from error

    def _send_exact(self, packet: bytes, destination: IPv4Address) -> None:
        link_address = self._link_address(destination)
        sender = self._socket("exact", self._open_frames)
        sender.sendto(packet, (self.name, ETHERTYPE_IPV4, 0, 0, link_address))

    def _send_kernel(self, packet: bytes, destination: IPv4Address) -> None:
        if self.is_own_elsewhere(destination):
            self.send_unbound(packet, destination)
        else:
            bound = self._socket("kernel", lambda: self._open_raw(socket.IPPROTO_RAW))
            bound.sendto(packet, (str(destination), 0))

    def is_own_elsewhere(self, destination: IPv4Address) -> bool:
        """True if another interface of this host has the address: a packet bound to this one would be routed past that,
        and lost."""
        return destination not in [address.ip for address in self.addresses] and self.is_own(str(destination))

    def send_unbound(self, packet: bytes, destination: IPv4Address) -> None:
        with self._open_raw(socket.IPPROTO_RAW, bound=False) as sender:
            sender.sendto(packet, (str(destination), 0))

    def open_protocol(self, proto: int, discarding: bool = False) -> SuperSocket:
        from scapy.layers.inet import IP
        from scapy.supersocket import SimpleSocket

        from ipl_tui.capture.filters import attach_reject_all

        receiver = self._listen(proto)
        if discarding and LINUX:  # elsewhere there are no such filters, and it fills
            attach_reject_all(receiver)
        return SimpleSocket(receiver, IP)

    def open_raw(self, proto: int) -> RawSocket:
        return self._listen(proto)

    def _listen(self, proto: int) -> socket.socket:
        """A raw socket that receives a protocol. Raises SendError."""
        try:
            return self._open_raw(proto)
        except OSError as error:
            raise SendError(self._why_not_opened("Listening", error)) from error

    def close(self) -> None:
        self._forget_sockets()

    def _forget_sockets(self) -> None:
        with self._kept.lock:
            while self._kept.sockets:
                self._kept.sockets.popitem()[1].close()

    def _socket(self, method: Method, opener: Callable[[], socket.socket]) -> socket.socket:
        """The socket kept for a method. Raises SendError when it is not permitted."""
        with self._kept.lock:
            if method not in self._kept.sockets:
                try:
                    self._kept.sockets[method] = opener()
                except PermissionError as error:
                    raise SendError(self._why_not_opened("Sending", error)) from error
            return self._kept.sockets[method]

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
        known = self._kept.link_addresses
        expires, link_address = known.get(destination, (0.0, b""))
        if expires < now:
            hop = self._next_hop(destination)
            link_address = self._known_neighbour(hop) or self._ask_neighbour(hop)
            with self._kept.lock:
                for old in [key for key, (expiry, _) in known.items() if expiry < now]:
                    del known[old]
                known[destination] = (now + REMEMBER_LINK_ADDRESS, link_address)
        return link_address

    def _next_hop(self, destination: IPv4Address) -> IPv4Address:
        """Next hop to a destination from this interface: the destination itself on the same subnet, else a router."""
        if self.is_own(str(destination)):
            raise SendError(own_address(destination, self.owner))
        if any(destination in address.network for address in self.addresses):
            return destination
        router = self._router_for(destination)
        if router is None:
            raise SendError(self._no_route(destination))
        return destination if router.is_unspecified else router

    def _ask_neighbour(self, hop: IPv4Address) -> bytes:
        """A neighbour's hardware address, by ARP (RFC 826) from this interface. Raises SendError after two seconds."""
        from scapy.layers.l2 import ARP, Ether

        who_has = ARP(hwsrc=self.hardware_address, psrc=self.source_for(str(hop)), pdst=str(hop))
        frame = Ether(src=self.hardware_address, dst=ETHERNET_BROADCAST) / who_has
        try:
            with self._open_link() as link:
                answer = link.sr1(frame, timeout=1, retry=1, verbose=0)
        except PermissionError as error:
            raise SendError(self._why_not_opened("Sending", error)) from error
        if answer is None:
            raise SendError(no_neighbour(hop, self.name))
        return bytes.fromhex(answer[ARP].hwsrc.replace(":", ""))

    def _no_route(self, destination: IPv4Address) -> str:
        return no_route(destination, self.name, self.remedy_for_no_route)

    def _why_not_sent(self, packet: bytes, destination: IPv4Address, method: Method, error: OSError) -> str:
        """Reason why the kernel did not send, and what would help."""
        header = header_length(packet)
        match error.errno:
            case errno.ENODEV | errno.ENXIO | errno.EBADF:
                return self._why_not_opened("Sending", error)
            case errno.ENETDOWN | errno.ENETUNREACH if not self._is_up_now():
                return f"{self.name} is down: bring it up first."
            case errno.EMSGSIZE if len(packet) > (mtu := self._mtu_now()):
                return longer_than_link(len(packet), self.name, mtu)
            case errno.EMSGSIZE:
                return longer_than_path(len(packet), destination)
            case errno.EINVAL if method == "kernel" and not SHORTEST_HEADER <= header <= len(packet):
                return impossible_header(header, len(packet))
            case errno.EINVAL if method == "kernel":
                return "The kernel refuses this header; exact sends it as it is."
            case errno.ENETUNREACH | errno.EHOSTUNREACH:
                return self._no_route(destination)
            case errno.EPERM:
                return f"The firewall of {self.owner} stopped the packet."
            case errno.EACCES:
                return f"The kernel does not let packets to {destination} out on {self.name}; exact sends them."
            case errno.ENOBUFS:
                return f"The queue of {self.name} is full: send more slowly."
        return f"{self.name} did not take the packet: {error.strerror}."
