"""A simulated host's addresses, and the way from it to all others (RFC 1122 §3.3.1)."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Interface

from ipl_tui.networks.topology import Host, Port

LIMITED_BROADCAST, UNSPECIFIED = b"\xff" * 4, bytes(4)
MULTICAST, LOOPBACK = 0xE0, 127
"""The first four bits, and the first byte, of such addresses (RFC 1122 §3.2.1.3)."""
LOOPBACK_ADDRESS = IPv4Interface("127.0.0.1/8")
ALL_SYSTEMS = bytes([224, 0, 0, 1])
"""The one multicast group that a host is always in (RFC 1112 §6.1)."""


def is_multicast(address: bytes) -> bool:
    return address[0] & 0xF0 == MULTICAST


def is_group(address: bytes) -> bool:
    """True if it is a multicast address or the limited broadcast."""
    return is_multicast(address) or address == LIMITED_BROADCAST


class Routing:
    """The addresses and routes of a host; they never change. Addresses are 4 bytes."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self._loopback = Port(host.name, "lo", LOOPBACK_ADDRESS)
        self._own = {port.address.ip.packed: port for port in host.ports}
        self._subnets = sorted(
            ((int(port.address.netmask), int(port.address.network.network_address), port) for port in host.ports),
            key=lambda subnet: -subnet[0],  # the longest prefix first
        )
        networks = (port.address.network for port in host.ports)
        self._broadcasts = {network.broadcast_address.packed for network in networks if network.prefixlen < 31}
        self._gateway: tuple[Port, bytes] | None = None
        if host.gateway:
            self._gateway = self.route(host.gateway.packed)

    def is_of_a_port(self, address: bytes) -> bool:
        return address in self._own

    def is_own(self, address: bytes) -> bool:
        """True if it is the host's in some way: a port's, a loopback address or 0.0.0.0."""
        return address in self._own or address[0] == LOOPBACK or address == UNSPECIFIED

    def own_port(self, address: bytes, bound: Port | None) -> Port | None:
        """The port that a packet to an address of the host's own is delivered at; None where it leaves the host."""
        if address == UNSPECIFIED or (address[0] == LOOPBACK and bound is None):
            return bound or self._loopback
        port = self._own.get(address)
        return port if bound in (None, port) else None  # a socket bound to another port looks for it on that link

    def is_broadcast(self, address: bytes) -> bool:
        """True if it is for all on one of the host's links."""
        return address == LIMITED_BROADCAST or address in self._broadcasts

    def is_for_several(self, address: bytes) -> bool:
        return is_group(address) or address in self._broadcasts

    def is_ours(self, address: bytes) -> bool:
        """True if this host stamps the time beside an address: it is its own, or for several (as Linux has it)."""
        return self.is_own(address) or self.is_for_several(address)

    def route(self, destination: bytes, bound: Port | None = None) -> tuple[Port, bytes] | None:
        """The port and the next hop towards an address (RFC 1122 §3.3.1.1); None without a route.

        A socket that is bound to a port takes what is not routed to be on that port's link, as Linux does.
        """
        way = self._gateway
        number = int.from_bytes(destination)
        for mask, network, port in self._subnets:
            if number & mask == network and bound in (None, port):
                way = port, destination
                break
        else:
            if bound and (way is None or way[0] != bound):
                way = bound, destination
        return (way[0], destination) if way and is_group(destination) else way

    def next_hop(self, destination: bytes, port: Port) -> bytes | None:
        """The next hop of what leaves by a port, whatever its route: the destination where it is on the port's
        network, else the gateway where that is; None if it is not."""
        if is_group(destination) or IPv4Address(destination) in port.address.network:
            return destination
        return self._gateway[1] if self._gateway and self._gateway[0] == port else None

    def source_towards(self, address: bytes, port: Port) -> bytes:
        """The host's own address for what concerns a packet from an address that arrived at a port."""
        way = self.route(address)
        return (way[0] if way else port).address.ip.packed
