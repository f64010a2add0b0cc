"""Contract of every interface, whichever network it belongs to: to be captured on, sent from, and listened to."""

from __future__ import annotations

import socket
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface
from typing import TYPE_CHECKING, Literal, Protocol

from ipl_tui.networks.topology import Link

if TYPE_CHECKING:  # both load Scapy, which the first screen must not wait for
    from scapy.supersocket import SuperSocket

    from ipl_tui.capture.sniffer import CaptureSocket

Method = Literal["exact", "kernel"]
"""Method of sending a packet: "exact" as a frame, bytes as composed; "kernel" through a raw IP socket, which changes
some."""

State = Literal["up", "down", "no carrier"]

LOOPBACK = "127.0.0.1"
"""The source of packets to any address of 127.0.0.0/8, unless another is asked for."""

LINK_TYPES = {
    0: "BSD loopback",
    1: "Ethernet",
    9: "PPP",
    12: "raw IP",
    14: "raw IP",
    101: "raw IP",
    105: "802.11",
    108: "OpenBSD loopback",
    113: "Linux cooked",
    127: "802.11 with radiotap",
    276: "Linux cooked v2",
}
"""Names for the link types of libpcap that interfaces have."""


class RawSocket(Protocol):
    """A raw(7) socket, as far as the exchange uses it: a socket.socket, or the like of it on a network in memory.

    It receives whole IPv4 packets; what is sent begins with its header once IP_HDRINCL is set.
    """

    def setsockopt(self, level: int, option: int, value: int, /) -> None: ...
    def settimeout(self, seconds: float | None, /) -> None: ...
    def sendto(self, packet: bytes, address: tuple[str, int], /) -> int: ...
    def recv(self, size: int, /) -> bytes: ...
    def fileno(self) -> int: ...
    def close(self) -> None: ...


class SendError(Exception):
    """A packet was not sent; the message is one sentence for the user."""


class LinkError(Exception):
    """A link was not set; the message is one sentence for the user."""


class UnknownInterface(Exception):
    """A network has no interface of that name; the message is one sentence that lists the names it has."""


@dataclass(frozen=True)
class Ability:
    """Ability of an interface to do something; the reason, when it can't, is one sentence: why, and what to do."""

    possible: bool
    reason: str = ""


@dataclass(frozen=True)
class Route:
    """A host's decision for the packets to a destination."""

    interface: str
    """The name of the interface that they leave by."""
    source: str
    """The dotted quad that they come from."""
    router: str = ""
    """The dotted quad that takes them; empty where they need no router."""


class Interface(ABC):
    """Something that packets can be captured on and sent from.

    What it says of itself (state, addresses, MTU) is as of when it was listed. Methods may be called from any thread.
    """

    network: str
    """The name of its network: "kernel", ..."""
    host: str = ""
    """The host it belongs to, in networks that have several; else nothing."""
    name: str
    """Unique in its network."""
    state: State
    addresses: tuple[IPv4Interface, ...]
    linktype: int | None
    """libpcap's number for the shape of its frames; None where only opening it tells."""
    mtu: int
    """The longest IP packet it takes, in bytes."""
    hardware_address: bytes = b""
    """Link address that its frames come from, bytes; empty where they have no such thing."""

    rewritten: frozenset[str] = frozenset({"len", "chksum"})
    """Fields of the header that its host's kernel writes on raw IP sockets whatever stands there (Linux, raw(7))."""

    destination: str = ""
    """The dotted quad that a new draft goes to, where there is one that makes sense; else nothing."""

    hears_all: bool = False
    """True if open_protocol() captures, and so hears also what the host's kernel hands to no raw socket."""

    of_this_machine: bool = False
    """True if it is one of the machine that this program runs on, whose permissions and firewall hold for it."""

    no_tcpdump: str = ""
    """Reason why tcpdump has nothing of it once this program has ended, and what to do instead; empty where it has."""

    @property
    def full_name(self) -> str:
        """Name that tells it from the interfaces of all other networks, as the command line takes it."""
        return self.full_name_of(self.name)

    def full_name_of(self, name: str) -> str:
        """The full name of its host's interface of that name."""
        return f"{self.network}:{self.host}/{name}" if self.host else name

    @property
    def linktype_name(self) -> str:
        """The link type in words, such as "Ethernet"."""
        if self.linktype is None:
            return "unknown"
        return LINK_TYPES.get(self.linktype, f"link type {self.linktype}")

    @property
    def properties(self) -> str:
        """Addresses, link type and MTU in one line."""
        addresses = ", ".join(map(str, self.addresses)) or "no IPv4 address"
        return f"{addresses}  {self.linktype_name}, MTU {self.mtu}"

    def abilities(self) -> dict[str, Ability]:
        """Abilities of the interface, by their verb."""
        return {"capture": self.can_capture(), "send": self.can_send()}

    def obstacles(self) -> list[str]:
        """Reasons why not all can be done here: a sentence, for one remedy serves for both, or none."""
        return [ability.reason for ability in self.abilities().values() if not ability.possible][:1]

    def broadcasts(self) -> frozenset[IPv4Address]:
        """The addresses that mean everybody on a network that its host is on, by whatever interface, as of now."""
        return broadcasts_of(self.addresses)

    @abstractmethod
    def can_capture(self) -> Ability:
        """Ability to capture: open_capture() would succeed for this user, now."""

    @abstractmethod
    def can_send(self) -> Ability:
        """Ability to send: send() and open_protocol() would be permitted to this user, now."""

    @abstractmethod
    def open_capture(self, filter: str = "") -> CaptureSocket:
        """Open it for capturing what passes the BPF filter. Raises CaptureError."""

    @abstractmethod
    def choose_method(self, destination: str) -> Method:
        """The method that delivers to a dotted-quad destination: exact wherever it works."""

    @abstractmethod
    def send(self, packet: bytes, method: Method) -> None:
        """Send an IPv4 header and its payload to the destination the header names (RFC 791 §3.1).

        Blocks, up to some seconds while ARP asks for a neighbour: call it from a worker. Raises SendError.
        """

    @abstractmethod
    def open_protocol(self, proto: int, discarding: bool = False) -> SuperSocket:
        """Open a socket for what arrives here with an IP protocol number; its recv() gives Scapy packets.

        They begin with IP, are whole, and are what a host takes in; what comes to an address of this interface from
        its own host, by loopback, is among them. On this machine's interfaces it captures, on the networks of our own
        it is a raw socket.
        While it is open, the host does not answer that protocol with ICMP protocol unreachable (RFC 792). A
        discarding one is there for that alone: it receives nothing and so never fills (on Linux). Raises SendError.
        """

    @abstractmethod
    def open_raw(self, proto: int) -> RawSocket:
        """Open `socket.socket(AF_INET, SOCK_RAW, proto)` in this interface's host, for what its kernel hands over.

        It sends by this interface, and receives what arrives there; and by loopback what this interface's host sends
        to an address of it. Raises SendError.
        """

    @abstractmethod
    def open_stream(self) -> socket.socket:
        """Open `socket.socket(AF_INET, SOCK_STREAM)`, TCP, in this interface's host. Raises SendError."""

    def tcpdump(self) -> list[str]:
        """The words of a command that begins to capture here with tcpdump, without a filter; empty where tcpdump does
        not get here. They hold until the network is closed. Takes some tens of ms where the network is only made."""
        return ["tcpdump", "-n", "-i", self.name]

    @abstractmethod
    def route(self, destination: str) -> Route | None:
        """Route of its host to a dotted quad, by whatever interface; None where there is none."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the sockets kept from send to send; the next send opens them again."""

    def is_own(self, address: str) -> bool:
        """True if packets to this dotted quad end in the interface's own host, whichever of its interfaces has it."""
        target = IPv4Address(address)
        return target.is_loopback or any(target == own.ip for own in self.addresses)

    def source_for(self, destination: str) -> str:
        """The host's address for a dotted-quad destination: the same one for an address of its own, as Linux has it;
        else this interface's on its subnet (longest prefix), else its first; "0.0.0.0" if it has none."""
        target = IPv4Address(destination)
        if self.is_own(destination):
            return LOOPBACK if target.is_loopback else destination
        near = [address for address in self.addresses if target in address.network]
        if near:
            return str(max(near, key=lambda address: address.network.prefixlen).ip)
        return str(self.addresses[0].ip) if self.addresses else "0.0.0.0"


class Network(ABC):
    """A provider of interfaces. Methods may be called from any thread."""

    name: str
    purpose: str
    """One line: what this network is for."""
    private: bool = False
    """True if no other program reaches its hosts: so this one answers there, its responder is on unless it is switched
    off."""
    allowed: str = ""
    """Permission that a system gives when it allows this network, and what follows, in words; empty where each one
    does."""
    restartable: bool = False
    """True if restart() is possible: its hosts are there for this program alone."""

    @abstractmethod
    def interfaces(self) -> list[Interface]:
        """Its interfaces as they are now."""

    def has(self, interface: Interface) -> bool:
        """True if an interface is one of its own."""
        return interface.network == self.name

    def find(self, name: str) -> Interface:
        """The interface of a name: "c0", "client/c0", or "client" for a host's first. Raises UnknownInterface."""
        interfaces = self.interfaces()
        for interface in interfaces:
            if name and name in (interface.name, f"{interface.host}/{interface.name}", interface.host):
                return interface
        names = ", ".join(f"{i.host}/{i.name}" if i.host else i.name for i in interfaces) or "none"
        raise UnknownInterface(f'There is no interface "{name}"; there are: {names}.')

    def path(self) -> tuple[Interface, ...]:
        """The interfaces that packets pass from one end to the other, in order; empty where nobody knows them."""
        return ()

    def responder_at(self, interface: Interface) -> Interface:
        """The interface whose host answers ClientMessage when this one is selected."""
        return interface

    def way_out(self, destination: str) -> Interface | None:
        """The interface by which this machine's programs reach a dotted quad when they choose none; None where no route
        leads there, and in a network that is none of this machine's. Raises UnknownInterface if it is not listed."""
        return None

    def way_to(self, destination: str, interface: Interface) -> Interface:
        """The interface by which packets to a dotted quad really leave when they are sent from one: that, but for
        addresses of its own host where those have an interface of their own, loopback."""
        return interface

    def fate(self, interface: str, time: int) -> str:
        """Sentence on what became of the frame seen on an interface at a time in ns since the epoch: for one that went
        no further and whose network knows why; else empty. In it "it" is the frame's packet, nothing else."""
        return ""

    def links(self) -> tuple[Link, ...]:
        """Its links as they are set now; empty where nothing can be set."""
        return ()

    def set_link(self, link: Link) -> None:
        """Treat packets on the link with these ends like this from now on. Raises LinkError."""
        raise LinkError(f"The {self.name} network has no links that can be set.")

    def restart(self) -> None:
        """Have its hosts and links as when it was first used: what they have learnt and counted is forgotten, and all
        sockets there should be closed before. Only where it is restartable."""
        raise NotImplementedError(f"the {self.name} network can't be started afresh")

    @abstractmethod
    def close(self) -> None:
        """End what it keeps running; it begins again when it is next used."""


def broadcasts_of(addresses: Iterable[IPv4Interface]) -> frozenset[IPv4Address]:
    """The directed broadcasts of the networks of these addresses, and their networks' own addresses, once broadcasts
    too (RFC 1122 §3.3.6); a network of one or two hosts has none (RFC 3021)."""
    networks = [address.network for address in addresses if address.network.prefixlen < 31]
    return frozenset(each for network in networks for each in (network.network_address, network.broadcast_address))


def network_of(interface: Interface, networks: Iterable[Network]) -> Network:
    """The network that an interface belongs to."""
    return next(network for network in networks if network.has(interface))


def way_out(destination: str, networks: Iterable[Network]) -> Interface | None:
    """The interface by which this machine's programs reach a dotted quad when they choose none; None where no route
    leads there. Raises UnknownInterface if it is not listed."""
    ways = (network.way_out(destination) for network in networks)
    return next((way for way in ways if way is not None), None)


def find_interface(name: str, networks: Sequence[Network]) -> Interface:
    """An interface as the command line names it: "simulated:client", "sandbox:router/r0", "simulated" for a network's
    first; of this machine simply "lo". Raises UnknownInterface."""
    first, colon, rest = name.partition(":")
    for network in networks:
        if network.name == first and (rest or not colon):
            return network.find(rest) if rest else network.interfaces()[0]
    every = [interface for network in networks for interface in network.interfaces()]
    for interface in every:
        if interface.full_name == name:
            return interface
    names = ", ".join(interface.full_name for interface in every)
    raise UnknownInterface(f'There is no interface "{name}"; there are: {names}.')
