"""Keeps kernels from objecting to ServerResponse while it may come: an open raw socket of its protocol does that."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ipl_tui.networks.interface import Interface, SendError
from ipl_tui.packets.messages import PROTOCOL

if TYPE_CHECKING:  # it loads Scapy, which the first screen must not wait for
    from scapy.supersocket import SuperSocket

WAITING = 15.0
"""Seconds after ClientMessage was sent within which its answer may come."""


class DiscardingSockets:
    """Deaf sockets: each belongs to one order, and stays a while for the answer. Methods may be called from any thread.

    Each order opens its own, so that none depends on what another, ended or superseded, has closed; a name may also
    stand for another interface than before.
    """

    def __init__(self, waiting: float = WAITING) -> None:
        """A socket stays for so many seconds after its order."""
        self._waiting = waiting
        self._lock = threading.Lock()
        self._staying: dict[str, tuple[SuperSocket, threading.Timer]] = {}  # by the full name of the interface
        self._closed = False

    @contextmanager
    def on(self, interface: Interface) -> Iterator[None]:
        """An interface's host does not object to the answers to what is sent meanwhile, nor to those that come later.

        Where it can't be kept quiet it objects: what forbids this forbids sending, which says it better.
        """
        try:
            opened = interface.open_protocol(PROTOCOL, discarding=True)
        except SendError:
            yield
            return
        try:
            yield
        finally:
            self._stay(interface.full_name, opened)

    def _stay(self, name: str, opened: SuperSocket) -> None:
        """Let the socket of an order that has ended stay, in place of the one before."""
        timer = threading.Timer(self._waiting, self._leave, [name, opened])
        timer.daemon = True
        with self._lock:
            replaced = [(opened, timer)] if self._closed else [self._staying[name]] if name in self._staying else []
            if not self._closed:
                self._staying[name] = opened, timer
                timer.start()
        _close(replaced)

    def _leave(self, name: str, opened: SuperSocket) -> None:
        with self._lock:
            if self._staying.get(name, (None, None))[0] is opened:
                del self._staying[name]
        opened.close()

    def close(self) -> None:
        """Close all that stay now, and from now on each at the end of its order."""
        with self._lock:
            self._closed = True
            staying = list(self._staying.values())
            self._staying.clear()
        _close(staying)


def _close(staying: list[tuple[SuperSocket, threading.Timer]]) -> None:
    for opened, timer in staying:
        timer.cancel()
        opened.close()
