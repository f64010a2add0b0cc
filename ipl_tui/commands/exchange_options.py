"""Options and output that server and client share on the command line."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, fields
from functools import wraps
from typing import Any

import click

from ipl_tui.commands.common import Seconds, SelectedInterface, echo, interface_option, read_address
from ipl_tui.exchange.engine import TIMEOUT, ServerConfig
from ipl_tui.exchange.engines import ENGINE, ENGINES, RAW_ENGINES, TCP_ENGINES, make_server
from ipl_tui.exchange.framing import Framing
from ipl_tui.networks.interface import Network
from ipl_tui.networks.sending import MOST_PACKETS
from ipl_tui.packets.messages import PORT, PROTOCOL
from ipl_tui.packets.text import counted

LONGEST_TIMEOUT = 3600.0
"""Seconds."""

RAW_NAMES, TCP_NAMES = " and ".join(RAW_ENGINES), " and ".join(TCP_ENGINES)
"""The engines of each kind, as sentences name them."""

RAW_IP = 101
"""libpcap's link type of packets without a link header."""


@dataclass(frozen=True)
class ExchangeOptions:
    """Values of the options that server and client share."""

    engine: str
    name: str | None
    """Of the interface."""
    source: str
    """A dotted quad, or nothing; as destination."""
    destination: str
    proto: int
    port: int
    timeout: float
    """Seconds."""
    count: int | None
    show: bool
    """True if packets are printed in full."""
    framing: Framing | None = None
    """As the client is told; None where nothing is said."""
    rate: int | None = None
    """As the server is told; the same."""

    @property
    def over_tcp(self) -> bool:
        return not ENGINE[self.engine].raw


def exchange_options(
    place: str, source: str, destination: str, timeout: str, count: str, show: bool
) -> Callable[..., Any]:
    """The options of both, for a function of what they say, and of the options of its own; with the words in which each
    explains them, and whether packets are shown unless something else is said."""
    options = (
        click.option(
            "--engine",
            type=click.Choice(ENGINES),
            default=ENGINES[0],
            show_default=True,
            help=" ".join(f"{name}: {each.ways}." for name, each in ENGINE.items()),
        ),
        interface_option(place),
        click.option("--src", "source", metavar="ADDRESS", callback=read_address, help=source),
        click.option("--dst", "destination", metavar="ADDRESS", callback=read_address, help=destination),
        click.option(
            "--proto",
            type=click.IntRange(1, 254),
            metavar="NUMBER",
            help=f"The IP protocol number, 1 to 254, with {RAW_NAMES}.  [default: {PROTOCOL}]",
        ),
        click.option(
            "--port",
            type=click.IntRange(1, 65535),
            metavar="NUMBER",
            help=f"The TCP port, with {TCP_NAMES}.  [default: {PORT}]",
        ),
        click.option(
            "--timeout",
            type=Seconds(0, LONGEST_TIMEOUT, min_open=True),
            default=TIMEOUT,
            show_default=True,
            metavar="SECONDS",
            help=timeout,
        ),
        click.option("--count", type=click.IntRange(1, MOST_PACKETS), metavar="N", help=count),
        click.option(
            "--show/--no-show",
            default=show,
            show_default=True,
            help="Print each packet in full, in the form of Scapy's show(), or in a line.",
        ),
    )

    def add(function: Callable[..., None]) -> Callable[..., Any]:
        @wraps(function)
        def read(engine: str, proto: int | None, port: int | None, **values: Any) -> None:
            raw = ENGINE[engine].raw
            if proto is not None and not raw:
                raise click.UsageError(f"--proto is for {RAW_NAMES}: {engine} has TCP, and --port.")
            if port is not None and raw:
                raise click.UsageError(
                    f"--port is for {TCP_NAMES}: {engine} has raw IP, which has no ports, and --proto."
                )
            own = {name: values.pop(name) for name in values.keys() - {each.name for each in fields(ExchangeOptions)}}
            function(ExchangeOptions(engine, proto=proto or PROTOCOL, port=port or PORT, **values), **own)

        decorated: Callable[..., Any] = read
        for option in reversed(options):
            decorated = option(decorated)
        return decorated

    return add


def answering(network: Network) -> tuple[str, ...]:
    """The addresses at which answer_there() can start a server."""
    return tuple(str(address.ip) for each in network.path() for address in each.addresses if network.private)


def answer_there(
    place: SelectedInterface,
    destination: str,
    ending: ExitStack,
    engine: str = ENGINES[0],
    proto: int = PROTOCOL,
    port: int = PORT,
) -> None:
    """Start a server at the destination until `ending`, where no other program can answer. Raises SendError."""
    for each in place.network.path() if place.network.private else ():
        config = ServerConfig(each, proto=proto, port=port, rate=0)  # nobody else reaches it
        if destination in config.addresses:
            server = make_server(engine, config)
            ending.callback(server.stop)
            server.start()


def describe(data: bytes, over_tcp: bool) -> str:
    """A packet, or a message over TCP, in a few words: what it says, and its bytes."""
    from ipl_tui.packets.craft import payload_text
    from ipl_tui.packets.ipv4 import payload_of

    payload = data if over_tcp else payload_of(data)
    return f"{payload_text(payload)[:80] or 'nothing'}, {counted(len(data), 'byte')}"


def print_packet(data: bytes, over_tcp: bool) -> None:
    """A packet in the form of Scapy's show(); a message as it is."""
    from ipl_tui.packets.budget import dissect
    from ipl_tui.packets.craft import payload_text
    from ipl_tui.packets.show import show

    if over_tcp:
        echo(f"  message   = {payload_text(data[:1000])}")
    else:
        echo("\n".join(show(dissect(data, RAW_IP))))
