"""The engines of the exchange, a row each, and what makes their servers and clients."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from ipl_tui.packets.messages import PORT, PROTOCOL

if TYPE_CHECKING:  # the first screen shows the names, and exchanges nothing yet
    from ipl_tui.exchange.engine import Client, Server, ServerConfig, Target
    from ipl_tui.exchange.framing import Framing
    from ipl_tui.networks.interface import Interface


class EngineClasses(NamedTuple):
    """Classes of both ends, from an engine's module."""

    server: Callable[[ServerConfig], Server]
    """Makes one that is not started yet."""
    client: Callable[[Target], Client]
    """Makes one that listens. Raises SendError."""


@dataclass(frozen=True)
class Engine:
    """A way to do the exchange: a row of the table of engines."""

    name: str
    """On the command line, one word."""
    title: str
    """As a heading."""
    short: str
    """As the state line has room for it."""
    raw: bool
    """True if its messages travel in IP packets of their own: such engines understand each other. Else over TCP."""
    ways: str
    """Means of the engine, in a few words."""
    idea: str
    """Division of the work: what the program does itself, and what is done for it; a sentence or two."""
    load: Callable[[], EngineClasses]
    """Imports its module, when it is used first: one of them loads Scapy, which the first screen must not wait for."""


def _scapy() -> EngineClasses:
    from ipl_tui.exchange.scapy_engine import ScapyClient, ScapyServer

    return EngineClasses(ScapyServer, ScapyClient)


def _socket() -> EngineClasses:
    from ipl_tui.exchange.socket_engine import SocketClient, SocketServer

    return EngineClasses(SocketServer, SocketClient)


def _asyncio() -> EngineClasses:
    from ipl_tui.exchange.asyncio_engine import AsyncioClient, AsyncioServer

    return EngineClasses(AsyncioServer, AsyncioClient)


_ENGINES = (
    Engine(
        name="scapy",
        title="Scapy",
        short="Scapy",
        raw=True,
        ways="AnsweringMachine and AsyncSniffer",
        idea="The program says what it knows of a packet. Scapy fills in the rest of the header, and builds it.",
        load=_scapy,
    ),
    Engine(
        name="socket",
        title="raw socket",
        short="socket",
        raw=True,
        ways="a raw socket, byte by byte",
        idea="The program packs the 20 bytes of the header itself, and hands them to a raw IP socket.",
        load=_socket,
    ),
    Engine(
        name="asyncio",
        title="asyncio over TCP",
        short="asyncio",
        raw=False,
        ways="over TCP",
        idea="The program writes a message into a TCP stream. The kernel makes packets of it, headers and all.",
        load=_asyncio,
    ),
)

ENGINE: Mapping[str, Engine] = {each.name: each for each in _ENGINES}
"""By name. The first is the one where nothing else is said."""

ENGINES: tuple[str, ...] = tuple(ENGINE)
RAW_ENGINES: tuple[str, ...] = tuple(each.name for each in _ENGINES if each.raw)
TCP_ENGINES: tuple[str, ...] = tuple(each.name for each in _ENGINES if not each.raw)


def make_server(engine: str, config: ServerConfig) -> Server:
    """A server of the engine of this name that is not started yet."""
    return ENGINE[engine].load().server(config)


def make_client(
    engine: str,
    interface: Interface,
    destination: str,
    source: str = "",
    proto: int = PROTOCOL,
    port: int = PORT,
    framing: Framing = "none",
) -> Client:
    """A client of one server, with the engine of this name; the rest is as in Target, and the source by default the
    interface's nearest to the destination.

    Raises SendError when listening is not possible.
    """
    from ipl_tui.exchange.engine import Target, require_own

    require_own(interface, source, destination)
    source = source or interface.source_for(destination)
    return ENGINE[engine].load().client(Target(interface, source, destination, proto, port, framing))
