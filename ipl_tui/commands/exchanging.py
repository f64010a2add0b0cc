"""What the server and the client have in common on the command line: their options, and how packets are written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any

import click

from ipl_tui.commands.common import Seconds, interface_option, read_address
from ipl_tui.exchange.engine import ENGINES, PATIENCE, PORT, Engine
from ipl_tui.exchange.messages import CLIENT_MESSAGE, PROTOCOL, SERVER_RESPONSE

NAMES = {CLIENT_MESSAGE: "ClientMessage", SERVER_RESPONSE: "ServerResponse"}

LONGEST_TIMEOUT = 3600.0
"""Seconds."""

RAW_IP = 101
"""libpcap's link type of packets without a link header."""


@dataclass(frozen=True)
class Wanted:
    """What the options say."""

    engine: Engine
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
    """Whether packets are printed in full."""

    @property
    def over_tcp(self) -> bool:
        return self.engine == "asyncio"


def exchange_options(
    place: str, source: str, destination: str, timeout: str, count: str, show: bool
) -> Callable[..., Any]:
    """The options of both, for a function of what they say; with the words in which each explains them, and whether
    packets are shown unless something else is said."""
    options = (
        click.option(
            "--engine",
            type=click.Choice(ENGINES),
            default="scapy",
            show_default=True,
            help="scapy: AnsweringMachine and AsyncSniffer. socket: a raw socket, byte by byte. asyncio: over TCP.",
        ),
        interface_option(place),
        click.option("--src", "source", metavar="ADDRESS", callback=read_address, help=source),
        click.option("--dst", "destination", metavar="ADDRESS", callback=read_address, help=destination),
        click.option(
            "--proto",
            type=click.IntRange(1, 254),
            default=PROTOCOL,
            show_default=True,
            metavar="NUMBER",
            help="The IP protocol number, 1 to 254, with scapy and socket.",
        ),
        click.option(
            "--port",
            type=click.IntRange(1, 65535),
            default=PORT,
            show_default=True,
            metavar="NUMBER",
            help="The TCP port, with asyncio.",
        ),
        click.option(
            "--timeout",
            type=Seconds(0, LONGEST_TIMEOUT, min_open=True),
            default=PATIENCE,
            show_default=True,
            metavar="SECONDS",
            help=timeout,
        ),
        click.option("--count", type=click.IntRange(min=1), metavar="N", help=count),
        click.option(
            "--show/--no-show",
            default=show,
            show_default=True,
            help="Print each packet in full, in the form of Scapy's show(), or in a line.",
        ),
    )

    def add(function: Callable[[Wanted], None]) -> Callable[..., Any]:
        @wraps(function)
        def read(**values: Any) -> None:
            function(Wanted(**values))

        decorated: Callable[..., Any] = read
        for option in reversed(options):
            decorated = option(decorated)
        return decorated

    return add


def describe(data: bytes, over_tcp: bool) -> str:
    """A packet, or a message over TCP, in a few words: what it says, and its bytes."""
    from ipl_tui.packets.craft import payload_text
    from ipl_tui.packets.ipv4 import payload_of

    payload = data if over_tcp else payload_of(data)
    return f"{NAMES.get(payload) or payload_text(payload)[:80] or 'nothing'}, {len(data):,} bytes"


def print_packet(data: bytes, over_tcp: bool) -> None:
    """A packet in the form of Scapy's show(); a message as it is."""
    from ipl_tui.packets.craft import payload_text
    from ipl_tui.packets.dissect import dissect
    from ipl_tui.packets.show import show

    if over_tcp:
        click.echo(f"  message   = {payload_text(data[:1000])}")
    else:
        click.echo("\n".join(show(dissect(data, RAW_IP))))
