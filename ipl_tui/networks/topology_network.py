"""Common parts of the networks that follow the topology: the simulated one and the sandbox."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from ipaddress import IPv4Address
from typing import Generic, TypeVar

from ipl_tui.networks.interface import Interface, Method, Network, Route, broadcasts_of
from ipl_tui.networks.topology import HOSTS, PATH, SERVER, Host, Link, Port, default_destination
from ipl_tui.packets.link_layer import ETHERNET


class TopologyInterface(Interface):
    """A port of one of the plan's hosts. Its MTU is always that of its link."""

    state = "up"
    linktype = ETHERNET

    def __init__(self, host: Host, port: Port, mtu: int) -> None:
        self.host = host.name
        self.name = port.name
        self.addresses = (port.address,)
        self.hardware_address = port.hardware_address
        self.mtu = mtu
        self.destination = default_destination(port)
        self._host = host
        self._own = {each.address.ip for each in host.ports}
        self._broadcasts = broadcasts_of(each.address for each in host.ports)

    def choose_method(self, destination: str) -> Method:
        return "kernel" if self.is_own(destination) else "exact"

    def is_own(self, address: str) -> bool:
        target = IPv4Address(address)
        return target.is_loopback or target in self._own

    def route(self, destination: str) -> Route | None:
        if self.is_own(destination):
            return Route(self.name, self.source_for(destination))
        target, router = IPv4Address(destination), self._host.gateway
        near = next((port for port in self._host.ports if target in port.address.network), None)
        if near is not None:
            return Route(near.name, str(near.address.ip))
        if router is None:
            return None
        near = next(port for port in self._host.ports if router in port.address.network)
        return Route(near.name, str(near.address.ip), str(router))

    def broadcasts(self) -> frozenset[IPv4Address]:
        return self._broadcasts


AnInterface = TypeVar("AnInterface", bound=TopologyInterface)


class TopologyNetwork(Network, Generic[AnInterface]):
    """The plan's four interfaces, in the order of its path; its server answers ClientMessage."""

    private = True
    restartable = True

    def __init__(self, links: Sequence[Link]) -> None:
        hosts = {port.name: host for host in HOSTS for port in host.ports}
        mtus = {end: link.mtu for link in links for end in link.ends}
        self._first_links: Sequence[Link] | None = None  # when it was first used; None before
        self._interfaces = {port.name: self._make_interface(hosts[port.name], port, mtus[port.name]) for port in PATH}

    @abstractmethod
    def _make_interface(self, host: Host, port: Port, mtu: int) -> AnInterface:
        """The interface at a port."""

    def interfaces(self) -> list[Interface]:
        return list(self._interfaces.values())

    def path(self) -> tuple[Interface, ...]:
        return tuple(self._interfaces.values())

    def responder_at(self, interface: Interface) -> Interface:
        return self._interfaces[SERVER.name]

    def restart(self) -> None:
        self.close()
        for link in self._first_links or ():
            self.set_link(link)

    def _note_links(self) -> None:
        """It is being used: how its links are, the first time, is how restart() sets them."""
        if self._first_links is None:
            self._first_links = self.links()

    def _tell_mtu(self, link: Link) -> None:
        """Let the interfaces at a link's ends say what MTU it has now."""
        for end in link.ends:
            self._interfaces[end].mtu = link.mtu
