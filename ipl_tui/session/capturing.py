"""Captures of the lab: on which interfaces, and with which filter."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

from ipl_tui.capture.filters import FilterError, compile_filter
from ipl_tui.networks.interface import Interface, Network
from ipl_tui.packets.link_layer import ETHERNET

if TYPE_CHECKING:  # it loads Scapy, which the first screen must not wait for
    from ipl_tui.capture.sniffer import CaptureSocket


def open_captures(interfaces: Sequence[Interface], filter: str) -> CaptureSocket:
    """One capture on all of them. Raises CaptureError."""
    from ipl_tui.capture.merging import MergedSocket

    with ExitStack() as opened:
        sockets = [opened.enter_context(closing(interface.open_capture(filter))) for interface in interfaces]
        opened.pop_all()
    return sockets[0] if len(sockets) == 1 else MergedSocket(sockets)


def own_addresses(interface: Interface, network: Network) -> frozenset[str]:
    """The addresses that packets on an interface have from or to its host, as they are written in packets' summaries:
    the interface's own, and all of its network's on loopback, by which a host's packets to itself go."""
    stays = any(address.ip.is_loopback for address in interface.addresses)
    addresses = [
        str(address.ip) for each in (network.interfaces() if stays else [interface]) for address in each.addresses
    ]
    return frozenset([*addresses, interface.hardware_address.hex(":")])


def filter_problem(text: str, interface: Interface) -> str:
    """libpcap's words about a filter that does not compile for an interface; nothing for one that does.

    An interface that has not told its link type yet is taken for Ethernet.
    """
    try:
        compile_filter(text, interface.linktype if interface.linktype is not None else ETHERNET)
    except FilterError as error:
        return str(error)
    return ""
