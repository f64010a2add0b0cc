"""What the tests of the sandbox share: its addresses, packets, and how they are read."""

from collections.abc import Callable

import pytest
from scapy.layers.inet import ICMP, IP
from scapy.layers.l2 import Ether
from scapy.packet import Packet

from ipl_tui.capture.sniffer import CaptureSocket
from ipl_tui.networks.interface import Interface, Method, SendError

METHODS: tuple[Method, ...] = ("exact", "kernel")
CLIENT, ROUTER, SERVER_ADDRESS = "10.0.1.10", "10.0.1.1", "10.0.2.20"


def datagram(
    destination: str, payload: bytes = b"hello", source: str = CLIENT, ttl: int = 64, flags: str = ""
) -> bytes:
    return bytes(IP(src=source, dst=destination, proto=253, id=7, ttl=ttl, flags=flags) / payload)


def read(capture: CaptureSocket, wanted: Callable[[Packet], bool], count: int = 1) -> list[Ether]:
    """Frames up to the last that is wanted, of so many."""
    frames: list[Ether] = []
    while sum(map(wanted, frames)) < count:
        assert capture.wait(5), f"captured only {frames}"
        data, records = capture.recv_batch()
        frames += [Ether(data[start : start + length]) for _, start, length, _ in records]
    return frames


def is_icmp(kind: int, code: int) -> Callable[[Packet], bool]:
    return lambda frame: ICMP in frame and (frame[ICMP].type, frame[ICMP].code) == (kind, code)


def refusal(interface: Interface, packet: bytes, method: Method) -> str:
    with pytest.raises(SendError) as problem:
        interface.send(packet, method)
    return str(problem.value)
