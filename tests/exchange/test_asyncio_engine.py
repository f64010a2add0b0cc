"""The stream: both framings, others' programs, and clients that hang, flood, talk nonsense, or come by the thousand."""

from __future__ import annotations

import resource
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from queue import Queue
from threading import Thread

import pytest

from ipl_tui.exchange.asyncio_engine import AsyncioServer, allow_many_files
from ipl_tui.exchange.engine import Received, Reply, ServerConfig
from ipl_tui.exchange.engines import make_client
from ipl_tui.exchange.framing import FRAMINGS, Framing, frame
from ipl_tui.networks.interface import Interface, SendError
from ipl_tui.networks.kernel import KernelInterface, KernelNetwork
from ipl_tui.packets.messages import CLIENT_MESSAGE, PORT, SERVER_RESPONSE
from tests.conftest import go_without, wait_until
from tests.exchange.test_clients import PLACES


@pytest.fixture
def lo(own_loopback: None) -> Iterator[Interface]:
    with closing(KernelNetwork().find("lo")) as interface:
        yield interface


@pytest.fixture
def told() -> Queue[Received | str]:
    return Queue()


@pytest.fixture
def server(lo: Interface, told: Queue[Received | str]) -> Iterator[AsyncioServer]:
    running = AsyncioServer(ServerConfig(lo, patience=30, on_problem=told.put, on_received=told.put))
    running.start()
    yield running
    running.stop()
    assert not running.running


def connect() -> socket.socket:
    return socket.create_connection(("127.0.0.1", PORT), timeout=10)


def receive(stream: socket.socket, length: int) -> bytes:
    """So many bytes of a stream, or fewer if it ends before."""
    data = b""
    while len(data) < length and (piece := stream.recv(length - len(data))):
        data += piece
    return data


def is_answered(stream: socket.socket, framing: Framing = "none") -> bool:
    stream.sendall(frame(CLIENT_MESSAGE, framing))
    answer = frame(SERVER_RESPONSE, framing)
    return receive(stream, len(answer)) == answer


@pytest.mark.parametrize("framing", FRAMINGS)
def test_the_same_client_asks_again_and_again_on_one_connection(
    server: AsyncioServer, lo: Interface, told: Queue[Received | str], framing: Framing
) -> None:
    with closing(make_client("asyncio", lo, "127.0.0.1", framing=framing)) as client:
        assert [client.ask(5).response for _ in range(5)] == [SERVER_RESPONSE] * 5
    clients = set()
    for _ in range(5):
        received = told.get(timeout=5)
        assert isinstance(received, Received)
        assert (received.request, received.response) == (CLIENT_MESSAGE, SERVER_RESPONSE)
        clients.add(received.client)
    assert len(clients) == 1
    wait_until(lambda: server.answered == 5)


def test_only_exactly_the_message_is_answered(server: AsyncioServer, told: Queue[Received | str]) -> None:
    with connect() as stream:
        for other in (SERVER_RESPONSE, b"", CLIENT_MESSAGE + b"\0", b"clientmessage", bytes(65535)):
            stream.sendall(frame(other, "length"))
            received = told.get(timeout=5)
            assert isinstance(received, Received)
            assert (received.request, received.response) == (other, None)
        assert is_answered(stream, "length")
    wait_until(lambda: server.answered == 1)


def test_without_a_length_anything_else_is_told_at_once(server: AsyncioServer, told: Queue[Received | str]) -> None:
    with connect() as stream:
        for other in (SERVER_RESPONSE, b"clientmessage", b"Client says hello", b"\x0d" + CLIENT_MESSAGE, b"\xff" * 99):
            stream.sendall(other)
            received = told.get(timeout=5)
            assert isinstance(received, Received)
            assert (received.request, received.response) == (other, None)
        assert is_answered(stream)
    wait_until(lambda: server.answered == 1)


@pytest.mark.parametrize("framing", FRAMINGS)
def test_two_in_one_read_and_one_in_two_are_answered(server: AsyncioServer, framing: Framing) -> None:
    """The second half comes when the server has waited for it: others are answered meanwhile."""
    message, answer = frame(CLIENT_MESSAGE, framing), frame(SERVER_RESPONSE, framing)
    with connect() as stream, connect() as other:
        stream.sendall(message + message[:6])
        assert receive(stream, len(answer)) == answer
        assert is_answered(other)
        stream.sendall(message[6:] + message)
        assert receive(stream, 2 * len(answer)) == 2 * answer, "with nothing between them"
    wait_until(lambda: server.answered == 4)


def test_a_message_that_is_not_whole_at_the_end_is_told(server: AsyncioServer, told: Queue[Received | str]) -> None:
    for half in (b"C", CLIENT_MESSAGE[:-1], b"\0", frame(CLIENT_MESSAGE, "length")[:-1]):
        with connect() as stream:
            stream.sendall(half)
        assert str(told.get(timeout=5)).endswith(" left within a message.")
    with connect() as stream:
        stream.sendall(CLIENT_MESSAGE)
        stream.shutdown(socket.SHUT_WR)
        assert receive(stream, 99) == SERVER_RESPONSE, "it has said all, and listens"
    assert isinstance(told.get(timeout=5), Received) and told.empty()


def test_half_a_message_holds_up_nobody_and_is_given_up(lo: Interface, told: Queue[Received | str]) -> None:
    server = AsyncioServer(ServerConfig(lo, patience=0.3, on_problem=told.put, on_received=told.put))
    server.start()
    try:
        with connect() as half, connect() as silent, connect() as whole:
            half.sendall(CLIENT_MESSAGE[:7])
            assert is_answered(whole)
            assert half.recv(1) == b""  # the server has hung up
            assert silent.recv(1) == b""
            assert whole.recv(1) == b"", "its time began with its answer"
        with connect() as gone:
            gone.sendall(CLIENT_MESSAGE[:7])
        with connect() as whole:
            assert is_answered(whole)
        wait_until(lambda: len([event for event in told.queue if isinstance(event, str)]) == 4)
    finally:
        server.stop()
    problems = [event.partition(" ")[2] for event in told.queue if isinstance(event, str)]
    assert problems == ["took too long over a message, and was disconnected."] * 3 + ["left within a message."]


def test_a_thousand_clients_at_once(server: AsyncioServer, told: Queue[Received | str]) -> None:
    allow_many_files()
    if resource.getrlimit(resource.RLIMIT_NOFILE)[0] < 2500:
        go_without("this system lets no process have 2,500 files open")
    with ExitStack() as leaving:
        clients = [leaving.enter_context(connect()) for _ in range(1000)]
        for client in clients:
            client.sendall(CLIENT_MESSAGE)
        assert all(receive(client, len(SERVER_RESPONSE)) == SERVER_RESPONSE for client in clients)
    wait_until(lambda: server.answered == 1000)
    assert len({event.client for event in told.queue if isinstance(event, Received)}) == 1000


def test_more_clients_than_files_wait_and_are_served(
    lo: Interface, told: Queue[Received | str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With descriptors for some only, the rest is said to wait, and served when others have left."""
    monkeypatch.setattr("ipl_tui.exchange.asyncio_engine.allow_many_files", lambda: None)
    server = AsyncioServer(ServerConfig(lo, on_problem=told.put, on_received=told.put))
    server.start()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        with ExitStack() as leaving:
            clients = [leaving.enter_context(connect()) for _ in range(20)]
            assert is_answered(clients[0])
            late = [socket.socket() for _ in range(10)]
            resource.setrlimit(resource.RLIMIT_NOFILE, (max(each.fileno() for each in late) + 3, hard))
            for each in late:
                leaving.enter_context(each)
                each.settimeout(20)
                each.connect(("127.0.0.1", PORT))
            waiting = "More clients connect than this process may have files open: they have to wait."
            wait_until(lambda: waiting in list(told.queue), 10)
            for client in clients:
                client.close()
            assert all(is_answered(each) for each in late)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        server.stop()


@pytest.fixture
def little_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels keep few answers that nobody reads: 200,000 take a while."""
    open_stream = KernelInterface.open_stream

    def open_small(interface: KernelInterface) -> socket.socket:
        stream = open_stream(interface)
        for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):  # those of a connection are as its listening socket's
            stream.setsockopt(socket.SOL_SOCKET, option, 4096)
        return stream

    monkeypatch.setattr(KernelInterface, "open_stream", open_small)


def test_clients_that_take_no_answers_are_disconnected(lo: Interface, little_room: None) -> None:
    server = AsyncioServer(ServerConfig(lo, patience=0.3))
    server.start()
    flood = CLIENT_MESSAGE * 5000
    with ExitStack() as leaving:
        leaving.callback(server.stop)
        for _ in range(5):
            flooding = leaving.enter_context(connect())
            with pytest.raises((ConnectionResetError, BrokenPipeError)):
                while True:  # nothing is read: sending waits, and the server does for so long
                    flooding.sendall(flood)
        with connect() as calm:
            assert is_answered(calm)


def test_a_client_that_floods_and_reads_nothing_holds_up_nobody(little_room: None, server: AsyncioServer) -> None:
    flood = CLIENT_MESSAGE * 5000
    with connect() as flooding, connect() as calm:
        flooding.setblocking(False)
        sent = 0
        with pytest.raises(BlockingIOError):  # the server reads no more, as its answers are not taken
            while sent < 1 << 30:
                sent += flooding.send(flood)
                assert is_answered(calm)
        assert is_answered(calm)
    with connect() as next_one:
        assert is_answered(next_one)


@pytest.mark.parametrize("garbage", [b"\xff" * 70000, b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01"])
def test_garbage_holds_up_nobody(server: AsyncioServer, garbage: bytes) -> None:
    with connect() as talking, connect() as calm:
        talking.sendall(garbage)
        assert is_answered(calm)


def test_a_port_in_use_is_said(server: AsyncioServer, lo: Interface) -> None:
    with pytest.raises(SendError, match=rf"TCP port {PORT} of 127\.0\.0\.1 is in use"):
        AsyncioServer(ServerConfig(lo)).start()


def test_it_starts_again_at_once(lo: Interface, told: Queue[Received | str]) -> None:
    server = AsyncioServer(ServerConfig(lo, on_problem=told.put))
    for _ in range(5):
        server.start()
        server.start()
        with connect() as client:
            assert is_answered(client)
            server.stop()
            assert client.recv(1) == b""
        server.stop()
    assert server.answered == 5
    assert told.empty(), "that its connections are broken off is no problem"


def test_a_server_that_leaves_and_comes_back(lo: Interface) -> None:
    server = AsyncioServer(ServerConfig(lo))
    with closing(make_client("asyncio", lo, "127.0.0.1")) as client:
        assert "refuses" in client.ask(5).reason
        server.start()
        assert client.ask(5).response == SERVER_RESPONSE
        server.stop()
        assert "refuses" in client.ask(5).reason, "it has tried once more"
        server.start()
        assert client.ask(5).response == SERVER_RESPONSE
        server.stop()


def test_a_server_that_says_nothing(lo: Interface) -> None:
    with socket.create_server(("127.0.0.1", PORT)), closing(make_client("asyncio", lo, "127.0.0.1")) as client:
        reply = client.ask(0.2)
    assert (reply.response, reply.reason) == (
        None,
        f"127.0.0.1:{PORT} took the message and sent nothing: "
        "perhaps it expects a length before it (--framing length).",
    )
    assert reply.seconds >= 0.2


@pytest.mark.parametrize(
    ("sends", "closes", "framing", "reason"),
    [
        (b"ServerResponse", False, "length", 'sent 14 bytes that are no ServerResponse: "ServerResponse".'),
        (b"\0\x0eServerResponse", False, "none",
         r'sent 16 bytes that are no ServerResponse: "\x00\x0eServerResponse".'),
        (b"\x1b[2J" * 99, False, "none", 
         r'sent 396 bytes that are no ServerResponse: "' + r"\x1b[2J" * 10 + '".'),
        (b"", False, "length",
         "took the message and sent nothing: perhaps it expects no length before it (--framing none)."),
        (b"", True, "none", "ended the connection: perhaps it expects a length before it (--framing length)."),
        (b"x", True, "none", 'ended the connection, after 1 byte that is no ServerResponse: "x".'),
        (b"Server", True, "none", 'ended the connection, after 6 bytes that are no ServerResponse: "Server".'),
    ],
)  # fmt: skip
def test_what_came_instead_of_the_answer_is_said(
    lo: Interface, sends: bytes, closes: bool, framing: Framing, reason: str
) -> None:
    replies: Queue[Reply] = Queue()
    with (
        socket.create_server(("127.0.0.1", PORT)) as listening,
        closing(make_client("asyncio", lo, "127.0.0.1", framing=framing)) as client,
    ):
        asking = Thread(target=lambda: replies.put(client.ask(10 if closes else 0.3)))
        asking.start()
        with closing(listening.accept()[0]) as stream:
            assert stream.recv(100) == frame(CLIENT_MESSAGE, framing)
            stream.sendall(sends)
            if closes:
                stream.shutdown(socket.SHUT_WR)
            asking.join(10)
    assert replies.get(timeout=1).reason == f"127.0.0.1:{PORT} {reason}"


def test_a_server_that_reads_once_and_keeps_the_connection_is_not_said_to_expect_a_length(lo: Interface) -> None:
    replies: Queue[Reply] = Queue()
    with (
        socket.create_server(("127.0.0.1", PORT)) as listening,
        closing(make_client("asyncio", lo, "127.0.0.1")) as client,
    ):
        asking = Thread(target=lambda: list(map(replies.put, map(client.ask, [10, 0.2]))))
        asking.start()
        with closing(listening.accept()[0]) as stream:
            assert stream.recv(100) == CLIENT_MESSAGE
            stream.sendall(SERVER_RESPONSE)
            asking.join(10)
    assert replies.get(timeout=1).response == SERVER_RESPONSE
    said = "took the message and sent nothing: perhaps it reads one message a connection."
    assert replies.get(timeout=1).reason == f"127.0.0.1:{PORT} {said}"


def test_an_answer_in_two_reads_and_a_second_one_that_nobody_asked_for(lo: Interface) -> None:
    replies: Queue[Reply] = Queue()
    with (
        socket.create_server(("127.0.0.1", PORT)) as listening,
        closing(make_client("asyncio", lo, "127.0.0.1")) as client,
    ):
        asking = Thread(target=lambda: list(map(replies.put, map(client.ask, [5, 5]))))
        asking.start()
        with closing(listening.accept()[0]) as stream:
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            assert stream.recv(100) == CLIENT_MESSAGE
            stream.sendall(b"Server")
            stream.sendall(b"Response" + SERVER_RESPONSE)
            assert replies.get(timeout=5).response == SERVER_RESPONSE
            assert stream.recv(100) == CLIENT_MESSAGE
            stream.sendall(SERVER_RESPONSE)
            assert replies.get(timeout=5).response == SERVER_RESPONSE
        asking.join(10)


STUDENTS_SERVER = """
import asyncio, sys

async def handle(reader, writer):
    data = await reader.read(100)
    print("client said:", data.decode(), flush=True)
    if data.decode() == "ClientMessage":
        writer.write("ServerResponse".encode())
        await writer.drain()
    writer.close()
    await writer.wait_closed()

async def main():
    server = await asyncio.start_server(handle, sys.argv[1], int(sys.argv[2]))
    print("ready", flush=True)
    async with server:
        await server.serve_forever()

asyncio.run(main())
"""

STUDENTS_CLIENT = """
import asyncio, sys

async def main():
    reader, writer = await asyncio.open_connection(sys.argv[1], int(sys.argv[2]))
    writer.write(b"ClientMessage")
    await writer.drain()
    data = await asyncio.wait_for(reader.read(100), 10)
    print("server said:", data.decode())
    writer.close()
    await writer.wait_closed()

asyncio.run(main())
"""
"""Both as the course's second part and asyncio's documentation have them: what one read gives is the message."""


@contextmanager
def students_server(where: tuple[str, ...], address: str) -> Iterator[None]:
    command = [*where, sys.executable, "-c", STUDENTS_SERVER, address, str(PORT)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as program:
        try:
            assert program.stdout is not None and program.stdout.readline() == "ready\n"
            yield
        finally:
            program.kill()


@pytest.mark.parametrize("place", ["lo", "veth"])
@pytest.mark.parametrize("ours", ["server", "client", "neither"])
def test_a_students_programs(place: str, ours: str, request: pytest.FixtureRequest) -> None:
    with PLACES[place](request) as ends, ExitStack() as leaving:
        here, there = (("ip", "netns", "exec", each) if each else () for each in (ends.at_client, ends.at_server))
        if ours == "server":
            told = leaving.enter_context(ends.serving("asyncio"))
        else:
            leaving.enter_context(students_server(there, ends.destination))
        if ours == "client":
            client = leaving.enter_context(ends.asking("asyncio"))
            replies = [client.ask(5) for _ in range(3)]  # their server ends the connection after each answer
            assert [reply.response for reply in replies] == [SERVER_RESPONSE] * 3, replies
            return
        done = subprocess.run(
            [*here, sys.executable, "-c", STUDENTS_CLIENT, ends.destination, str(PORT)],
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert done.stdout == "server said: ServerResponse\n", done.stderr
        if ours == "server":
            received = told.get(timeout=5)
            assert isinstance(received, Received) and received.response == SERVER_RESPONSE
            assert told.empty()
