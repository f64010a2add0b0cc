"""The sandbox: the plan's hosts as network namespaces of this machine's Linux kernel, made without root.

A helper process (helper.py) is in the namespaces; this one is not, and uses sockets that were opened there.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path
from select import select
from typing import TYPE_CHECKING, Any

from ipl_tui.capture.errors import CaptureError
from ipl_tui.networks.interface import Ability, LinkError, Method, SendError
from ipl_tui.networks.links import check_link
from ipl_tui.networks.plan import HOSTS, LINKS, Host, Link, Port
from ipl_tui.networks.planned import PlannedInterface, PlannedNetwork
from ipl_tui.networks.socket_interface import LINUX, Kept, SocketInterface

if TYPE_CHECKING:
    from scapy.supersocket import SuperSocket

    from ipl_tui.capture.sniffer import CaptureSocket

ENDED = "The sandbox has ended: its helper process is gone. Choose it again (F2) for a new one."

_HELPER = Path(__file__).with_name("helper.py")
_LONGEST_MESSAGE = 1 << 16  # bytes
_LONGEST_ANSWER = 5.0  # seconds; it takes a few ms, so that one that takes longer will never come
_TRY_AGAIN = 2.0  # seconds after which what was forbidden may be permitted
_ETH_P_ARP = 0x0806

_SWITCHES = {
    "kernel/unprivileged_userns_clone": "0",
    "kernel/apparmor_restrict_unprivileged_userns": "1",
}
"""Settings below /proc/sys that forbid ordinary users to make namespaces, and the value that does."""


class SandboxError(Exception):
    """There is no sandbox, or no longer; the message is one sentence for the user."""


class _Helper:
    """The helper process with its sandbox. Methods may be called from any thread."""

    def __init__(self, plan: dict[str, Any]) -> None:
        """Start it, and wait for the sandbox: some tens of ms. Raises SandboxError."""
        self._lock = threading.Lock()
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control.settimeout(_LONGEST_ANSWER)
        try:
            with theirs:
                self._process = subprocess.Popen(
                    [sys.executable, "-I", "-S", str(_HELPER)],
                    stdin=theirs.fileno(),
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,  # Ctrl+C in the terminal is not for it
                )
        except OSError as error:
            self._control.close()
            raise SandboxError(f"The sandbox's helper process did not start: {error}.") from error
        assert self._process.stdout is not None
        # Nothing is ever written to its standard output: that it is readable says that the process has ended.
        self._lifeline = self._process.stdout
        try:
            self._ask(plan)
        except OSError as error:
            self.close()
            raise SandboxError(_why_forbidden(error)) from error
        except SandboxError as error:
            self.close()
            status = self._process.returncode
            raise SandboxError(f"The sandbox's helper process ended at once, with status {status}.") from error

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def lifeline(self) -> int:
        """A descriptor that becomes readable when the process has ended."""
        return self._lifeline.fileno()

    @property
    def running(self) -> bool:
        return not select([self._lifeline], [], [], 0)[0]

    def open(self, do: str, **arguments: str | int) -> socket.socket:
        """A socket that the helper opens. Raises OSError as opening it does, and SandboxError."""
        _, descriptors = self._ask({"do": do, **arguments})
        if not descriptors:  # the kernel hands over no socket to a process with all descriptors in use
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return socket.socket(fileno=descriptors[0])

    def namespace(self, host: str) -> str:
        """The path of a host's network namespace, there as long as the process. Raises SandboxError."""
        answer, _ = self._ask({"do": "namespace", "host": host})
        return str(answer["path"])

    def set_mtu(self, link: Link) -> None:
        """Set the MTU of a link. Raises OSError and SandboxError."""
        self._ask({"do": "set_mtu", "ends": link.ends, "mtu": link.mtu})

    def _ask(self, request: dict[str, Any]) -> tuple[dict[str, Any], list[int]]:
        try:
            with self._lock:
                self._control.send(json.dumps(request).encode())
                message, descriptors, _, _ = socket.recv_fds(self._control, _LONGEST_MESSAGE, 1)
        except OSError as error:
            self._process.kill()  # a late answer would be taken for that to the next request
            raise SandboxError(ENDED) from error
        if not message:
            raise SandboxError(ENDED)
        for descriptor in descriptors:
            os.set_inheritable(descriptor, False)  # no other process is to keep a namespace alive
        answer = json.loads(message)
        if "errno" in answer:
            raise OSError(answer["errno"], os.strerror(answer["errno"]), answer["what"])
        return answer, descriptors

    def close(self) -> None:
        """End the process, and with it all that no socket in use holds; twice is fine."""
        with suppress(OSError):
            self._control.shutdown(socket.SHUT_RDWR)  # it wakes a thread that waits for an answer; close() does not
        with self._lock:
            self._control.close()
            try:
                self._process.wait(1)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._lifeline.close()


class SandboxInterface(PlannedInterface, SocketInterface):
    """A port of one of the sandbox's hosts."""

    network = "sandbox"
    no_tcpdump = "each program makes a sandbox of its own: d in the lab shows the line for the lab's"
    asks_arp = True
    remedy_for_no_route = "send from another interface"

    def __init__(self, network: SandboxNetwork, host: Host, port: Port, mtu: int) -> None:
        super().__init__(host, port, mtu)
        self.owner = f"the {host.name}"
        self._network = network
        self._helper: _Helper | None = None  # the one that opened the sockets that are kept
        self._kept = Kept()

    def can_capture(self) -> Ability:
        return self._network.ability()

    def can_send(self) -> Ability:
        return self._network.ability()

    def open_capture(self, filter: str = "") -> CaptureSocket:
        from ipl_tui.networks.sandbox.packet_socket import PacketSocket

        try:
            helper = self._network.helper()
            opened = helper.open("open_packet", host=self.host, kind=socket.SOCK_RAW)
            return PacketSocket(opened, self.name, filter, helper.lifeline, ENDED)
        except SandboxError as error:
            raise CaptureError(str(error)) from error
        except (OSError, ValueError) as error:  # the latter when the helper is closed in between
            raise CaptureError(f"Cannot capture on {self.name}: {error}.") from error

    def send(self, packet: bytes, method: Method) -> None:
        try:
            helper = self._network.helper()
            if helper is not self._helper:
                self._forget_sockets()
                self._helper = helper
            super().send(packet, method)
        except SandboxError as error:
            raise SendError(str(error)) from error

    def _listen(self, proto: int) -> socket.socket:
        try:
            return super()._listen(proto)
        except SandboxError as error:
            raise SendError(str(error)) from error

    def open_stream(self) -> socket.socket:
        try:
            return self._network.helper().open("open_stream", host=self.host)
        except SandboxError as error:
            raise SendError(str(error)) from error
        except OSError as error:
            raise SendError(self._why_not_opened("TCP", error)) from error

    def _open_frames(self) -> socket.socket:
        return self._network.helper().open("open_packet", host=self.host, kind=socket.SOCK_DGRAM)

    def _open_raw(self, proto: int, bound: bool = True) -> socket.socket:
        bound_to = self.name if bound else ""
        raw = self._network.helper().open("open_raw", host=self.host, proto=proto, bound_to=bound_to)
        raw.setsockopt(socket.IPPROTO_IP, socket.IP_HDRINCL, 1)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        return raw

    def _open_link(self) -> SuperSocket:
        from scapy.layers.l2 import Ether
        from scapy.supersocket import SimpleSocket

        link = self._network.helper().open("open_packet", host=self.host, kind=socket.SOCK_RAW)
        link.bind((self.name, _ETH_P_ARP))
        return SimpleSocket(link, Ether)

    def tcpdump(self) -> list[str]:
        try:
            return ["nsenter", f"--net={self._network.helper().namespace(self.host)}", *super().tcpdump()]
        except SandboxError:
            return []

    def _router_for(self, destination: IPv4Address) -> IPv4Address | None:
        return self._plan.gateway

    def _known_neighbour(self, hop: IPv4Address) -> bytes:
        return b""  # what the hosts' kernels know is not seen from here

    def _is_up_now(self) -> bool:
        return True

    def _mtu_now(self) -> int:
        return self.mtu

    def _why_not_opened(self, doing: str, error: OSError) -> str:
        return f"{doing} on {self.name} failed: {error.strerror}."


class SandboxNetwork(PlannedNetwork[SandboxInterface]):
    """Three hosts in namespaces of this machine's kernel. They are made when they are first used."""

    name = "sandbox"
    allowed = "user namespaces are allowed: it works, without root"
    purpose = "The same hosts, each with a real Linux kernel: no root."

    def __init__(self, links: Sequence[Link] = LINKS, reassembly_timeout: float | None = None) -> None:
        """Take the plan; reassembly_timeout in seconds, whole ones as Linux counts it (None: as Linux has it)."""
        self._links = tuple(replace(link, latency=None, loss=None) for link in links)
        self._reassembly_timeout = reassembly_timeout
        super().__init__(links)
        self._helper: _Helper | None = None
        self._ability: Ability | None = None
        self._ability_expires = 0.0  # on the monotonic clock; only what is forbidden does
        self._lock = threading.Lock()

    def _make_interface(self, host: Host, port: Port, mtu: int) -> SandboxInterface:
        return SandboxInterface(self, host, port, mtu)

    def links(self) -> tuple[Link, ...]:
        """Linux has no latency or loss on these links, so that only their MTU can be set."""
        return self._links

    def set_link(self, link: Link) -> None:
        check_link(link, self._links)
        with self._lock:
            if self._helper is not None and self._helper.running:
                try:
                    self._helper.set_mtu(link)
                except (OSError, SandboxError) as error:
                    raise LinkError(f"The link {link.name} could not be set: {error}") from error
            self._links = tuple(link if each.ends == link.ends else each for each in self._links)
            self._tell_mtu(link)

    def ability(self) -> Ability:
        """Whether there can be a sandbox here, now: found out by making one, unless there is one."""
        with self._lock:
            if self._helper is not None and self._helper.running:
                return Ability(True)
            now = time.monotonic()
            if self._ability is None or (not self._ability.possible and now >= self._ability_expires):
                try:
                    self._start().close()
                    self._ability = Ability(True)
                except SandboxError as error:
                    self._ability = Ability(False, str(error))
                self._ability_expires = now + _TRY_AGAIN
            return self._ability

    def helper(self) -> _Helper:
        """The helper process, with a new sandbox if there was none or if it has died. Raises SandboxError."""
        with self._lock:
            if self._helper is not None and not self._helper.running:
                self._helper.close()
                self._helper = None
            if self._helper is None:
                self._helper = self._start()
            return self._helper

    def _start(self) -> _Helper:
        if not LINUX:
            raise SandboxError("The sandbox needs Linux: the simulated network is the same without it.")
        hosts = [
            {
                "name": host.name,
                "ports": [
                    {
                        "name": port.name,
                        "address": str(port.address.ip),
                        "prefix_length": port.address.network.prefixlen,
                        "hardware_address": port.hardware_address.hex(),
                    }
                    for port in host.ports
                ],
                "gateway": str(host.gateway or ""),
                "forwards": host.forwards,
            }
            for host in HOSTS
        ]
        links = [{"ends": link.ends, "mtu": link.mtu} for link in self._links]
        timeout = self._reassembly_timeout
        seconds = None if timeout is None else max(1, round(timeout))
        return _Helper({"hosts": hosts, "links": links, "reassembly_timeout": seconds})

    def close(self) -> None:
        """End the helper process, and let go of the sockets kept from send to send."""
        with self._lock:
            helper, self._helper = self._helper, None
        if helper is not None:
            helper.close()
        for interface in self._interfaces.values():
            interface.close()


def _why_forbidden(error: OSError) -> str:
    """Why this system made no sandbox, and what to do."""
    what = f"{error.filename}: {error.strerror}"
    match error.errno:
        case errno.ENOSPC:
            remedy = "sudo sysctl user.max_user_namespaces=15000 user.max_net_namespaces=15000"
            return f"This system allows no more namespaces, which the sandbox needs: {remedy}."
        case errno.EPERM | errno.EACCES:
            for path, forbids in _SWITCHES.items():
                if _read_setting(path) == forbids:
                    permits = "0" if forbids == "1" else "1"
                    remedy = f"sudo sysctl {path.replace('/', '.')}={permits}"
                    return f"This system lets no ordinary user make namespaces, which the sandbox needs: {remedy}."
            return (
                f"A container or a security policy forbids the sandbox its namespaces ({what}): run outside of it, or "
                "start the container with --privileged."
            )
        case errno.EROFS:
            return (
                f"In this container the sandbox cannot set up its hosts ({what}): run outside of it, or start the "
                "container with --privileged."
            )
        case errno.EOPNOTSUPP:
            return f"This kernel has no veth, which the sandbox needs ({what}): sudo modprobe veth."
        case errno.EINVAL | errno.ENOSYS if error.filename == "unshare":
            return "This kernel is built without user or network namespaces, which the sandbox needs."
    return f"The sandbox could not be made ({what}): use the simulated network."


def _read_setting(path: str) -> str:
    """A setting below /proc/sys; nothing if this kernel does not have it."""
    try:
        return Path("/proc/sys", path).read_text().strip()
    except OSError:
        return ""
