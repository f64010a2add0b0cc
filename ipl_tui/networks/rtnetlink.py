"""rtnetlink(7): asking Linux's kernel for links, addresses and routes, and having it make them.

With little of the standard library, and nothing of this package: the sandbox's helper process loads it, too, and must
be up at once. (typing alone takes a tenth of what it takes.)
"""

from __future__ import annotations

import os
import socket
import struct

# linux/netlink.h
NLMSG_ERROR, NLMSG_DONE = 2, 3
NLM_F_REQUEST, NLM_F_MULTI, NLM_F_ACK, NLM_F_DUMP, NLM_F_EXCL, NLM_F_CREATE = 0x1, 0x2, 0x4, 0x300, 0x200, 0x400
# linux/rtnetlink.h
RTM_NEWLINK, RTM_GETLINK, RTM_NEWADDR, RTM_GETADDR, RTM_NEWROUTE, RTM_GETROUTE = 16, 18, 20, 22, 24, 26
RTA_DST, RTA_OIF, RTA_GATEWAY, RTA_PREFSRC = 1, 4, 5, 7
RT_TABLE_MAIN, RTPROT_STATIC, RT_SCOPE_UNIVERSE, RTN_UNICAST = 254, 4, 0, 1
# linux/if_link.h, veth.h, if_addr.h, if.h
IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_LINKINFO, IFLA_NET_NS_FD = 1, 3, 4, 18, 28
IFLA_INFO_KIND, IFLA_INFO_DATA, VETH_INFO_PEER = 1, 2, 1
IFA_ADDRESS, IFA_LOCAL, IFA_BROADCAST = 1, 2, 4
IFF_UP, IFF_LOOPBACK, IFF_RUNNING, IFF_NOARP = 0x1, 0x8, 0x40, 0x80

LONGEST_MESSAGE = 1 << 16  # bytes

_MESSAGE = struct.Struct("=IHHII")  # nlmsghdr: length with itself, kind, flags, number, sender
_ATTRIBUTE = struct.Struct("=HH")  # nlattr: length with itself, kind
_LINK = struct.Struct("=BxHiII")  # ifinfomsg: family, kind of hardware, number, flags, which flags to change
_ADDRESS = struct.Struct("=BBBBI")  # ifaddrmsg: family, prefix length, flags, scope, number of the link
_ROUTE = struct.Struct("=8BI")  # rtmsg: family, two prefix lengths, TOS, table, protocol, scope, kind, flags
_NUMBER = struct.Struct("=I")


class KernelError(OSError):
    """The kernel's answer that it does not do what it was asked, or does not have it."""


class KernelLink:
    """An interface, as the kernel has it."""

    def __init__(self, message: bytes) -> None:
        _, _, self.number, flags, _ = _LINK.unpack_from(message)
        values = _attributes(message, _LINK)
        self.name = values[IFLA_IFNAME].rstrip(b"\0")
        self.up = bool(flags & IFF_UP)
        """True if it is switched on."""
        self.running = bool(flags & IFF_RUNNING)
        """True if it has a carrier, too, and takes frames; before, it drops them."""
        self.loopback = bool(flags & IFF_LOOPBACK)
        self.arp = not flags & (IFF_LOOPBACK | IFF_NOARP)
        """True if it would ask for neighbours, were it Ethernet."""
        (self.mtu,) = _NUMBER.unpack(values[IFLA_MTU])
        self.hardware_address = values.get(IFLA_ADDRESS, b"")
        """Empty where it has none."""


class Address:
    """An address of an interface, as the kernel has it."""

    def __init__(self, message: bytes) -> None:
        self.family, self.prefix_length, _, _, self.link = _ADDRESS.unpack_from(message)
        values = _attributes(message, _ADDRESS)
        # Of a link between two points IFA_ADDRESS is the other end's.
        self.address = values.get(IFA_LOCAL) or values.get(IFA_ADDRESS, b"")
        """4 bytes in the family of IPv4."""
        self.broadcast = values.get(IFA_BROADCAST, b"")
        """Its network's; empty where none is set."""


class KernelRoute:
    """The kernel's decision for an IPv4 destination."""

    def __init__(self, message: bytes) -> None:
        values = _attributes(message, _ROUTE)
        (self.link,) = _NUMBER.unpack(values.get(RTA_OIF, bytes(4)))
        """The number of the interface that packets leave by; 0 where there is none."""
        self.source = values.get(RTA_PREFSRC, bytes(4))
        """4 bytes."""
        self.router = values.get(RTA_GATEWAY, b"")
        """4 bytes; empty where they need none."""


class Rtnetlink:
    """A socket to the kernel of the network namespace that it was opened in, for one thread at a time.

    All methods raise OSError, a KernelError where it is the kernel's answer.
    """

    def __init__(self) -> None:
        """Raises OSError: a container's policy may forbid AF_NETLINK."""
        self._kernel = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)

    def __enter__(self) -> Rtnetlink:
        return self

    def __exit__(self, *_: object) -> None:
        self._kernel.close()

    def links(self) -> list[KernelLink]:
        """Every interface."""
        return [KernelLink(message) for message in self._ask(RTM_GETLINK, _link(), NLM_F_DUMP)]

    def link(self, number: int) -> KernelLink:
        """The interface with a number."""
        (message,) = self._ask(RTM_GETLINK, _link(number))
        return KernelLink(message)

    def addresses(self) -> list[Address]:
        """The IPv4 addresses of all interfaces."""
        messages = self._ask(RTM_GETADDR, _ADDRESS.pack(socket.AF_INET, 0, 0, 0, 0), NLM_F_DUMP)
        return [each for each in map(Address, messages) if each.family == socket.AF_INET and each.address]

    def route(self, destination: bytes) -> KernelRoute | None:
        """The route to an IPv4 address, by all tables and rules; None where there is none, or one that forbids."""
        question = _ROUTE.pack(socket.AF_INET, 32, 0, 0, 0, 0, 0, 0, 0) + _attribute(RTA_DST, destination)
        try:
            (message,) = self._ask(RTM_GETROUTE, question)
        except KernelError:
            return None
        route = KernelRoute(message)
        return route if route.link else None

    def switch_on(self, link: int) -> None:
        """Bring an interface up."""
        self._change(RTM_NEWLINK, _link(link, IFF_UP))

    def set_mtu(self, link: int, mtu: int) -> None:
        """Set the longest IP packet that an interface takes, in bytes."""
        self._change(RTM_NEWLINK, _link(link) + _attribute(IFLA_MTU, _NUMBER.pack(mtu)))

    def make_cable(self, near: bytes, far: bytes) -> None:
        """Make a cable between two ends (veth(4)); both are still down."""
        peer = _attribute(VETH_INFO_PEER, _link() + far)
        info = _attribute(IFLA_INFO_KIND, b"veth") + _attribute(IFLA_INFO_DATA, peer)
        self._make(RTM_NEWLINK, _link() + near + _attribute(IFLA_LINKINFO, info))

    def add_address(self, link: int, address: bytes, prefix_length: int) -> None:
        """Give an interface an IPv4 address."""
        header = _ADDRESS.pack(socket.AF_INET, prefix_length, 0, RT_SCOPE_UNIVERSE, link)
        self._make(RTM_NEWADDR, header + _attribute(IFA_LOCAL, address) + _attribute(IFA_ADDRESS, address))

    def add_default_route(self, router: bytes) -> None:
        """Send what is for no network of its own to a router."""
        kind = (RT_TABLE_MAIN, RTPROT_STATIC, RT_SCOPE_UNIVERSE, RTN_UNICAST)
        header = _ROUTE.pack(socket.AF_INET, 0, 0, 0, *kind, 0)
        self._make(RTM_NEWROUTE, header + _attribute(RTA_GATEWAY, router))

    def _make(self, kind: int, body: bytes) -> None:
        self._change(kind, body, NLM_F_CREATE | NLM_F_EXCL)

    def _change(self, kind: int, body: bytes, flags: int = 0) -> None:
        self._ask(kind, body, flags | NLM_F_ACK)

    def _ask(self, kind: int, body: bytes, flags: int = 0) -> list[bytes]:
        """The messages that answer a request, each without its netlink header: one, with NLM_F_DUMP any number, and
        none with NLM_F_ACK to a change."""
        self._kernel.send(_MESSAGE.pack(_MESSAGE.size + len(body), kind, flags | NLM_F_REQUEST, 0, 0) + body)
        answers: list[bytes] = []
        while True:
            data = self._kernel.recv(LONGEST_MESSAGE)
            at = 0
            while at < len(data):
                length, answer, its_flags, _, _ = _MESSAGE.unpack_from(data, at)
                if answer == NLMSG_DONE:
                    return answers
                if answer == NLMSG_ERROR:
                    (error,) = struct.unpack_from("=i", data, at + _MESSAGE.size)
                    if error:
                        raise KernelError(-error, os.strerror(-error), f"rtnetlink {kind}")
                    return answers
                answers.append(data[at + _MESSAGE.size : at + length])
                if not its_flags & NLM_F_MULTI:
                    return answers
                at += length + 3 & ~3


def cable_end(name: str, hardware_address: bytes, mtu: int, namespace: int) -> bytes:
    """An end of a cable that is to be made: an interface in the network namespace with this descriptor."""
    values = (
        (IFLA_IFNAME, name.encode() + b"\0"),
        (IFLA_ADDRESS, hardware_address),
        (IFLA_MTU, _NUMBER.pack(mtu)),
        (IFLA_NET_NS_FD, _NUMBER.pack(namespace)),
    )
    return b"".join(_attribute(kind, value) for kind, value in values)


def _link(number: int = 0, flags: int = 0) -> bytes:
    """A link's header: by its number, or any, or one that is to be made, and flags to switch on."""
    return _LINK.pack(socket.AF_UNSPEC, 0, number, flags, flags)


def _attribute(kind: int, value: bytes) -> bytes:
    """An attribute (netlink(7)): length, kind and value, filled up to 4 bytes."""
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), kind) + value + bytes(-len(value) % 4)


def _attributes(message: bytes, header: struct.Struct) -> dict[int, bytes]:
    """The values that follow a message's own header, by their kind."""
    values = {}
    at = header.size
    while at + _ATTRIBUTE.size <= len(message):
        size, kind = _ATTRIBUTE.unpack_from(message, at)
        values[kind] = message[at + _ATTRIBUTE.size : at + size]
        at += max(size, _ATTRIBUTE.size) + 3 & ~3
    return values
