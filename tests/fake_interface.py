"""An interface that only writes down what it is asked to send, for tests that need no network."""

from __future__ import annotations

import socket
from collections.abc import Callable
from ipaddress import IPv4Interface

from scapy.supersocket import SuperSocket

from ipl_tui.capture.errors import CaptureError
from ipl_tui.capture.sniffer import CaptureSocket
from ipl_tui.networks.interface import Ability, Interface, Method, Network, RawSocket, Route, SendError


class FakeInterface(Interface):
    """Sends nothing: `sent` has the packets, and `on_send` may raise SendError."""

    network = "fake"
    state = "up"
    linktype = 1
    mtu = 1500

    def __init__(self, name: str, *addresses: str, ability: Ability | None = None) -> None:
        self.name = name
        self.addresses = tuple(map(IPv4Interface, addresses))
        self.destination = next((str(address.ip) for address in self.addresses if address.ip.is_loopback), "")
        self.ability = ability or Ability(True)
        self.sent: list[tuple[bytes, Method]] = []
        self.on_send: Callable[[], None] = lambda: None

    def can_capture(self) -> Ability:
        return self.ability

    def can_send(self) -> Ability:
        return self.ability

    def open_capture(self, filter: str = "") -> CaptureSocket:
        raise CaptureError("Nothing passes a fake interface.")

    def choose_method(self, destination: str) -> Method:
        return "kernel" if destination in [str(address.ip) for address in self.addresses] else "exact"

    def send(self, packet: bytes, method: Method) -> None:
        self.on_send()
        self.sent.append((packet, method))

    def open_protocol(self, proto: int, discarding: bool = False) -> SuperSocket:
        raise SendError("Nothing arrives at a fake interface.")

    def open_raw(self, proto: int) -> RawSocket:
        raise SendError("Nothing arrives at a fake interface.")

    def open_stream(self) -> socket.socket:
        raise SendError("A fake interface has no TCP.")

    def route(self, destination: str) -> Route | None:
        return Route(self.name, self.source_for(destination))

    def close(self) -> None:
        pass


class FakeNetwork(Network):
    """The interfaces it is given."""

    def __init__(self, name: str, *interfaces: Interface) -> None:
        self.name = name
        self.purpose = f"what {name} is for"
        self.listed = list(interfaces)
        for interface in interfaces:
            interface.network = name

    def interfaces(self) -> list[Interface]:
        return self.listed

    def close(self) -> None:
        pass
