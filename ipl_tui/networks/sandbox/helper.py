"""The sandbox's helper process: makes hosts as network namespaces, without root, and opens sockets inside them.

process.py starts it by its path, as `python -I -S helper.py`: with the standard library alone it is up in some
20 ms. Its standard input is a control socket of JSON messages (AF_UNIX, SOCK_SEQPACKET). The first is the plan; each
further one asks for something: {"do": "open_packet", "host": "client", ...}. Each is answered: with {}, and the socket
that was asked for; with {"path": ...}, if that was; or with an error such as {"errno": 1, "what": "unshare"}. When the
control socket ends, because the app has ended in whatever way, the helper ends, and the kernel takes the hosts down.
"""

from __future__ import annotations

import ctypes
import json
import os
import socket
import sys
import time
from contextlib import suppress

TYPE_CHECKING = False  # a name that type checkers know; typing's own takes a tenth of the time that all this takes
if TYPE_CHECKING:
    from typing import Any

    from ipl_tui.networks.rtnetlink import Rtnetlink, cable_end
else:
    # By its folder: as a part of the package it would load what mends Scapy first, which takes as long as all the rest.
    sys.path.append(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    from rtnetlink import Rtnetlink, cable_end

LONGEST_MESSAGE = 1 << 16  # bytes

CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000  # linux/sched.h

_libc = ctypes.CDLL(None, use_errno=True)


def call(name: str, *arguments: int) -> None:
    """Call libc, which has unshare() and setns() on every Python; os has them from 3.12. Raises OSError."""
    if getattr(_libc, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), name)


def write(path: str, text: str) -> None:
    with open(path, "w") as file:
        file.write(text)


class HostNamespace:
    """A network namespace; the calling process is in it when it is made."""

    def __init__(self, forwards: bool, reassembly_timeout: int | None) -> None:
        call("unshare", CLONE_NEWNET)
        self.namespace = os.open("/proc/self/ns/net", os.O_RDONLY)
        self.kernel = Rtnetlink()
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
        self.kernel.switch_on(1)  # loopback, always the first

    def enter(self) -> None:
        call("setns", self.namespace, CLONE_NEWNET)


class Sandbox:
    """The hosts and the links between them, and what can be asked of them: what serve() calls by name."""

    def __init__(self, plan: dict[str, Any]) -> None:
        user, group = os.geteuid(), os.getegid()
        call("unshare", CLONE_NEWUSER)
        write("/proc/self/setgroups", "deny")
        write("/proc/self/uid_map", f"0 {user} 1")
        write("/proc/self/gid_map", f"0 {group} 1")
        self._hosts = {
            host["name"]: HostNamespace(host["forwards"], plan["reassembly_timeout"]) for host in plan["hosts"]
        }
        self._owners = {port["name"]: self._hosts[host["name"]] for host in plan["hosts"] for port in host["ports"]}
        self._numbers: dict[str, int] = {}  # of interfaces, in their namespaces
        hardware = {
            port["name"]: bytes.fromhex(port["hardware_address"]) for host in plan["hosts"] for port in host["ports"]
        }
        for link in plan["links"]:
            near, far = (
                cable_end(name, hardware[name], link["mtu"], self._owners[name].namespace) for name in link["ends"]
            )
            self._owners[link["ends"][0]].kernel.make_cable(near, far)
        for host in plan["hosts"]:
            self._address(host)
        for name, host in self._owners.items():
            while not host.kernel.link(self._numbers[name]).running:
                time.sleep(0.001)

    def _address(self, plan: dict[str, Any]) -> None:
        """Bring a host's interfaces up, and give it their addresses and its route to all others."""
        host = self._hosts[plan["name"]]
        host.enter()
        for port in plan["ports"]:
            number = self._numbers[port["name"]] = socket.if_nametoindex(port["name"])
            host.kernel.switch_on(number)
            host.kernel.add_address(number, socket.inet_aton(port["address"]), port["prefix_length"])
        if plan["gateway"]:
            host.kernel.add_default_route(socket.inet_aton(plan["gateway"]))

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
            self._owners[name].kernel.set_mtu(self._numbers[name], mtu)


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
