"""Detector of packets that pass an interface for a raw socket, and are not handed to it, by a capture beside it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from ipaddress import IPv4Address
from typing import TYPE_CHECKING

from ipl_tui.networks.interface import Interface, SendError

if TYPE_CHECKING:  # it loads Scapy
    from scapy.supersocket import SuperSocket

MOST = 10_000
"""Packets that are looked at at once, and senders that are remembered: of a greater flood nothing is said."""


class UndeliveredDetector:
    """Compares what was captured with what a raw socket got, when that has been quiet for a moment.

    For one thread. It costs the kernel a copy of what waits to be looked at, and this program nothing while packets
    come.
    """

    def __init__(self, interface: Interface, proto: int, wanted: Callable[[bytes], str]) -> None:
        """Capture from now on, where that hears more than a raw socket does. wanted() gives the sender of an IPv4
        packet that the raw socket ought to have got, and nothing for all others."""
        self._interface = interface
        self._wanted = wanted
        self._heard: set[str] = set()
        self._suspected: set[str] = set()
        self._socket: SuperSocket | None = None
        if interface.hears_all:
            with suppress(SendError):  # then nobody notices
                self._socket = interface.open_protocol(proto)

    def heard(self, sender: str) -> None:
        """The raw socket got a message of this sender."""
        if self._socket is not None and len(self._heard) < MOST:
            self._heard.add(sender)

    def look(self) -> str:
        """A sender whose message was captured before the raw socket was last quiet, and was not handed over until now;
        or nothing. To be called whenever the raw socket has been quiet for some ms."""
        undelivered = self._suspected - self._heard
        captured = self._read()
        self._suspected = {self._wanted(packet) for packet in captured} - self._heard - {""}
        if len(captured) >= MOST or len(self._heard) >= MOST:
            self._suspected = set()
        if len(captured) < MOST:  # what is captured still, may have been heard already
            self._heard = set()
        return min(undelivered, default="")

    def forget(self) -> None:
        """Compare only what comes from now on."""
        self._read()
        self._heard, self._suspected = set(), set()

    def _read(self) -> list[bytes]:
        """Packets captured since the last time."""
        packets: list[bytes] = []
        with suppress(OSError):  # the raw socket's end says it
            while self._socket is not None and len(packets) < MOST and self._socket.select([self._socket], 0):
                packets.append(self._socket.recv_raw()[1] or b"")
        return packets

    def explain(self, message: str, sender: str) -> str:
        """One sentence about a message that was not handed over: what happened, why, and what helps."""
        interface = self._interface
        by_loopback = IPv4Address(sender).is_loopback or sender in [str(each.ip) for each in interface.addresses]
        why = "a firewall rule or the reverse path filter (rp_filter) drops it"
        helps = "the Scapy engine, which captures, hears it"
        if by_loopback:
            why = (
                "what libpcap puts on loopback has no route attached, so that the kernel takes its source for a martian"
                " and drops it"
            )
            helps += ", and so does this one after conf.use_pcap = False in the other program"
        where = f"{message} from {sender} passed {interface.name}"
        return f"{where}, but the kernel did not hand it to the raw socket: {why}; {helps}."

    def close(self) -> None:
        """Look no more; twice is fine."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
