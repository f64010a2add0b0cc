"""The exchange with a raw socket, byte by byte: nothing between the program and the kernel. Read it from top to bottom.

A raw socket (raw(7)) receives every IPv4 packet of one protocol number, header included. With the option IP_HDRINCL it
also sends what begins with a header that the program has made. So this program makes and reads the 20 bytes itself:

     0                   1                   2                   3
     0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
    +-------+-------+---------------+-------------------------------+
    |Version|  IHL  |Type of Service|          Total Length         |
    +-------+-------+---------------+-----+-------------------------+
    |         Identification        |Flags|     Fragment Offset     |
    +---------------+---------------+-----+-------------------------+
    | Time to Live  |    Protocol   |        Header Checksum        |
    +---------------+---------------+-------------------------------+
    |                        Source Address                         |
    +---------------------------------------------------------------+
    |                      Destination Address                      |
    +---------------------------------------------------------------+     RFC 791 §3.1

What it still leaves to the kernel: the way (routes, ARP, the link header); Linux also writes Total Length and Header
Checksum again, fills in an Identification of 0 and a Source Address of 0.0.0.0, and reassembles what arrives in
fragments. What nobody does for it: repeat what was lost, put packets in order, tell one program from another. And it
gets only what the kernel delivers: of what it drops, a capture beside it says so (undelivered.py).
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Mapping
from contextlib import ExitStack, closing
from functools import partial
from threading import Event, Lock, Thread, current_thread
from typing import NamedTuple

from ipl_tui.exchange.delayed_answers import DelayedAnswers
from ipl_tui.exchange.engine import CLOSED, GRACE, Reply, ServerConfig, Target
from ipl_tui.exchange.icmp_errors import IcmpErrors
from ipl_tui.exchange.undelivered import UndeliveredDetector
from ipl_tui.networks.interface import Interface, RawSocket, SendError
from ipl_tui.packets.messages import CLIENT_MESSAGE, SERVER_RESPONSE

# The header's numbers are said here once more (packets/ipv4.py has them for all others): this is to be read alone.

HEADER = struct.Struct("!BBHHHBBH4s4s")
"""The ten numbers of the 20 bytes, in network byte order ("!"): B has 8 bits, H has 16, 4s is 4 bytes as they are."""

VERSION = 4
WORDS = HEADER.size // 4
"""IHL: the header's length in words of 4 bytes, 5 without options."""
TIME_TO_LIVE = 64
IDENTIFICATION = 1

MORE_FRAGMENTS = 0x2000
OFFSET = 0x1FFF
"""Bits of the 16 that hold Flags and Fragment Offset."""

LARGEST_PACKET = 65_535
"""Bytes: Total Length has 16 bits."""

LOOK = 0.05
"""Seconds between two looks at whether to stop."""


# Making a packet


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071 §1): the ones' complement of the ones' complement sum of all 16-bit words."""
    if len(data) % 2:
        data += b"\0"
    total: int = sum(word for (word,) in struct.iter_unpack("!H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)  # what is carried out at the top comes in again at the bottom
    return ~total & 0xFFFF


def make_packet(source: str, destination: str, proto: int, payload: bytes) -> bytes:
    """An IPv4 packet: a header of 20 bytes, and the payload."""

    def header(check: int) -> bytes:
        return HEADER.pack(
            VERSION << 4 | WORDS,  # two fields of 4 bits share a byte
            0,  # Type of Service: nothing special
            HEADER.size + len(payload),
            IDENTIFICATION,
            0,  # no flags, the first and only fragment
            TIME_TO_LIVE,
            proto,
            check,
            socket.inet_aton(source),
            socket.inet_aton(destination),
        )

    # The checksum is that of the header with zeros where the checksum will be.
    return header(checksum(header(0))) + payload


# Reading a packet


class Datagram(NamedTuple):
    """Parts of an arrived packet that the exchange needs."""

    source: str
    destination: str
    proto: int
    payload: bytes


def read_packet(packet: bytes) -> Datagram | None:
    """The parts of a packet; None for one that is none, is damaged, or is only a fragment."""
    if len(packet) < HEADER.size:
        return None
    first, _, length, _, fragment, _, proto, _, source, destination = HEADER.unpack_from(packet)
    header = (first & 0x0F) * 4  # the low half of the first byte: where the payload begins, after options if any
    if first >> 4 != VERSION or not HEADER.size <= header <= length <= len(packet):
        return None
    if checksum(packet[:header]) != 0:  # summed with the checksum itself, a right header gives 0
        return None
    if fragment & (MORE_FRAGMENTS | OFFSET):
        return None
    return Datagram(socket.inet_ntoa(source), socket.inet_ntoa(destination), proto, packet[header:length])


# The client


def open_socket(interface: Interface, proto: int) -> RawSocket:
    """A raw socket for one protocol number on an interface, for which we write the headers. Raises SendError."""
    raw = interface.open_raw(proto)  # socket.socket(socket.AF_INET, socket.SOCK_RAW, proto)
    raw.setsockopt(socket.IPPROTO_IP, socket.IP_HDRINCL, 1)
    return raw


def send(raw: RawSocket, packet: bytes, destination: str) -> None:
    """Send a packet. Raises SendError."""
    try:
        raw.sendto(packet, (destination, 0))  # raw IP has no ports: the 0 means nothing
    except OSError as error:
        raise SendError(f"The packet to {destination} was not sent: {error.strerror}.") from error


class SocketClient:
    """Asks one server."""

    def __init__(self, target: Target) -> None:
        """Open the sockets. Raises SendError.

        From here on the kernel keeps what arrives until it is read: no answer is too fast. And as somebody listens to
        the protocol now, the kernel does not object to the answer with ICMP protocol unreachable.
        """
        self._source, self._destination, self._proto = target.source, target.destination, target.proto
        self._raw = open_socket(target.interface, target.proto)
        self._icmp_errors = IcmpErrors(target.interface)
        self._undelivered = UndeliveredDetector(target.interface, target.proto, self._sender)
        self._asked = self._answered = 0
        """Questions, and answers to any of them."""
        self._asking = Lock()
        self._closing = Event()

    @property
    def message(self) -> bytes:
        return make_packet(self._source, self._destination, self._proto, CLIENT_MESSAGE)

    @property
    def filled_in(self) -> Mapping[str, str]:
        return {}  # the program makes all of it

    def ask(self, timeout: float) -> Reply:
        with self._asking:
            request = self.message
            if self._closing.is_set():
                return Reply(self._destination, request, None, 0.0, CLOSED)
            self._read_what_is_left()
            self._asked += 1
            begun = time.perf_counter()
            send(self._raw, request, self._destination)
            until, reason = begun + timeout, ""
            while (left := until - time.perf_counter()) > 0 and not self._closing.is_set():
                self._raw.settimeout(min(left, LOOK))
                try:
                    packet = self._raw.recv(LARGEST_PACKET)
                    if self._is_answer(read_packet(packet)):
                        self._answered += 1
                        return Reply(self._destination, request, packet, time.perf_counter() - begun)
                except TimeoutError:
                    if not reason and (reason := self._icmp_errors.about(request)):
                        until = min(until, time.perf_counter() + GRACE)
                    if sender := self._undelivered.look():
                        reason = self._undelivered.explain("A ServerResponse", sender)
                        break
                except OSError as error:
                    raise SendError(f"Listening ended: {error.strerror}.") from error
            if self._closing.is_set():
                reason = CLOSED
            return Reply(self._destination, request, None, time.perf_counter() - begun, reason)

    def _is_answer(self, datagram: Datagram | None) -> bool:
        """On loopback the request itself arrives here too, and anybody may send anything: only this is the answer."""
        return datagram == (self._destination, self._source, self._proto, SERVER_RESPONSE)

    def _sender(self, packet: bytes) -> str:
        """Dotted quad of who answers with a packet; empty for one that is not the answer."""
        return self._destination if self._is_answer(read_packet(packet)) else ""

    def surplus(self, seconds: float = 0) -> int:
        with self._asking:
            until = time.perf_counter() + seconds
            self._read_what_is_left()
            while self._answered <= self._asked and (left := until - time.perf_counter()) > 0:
                self._raw.settimeout(min(left, LOOK))
                try:
                    self._count(self._raw.recv(LARGEST_PACKET))
                except TimeoutError:
                    continue
                except OSError:  # closed
                    break
            return max(0, self._answered - self._asked)

    def _read_what_is_left(self) -> None:
        """Read what arrived too late for the question before, or as a second answer to it."""
        self._raw.settimeout(0)
        try:
            while True:
                self._count(self._raw.recv(LARGEST_PACKET))
        except OSError:  # nothing is there
            pass
        self._undelivered.forget()

    def _count(self, packet: bytes) -> None:
        """Count an answer that comes too late, or again; not what others asked for before."""
        self._answered += self._asked > 0 and self._is_answer(read_packet(packet))

    def close(self) -> None:
        self._closing.set()
        with self._asking:
            self._raw.close()
            self._icmp_errors.close()
            self._undelivered.close()


# The server


class SocketServer:
    """Answers while it is started."""

    def __init__(self, config: ServerConfig) -> None:
        self.config = config
        self.interface = config.interface
        self.answered = 0
        self._later = DelayedAnswers(config.delay)
        self._counting = Lock()
        self._lock = Lock()
        self._stopping = Event()
        self._thread: Thread | None = None

    @property
    def where(self) -> str:
        return self.config.where_raw

    @property
    def running(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        self.config.require_addresses()
        with self._lock:
            if self.running:
                return
            with ExitStack() as opening:
                raw = opening.enter_context(closing(open_socket(self.interface, self.config.proto)))
                # A socket that takes in nothing never fills. Without it the kernel would say that nobody listens to
                # the protocol as soon as more has come than the other one can hold.
                opening.enter_context(closing(self.interface.open_protocol(self.config.proto, discarding=True)))
                undelivered = opening.enter_context(
                    closing(UndeliveredDetector(self.interface, self.config.proto, self._sender))
                )
                sockets = opening.pop_all()
            raw.settimeout(LOOK)
            if self.config.delay:
                self._later.start()
            self._stopping = Event()
            self._thread = Thread(
                target=self._serve,
                args=[raw, undelivered, sockets, self._stopping],
                name="raw socket server",
                daemon=True,
            )
            self._thread.start()

    def stop(self) -> None:
        with self._lock:
            self._stopping.set()
            self._later.stop()
            if self._thread is not None and self._thread is not current_thread():
                self._thread.join()
            self._thread = None

    def _serve(self, raw: RawSocket, undelivered: UndeliveredDetector, sockets: ExitStack, stopping: Event) -> None:
        with sockets:
            while not stopping.is_set():
                try:
                    packet = raw.recv(LARGEST_PACKET)
                except TimeoutError:
                    if sender := undelivered.look():
                        self.config.on_problem(undelivered.explain("A ClientMessage", sender))
                        undelivered.close()  # once is enough
                    continue
                except OSError as error:
                    self.config.on_problem(f"Listening ended: {error.strerror}.")
                    return
                undelivered.heard(self._receive(raw, packet))

    def _sender(self, packet: bytes) -> str:
        """Dotted quad of who asks with a packet; empty for a packet that is not to be answered."""
        request = read_packet(packet)
        asks = request is not None and not self.config.refusal(request.source, request.destination, request.payload)
        return request.source if request is not None and asks else ""

    def _receive(self, raw: RawSocket, packet: bytes) -> str:
        """Answer one packet, now or later, if it is exactly a ClientMessage to us. Who sent it, or nothing."""
        request = read_packet(packet)
        if request is None:
            return ""
        source, destination, _, payload = request
        if self.config.is_fulfilled(self.answered):
            return source
        if reason := self.config.refusal(source, destination, payload) or self.config.excess():
            self.config.tell(source, destination, packet, None, reason)
        elif self.config.waits(packet):
            refuse = partial(self.config.tell, source, destination, packet, None)
            self._later.do(partial(self._answer, raw, request, packet), refuse)
        else:
            self._answer(raw, request, packet)
        return source

    def _answer(self, raw: RawSocket, request: Datagram, packet: bytes) -> None:
        """Send the ServerResponse, back to where the request came from."""
        source, destination, proto, _ = request
        with self._counting:
            if self.config.is_fulfilled(self.answered):
                return
            self.answered += 1
        response, problem = make_packet(destination, source, proto, SERVER_RESPONSE), ""
        try:
            send(raw, response, source)
        except SendError as error:
            with self._counting:
                self.answered -= 1
            problem = str(error)
            self.config.on_problem(f"A ClientMessage was not answered: {problem}")
        self.config.tell(source, destination, packet, None if problem else response, problem)
