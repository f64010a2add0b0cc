"""The exchange with Scapy: an AnsweringMachine that answers, an AsyncSniffer that waits for the answer.

Scapy builds the packets: of what is not given here, it fills in the defaults. It finds the IP layer behind any link
header, so that both work over whatever their interface listens with: a raw socket, or libpcap (`conf.use_pcap`) with
Ethernet, Linux cooked or macOS loopback frames.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, suppress
from functools import partial
from queue import Empty, SimpleQueue
from threading import Event, Lock, current_thread, local

from scapy.ansmachine import AnsweringMachine
from scapy.error import Scapy_Exception
from scapy.layers.inet import IP
from scapy.packet import Packet, Raw
from scapy.sendrecv import AsyncSniffer
from scapy.sessions import DefaultSession
from scapy.supersocket import SuperSocket

from ipl_tui.exchange.delayed_answers import DelayedAnswers
from ipl_tui.exchange.engine import CLOSED, GRACE, Reply, ServerConfig, Target
from ipl_tui.exchange.icmp_errors import IcmpErrors
from ipl_tui.networks.interface import Interface, SendError
from ipl_tui.packets.fields import FIELDS
from ipl_tui.packets.ipv4 import payload_of, without_padding
from ipl_tui.packets.messages import CLIENT_MESSAGE, SERVER_RESPONSE
from ipl_tui.tracking.matching import is_answer

LOOK = 0.05
"""Seconds between two looks at whether ICMP objects, while an answer is waited for."""


class ScapyServer(AnsweringMachine[Packet]):
    """Answers while it is started."""

    sniff_options_list = [*AnsweringMachine.sniff_options_list, "session", "started_callback"]  # noqa: RUF012 - as Scapy's

    def __init__(self, config: ServerConfig) -> None:
        super().__init__(verbose=True)  # print_reply() below is then called, which prints nothing
        self.config = config
        self.interface = config.interface
        self.answered = 0
        self._last = _LastReply()
        self._later = DelayedAnswers(config.delay)
        self._counting = Lock()
        self._lock = Lock()
        self._listener: _Listener | None = None

    @property
    def where(self) -> str:
        return self.config.where_raw

    @property
    def running(self) -> bool:
        return self._listener is not None and self._listener.running

    def start(self) -> None:
        self.config.require_addresses()
        with self._lock:
            if self.running:
                return
            self._finish()
            self._listener = _Listener(self.interface, self.config.proto, self.config.on_problem)
            if self.config.delay:
                self._later.start()
            self._listener.start(self.listen)

    def listen(self, **options: object) -> AsyncSniffer:
        """AnsweringMachine's own way to begin, in a thread of its own."""
        return self.bg(**options)

    def stop(self) -> None:
        with self._lock:
            self._finish()

    def _finish(self) -> None:
        self._later.stop()
        if self._listener is not None:
            self._listener.stop()
        self._listener = None

    def reply(
        self, pkt: Packet, send_function: Callable[..., None] | None = None, address: object | None = None
    ) -> None:
        """Scapy's place where the steps below follow each other; here the request may wait after the first."""
        if not self.is_request(pkt):
            return
        request = pkt[IP]
        if self.config.waits(_bytes(request)):
            refuse = partial(self.config.tell, request.src, request.dst, _bytes(request), None)
            self._later.do(partial(self._reply, pkt), refuse)
        else:
            self._reply(pkt)

    def _reply(self, pkt: Packet) -> None:
        with self._counting:
            if self.config.is_fulfilled(self.answered):
                return
            self.answered += 1
        reply = self.make_reply(pkt)
        self.send_reply(reply)
        self.print_reply(pkt, reply)

    def is_request(self, req: Packet) -> bool:
        """True if it is to be answered."""
        packet = _datagram(req, self.config.proto)
        if packet is None or self.config.is_fulfilled(self.answered):
            return False
        request = _bytes(packet)
        reason = self.config.refusal(packet.src, packet.dst, payload_of(request)) or self.config.excess()
        if not reason:
            return True
        self.config.tell(packet.src, packet.dst, request, None, reason)
        return False

    def make_reply(self, req: Packet) -> Packet:
        """The ServerResponse: source and destination swapped, the rest as in any new datagram."""
        request = req[IP]
        return IP(src=request.dst, dst=request.src, proto=self.config.proto) / Raw(SERVER_RESPONSE)

    def send_reply(self, reply: Packet, send_function: Callable[..., None] | None = None) -> None:
        """Send it as this host sends: by its kernel, which knows the way back to the client."""
        last = self._last
        last.response, last.reason = bytes(reply), ""
        try:
            self.interface.send(last.response, "kernel")
        except SendError as error:
            last.response, last.reason = None, str(error)
            with self._counting:
                self.answered -= 1
            self.config.on_problem(f"A ClientMessage was not answered: {error}")

    def print_reply(self, req: Packet, reply: Packet) -> None:
        """Scapy's place for telling of a request, after its reply was sent or could not be."""
        request = req[IP]
        self.config.tell(request.src, request.dst, _bytes(request), self._last.response, self._last.reason)


class _LastReply(local):
    """The last reply of a thread: as it was handed to the system, or why it was not."""

    response: bytes | None = None
    reason = ""


class ScapyClient:
    """Asks one server."""

    def __init__(self, target: Target) -> None:
        """Listen from now on. Raises SendError."""
        self._interface = target.interface
        self._destination = target.destination
        self.request = IP(src=target.source, dst=target.destination, proto=target.proto) / Raw(CLIENT_MESSAGE)
        """Not built yet: its `fields` are what is given here, the rest Scapy fills in."""
        self._request = bytes(self.request)
        self._answers: SimpleQueue[tuple[float, bytes] | None] = SimpleQueue()
        self._asked = self._answered = 0
        """Questions, and answers to any of them."""
        self._problem = ""
        """Reason why no more answers come; empty while they do."""
        self._listener = _Listener(target.interface, target.proto, self._end)
        self._icmp_errors = IcmpErrors(target.interface)
        self._listener.start(self._listen)

    def _listen(self, **options: object) -> AsyncSniffer:
        sniffer = AsyncSniffer(prn=self._arrived, store=False, **options)
        sniffer.start()
        return sniffer

    def _arrived(self, packet: Packet) -> None:
        """Keep it if it is the answer."""
        now = time.perf_counter()
        answer = _datagram(packet, self.request.proto)
        if answer is not None and is_answer(self._request, _bytes(answer)):
            self._answered += self._asked > 0
            self._answers.put((now, _bytes(answer)))

    def _end(self, reason: str) -> None:
        self._problem = reason
        self._answers.put(None)

    @property
    def message(self) -> bytes:
        return bytes(self.request)

    @property
    def filled_in(self) -> Mapping[str, str]:
        given = given_fields(self.request)
        return {field.name: "Scapy" for field in FIELDS if field.scapy not in given}

    def ask(self, timeout: float) -> Reply:
        while not self._answers.empty():  # too late for the question before
            self._answers.get()
        request = self.message
        self._asked += 1
        begun = time.perf_counter()
        self._interface.send(request, "kernel")
        until, reason = begun + timeout, ""
        while not self._problem and (left := until - time.perf_counter()) > 0:
            with suppress(Empty):
                if (answer := self._answers.get(timeout=min(left, LOOK))) is not None:
                    arrived, response = answer
                    return Reply(self._destination, request, response, arrived - begun)
            if not reason and (reason := self._icmp_errors.about(request)):
                until = min(until, time.perf_counter() + GRACE)
        return Reply(self._destination, request, None, time.perf_counter() - begun, self._problem or reason)

    def surplus(self, seconds: float = 0) -> int:
        until = time.perf_counter() + seconds
        while self._answered <= self._asked and not self._problem and (left := until - time.perf_counter()) > 0:
            with suppress(Empty):
                self._answers.get(timeout=left)
        return max(0, self._answered - self._asked)

    def close(self) -> None:
        self._end(CLOSED)
        self._listener.stop()
        self._icmp_errors.close()


def given_fields(packet: Packet) -> set[str]:
    """Scapy's names of the fields of a packet's first layer that a program has set; where lists go, Scapy itself puts
    an empty one."""
    return {name for name, value in packet.fields.items() if value or not isinstance(value, list)}


class _Listener:
    """An AsyncSniffer for a protocol, from when it really listens until it really has ended."""

    def __init__(self, interface: Interface, proto: int, on_problem: Callable[[str], object]) -> None:
        """Open the sockets: from here on the kernel does not object to the protocol. Raises SendError."""
        with ExitStack() as opening:
            # A discarding one never fills: with it the kernel is quiet also when a flood has filled the other.
            opening.enter_context(closing(interface.open_protocol(proto, discarding=True)))
            self._socket = opening.enter_context(closing(interface.open_protocol(proto)))
            self._sockets = opening.pop_all()
        self._on_problem = on_problem
        self._sniffer: AsyncSniffer | None = None

    @property
    def running(self) -> bool:
        thread = self._sniffer.thread if self._sniffer is not None else None
        return thread is not None and thread.is_alive()

    def start(self, begin: Callable[..., AsyncSniffer]) -> None:
        """Start a sniffer with these options of AsyncSniffer; it listens when this returns."""
        listening = Event()
        self._sniffer = begin(
            opened_socket=self._socket, session=_Session(self._on_problem), started_callback=listening.set
        )
        while self.running and not listening.wait(0.05):
            pass  # AsyncSniffer forgets a stop() that comes before it listens

    def stop(self) -> None:
        """End it and close the socket; twice is fine, and so is its own thread."""
        if self._sniffer is not None and (thread := self._sniffer.thread) is not None:
            with suppress(Scapy_Exception, OSError):  # it has ended by itself
                self._sniffer.stop(join=False)
            if thread is not current_thread():
                thread.join()
        self._sockets.close()


class _Session(DefaultSession):
    """Tells the user why listening ended; Scapy would print it onto the terminal."""

    def __init__(self, on_problem: Callable[[str], object]) -> None:
        super().__init__()
        self.on_problem = on_problem

    def recv(self, sock: SuperSocket) -> Iterator[Packet]:
        try:
            yield from super().recv(sock)
        except OSError as error:
            self.on_problem(f"Listening ended: {error.strerror or error}.")
            raise EOFError from error


def _datagram(packet: Packet, proto: int) -> IP | None:
    """The whole IPv4 packet of this protocol behind whatever link header, if there is one."""
    found = packet.getlayer(IP)
    if not isinstance(found, IP) or found.proto != proto or found.frag or found.flags.MF:
        return None
    return found


def _bytes(packet: IP) -> bytes:
    """As it arrived, without the padding of the link."""
    return without_padding(packet.original)
