"""The same exchange with each engine, as captured: its packets, and who made which field of the request's header."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Condition, Lock

from ipl_tui.capture.errors import CaptureError
from ipl_tui.capture.sniffer import Sniffer
from ipl_tui.capture.store import Store
from ipl_tui.exchange.engine import Client, Reply, ServerConfig, require_own
from ipl_tui.exchange.engines import ENGINE, make_client, make_server
from ipl_tui.exchange.transcript import (
    CapturedPacket,
    TcpGain,
    TranscriptPacket,
    find,
    gains,
    is_asked,
    is_closed,
    read_connection,
    read_datagrams,
)
from ipl_tui.networks.interface import Interface, SendError
from ipl_tui.packets.fields import read_header
from ipl_tui.packets.ipv4 import SHORTEST_HEADER, without_padding
from ipl_tui.packets.link_layer import network_layer
from ipl_tui.packets.messages import CLIENT_MESSAGE, PORT, PROTOCOL, SERVER_RESPONSE

TIMEOUT = 3.0
"""Seconds that each engine waits for its answer."""

LINGER = 0.5
"""Seconds at most until the last packets of an exchange without an answer are captured; one with an answer may have
as long as that could take."""

FILTER = f"ip proto {PROTOCOL} or tcp port {PORT} or icmp"

ENDED = "This was ended before."

Value = int | str | bytes


@dataclass(frozen=True)
class FieldOrigin:
    """A field of the request's IPv4 header, as captured."""

    field: str
    """Its name in packets.fields."""
    value: Value
    maker: str
    """Maker of the field's value: the "program", its library (Client.filled_in), or the "kernel"."""
    again: bool = False
    """True if the kernel then wrote the same once more."""


@dataclass(frozen=True)
class Exchange:
    """One engine's exchange, as it was captured."""

    engine: str
    packets: tuple[TranscriptPacket, ...] = ()
    header: tuple[FieldOrigin, ...] = ()
    """The request's, in header order; empty when it was not captured."""
    gains: tuple[TcpGain, ...] = ()
    """Gains that TCP adds; none for the raw engines."""
    problem: str = ""
    """Reason why there is no response, or nothing to see, for the user; empty otherwise."""

    @property
    def size(self) -> int:
        """Bytes of all its packets on the IP layer."""
        return sum(len(each.packet) for each in self.packets)

    @property
    def seconds(self) -> float | None:
        """From request to response, as captured; None without one of them."""
        asked, answered = find(self.packets, CLIENT_MESSAGE), find(self.packets, SERVER_RESPONSE)
        return answered.seconds - asked.seconds if asked and answered else None


class Comparison:
    """Carries out exchanges from an interface, one after the other, each with a server of its own where that is near.

    Headless, and for one thread at a time; close() may come from any other.
    """

    def __init__(self, interface: Interface, destination: str, place: Interface, timeout: float = TIMEOUT) -> None:
        """destination: a dotted quad; place: where the interface's network answers (Network.responder_at)."""
        self.interface = interface
        self.destination = destination
        self.place = place if is_at(place, destination) else None
        """Interface where a server is started for each exchange; None: the destination is somebody else's, who has to
        answer."""
        self.source = interface.source_for(destination)
        self._timeout = timeout
        self._running = Lock()
        """Held while an exchange goes on."""
        self._closed = False
        self._capture: Capture | None = None
        self._client: Client | None = None
        """The one that asks; taken away by who closes it."""
        self._closing_client = Lock()

    def run(self, engine: str) -> Exchange:
        """One exchange with an engine: capture, ask, and wait until all of it is captured. After close(): nothing."""
        with self._running:
            if self._closed:
                return Exchange(engine, problem=ENDED)
            if not self.interface.addresses:
                return Exchange(engine, problem=f"{self.interface.name} has no IPv4 address to send from.")
            try:
                with captured(self.interface) as capture:
                    return self._run(engine, capture)
            except (CaptureError, SendError) as error:
                return Exchange(engine, problem=str(error))

    def _run(self, engine: str, capture: Capture) -> Exchange:
        self._capture = capture
        with self._answered(engine):
            with self._asking(engine) as client:
                earlier = len(capture.packets())
                reply = client.ask(self._timeout)

            def passed() -> list[TranscriptPacket]:
                packets = capture.packets()[earlier:]
                if ENGINE[engine].raw:
                    return read_datagrams(packets, self.source, self.destination, reply)
                return read_connection(packets, self.source, self.destination)

            # The server is still there: over TCP both say goodbye now.
            capture.wait_for(
                lambda: is_asked(passed(), reply) if ENGINE[engine].raw else is_closed(passed()),
                self._timeout if reply.response else LINGER,
            )
        packets = passed()
        request = find(packets, CLIENT_MESSAGE)
        return Exchange(
            engine,
            tuple(packets),
            tuple(self._makers(engine, client, reply, request.packet)) if request else (),
            tuple(gains(packets)),
            self._problem(reply, packets),
        )

    def _problem(self, reply: Reply, passed: Sequence[TranscriptPacket]) -> str:
        """Reason why there is no response to see, or nothing at all."""
        sentences = []
        if reply.response is None:
            sentences.append(reply.reason or f"No answer came within {self._timeout:g} s.")
        if not passed:
            sentences.append(f"Nothing of it passed {self.interface.name}.")
            if self.interface.choose_method(self.destination) == "kernel":
                sentences.append("A host's packets to itself pass its loopback interface instead.")
        return " ".join(sentences)

    @contextmanager
    def _answered(self, engine: str) -> Iterator[None]:
        """A server at the destination, where that is for us to provide. Raises SendError."""
        if self.place is None:
            yield
            return
        server = make_server(engine, ServerConfig(self.place, source=self.destination))
        server.start()
        try:
            yield
        finally:
            server.stop()

    @contextmanager
    def _asking(self, engine: str) -> Iterator[Client]:
        """A client, which close() may close too. Raises SendError."""
        self._client = client = make_client(engine, self.interface, self.destination, self.source)
        try:
            if self._closed:  # before there was a client to close
                raise SendError(ENDED)
            yield client
        finally:
            self._close_client()

    def _close_client(self) -> None:
        """Close it once, whoever comes first; returns when it is closed."""
        with self._closing_client:
            client, self._client = self._client, None
            if client is not None:
                client.close()

    def _makers(self, engine: str, client: Client, reply: Reply, seen: bytes) -> Iterator[FieldOrigin]:
        """Makers of the fields of a captured request: what was not handed to the system, or differs from what was, is
        the kernel's; of the rest, what the program did not give is its library's."""
        handed: Mapping[str, Value] = {"src": self.source, "dst": self.destination}  # to bind() and connect()
        writes_again: frozenset[str] = frozenset()
        if ENGINE[engine].raw:
            handed = read_header(reply.request)
            writes_again = self.interface.rewritten
        filled_in = client.filled_in
        for name, value in read_header(seen).items():
            if handed.get(name) != value:
                yield FieldOrigin(name, value, "kernel")
            else:
                yield FieldOrigin(name, value, filled_in.get(name, "program"), name in writes_again)

    def close(self) -> None:
        """Begin nothing more, and break off what goes on; returns when its sockets are closed."""
        self._closed = True
        if self._capture is not None:
            self._capture.has_ended(CaptureError(ENDED))
        self._close_client()
        with self._running:
            pass


def is_at(interface: Interface, address: str) -> bool:
    """True if a dotted quad is an address of an interface."""
    try:
        require_own(interface, address)
    except SendError:
        return False
    return True


# What is captured


class Capture:
    """Packets that pass an interface, while captured() goes on."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._packets: list[CapturedPacket] = []
        self._read = 0
        self._changed = Condition()
        self._end: CaptureError | None = None

    def packets(self) -> list[CapturedPacket]:
        """The IPv4 packets so far; for one thread."""
        for number in range(self._read + 1, len(self._store) + 1):
            frame = self._store.frame(number)
            packet = frame.data[network_layer(frame.data, self._store.interfaces[frame.interface].linktype) :]
            if len(packet) >= SHORTEST_HEADER:
                self._packets.append(CapturedPacket(frame.time, without_padding(packet)))
            self._read = number
        return self._packets

    def wait_for(self, condition: Callable[[], bool], seconds: float) -> None:
        """Wait until a condition holds, but not longer than that. Raises CaptureError when capturing has ended."""
        with self._changed:
            self._changed.wait_for(lambda: self._end is not None or condition(), seconds)
            if self._end is not None:
                raise self._end

    def has_grown(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def has_ended(self, reason: CaptureError | None) -> None:
        with self._changed:
            self._end = reason or CaptureError("The capture ended.")
            self._changed.notify_all()


@contextmanager
def captured(interface: Interface) -> Iterator[Capture]:
    """Capture what an exchange on an interface may consist of, from now to the end of the block.

    Raises CaptureError.
    """
    with Store() as store:
        capture = Capture(store)
        socket = interface.open_capture(FILTER)
        places = [store.add_interface(interface.name, socket.linktype)]
        sniffer = Sniffer(socket, store, places, on_grown=capture.has_grown, on_end=capture.has_ended)
        sniffer.start()
        try:
            while sniffer.running and not sniffer.ready.wait(0.05):
                pass
            yield capture
        finally:
            sniffer.stop()
