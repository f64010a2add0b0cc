"""The exchange with asyncio over TCP: what raw IP lacks, the kernel's TCP does.

- Ports: a packet of protocol 253 is for a whole host, and every program that listens there gets it. A TCP connection is
  between two ports, each of one program; many clients of one host are told apart.
- Order: IP packets may overtake each other. TCP numbers its bytes and hands them over in the order they were sent.
- Delivery: an IP packet may be lost, and nobody says so. TCP repeats what is not acknowledged, and reports what fails.

What TCP takes away are the packets: it carries a stream of bytes without borders, and one read may give half a message
or three. Who takes what one read gives for a message is right most of the time, and wrong when the network is slow or
the other side quick. Two ways out (framing.py): read on until what is expected is there, which works as long as one
knows what that is; or frame each message, its length in two bytes before it, as DNS does it over TCP (RFC 1035 §4.2.2).
The server here understands both, and answers as it was asked; the client does the first unless it is told to do the
other.

And what a ClientMessage needs in two packets of raw IP takes TCP about ten: three to open, one for each message and its
acknowledgement, some to close (RFC 9293 §3.5, §3.6).
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from threading import Lock, Thread
from typing import Any

from ipl_tui.exchange.engine import CLOSED, NOT_EXACTLY, Received, Reply, ServerConfig, Target
from ipl_tui.exchange.framing import Messages, frame
from ipl_tui.limits import allow_files
from ipl_tui.networks.interface import Interface, SendError
from ipl_tui.packets.messages import CLIENT_MESSAGE, SERVER_RESPONSE
from ipl_tui.packets.text import counted, printable

MOST_READ = 65_535
"""Bytes that are read of a stream at once. What is kept of it is as much again at most."""

MOST_SHOWN = 40
"""Bytes of something else than an answer that are shown."""

WAITING_CLIENTS = 4096
"""Connections that the kernel keeps until they are accepted; it may have a lower limit of its own."""

MOST_FILES = 65_536
"""Descriptors are raised to so many at most: each connection takes one."""


async def read_message(reader: asyncio.StreamReader, messages: Messages) -> bytes:
    """The next message of a stream. Raises EOFError at its end, IncompleteReadError if that is within a message."""
    while (message := messages.take()) is None:
        data = await reader.read(MOST_READ)
        if not data:
            raise asyncio.IncompleteReadError(messages.begun, None) if messages.begun else EOFError
        messages.feed(data)
    return message


class AsyncioServer:
    """Answers any number of clients at once, each on its own connection, while it is started.

    A client may ask as often as it likes; one that takes too long over a message, or takes no answers, is disconnected.
    """

    def __init__(self, config: ServerConfig) -> None:
        self.config = config
        self.interface = config.interface
        self.answered = 0
        self._lock = Lock()
        self._thread: Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None

    @property
    def where(self) -> str:
        return f"{', '.join(self.config.addresses)} on {self.interface.full_name}, TCP port {self.config.port}"

    @property
    def running(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        self.config.require_addresses()
        with self._lock:
            if self.running:
                return
            allow_many_files()
            with ExitStack() as opening:
                sockets = [
                    opening.enter_context(listen(self.interface, address, self.config.port))
                    for address in self.config.addresses
                ]
                opening.pop_all()
            started = threading.Event()
            self._thread = Thread(target=self._run, args=[sockets, started], name="asyncio server", daemon=True)
            self._thread.start()
            started.wait()

    def stop(self) -> None:
        with self._lock:
            if self._loop is not None and self._stopping is not None:
                with suppress(RuntimeError):  # the loop has ended by itself
                    self._loop.call_soon_threadsafe(self._stopping.set)
            if self._thread is not None and self._thread is not threading.current_thread():
                self._thread.join()
            self._thread = self._loop = self._stopping = None

    def _run(self, sockets: list[socket.socket], started: threading.Event) -> None:
        try:
            asyncio.run(self._serve(sockets, started))  # it ends the connections that are left
        except OSError as error:
            self.config.on_problem(f"Listening ended: {error.strerror or error}.")
        finally:
            started.set()

    async def _serve(self, sockets: list[socket.socket], started: threading.Event) -> None:
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        self._loop.set_exception_handler(self._complain)
        servers = [await asyncio.start_server(self._connected, sock=each, backlog=WAITING_CLIENTS) for each in sockets]
        started.set()
        await self._stopping.wait()
        for server in servers:
            server.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client, from its connection to its end."""
        address, port = writer.get_extra_info("peername")
        messages = Messages(CLIENT_MESSAGE)
        try:
            while self.config.client in ("", address):
                async with asyncio.timeout(self.config.patience):
                    message = await read_message(reader, messages)
                    if self.config.is_fulfilled(self.answered):
                        break
                    response = SERVER_RESPONSE if message == CLIENT_MESSAGE else None
                    if response is not None:
                        self.answered += 1
                        writer.write(frame(response, messages.framing or "none"))
                        await writer.drain()  # waits while the client takes no answers
                reason = "" if response else NOT_EXACTLY
                self.config.on_received(Received(f"{address}:{port}", message, response, reason))
                await asyncio.sleep(0)  # the others' turn, also when this one has sent a thousand messages at once
        except TimeoutError:
            writer.transport.abort()  # close() would wait for ever for a client that takes nothing
            self.config.on_problem(f"{address}:{port} took too long over a message, and was disconnected.")
        except asyncio.IncompleteReadError:
            self.config.on_problem(f"{address}:{port} left within a message.")
        except (EOFError, OSError):  # it left, or its connection broke
            pass
        finally:
            writer.close()

    def _complain(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """asyncio's own way would be a traceback on the terminal; it tries again by itself after a second."""
        error = context.get("exception")
        if self._stopping is None or self._stopping.is_set():
            return  # connections are broken off
        if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
            self.config.on_problem("More clients connect than this process may have files open: they have to wait.")
        elif isinstance(error, OSError):
            self.config.on_problem(f"A connection failed: {error.strerror}.")
        else:
            self.config.on_problem(f"A connection failed: {context['message']}.")


class AsyncioClient:
    """Asks one server, on one connection that is made for the first question, and again when the server ends it."""

    def __init__(self, target: Target) -> None:
        self._interface = target.interface
        self._framing = target.framing
        self._source, self._destination, self._port = target.source, target.destination, target.port
        self._server = f"{target.destination}:{target.port}"
        self._runner = asyncio.Runner()
        self._loop = self._runner.get_loop()  # made now: Ctrl+C while it is made would leave half a one
        self._asking = Lock()
        self._task: asyncio.Task[Any] | None = None
        """The one that asks."""
        self._closed = False
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._answers = Messages(SERVER_RESPONSE, target.framing)
        """Messages that arrive on the connection."""
        self._answered = False
        """True once an answer has come on the connection."""
        self._other = b""
        """Bytes that came last for the question and are not the answer; empty if none did."""

    @property
    def message(self) -> bytes:
        return CLIENT_MESSAGE

    @property
    def filled_in(self) -> Mapping[str, str]:
        return {}  # the kernel makes all of it

    def ask(self, timeout: float) -> Reply:
        begun = time.perf_counter()
        with self._asking:
            asking = self._ask(timeout)
            try:
                if not self._closed:
                    return self._runner.run(asking)
            except asyncio.CancelledError:  # by close()
                pass
            finally:
                # Ctrl+C leaves it half-way, or comes before it begins: close() runs the loop once more.
                left = asyncio.all_tasks(self._loop)
                for task in left:
                    task.cancel()
                if not left:
                    asking.close()
                self._task = None
        return Reply(self._server, CLIENT_MESSAGE, None, time.perf_counter() - begun, CLOSED)

    def surplus(self, seconds: float = 0) -> int:
        return 0

    async def _ask(self, timeout: float) -> Reply:
        self._task = asyncio.current_task()
        if self._closed:
            raise asyncio.CancelledError
        begun = time.perf_counter()
        self._other = b""
        try:
            async with asyncio.timeout(timeout):
                if self._streams is not None:
                    with suppress(EOFError, ConnectionError):  # many a server ends it after each answer
                        return await self._exchange(*self._streams)
                    await self._disconnect()
                self._streams = await self._connect()
                return await self._exchange(*self._streams)
        except TimeoutError:
            reason = self._why_silent()
        except EOFError:
            reason = f"{self._server} ended the connection{self._what_came(', after ') or self._perhaps}."
        except OSError as error:
            reason = self._why_not(error)
        await self._disconnect()
        return Reply(self._server, CLIENT_MESSAGE, None, time.perf_counter() - begun, reason)

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Reply:
        while self._answers.take() is not None:  # it came with the answer before, and is none to this question
            pass
        begun = time.perf_counter()
        writer.write(frame(CLIENT_MESSAGE, self._framing))
        while (message := await read_message(reader, self._answers)) != SERVER_RESPONSE:
            self._other = message
        self._answered = True
        return Reply(self._server, CLIENT_MESSAGE, SERVER_RESPONSE, time.perf_counter() - begun)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        stream = self._interface.open_stream()
        try:
            stream.setblocking(False)
            stream.bind((self._source, 0))
            await asyncio.get_running_loop().sock_connect(stream, (self._destination, self._port))
            return await asyncio.open_connection(sock=stream)
        except BaseException:
            stream.close()
            raise

    async def _disconnect(self) -> None:
        if self._streams is not None:
            _, writer = self._streams
            self._streams, self._answered = None, False
            self._answers = Messages(SERVER_RESPONSE, self._framing)
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    def _what_came(self, before: str) -> str:
        """Description of what the server sent instead of the answer, behind the words `before`; empty when it sent
        nothing."""
        if not (came := self._other or self._answers.begun):
            return ""
        text = printable(came[:MOST_SHOWN].decode("latin-1"))
        size = f"{counted(len(came), 'byte')} that {'is' if len(came) == 1 else 'are'}"
        return f'{before}{size} no ServerResponse: "{text}"'

    def _why_silent(self) -> str:
        """Reason why no answer came in time."""
        if self._streams is None:
            return f"{self._server} does not answer TCP's request for a connection."
        if came := self._what_came(" sent "):
            return f"{self._server}{came}."
        return f"{self._server} took the message and sent nothing{self._perhaps}."

    @property
    def _perhaps(self) -> str:
        """Possible cause of the silence, to stand behind a sentence."""
        if self._answered:
            return ": perhaps it reads one message a connection"
        expects = "a length before it" if self._framing == "none" else "no length before it"
        other = "length" if self._framing == "none" else "none"
        return f": perhaps it expects {expects} (--framing {other})"

    def _why_not(self, error: OSError) -> str:
        match error.errno:
            case errno.ECONNREFUSED:
                return f"{self._destination} refuses: nobody listens on TCP port {self._port} there."
            case errno.EADDRNOTAVAIL:
                return f"{self._source} is no address that TCP can use here."
        reason = os.strerror(error.errno) if error.errno else error  # asyncio has words of its own in strerror
        return f"{self._server} can't be reached: {reason}."

    def close(self) -> None:
        self._closed = True
        if (task := self._task) is not None:
            with suppress(RuntimeError):  # its loop has just ended
                task.get_loop().call_soon_threadsafe(task.cancel)
        with self._asking, suppress(RuntimeError):  # it was closed before
            self._runner.get_loop()
            self._runner.run(self._disconnect())
            self._runner.close()


def listen(interface: Interface, address: str, port: int) -> socket.socket:
    """A socket that listens on an address of an interface's host. Raises SendError."""
    stream = interface.open_stream()
    try:
        if os.name == "posix":  # elsewhere it would let two servers have the same port
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        stream.bind((address, port))
        stream.listen(WAITING_CLIENTS)
        stream.setblocking(False)
    except OSError as error:
        stream.close()
        if error.errno == errno.EADDRINUSE:
            raise SendError(
                f"TCP port {port} of {address} is in use: end who has it (ss -tlnp), or choose another port."
            ) from None
        if error.errno == errno.EACCES:
            raise SendError(f"TCP port {port} needs permission: choose one above 1023.") from None
        raise SendError(f"Can't listen on TCP port {port} of {address}: {error.strerror}.") from error
    return stream


def allow_many_files() -> None:
    """Raise this process's soft limit of open files: systems start with as few as 256."""
    allow_files(MOST_FILES)
