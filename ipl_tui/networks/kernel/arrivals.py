"""Captured arrivals at this machine for a protocol: also those that its kernel would hand to no socket.

What libpcap puts on loopback, as Scapy's send() does with `conf.use_pcap`, has no route attached: Linux takes its
loopback source for a martian and drops it after every capture has seen it. So who wants to hear all that other programs
send captures, and then has to leave out itself what a host does not take in.
"""

from __future__ import annotations

import errno
import socket
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from ipaddress import IPv4Interface

from scapy.config import conf
from scapy.data import MTU
from scapy.error import Scapy_Exception
from scapy.layers.inet import IP
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Raw
from scapy.supersocket import SimpleSocket, SuperSocket

from ipl_tui.capture.filters import attach_protocol
from ipl_tui.networks.reassembly import Arrival, Reassembly
from ipl_tui.networks.topology import Port
from ipl_tui.packets.checksum import internet_checksum
from ipl_tui.packets.ipv4 import SHORTEST_HEADER, header_length, is_fragment, without_padding

ETH_P_IP = 0x0800
"""A packet socket for this type alone gets what arrives and never what leaves: on loopback each packet once."""
PACKET_OTHERHOST = 3
"""The kernel's word for a frame to another hardware address (linux/if_packet.h)."""
LOOPBACK_NETWORK = 127
"""The first byte of its addresses (RFC 1122 §3.2.1.3)."""

REASSEMBLY_TIMEOUT = 30.0
"""Seconds, as Linux has it (ipfrag_time)."""
ROOM = 4 << 20
"""Bytes that may wait to be read, if the kernel allows so many."""


class WholePacket(IP):
    """An IPv4 packet that is dissected no further than to its payload: who listens needs no more, and what dissectors
    of some protocols make of hostile bytes takes seconds, in which nothing else would be heard."""

    name = "IP"
    match_subclass = True  # whoever asks it for the layer IP gets it

    def guess_payload_class(self, payload: bytes) -> type[Packet]:
        return Raw


class PacketTap(SimpleSocket):
    """The IPv4 packets of a protocol that arrive at an interface of Linux, each as soon as it has passed: unlike
    libpcap's ring, a plain packet socket (SOCK_DGRAM, packet(7)) does not gather them first."""

    def __init__(self, name: str, proto: int) -> None:
        """Raises OSError."""
        with ExitStack() as opening:
            tap = opening.enter_context(closing(socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)))
            attach_protocol(tap, proto)
            tap.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, ROOM)
            tap.bind((name, ETH_P_IP))
            tap.setblocking(False)
            opening.pop_all()
        super().__init__(tap, IP)
        self._name = name

    def recv_raw(self, x: int = MTU) -> tuple[type[Packet] | None, bytes | None, float | None]:
        try:
            packet, (_, _, kind, *_) = self.ins.recvfrom(x)
        except BlockingIOError:
            return None, None, None
        except OSError as error:
            # It is only down, and goes on when it is up again.
            if error.errno == errno.ENETDOWN and self._name in [name for _, name in socket.if_nameindex()]:
                return None, None, None
            raise
        return (None, None, None) if kind == PACKET_OTHERHOST else (IP, packet, None)


@dataclass(frozen=True)
class ArrivalSource:
    """An interface by which packets arrive, and what captures on it."""

    tap: SuperSocket
    """Gives packets from IP on, or frames of whatever link type Scapy knows."""
    name: str
    loopback: bool
    hardware_address: bytes = b""
    """Destination link address of Ethernet frames to it, bytes; empty: any."""
    only: frozenset[bytes] = frozenset()
    """The destinations, 4 bytes each, that are taken in by it; none: any."""

    def read(self) -> bytes:
        """The IPv4 packet that is next, if it is one that the host takes in; else nothing. Raises OSError."""
        kind, data, _ = self.tap.recv_raw()
        if not data or kind is None:
            return b""
        packet = take_in(data if kind is IP else self._packet_in(kind(data)))
        if not packet or (self.only and packet[16:20] not in self.only):
            return b""
        return packet if self.loopback or LOOPBACK_NETWORK not in (packet[12], packet[16]) else b""

    def _packet_in(self, frame: Packet) -> bytes:
        """The IPv4 packet that a frame brings, unless it is for another's hardware address: a card in promiscuous mode
        hands over those, too."""
        if isinstance(frame, Ether) and self.hardware_address:
            address = frame.original[:6]
            if address != self.hardware_address and not address[0] & 1:  # that bit: a broadcast or multicast
                return b""
        found = frame.getlayer(IP)
        return found.original if found is not None else b""


def frame_tap(name: str, proto: int) -> SuperSocket:
    """Scapy's own listening socket for the protocol's frames on an interface. Raises OSError."""
    try:
        return conf.L2listen(iface=name, filter=f"ip proto {proto}", promisc=False)
    except (RuntimeError, Scapy_Exception, ValueError) as error:
        raise OSError(errno.EIO, str(error)) from error


def take_in(packet: bytes) -> bytes:
    """A packet, without padding, as a host takes it in; nothing if its header is none: by its version, its length, its
    Total Length or its checksum (RFC 1122 §3.2.1)."""
    if len(packet) < SHORTEST_HEADER or packet[0] >> 4 != 4:
        return b""
    header, length = header_length(packet), int.from_bytes(packet[2:4])
    if not SHORTEST_HEADER <= header <= length <= len(packet) or internet_checksum(packet[:header]) != 0:
        return b""
    return without_padding(packet)


class ArrivalSocket(SuperSocket):
    """Packets that arrive by some doors, each once, whole and from IP on."""

    def __init__(self, doors: Sequence[ArrivalSource], quieting: Sequence[SuperSocket] = ()) -> None:
        """Take over the taps of the doors, which are of one kind, and sockets that only have to be open meanwhile."""
        self._doors = list(doors)
        self._quieting = quieting
        self._ready: list[ArrivalSource] = []
        self._reassembly = Reassembly(REASSEMBLY_TIMEOUT)

    @staticmethod
    def select(sockets: list[SuperSocket], remain: float | None = None) -> list[SuperSocket]:
        """Those that have something to receive: each as often as doors of it have."""
        doors: dict[SuperSocket, tuple[ArrivalSocket, ArrivalSource]] = {}
        others = []
        for each in sockets:
            if isinstance(each, ArrivalSocket):
                each._ready.clear()
                doors.update({door.tap: (each, door) for door in each._doors})
            else:
                others.append(each)
        found: list[SuperSocket] = []
        for ready in next(iter(doors)).select([*doors, *others], remain):
            if ready in doors:
                arrival, door = doors[ready]
                arrival._ready.append(door)
                found.append(arrival)
            else:
                found.append(ready)
        return found

    def recv_raw(self, x: int = MTU) -> tuple[type[Packet] | None, bytes | None, float | None]:
        """A packet, or nothing where what came is none for this host. Raises OSError."""
        while not self._ready:
            self.select([self], None)
        packet = self._ready.pop().read()
        if packet and is_fragment(packet):
            packet = self._join(packet)
        return (WholePacket, packet, None) if packet else (None, None, None)

    def _join(self, fragment: bytes) -> bytes:
        """The packet that this fragment completes; nothing if it does not."""
        now = time.monotonic()
        self._reassembly.expire(now)
        whole, _ = self._reassembly.add(Arrival(fragment, _SOMEWHERE, now))
        return whole.packet if whole is not None else b""

    def fileno(self) -> int:
        return self._doors[0].tap.fileno()

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            for each in (*(door.tap for door in self._doors), *self._quieting):
                with suppress(OSError):
                    each.close()


_SOMEWHERE = Port("", "", IPv4Interface("0.0.0.0/0"))
"""Fragments are put together by door, as each socket has few of them and none is told from the other here."""
