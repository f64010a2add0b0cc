"""Capture points: where the frames of a capture were seen, and what the networks there know of them."""

from __future__ import annotations

from collections.abc import Mapping

from ipl_tui.capture.frames import Frame
from ipl_tui.networks.interface import Interface, Network
from ipl_tui.packets.fields import read_header


class CapturePoints:
    """The interfaces that the store's frames were captured on, by its numbers. Frames of a file are nowhere."""

    def __init__(self) -> None:
        self._where: dict[int, tuple[Network, Interface]] = {}
        self._followed: set[int] = set()

    def add(self, network: Network, interfaces: Mapping[int, Interface]) -> list[int]:
        """From now on frames come from these interfaces of a network too: if several, all of its path, in order; those
        are given back."""
        self._where.update({number: (network, interface) for number, interface in interfaces.items()})
        several = list(interfaces) if len(interfaces) > 1 else []
        self._followed.update(several)
        return several

    def gone(self, number: int, time: int) -> bool:
        """True if the network knows that a frame seen on an interface at a time in ns went no further."""
        if number not in self._where:
            return False
        network, interface = self._where[number]
        return bool(network.fate(interface.name, time))

    def delay(self, earlier: int, later: int) -> int:
        """The latency of the link between two interfaces, in ns; 0 where there is none."""
        network, near = self._where[earlier]
        _, far = self._where[later]
        for link in network.links():
            if near.name in link.ends and far.name in link.ends:
                return round((link.latency or 0.0) * 1e9)
        return 0

    def own(self, number: int) -> bytes:
        """The hardware address of an interface."""
        return self._where[number][1].hardware_address

    def loss(self, frame: Frame, packet: bytes) -> str:
        """Reason why a frame, which nothing follows, went no further, if its host was not its packet's destination: one
        sentence, or empty.

        The network says why, where it knows; else only where it was last seen can be told.
        """
        if frame.interface not in self._where:
            return ""
        network, interface = self._where[frame.interface]
        if known := network.fate(interface.name, frame.time):
            return known
        if frame.interface not in self._followed or not packet or _is_for(packet, interface.host, network):
            return ""
        if not _is_leaving(frame, interface):
            return f"Last seen on {interface.name}: the {interface.host} did not pass it on."
        path = network.path()
        place = path.index(interface)
        beside = [path[at] for at in (place - 1, place + 1) if 0 <= at < len(path)]
        next_hop = next(each for each in beside if each.host != interface.host)
        return f"Last seen leaving the {interface.host} on {interface.name}: it did not arrive on {next_hop.name}."

    def arrival(self, frame: Frame, packet: bytes) -> str:
        """The host that is the destination of a frame's packet and received it, or nothing."""
        if frame.interface not in self._followed:
            return ""
        network, interface = self._where[frame.interface]
        arrived = not _is_leaving(frame, interface) and _is_for(packet, interface.host, network)
        return interface.host if arrived else ""


def _is_leaving(frame: Frame, interface: Interface) -> bool:
    """True if the interface's own host put the frame on the link."""
    return frame.data[6:12] == interface.hardware_address


def _is_for(packet: bytes, host: str, network: Network) -> bool:
    """True if a host has the address that a packet is for."""
    own = {str(address.ip) for each in network.path() if each.host == host for address in each.addresses}
    return read_header(packet).get("dst") in own
