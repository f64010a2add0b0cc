"""The same exchange with each engine, as captured: its packets, and who made which field of the request's header."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from threading import Condition, Lock
from typing import Literal

from scapy.layers.inet import TCP
from scapy.packet import Packet

from ipl_tui.capture.errors import CaptureError
from ipl_tui.capture.sniffer import Sniffer
from ipl_tui.capture.store import Store
from ipl_tui.exchange.engine import (
    PORT,
    RAW_ENGINES,
    Client,
    Engine,
    Reply,
    Terms,
    make_client,
    make_server,
    require_own,
)
from ipl_tui.exchange.messages import CLIENT_MESSAGE, PROTOCOL, SERVER_RESPONSE
from ipl_tui.exchange.scapy_engine import ScapyClient
from ipl_tui.networks.interface import Interface, SendError
from ipl_tui.packets.fields import FIELD, SHORTEST_HEADER, read_header
from ipl_tui.packets.icmp import describe_error, error_about
from ipl_tui.packets.ipv4 import ICMP, header_length, payload_of, without_padding
from ipl_tui.packets.link_layer import network_layer

TIMEOUT = 3.0
"""Seconds that each engine waits for its answer."""

LINGER = 0.5
"""Seconds at most until the last packets of an exchange without an answer are captured; one with an answer may have
as long as that could take."""

FILTER = f"ip proto {PROTOCOL} or tcp port {PORT} or icmp"

TCP_PROTOCOL = 6
SHORTEST_SEGMENT = 20
"""Bytes of TCP's header without options."""

Maker = Literal["program", "Scapy", "kernel"]

Value = int | str | bytes


@dataclass(frozen=True)
class Passed:
    """A packet of an exchange, as captured."""

    seconds: float
    """Since the first packet of the exchange."""
    to_server: bool
    what: str
    """ "ClientMessage", "SYN, ACK", "data: 15 bytes"; printable."""
    packet: bytes
    """From the IPv4 header on, without the padding of the link."""


@dataclass(frozen=True)
class Made:
    """A field of the request's IPv4 header, as captured."""

    field: str
    """Its name in packets.fields."""
    value: Value
    maker: Maker
    """Who wrote what stands there: the program, Scapy for what the program left out, or the kernel."""
    again: bool = False
    """Whether the kernel then wrote the same once more."""


@dataclass(frozen=True)
class Gain:
    """Something that TCP's header gives and IP's does not."""

    name: str
    value: str
    """As captured."""
    meaning: str
    rfc: str


@dataclass(frozen=True)
class Exchange:
    """What was captured of one engine's exchange."""

    engine: Engine
    packets: tuple[Passed, ...] = ()
    header: tuple[Made, ...] = ()
    """The request's, in header order; empty when it was not captured."""
    gains: tuple[Gain, ...] = ()
    """What TCP adds; nothing for the raw engines."""
    problem: str = ""
    """Why there is no response, or nothing to see; for the user, or nothing."""

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
        """Where a server is started for each exchange; None: the destination is somebody else's, who has to answer."""
        self.source = interface.source_for(destination)
        self._timeout = timeout
        self._lock = Lock()
        self._closed = False

    def run(self, engine: Engine) -> Exchange:
        """One exchange with an engine: capture, ask, and wait until all of it is captured. After close(): nothing."""
        with self._lock:
            if self._closed:
                return Exchange(engine, problem="This was ended before.")
            if not self.interface.addresses:
                return Exchange(engine, problem=f"{self.interface.name} has no IPv4 address to send from.")
            try:
                with captured(self.interface) as capture:
                    return self._run(engine, capture)
            except (CaptureError, SendError) as error:
                return Exchange(engine, problem=str(error))

    def _run(self, engine: Engine, capture: Capture) -> Exchange:
        def packets() -> list[Passed]:
            return read_exchange(capture.packets(), self.source, self.destination)

        with self._answered(engine):
            with closing(make_client(engine, self.interface, self.destination, self.source)) as client:
                reply = client.ask(self._timeout)
            # The server is still there: over TCP both say goodbye now.
            capture.wait_for(
                lambda: is_closed(packets()) if engine == "asyncio" else is_asked(packets(), reply),
                self._timeout if reply.response else LINGER,
            )
        passed = packets()
        request = find(passed, CLIENT_MESSAGE)
        return Exchange(
            engine,
            tuple(passed),
            tuple(self._makers(engine, client, reply, request.packet)) if request else (),
            tuple(gains(passed, request)) if request and engine == "asyncio" else (),
            self._problem(reply, passed),
        )

    def _problem(self, reply: Reply, passed: Sequence[Passed]) -> str:
        """Why there is no response to see, or nothing at all."""
        sentences = []
        if reply.response is None:
            sentences.append(reply.reason or f"No answer came within {self._timeout:g} s.")
        if not passed:
            sentences.append(f"Nothing of it passed {self.interface.name}.")
            if self.interface.choose_method(self.destination) == "kernel":
                sentences.append("A host's packets to itself pass its loopback interface instead.")
        return " ".join(sentences)

    @contextmanager
    def _answered(self, engine: Engine) -> Iterator[None]:
        """A server at the destination, where that is for us to provide. Raises SendError."""
        if self.place is None:
            yield
            return
        server = make_server(engine, Terms(self.place, source=self.destination))
        server.start()
        try:
            yield
        finally:
            server.stop()

    def _makers(self, engine: Engine, client: Client, reply: Reply, seen: bytes) -> Iterator[Made]:
        """Who made each field of a captured request: what was not handed to the system, or differs from what was, is
        the kernel's; of the rest, what the program did not give is Scapy's."""
        handed: Mapping[str, Value] = {"src": self.source, "dst": self.destination}  # to bind() and connect()
        if engine in RAW_ENGINES:
            handed = read_header(reply.request)
        given = given_to_scapy(client.request) if isinstance(client, ScapyClient) else None
        writes_again = self.interface.rewritten if engine in RAW_ENGINES else frozenset()
        for name, value in read_header(seen).items():
            if handed.get(name) != value:
                yield Made(name, value, "kernel")
            else:
                maker: Maker = "program" if given is None or FIELD[name].scapy in given else "Scapy"
                yield Made(name, value, maker, name in writes_again)

    def close(self) -> None:
        """Begin nothing more; returns when what goes on has ended and its sockets are closed."""
        self._closed = True
        with self._lock:
            pass


def is_at(interface: Interface, address: str) -> bool:
    """Whether a dotted quad is an address of an interface."""
    try:
        require_own(interface, address)
    except SendError:
        return False
    return True


def given_to_scapy(packet: Packet) -> set[str]:
    """The fields of a packet's first layer that a program has set; where lists go, Scapy itself puts an empty one."""
    return {name for name, value in packet.fields.items() if value or not isinstance(value, list)}


# What is captured


class Capture:
    """What passes an interface, while captured() goes on."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._changed = Condition()
        self._end: CaptureError | None = None

    def packets(self) -> list[tuple[int, bytes]]:
        """When each IPv4 packet passed, in ns since the epoch, and the packet, without the padding of the link."""
        found = []
        for number in range(1, len(self._store) + 1):
            frame = self._store.frame(number)
            packet = frame.data[network_layer(frame.data, self._store.interfaces[frame.interface].linktype) :]
            if len(packet) >= SHORTEST_HEADER:
                found.append((frame.time, without_padding(packet)))
        return found

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


def read_exchange(packets: Sequence[tuple[int, bytes]], source: str, destination: str) -> list[Passed]:
    """Those of an exchange between two dotted quads among captured packets, with their times in ns."""
    passed: list[Passed] = []
    begun, client_port = 0, None
    for time, packet in packets:
        header = read_header(packet)
        ends = header["src"], header["dst"]
        to_server = ends == (source, destination)
        if header["proto"] == ICMP:
            errors = (error_about(each.packet, packet) for each in passed if each.to_server)
            if (error := next(filter(None, errors), None)) is None:
                continue
            to_server, what = False, describe_error(error.type, error.code).partition(":")[0]
        elif not to_server and ends != (destination, source):
            continue
        elif header["proto"] == PROTOCOL:
            payload = payload_of(packet)
            to_server = to_server and payload != SERVER_RESPONSE  # on loopback the addresses do not tell
            messages = {CLIENT_MESSAGE: "ClientMessage", SERVER_RESPONSE: "ServerResponse"}
            what = messages.get(payload, f"{len(payload)} other bytes")
        elif (segment := read_segment(packet)) is not None:
            to_server = segment.dport == PORT
            port = segment.sport if to_server else segment.dport
            client_port = client_port or port
            if port != client_port:  # somebody else's connection
                continue
            what = describe_segment(packet, segment)
        else:
            continue
        begun = begun or time
        passed.append(Passed((time - begun) / 1e9, to_server, what, packet))
    return passed


def find(packets: Sequence[Passed], message: bytes) -> Passed | None:
    """The first packet that ends with a message."""
    return next((each for each in packets if each.packet.endswith(message)), None)


def is_asked(packets: Sequence[Passed], reply: Reply) -> bool:
    """Whether the request is captured, and the response if there was one."""
    return bool(find(packets, CLIENT_MESSAGE) and (find(packets, SERVER_RESPONSE) or not reply.response))


# TCP


def read_segment(packet: bytes) -> TCP | None:
    """The TCP header of an IPv4 packet that has one whole, of a connection to our port."""
    header = header_length(packet)
    if packet[9] != TCP_PROTOCOL or len(packet) < header + SHORTEST_SEGMENT:
        return None
    segment = TCP(packet[header : header + SHORTEST_SEGMENT])
    return segment if PORT in (segment.sport, segment.dport) else None


def data_of(packet: bytes, segment: TCP) -> bytes:
    """What a packet's segment carries of the stream."""
    return payload_of(packet)[4 * segment.dataofs :]


def describe_segment(packet: bytes, segment: TCP) -> str:
    """What a segment is there for: "SYN, ACK", "data: 15 bytes"."""
    signs = [name for letter, name in {"S": "SYN", "F": "FIN", "R": "RST"}.items() if letter in segment.flags]
    if data := data_of(packet, segment):
        return ", ".join([f"data: {len(data)} bytes", *signs])
    return ", ".join([*signs, "ACK"] if "A" in segment.flags else signs)


def is_closed(packets: Sequence[Passed]) -> bool:
    """Whether each end has said FIN and the other has acknowledged it (RFC 9293 §3.6), or one has broken off."""
    ends, acknowledged = {}, set()
    for each in packets:
        if (segment := read_segment(each.packet)) is not None:
            if "R" in segment.flags:
                return True
            if "F" in segment.flags:
                ends[segment.sport] = (segment.seq + len(data_of(each.packet, segment)) + 1) % 2**32
            acknowledged.add((segment.dport, segment.ack))
    return len(ends) == 2 and all(end in acknowledged for end in ends.items())


def gains(packets: Sequence[Passed], request: Passed) -> Iterator[Gain]:
    """What TCP's header gave an exchange, with the values that its request and the answer to that have."""
    asked = read_segment(request.packet)
    assert asked is not None, "the request was found in a segment"
    length = len(data_of(request.packet, asked))
    yield Gain(
        "Ports",
        f"{asked.sport} → {asked.dport}",
        "They name one program at each end. Raw IP has none: all programs that listen to a protocol get its packets.",
        "RFC 9293 §3.1",
    )
    yield Gain(
        "Order",
        f"sequence number {asked.seq}, {length} bytes",
        "Every byte has its number, and is handed over in that order. Raw IP packets may overtake each other.",
        "RFC 9293 §3.4",
    )
    following = (asked.seq + length) % 2**32
    answers = [read_segment(each.packet) for each in packets if not each.to_server]
    if any(answer is not None and answer.ack == following for answer in answers):
        yield Gain(
            "Delivery",
            f"acknowledgement {following}",
            "It names the next byte expected; what is not acknowledged is sent again. Lost raw IP packets stay lost.",
            "RFC 9293 §3.8.1",
        )
