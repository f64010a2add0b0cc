"""The sandbox: the plan's hosts as network namespaces of this machine's Linux kernel, made without root.

A helper process is in the namespaces; this one is not, and uses sockets that were opened there.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from ipaddress import IPv4Address
from typing import TYPE_CHECKING

from ipl_tui.capture.errors import CaptureError
from ipl_tui.networks.interface import Ability, LinkError, Method, SendError
from ipl_tui.networks.links import check_link
from ipl_tui.networks.sandbox.process import ENDED, HelperProcess, SandboxError
from ipl_tui.networks.socket_interface import LINUX, SendCache, SocketInterface
from ipl_tui.networks.topology import HOSTS, LINKS, Host, Link, Port
from ipl_tui.networks.topology_network import TopologyInterface, TopologyNetwork

if TYPE_CHECKING:
    from scapy.supersocket import SuperSocket

    from ipl_tui.capture.sniffer import CaptureSocket

_TRY_AGAIN = 2.0  # seconds after which what was forbidden may be permitted
_ETH_P_ARP = 0x0806


class SandboxInterface(TopologyInterface, SocketInterface):
    """A port of one of the sandbox's hosts."""

    network = "sandbox"
    no_tcpdump = "each program makes a sandbox of its own: d in the lab shows the line for the lab's"
    asks_arp = True
    remedy_for_no_route = "send from another interface"

    def __init__(self, network: SandboxNetwork, host: Host, port: Port, mtu: int) -> None:
        super().__init__(host, port, mtu)
        self.owner = f"the {host.name}"
        self._network = network
        self._helper: HelperProcess | None = None  # the one that opened the sockets that are kept
        self._kept = SendCache()

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
        return self._host.gateway

    def _known_neighbour(self, hop: IPv4Address) -> bytes:
        return b""  # what the hosts' kernels know is not seen from here

    def _is_up_now(self) -> bool:
        return True

    def _mtu_now(self) -> int:
        return self.mtu

    def _why_not_opened(self, doing: str, error: OSError) -> str:
        return f"{doing} on {self.name} failed: {error.strerror}."


class SandboxNetwork(TopologyNetwork[SandboxInterface]):
    """Three hosts in namespaces of this machine's kernel. They are made when they are first used."""

    name = "sandbox"
    allowed = "user namespaces are allowed: it works, without root"
    purpose = "The same hosts, each with a real Linux kernel: no root."

    def __init__(self, links: Sequence[Link] = LINKS, reassembly_timeout: float | None = None) -> None:
        """Take the plan; reassembly_timeout in seconds, whole ones as Linux counts it (None: as Linux has it)."""
        self._links = tuple(replace(link, latency=None, loss=None) for link in links)
        self._reassembly_timeout = reassembly_timeout
        super().__init__(links)
        self._helper: HelperProcess | None = None
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
        """Ability of this system to make a sandbox, now: found out by making one, unless there is one."""
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

    def helper(self) -> HelperProcess:
        """The helper process, with a new sandbox if there was none or if it has died. Raises SandboxError."""
        with self._lock:
            if self._helper is not None and not self._helper.running:
                self._helper.close()
                self._helper = None
            if self._helper is None:
                self._note_links()
                self._helper = self._start()
            return self._helper

    def _start(self) -> HelperProcess:
        if not LINUX:
            raise SandboxError("The sandbox needs Linux: the simulated network is the same without it.")
        return HelperProcess(HOSTS, self._links, self._reassembly_timeout)

    def close(self) -> None:
        """End the helper process, and let go of the sockets kept from send to send."""
        with self._lock:
            helper, self._helper = self._helper, None
        if helper is not None:
            helper.close()
        for interface in self._interfaces.values():
            interface.close()
