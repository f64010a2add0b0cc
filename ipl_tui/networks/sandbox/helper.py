"""The sandbox's helper process: makes hosts as network namespaces, without root, and opens sockets inside them.

network.py starts it by its path, as `python -I -S helper.py`: with the standard library alone it is up in some
20 ms. Its standard input is a control socket of JSON messages (AF_UNIX, SOCK_SEQPACKET). The first is the plan; each
further one asks for something: {"do": "open_packet", "host": "client", ...}. Each is answered: with {}, and the socket
that was asked for; with {"path": ...}, if that was; or with an error such as {"errno": 1, "what": "unshare"}. When the
control socket ends, because the app has ended in whatever way, the helper ends, and the kernel takes the hosts down.
"""

import ctypes
import json
import os
import socket
import struct
import time
from contextlib import suppress
from typing import Any

LONGEST_MESSAGE = 1 << 16  # bytes

CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000  # linux/sched.h

# linux/netlink.h, rtnetlink.h, if_link.h, if_addr.h, veth.h, if.h
NLM_F_REQUEST, NLM_F_ACK, NLM_F_EXCL, NLM_F_CREATE = 0x1, 0x4, 0x200, 0x400
RTM_NEWLINK, RTM_GETLINK, RTM_NEWADDR, RTM_NEWROUTE = 16, 18, 20, 24
IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_LINKINFO, IFLA_NET_NS_FD = 1, 3, 4, 18, 28
IFLA_INFO_KIND, IFLA_INFO_DATA, VETH_INFO_PEER = 1, 2, 1
IFA_ADDRESS, IFA_LOCAL, RTA_GATEWAY = 1, 2, 5
RT_TABLE_MAIN, RTPROT_STATIC, RT_SCOPE_UNIVERSE, RTN_UNICAST = 254, 4, 0, 1
IFF_UP, IFF_RUNNING = 0x1, 0x40

_libc = ctypes.CDLL(None, use_errno=True)


def call(name: str, *arguments: int) -> None:
    """Call libc, which has unshare() and setns() on every Python; os has them from 3.12. Raises OSError."""
    if getattr(_libc, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), name)


def write(path: str, text: str) -> None:
    with open(path, "w") as file:
        file.write(text)


def attribute(kind: int, value: bytes) -> bytes:
    """A netlink attribute (netlink(7)): length, kind and value, filled up to 4 bytes."""
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


class Host:
    """A network namespace; the calling process is in it when it is made."""

    def __init__(self, forwards: bool, reassembly_timeout: int | None) -> None:
        call("unshare", CLONE_NEWNET)
        self.namespace = os.open("/proc/self/ns/net", os.O_RDONLY)
        self._netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        for scope in ("all", "default", "lo"):  # links that are made later take over what default has
            if os.path.exists("/proc/sys/net/ipv6"):
                write(f"/proc/sys/net/ipv6/conf/{scope}/disable_ipv6", "1")  # it would chatter
            write(f"/proc/sys/net/ipv4/conf/{scope}/rp_filter", "0")  # spoofed sources are to arrive
        # Every packet gets its ICMP error: with a mask of no types the second limit (icmp_msgs_per_sec), which older
        # kernels have for the whole machine, does not apply either.
        write("/proc/sys/net/ipv4/icmp_ratelimit", "0")
        write("/proc/sys/net/ipv4/icmp_ratemask", "0")
        write("/proc/sys/net/ipv4/ip_forward", str(int(forwards)))
        if reassembly_timeout is not None:
            write("/proc/sys/net/ipv4/ipfrag_time", str(reassembly_timeout))
        self.request(RTM_NEWLINK, link_header(1, IFF_UP))  # loopback, always the first

    def request(self, kind: int, body: bytes, flags: int = 0) -> None:
        """Have rtnetlink (rtnetlink(7)) change something in this namespace. Raises OSError."""
        flags |= NLM_F_REQUEST | NLM_F_ACK
        self._netlink.send(struct.pack("=IHHII", 16 + len(body), kind, flags, 0, 0) + body)
        (error,) = struct.unpack_from("=i", self._netlink.recv(LONGEST_MESSAGE), 16)
        if error:
            raise OSError(-error, os.strerror(-error), f"rtnetlink {kind}")

    def is_running(self, index: int) -> bool:
        """Whether an interface of this namespace has a carrier and takes frames; before, it drops them."""
        message = struct.pack("=IHHII", 16 + 16, RTM_GETLINK, NLM_F_REQUEST, 0, 0) + link_header(index)
        self._netlink.send(message)
        (flags,) = struct.unpack_from("=I", self._netlink.recv(LONGEST_MESSAGE), 16 + 8)
        return bool(flags & IFF_RUNNING)

    def enter(self) -> None:
        call("setns", self.namespace, CLONE_NEWNET)


def link_header(index: int = 0, flags: int = 0) -> bytes:
    """struct ifinfomsg: a link by its index, or one that is to be made, and flags to switch on."""
    return struct.pack("=BxHiII", socket.AF_UNSPEC, 0, index, flags, flags)


class Sandbox:
    """The hosts and the links between them, and what can be asked of them: what serve() calls by name."""

    def __init__(self, plan: dict[str, Any]) -> None:
        user, group = os.geteuid(), os.getegid()
        call("unshare", CLONE_NEWUSER)
        write("/proc/self/setgroups", "deny")
        write("/proc/self/uid_map", f"0 {user} 1")
        write("/proc/self/gid_map", f"0 {group} 1")
        self._hosts = {host["name"]: Host(host["forwards"], plan["reassembly_timeout"]) for host in plan["hosts"]}
        self._owners = {port["name"]: self._hosts[host["name"]] for host in plan["hosts"] for port in host["ports"]}
        self._indexes: dict[str, int] = {}  # of interfaces, in their namespaces
        hardware = {
            port["name"]: bytes.fromhex(port["hardware_address"]) for host in plan["hosts"] for port in host["ports"]
        }
        for link in plan["links"]:
            near, far = link["ends"]
            self._connect(near, far, link["mtu"], hardware)
        for host in plan["hosts"]:
            self._address(host)
        for name, host in self._owners.items():
            while not host.is_running(self._indexes[name]):
                time.sleep(0.001)

    def _connect(self, near: str, far: str, mtu: int, hardware: dict[str, bytes]) -> None:
        """Make a link, with its ends in the namespaces of their hosts; both are still down."""

        def end(name: str) -> bytes:
            size = attribute(IFLA_MTU, struct.pack("=I", mtu))
            return attribute(IFLA_IFNAME, name.encode() + b"\0") + attribute(IFLA_ADDRESS, hardware[name]) + size

        there = attribute(IFLA_NET_NS_FD, struct.pack("=I", self._owners[far].namespace))
        peer = attribute(VETH_INFO_PEER, link_header() + end(far) + there)
        info = attribute(IFLA_INFO_KIND, b"veth") + attribute(IFLA_INFO_DATA, peer)
        body = link_header() + end(near) + attribute(IFLA_LINKINFO, info)
        self._owners[near].request(RTM_NEWLINK, body, NLM_F_CREATE | NLM_F_EXCL)

    def _address(self, plan: dict[str, Any]) -> None:
        """Bring a host's interfaces up, and give it their addresses and its route to all others."""
        host = self._hosts[plan["name"]]
        host.enter()
        for port in plan["ports"]:
            address = socket.inet_aton(port["address"])
            index = self._indexes[port["name"]] = socket.if_nametoindex(port["name"])
            host.request(RTM_NEWLINK, link_header(index, IFF_UP))
            body = struct.pack("=BBBBI", socket.AF_INET, port["prefix_length"], 0, RT_SCOPE_UNIVERSE, index)
            body += attribute(IFA_LOCAL, address) + attribute(IFA_ADDRESS, address)
            host.request(RTM_NEWADDR, body, NLM_F_CREATE | NLM_F_EXCL)
        if plan["gateway"]:
            kind = (RT_TABLE_MAIN, RTPROT_STATIC, RT_SCOPE_UNIVERSE, RTN_UNICAST)
            body = struct.pack("=8BI", socket.AF_INET, 0, 0, 0, *kind, 0)
            body += attribute(RTA_GATEWAY, socket.inet_aton(plan["gateway"]))
            host.request(RTM_NEWROUTE, body, NLM_F_CREATE | NLM_F_EXCL)

    def open_packet(self, host: str, kind: int) -> socket.socket:
        """A packet socket (packet(7)) of a kind, SOCK_RAW or SOCK_DGRAM; it receives nothing until it is bound."""
        self._hosts[host].enter()
        return socket.socket(socket.AF_PACKET, kind, 0)

    def open_raw(self, host: str, proto: int, bound_to: str) -> socket.socket:
        """A raw IP socket (raw(7)) for a protocol, bound to an interface unless the name is empty."""
        self._hosts[host].enter()
        raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, proto)
        try:
            if bound_to:
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, bound_to.encode())
        except BaseException:
            raw.close()
            raise
        return raw

    def open_stream(self, host: str) -> socket.socket:
        """A TCP socket (tcp(7))."""
        self._hosts[host].enter()
        return socket.socket(socket.AF_INET, socket.SOCK_STREAM)

    def namespace(self, host: str) -> str:
        """The path of a host's network namespace, for other processes."""
        return f"/proc/{os.getpid()}/fd/{self._hosts[host].namespace}"

    def set_mtu(self, ends: list[str], mtu: int) -> None:
        """Set the MTU of a link, at both of its ends."""
        for name in ends:
            body = link_header(self._indexes[name]) + attribute(IFLA_MTU, struct.pack("=I", mtu))
            self._owners[name].request(RTM_NEWLINK, body)


def serve(control: socket.socket) -> None:
    """Make the sandbox, and do what is asked of it until the control socket ends."""
    sandbox = None
    while message := control.recv(LONGEST_MESSAGE):
        request = json.loads(message)
        opened = None
        answer: dict[str, Any] = {}
        try:
            if sandbox is None:
                sandbox = Sandbox(request)
            else:
                done = getattr(sandbox, request.pop("do"))(**request)
                if isinstance(done, socket.socket):
                    opened = done
                elif done is not None:
                    answer = {"path": done}
        except OSError as error:
            answer = {"errno": error.errno, "what": error.filename}
        socket.send_fds(control, [json.dumps(answer).encode()], [opened.fileno()] if opened else [])
        if opened is not None:
            opened.close()
        if sandbox is None:
            return


if __name__ == "__main__":
    with socket.socket(fileno=0) as control, suppress(ConnectionError):
        serve(control)
