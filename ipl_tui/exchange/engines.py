"""The engines of the exchange, a row each, and what makes their servers and clients."""

from __future__ import annotations

from collections.abc import Mapping

from ipl_tui.exchange.engine import PORT, Client, Engine, EngineClasses, Server, ServerConfig, Target, require_own
from ipl_tui.exchange.framing import Framing
from ipl_tui.networks.interface import Interface
from ipl_tui.packets.messages import PROTOCOL


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
    require_own(interface, source, destination)
    source = source or interface.source_for(destination)
    return ENGINE[engine].load().client(Target(interface, source, destination, proto, port, framing))
