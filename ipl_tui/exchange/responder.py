"""The server of the exchange: answers each ClientMessage to its interface with a ServerResponse."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from ipaddress import IPv4Address
from threading import Event, Lock, current_thread

from scapy.ansmachine import AnsweringMachine
from scapy.error import Scapy_Exception
from scapy.layers.inet import IP
from scapy.packet import Packet, Raw
from scapy.sendrecv import AsyncSniffer
from scapy.sessions import DefaultSession
from scapy.supersocket import SuperSocket

from ipl_tui.exchange.messages import CLIENT_MESSAGE, PROTOCOL, SERVER_RESPONSE
from ipl_tui.networks.interface import Interface, SendError


class Responder(AnsweringMachine[Packet]):
    """Answers on one interface while it is started.

    It listens on a raw socket, so the kernel does not answer the requests with ICMP protocol unreachable meanwhile;
    a second, deaf socket sees to that when a flood has filled the first.
    """

    sniff_options_list = [*AnsweringMachine.sniff_options_list, "session", "started_callback"]  # noqa: RUF012 - as Scapy's

    def __init__(self, interface: Interface, on_problem: Callable[[str], None]) -> None:
        """on_problem gets one sentence when an answer can't be sent, or when listening ends by itself.

        It is called in the responder's thread and must not wait for another thread that may be in stop().
        """
        super().__init__(verbose=False)
        self.interface = interface
        self.on_problem = on_problem
        self.answered = 0
        """ServerResponses sent so far."""
        self._lock = Lock()
        self._sockets: list[SuperSocket] = []
        self._listener: AsyncSniffer | None = None

    @property
    def running(self) -> bool:
        """Whether requests are answered now: started, and listening has not ended by itself."""
        listener = self._listener
        return listener is not None and listener.thread is not None and listener.thread.is_alive()

    def start(self) -> None:
        """Answer from now on, if it does not already. Raises SendError when listening is not possible."""
        with self._lock:
            if self.running:
                return
            self._finish()
            self._sockets.append(self.interface.open_protocol(PROTOCOL, deaf=True))
            self._sockets.append(self.interface.open_protocol(PROTOCOL))
            listening = Event()
            self._listener = self.bg(
                opened_socket=self._sockets[-1],
                session=_Session(self.on_problem),
                started_callback=listening.set,
            )
            while self.running and not listening.wait(0.05):
                pass  # AsyncSniffer forgets a stop() that comes before it listens

    def stop(self) -> None:
        """Answer no more; returns when the sockets are closed. May be called at any moment, and again."""
        with self._lock:
            self._finish()

    def _finish(self) -> None:
        if self._listener is not None and (thread := self._listener.thread) is not None:
            with suppress(Scapy_Exception, OSError):  # it has ended by itself
                self._listener.stop(join=False)
            if thread is not current_thread():
                thread.join()
        self._listener = None
        while self._sockets:
            self._sockets.pop().close()

    def is_request(self, req: Packet) -> bool:
        """Whether this is exactly a ClientMessage, from one host to one of the interface's addresses.

        A broadcast, multicast or missing source is not one host (RFC 1122 §3.2.1.3), and Linux does not always drop
        it: whoever forges such a source would have the answer sent to everybody.
        """
        return (
            isinstance(req, IP)
            and req.proto == PROTOCOL
            and bytes(req.payload) == CLIENT_MESSAGE
            and any(req.dst == str(address.ip) for address in self.interface.addresses)
            and self._is_one_host(IPv4Address(req.src))
        )

    def _is_one_host(self, source: IPv4Address) -> bool:
        networks = [address.network for address in self.interface.addresses if address.network.prefixlen < 31]
        broadcast = {IPv4Address("255.255.255.255"), *(network.broadcast_address for network in networks)}
        return not source.is_multicast and not source.is_unspecified and source not in broadcast

    def make_reply(self, req: Packet) -> Packet:
        """The ServerResponse: source and destination swapped, the rest as in any new datagram."""
        return IP(src=req.dst, dst=req.src, proto=PROTOCOL) / Raw(SERVER_RESPONSE)

    def send_reply(self, reply: Packet, send_function: Callable[..., None] | None = None) -> None:
        """Send it as this host sends: by its kernel, which knows the way back to the client."""
        try:
            self.interface.send(bytes(reply), "kernel")
        except SendError as error:
            self.on_problem(f"A ClientMessage was not answered: {error}")
        else:
            self.answered += 1


class _Session(DefaultSession):
    """Tells the user why listening ended; Scapy would print it onto the terminal."""

    def __init__(self, on_problem: Callable[[str], None]) -> None:
        super().__init__()
        self.on_problem = on_problem

    def recv(self, sock: SuperSocket) -> Iterator[Packet]:
        try:
            yield from super().recv(sock)
        except OSError as error:
            self.on_problem(f"The responder can't listen any more: {error.strerror or error}.")
            raise EOFError from error
