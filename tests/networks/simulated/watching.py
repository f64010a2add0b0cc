"""The simulated network watched from outside, and packets for it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from scapy.layers.inet import ICMP, IP

from ipl_tui.networks.interface import Interface
from ipl_tui.networks.simulated import SimulatedNetwork
from ipl_tui.packets.messages import PROTOCOL

CLIENT, ROUTER, SERVER = "10.0.1.10", "10.0.1.1", "10.0.2.20"
NOBODY = "10.0.1.99"


class Watch:
    """A capture on an interface, and what it has seen so far."""

    def __init__(self, interface: Interface) -> None:
        self.frames: list[tuple[int, bytes]] = []
        """Each with its time in ns since the epoch."""
        self._capture = interface.open_capture()

    def read(self) -> None:
        """See the next frames. Fails the test after five seconds without any."""
        assert self._capture.wait(5), "nothing came"
        data, records = self._capture.recv_batch()
        self.frames += [(time, data[start : start + length]) for time, start, length, _ in records]

    def wait_for(self, wanted: Callable[[bytes], bool]) -> tuple[int, bytes]:
        """The first IPv4 packet that is wanted, and its time."""
        checked = 0
        while True:
            for seen, frame in self.frames[checked:]:
                if frame[12:14] == b"\x08\x00" and wanted(frame[14:]):
                    return seen, frame[14:]
            checked = len(self.frames)
            self.read()

    def packets(self, proto: int) -> list[bytes]:
        """The IPv4 packets of a protocol."""
        return [
            frame[14:] for _, frame in self.frames if frame[12:14] == b"\x08\x00" and frame[23:24] == bytes([proto])
        ]


def watch_all(network: SimulatedNetwork) -> dict[str, Watch]:
    return {interface.name: Watch(interface) for interface in network.interfaces()}


def datagram(payload: bytes = b"hello", **fields: Any) -> bytes:
    return bytes(IP(**{"src": CLIENT, "dst": SERVER, "proto": PROTOCOL, "id": 7, **fields}) / payload)


def is_datagram(packet: bytes) -> bool:
    return packet[9:10] == bytes([PROTOCOL])


def is_icmp(kind: int, code: int) -> Callable[[bytes], bool]:
    return lambda packet: packet[9:10] + packet[20:22] == bytes([1, kind, code])


def ping(network: SimulatedNetwork, source: str = "c0", destination: str = ROUTER) -> None:
    """Send an echo request and wait for its reply: what was sent before has been dealt with then."""
    interface = network.find(source)
    watch = Watch(interface)
    echo = IP(src=str(interface.addresses[0].ip), dst=destination) / ICMP(id=9)
    interface.send(bytes(echo), "exact")
    watch.wait_for(is_icmp(0, 0))


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "simulated network"]
