"""Contract of the engines of the exchange: a server that answers, a client that asks. engines.py lists them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import IPv4Address
from typing import Protocol

from ipl_tui.exchange.delayed_answers import OwnPackets
from ipl_tui.exchange.framing import Framing
from ipl_tui.exchange.rate_limit import RATE, RateLimit
from ipl_tui.networks.interface import Interface, SendError
from ipl_tui.packets.messages import CLIENT_MESSAGE, PORT, PROTOCOL, SERVER_RESPONSE

NOT_EXACTLY = "it is not exactly ClientMessage"

CLOSED = "The client was closed."
"""The reason of a Reply when close() came first."""

GRACE = 2.0
"""Seconds that an answer is still waited for after an ICMP error: where a server only sniffs, its kernel objects."""

TIMEOUT = 15.0
"""Seconds that one end of an exchange waits for the other, where nothing else is said."""


@dataclass(frozen=True)
class Received:
    """A request that reached a server, and the answer it got."""

    client: str
    """The address it came from; over TCP with the port, "10.0.1.10:40122"."""
    request: bytes
    """The IPv4 packet; over TCP, which has none to show, the message."""
    response: bytes | None
    """The same, as it was handed to the system; None when nothing was answered."""
    reason: str = ""
    """Reason why nothing was answered; a part of a sentence, empty if something was."""


@dataclass(frozen=True)
class Reply:
    """Result of asking once."""

    server: str
    """The address asked; over TCP with the port."""
    request: bytes
    """The IPv4 packet as it was handed to the system; over TCP, which has none to show, the message."""
    response: bytes | None
    """The same, as it arrived; None when nothing did."""
    seconds: float
    """From sending to receiving, as this program saw it; without a response, how long it waited."""
    reason: str = ""
    """Reason why there is no response, as far as anybody said; one sentence, empty if there is one."""


class Server(Protocol):
    """Answers each ClientMessage with a ServerResponse while it is started, in a thread of its own."""

    interface: Interface
    config: ServerConfig
    answered: int
    """ServerResponses sent so far."""

    @property
    def running(self) -> bool:
        """True while requests are answered: started, and listening has not ended by itself."""

    @property
    def where(self) -> str:
        """Place where it listens, in words: "127.0.0.1, protocol 253"."""

    def start(self) -> None:
        """Answer from now on, if it does not already. Raises SendError when listening is not possible."""

    def stop(self) -> None:
        """Answer no more; returns when the sockets are closed. May be called at any moment, and again."""


class Client(Protocol):
    """Sends a ClientMessage and waits for the ServerResponse."""

    @property
    def message(self) -> bytes:
        """Message that ask() sends: the IPv4 packet as it is handed to the system; over TCP, which has none, the
        message alone."""

    @property
    def filled_in(self) -> Mapping[str, str]:
        """Maker of each field of the message's IPv4 header that the program has not given: the library's name, by the
        field's name in packets.fields; empty where the program makes all of them, or hands over none."""

    def ask(self, timeout: float) -> Reply:
        """One exchange, waiting up to `timeout` seconds; it listens before it sends. Raises SendError."""

    def surplus(self, seconds: float = 0) -> int:
        """Answers that have come beyond one for each question, waiting so long for the first of them; 0 over TCP, where
        a connection has one server. Two servers on one interface both answer."""

    def close(self) -> None:
        """Close the sockets, at any moment, and again; a thread that asks gets its Reply at once, with no response."""


def ignore(event: object) -> None:
    """For those who do not want to be told."""


@dataclass(frozen=True)
class ServerConfig:
    """Whom a server answers, and as whom: the same for every engine."""

    interface: Interface
    source: str = ""
    """The only address it answers for; nothing: all of its interface's."""
    client: str = ""
    """The only address it answers to; nothing: any."""
    proto: int = PROTOCOL
    """The IP protocol number of the raw engines."""
    port: int = PORT
    """The TCP port of the asyncio engine."""
    rate: int = RATE
    """Answers a second that the raw engines give at most; 0: no such limit. Over TCP, where nobody can forge a source,
    it is not needed, and who takes no answers is read no more."""
    clock: Callable[[], float] = time.monotonic
    """Clock, in seconds."""
    patience: float = TIMEOUT
    """Seconds that a client of the asyncio engine may take over a message."""
    most: int | None = None
    """Answers after which nothing more is answered or told; None: no such limit."""
    delay: float = 0.0
    """Seconds that the raw engines wait before they answer, for clients that listen only after they have sent."""
    ours: OwnPackets = field(default_factory=OwnPackets)
    """Packets that are answered at once all the same."""
    on_problem: Callable[[str], object] = ignore
    """Gets one sentence when an answer can't be sent, when more than the rate come, or when listening ends by itself.

    It is called in the server's threads and must not wait for another thread that may be in stop(), as on_received.
    """
    on_received: Callable[[Received], object] = ignore
    """Gets what arrived, after it was answered."""

    _limit: RateLimit = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        def begin() -> None:
            self.on_problem(f"More than {self.rate:,} ClientMessages came within a second: the rest is not answered.")

        # Made at once: the server's thread asks it, and others read what it has counted.
        object.__setattr__(self, "_limit", RateLimit(self.rate, self.clock, begin))

    @cached_property
    def addresses(self) -> list[str]:
        """The addresses it answers for."""
        return [self.source] if self.source else [str(address.ip) for address in self.interface.addresses]

    @property
    def where_raw(self) -> str:
        """Place where a raw engine listens, in words."""
        return f"{', '.join(self.addresses)} on {self.interface.full_name}, IP protocol {self.proto}"

    def tell(self, source: str, destination: str, request: bytes, response: bytes | None, reason: str = "") -> None:
        """Tell of an IPv4 packet; not of what is for others, nor of one's own answers, which loopback brings back."""
        own_answer = source in self.addresses and request.endswith(SERVER_RESPONSE)
        if self.is_for_us(destination) and not own_answer:
            self.on_received(Received(source, request, response, reason))

    def require_addresses(self) -> None:
        """Raises SendError for a source that is no address of the interface, and where there is no address at all."""
        require_own(self.interface, self.source)
        if not self.addresses:
            raise SendError(f"{self.interface.full_name} has no IPv4 address to answer for.")

    def waits(self, request: bytes) -> bool:
        """True if the answer to an IPv4 packet waits; else it is sent at once."""
        return self.delay > 0 and not self.ours.take(request)

    def is_fulfilled(self, answered: int) -> bool:
        """True if that many answers are all that was wanted."""
        return self.most is not None and answered >= self.most

    def is_for_us(self, destination: str) -> bool:
        return destination in self.addresses

    def refusal(self, source: str, destination: str, payload: bytes) -> str:
        """Reason not to answer, a part of a sentence; empty for exactly a ClientMessage, from one host, to an address
        of ours. What is not refused may still be in excess.

        A broadcast, multicast or missing source is not one host (RFC 1122 §3.2.1.3), and Linux does not always drop
        it: whoever forges such a source would have the answer sent to everybody.
        """
        if not self.is_for_us(destination):
            return f"{destination} is not answered for"
        if self.client not in ("", source):
            return f"{self.client} alone is answered"
        if not self._is_one_host(IPv4Address(source)):
            return f"{source} is no single host"
        return "" if payload == CLIENT_MESSAGE else NOT_EXACTLY

    def excess(self) -> str:
        """Reason why one more must not be answered now, a part of a sentence; empty as long as the rate allows. Ask
        once for each request: what is not in excess counts as answered."""
        return "" if self._limit.allows() else f"more than {self.rate:,} came within a second"

    @property
    def refused(self) -> int:
        """ClientMessages that were not answered so far because of the rate."""
        return self._limit.refused

    @cached_property
    def _broadcasts(self) -> frozenset[IPv4Address]:
        return self.interface.broadcasts()

    def _is_one_host(self, source: IPv4Address) -> bool:
        """True if a host may have this address: not 0/8, which says "this host", nor multicast, nor 240/4, reserved and
        with the limited broadcast (RFC 6890 §2.2.2), nor a broadcast of a network that we are on."""
        first = source.packed[0]
        return 0 < first < 224 and source not in self._broadcasts


def require_own(interface: Interface, source: str, destination: str = "") -> None:
    """Raises SendError for a dotted quad that is no address of the interface; nothing at all is fine.

    By loopback, and to a destination of the host's own, every address of its host will do: answers come back.
    """
    own = [address.ip for address in interface.addresses]
    stays = any(address.is_loopback for address in own) or (destination and interface.is_own(destination))
    if source and IPv4Address(source) not in own and not (stays and interface.is_own(source)):
        names = ", ".join(map(str, own)) or "none"
        raise SendError(f"{source} is no address of {interface.full_name}; it has: {names}.")


@dataclass(frozen=True)
class Target:
    """Whom a client asks, and from where: the same for every engine."""

    interface: Interface
    source: str
    """A dotted quad, an address of the interface's; as destination."""
    destination: str
    proto: int = PROTOCOL
    """The IP protocol number of the raw engines."""
    port: int = PORT
    """The TCP port of the asyncio engine."""
    framing: Framing = "none"
    """Framing of messages in the asyncio engine's stream."""
