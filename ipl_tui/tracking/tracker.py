"""What became of the packets of a capture on their way through a network: from hop to hop, and where they ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ipl_tui.capture.store import Frame, Store
from ipl_tui.networks.interface import Interface, Network
from ipl_tui.packets.fields import FIELD, read_header
from ipl_tui.packets.link_layer import network_layer
from ipl_tui.tracking.hops import Change, Paths, changes


class Trail:
    """Asked by frame number. It knows the interfaces that the store's frames were captured on."""

    def __init__(self, store: Store) -> None:
        self.paths = Paths(store, self.is_gone, self._delay, self._own)
        self._store = store
        self._where: dict[int, tuple[Network, Interface]] = {}
        self._followed: set[int] = set()

    def follow(self, network: Network, interfaces: Mapping[int, Interface]) -> None:
        """From now on frames come from these interfaces of a network, by the store's numbers: if several, all of its
        path, in order."""
        self._where.update({number: (network, interface) for number, interface in interfaces.items()})
        several = list(interfaces) if len(interfaces) > 1 else []
        self._followed.update(several)
        self.paths.follow(several)

    def changes(self, number: int) -> tuple[Change, ...]:
        """What differs in the frame's IPv4 header from the hop before; nothing for the first hop."""
        before = self.paths.previous(number)
        if before is None:
            return ()
        return changes(self.packet(before), self.packet(number))

    def interface(self, number: int) -> str:
        """The name of the interface that a frame was captured on."""
        return self._store.interfaces[self._store.frame(number).interface].name

    def packet(self, number: int) -> bytes:
        """The IPv4 packet in a frame, or nothing."""
        return self._packet(self._store.frame(number))

    def loss(self, number: int) -> str:
        """Why a frame went no further, if it did not and its host was not its destination: one sentence, or nothing.

        The network says why, where it knows; else only where it was last seen can be told.
        """
        frame = self._store.frame(number)
        if frame.interface not in self._where or self.paths.following(number):
            return ""
        network, interface = self._where[frame.interface]
        if known := network.fate(interface.name, frame.time):
            return known
        packet = self._packet(frame)
        if frame.interface not in self._followed or not packet or _is_for(packet, interface.host, network):
            return ""
        if not self._is_leaving(frame, interface):
            return f"Last seen on {interface.name}: the {interface.host} did not pass it on."
        path = network.path()
        place = path.index(interface)
        beside = [path[at] for at in (place - 1, place + 1) if 0 <= at < len(path)]
        next_hop = next(each for each in beside if each.host != interface.host)
        return f"Last seen leaving the {interface.host} on {interface.name}: it did not arrive on {next_hop.name}."

    def arrival(self, number: int) -> str:
        """The host that is the destination of a frame and received it, or nothing."""
        frame = self._store.frame(number)
        if frame.interface not in self._followed:
            return ""
        network, interface = self._where[frame.interface]
        arrived = not self._is_leaving(frame, interface) and _is_for(self._packet(frame), interface.host, network)
        return interface.host if arrived else ""

    def _packet(self, frame: Frame) -> bytes:
        """The IPv4 packet in a frame, or nothing."""
        return frame.data[network_layer(frame.data, self._store.interfaces[frame.interface].linktype) :]

    def is_gone(self, number: int, time: int) -> bool:
        """Whether the network knows that a frame seen on an interface (the store's number) at a time in ns went no
        further."""
        if number not in self._where:
            return False
        network, interface = self._where[number]
        return bool(network.fate(interface.name, time))

    def _delay(self, earlier: int, later: int) -> int:
        """The latency of the link between two interfaces, in ns; 0 where there is none."""
        network, near = self._where[earlier]
        _, far = self._where[later]
        for link in network.links():
            if near.name in link.ends and far.name in link.ends:
                return round((link.latency or 0.0) * 1e9)
        return 0

    def _own(self, number: int) -> bytes:
        """The hardware address of an interface."""
        return self._where[number][1].hardware_address

    @staticmethod
    def _is_leaving(frame: Frame, interface: Interface) -> bool:
        """Whether the interface's own host put the frame on the link."""
        return frame.data[6:12] == interface.hardware_address


def _is_for(packet: bytes, host: str, network: Network) -> bool:
    """Whether a host has the address that a packet is for."""
    own = {str(address.ip) for each in network.path() if each.host == host for address in each.addresses}
    return read_header(packet).get("dst") in own


def in_brief(made: Sequence[Change]) -> str:
    """What a hop changed, in a few words: "TTL 64→63, checksum"."""
    fields = {change.field: change for change in made}
    words = []
    if ttl := fields.get("ttl"):
        words.append(f"TTL {ttl.before!s}→{ttl.after!s}")
    if fields.keys() & {"mf", "frag"}:
        words.append("fragmented")
    elif "len" in fields:
        words.append("length")
    if fields.keys() & {"ihl", "options"}:
        words.append("options")
    if "chksum" in fields:
        words.append("checksum")
    told = {"ttl", "mf", "frag", "len", "ihl", "options", "chksum"}
    words += [FIELD[name].label for name in fields if name not in told]
    return ", ".join(words)
