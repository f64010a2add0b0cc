"""What the commands share: the interface that they work on, and how they end."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from ipl_tui.networks.interface import Interface, Network


class Command(click.Command):
    """A command that says what went wrong in a sentence, and whose colours and signals are as people expect them."""

    def invoke(self, context: click.Context) -> Any:
        from ipl_tui.capture.errors import CaptureError
        from ipl_tui.networks.interface import LinkError, SendError, UnknownInterface

        if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
            context.color = False
        for stream in (sys.stdout, sys.stderr):
            with suppress(AttributeError):  # replaced by something that is no file
                stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
        for name in ("SIGTERM", "SIGHUP"):  # they end a command as Ctrl+C does: in order
            with suppress(AttributeError, ValueError):  # Windows has no SIGHUP; only the main thread may set them
                signal.signal(getattr(signal, name), signal.default_int_handler)
        try:
            return super().invoke(context)
        except (CaptureError, SendError, UnknownInterface, LinkError) as error:
            raise click.ClickException(str(error)) from error


@dataclass(frozen=True)
class Place:
    """Where a command works."""

    interface: Interface
    network: Network


interface_option = click.option("-i", "--interface", "name", metavar="IFACE")


@contextmanager
def place_of(name: str | None, destination: str | None = None) -> Iterator[Place]:
    """The interface of a name; without one, that by which this machine reaches the destination, or else loopback.

    What its network keeps running ends with the block. Raises UnknownInterface.
    """
    from ipl_tui.networks.interface import find_interface, network_of
    from ipl_tui.networks.kernel import KernelNetwork
    from ipl_tui.networks.routes import loopback_name, route_to
    from ipl_tui.networks.sandbox import SandboxNetwork
    from ipl_tui.networks.simulated import SimulatedNetwork

    networks = (SimulatedNetwork(), SandboxNetwork(), KernelNetwork())
    try:
        if name is None:
            route = route_to(destination) if destination else None
            name = route.interface if route else loopback_name()
        interface = find_interface(name, networks)
        yield Place(interface, network_of(interface, networks))
    finally:
        for network in networks:
            network.close()
