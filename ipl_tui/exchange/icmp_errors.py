"""ICMP errors that come in place of an answer."""

from __future__ import annotations

from contextlib import suppress

from ipl_tui.networks.interface import Interface, RawSocket, SendError
from ipl_tui.packets.icmp import describe_error
from ipl_tui.packets.ipv4 import ICMP
from ipl_tui.tracking.matching import error_about


class IcmpErrors:
    """Listens to ICMP on an interface, for what was sent from it."""

    def __init__(self, interface: Interface) -> None:
        """Listen from now on, where that is possible."""
        self._socket: RawSocket | None = None
        with suppress(SendError):  # then nobody says why
            self._socket = interface.open_raw(ICMP)
            self._socket.settimeout(0)

    def about(self, packet: bytes) -> str:
        """Sentence of the first ICMP error about an IPv4 packet that has arrived; empty without one."""
        while self._socket is not None:
            try:
                arrived = self._socket.recv(65535)
            except OSError:  # nothing more is there
                break
            if error := error_about(packet, arrived):
                return f"{error.source} says {describe_error(error.type, error.code)}."
        return ""

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
