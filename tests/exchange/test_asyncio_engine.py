"""The stream: its frames, and clients that hang, flood, talk nonsense, or come by the thousand."""

from __future__ import annotations

import asyncio
import resource
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing
from queue import Queue

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipl_tui.exchange.asyncio_engine import AsyncioServer, allow_many_files, frame, read_message
from ipl_tui.exchange.engine import PORT, Received, Terms, make_client
from ipl_tui.exchange.messages import CLIENT_MESSAGE, SERVER_RESPONSE
from ipl_tui.networks.interface import Interface, SendError
from ipl_tui.networks.kernel import KernelNetwork
from tests.conftest import go_without, wait_until

ANSWER = frame(SERVER_RESPONSE)


@pytest.fixture
def lo(own_loopback: None) -> Iterator[Interface]:
    with closing(KernelNetwork().find("lo")) as interface:
        yield interface


@pytest.fixture
def told() -> Queue[Received | str]:
    return Queue()


@pytest.fixture
def server(lo: Interface, told: Queue[Received | str]) -> Iterator[AsyncioServer]:
    running = AsyncioServer(Terms(lo, on_problem=told.put, on_received=told.put), patience=30)
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


def is_answered(stream: socket.socket) -> bool:
    stream.sendall(frame(CLIENT_MESSAGE))
    return receive(stream, len(ANSWER)) == ANSWER


@given(st.lists(st.binary(max_size=300), max_size=10), st.data())
def test_messages_come_out_as_they_went_in_wherever_the_stream_is_cut(
    messages: list[bytes], data: st.DataObject
) -> None:
    stream = b"".join(map(frame, messages))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=10)))
    pieces = [stream[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(stream)], strict=True)]

    async def read() -> list[bytes]:
        reader = asyncio.StreamReader()
        for piece in pieces:
            reader.feed_data(piece)
        reader.feed_eof()
        found = []
        try:
            while True:
                found.append(await read_message(reader))
        except asyncio.IncompleteReadError:
            pytest.fail("the end of the last message was not found")
        except EOFError:
            return found

    assert asyncio.run(read()) == messages


def test_a_message_has_its_length_in_two_bytes_before_it() -> None:
    assert frame(CLIENT_MESSAGE) == b"\x00\x0dClientMessage"


def test_the_same_client_asks_again_and_again_on_one_connection(
    server: AsyncioServer, lo: Interface, told: Queue[Received | str]
) -> None:
    with closing(make_client("asyncio", lo, "127.0.0.1")) as client:
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
            stream.sendall(frame(other))
            received = told.get(timeout=5)
            assert isinstance(received, Received)
            assert (received.request, received.response) == (other, None)
        assert is_answered(stream)
    wait_until(lambda: server.answered == 1)


def test_half_a_message_holds_up_nobody_and_is_given_up(lo: Interface, told: Queue[Received | str]) -> None:
    server = AsyncioServer(Terms(lo, on_problem=told.put, on_received=told.put), patience=0.3)
    server.start()
    try:
        with connect() as half, connect() as silent, connect() as whole:
            half.sendall(frame(CLIENT_MESSAGE)[:7])
            assert is_answered(whole)
            assert half.recv(1) == b""  # the server has hung up
            assert silent.recv(1) == b""
        with connect() as gone:
            gone.sendall(frame(CLIENT_MESSAGE)[:7])
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
            client.sendall(frame(CLIENT_MESSAGE))
        assert all(receive(client, len(ANSWER)) == ANSWER for client in clients)
    wait_until(lambda: server.answered == 1000)
    assert len({event.client for event in told.queue if isinstance(event, Received)}) == 1000


def test_more_clients_than_files_wait_and_are_served(
    lo: Interface, told: Queue[Received | str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With descriptors for some only, the rest is said to wait, and served when others have left."""
    monkeypatch.setattr("ipl_tui.exchange.asyncio_engine.allow_many_files", lambda: None)
    server = AsyncioServer(Terms(lo, on_problem=told.put, on_received=told.put))
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


def test_clients_that_take_no_answers_are_disconnected(lo: Interface) -> None:
    server = AsyncioServer(Terms(lo), patience=0.3)
    server.start()
    flood = frame(CLIENT_MESSAGE) * 5000
    with ExitStack() as leaving:
        leaving.callback(server.stop)
        for _ in range(5):
            flooding = leaving.enter_context(connect())
            with pytest.raises((ConnectionResetError, BrokenPipeError)):
                while True:  # nothing is read: sending waits, and the server does for so long
                    flooding.sendall(flood)
        with connect() as calm:
            assert is_answered(calm)


def test_a_client_that_floods_and_reads_nothing_holds_up_nobody(server: AsyncioServer) -> None:
    flood = frame(CLIENT_MESSAGE) * 5000
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
        AsyncioServer(Terms(lo)).start()


def test_it_starts_again_at_once(lo: Interface, told: Queue[Received | str]) -> None:
    server = AsyncioServer(Terms(lo, on_problem=told.put))
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
    server = AsyncioServer(Terms(lo))
    with closing(make_client("asyncio", lo, "127.0.0.1")) as client:
        assert "refuses" in client.ask(5).reason
        server.start()
        assert client.ask(5).response == SERVER_RESPONSE
        server.stop()
        assert client.ask(5).reason in (
            f"127.0.0.1:{PORT} ended the connection.",
            f"127.0.0.1:{PORT} can't be reached: Connection reset by peer.",
        )
        server.start()
        assert client.ask(5).response == SERVER_RESPONSE
        server.stop()


def test_a_server_that_says_nothing(lo: Interface) -> None:
    with socket.create_server(("127.0.0.1", PORT)), closing(make_client("asyncio", lo, "127.0.0.1")) as client:
        reply = client.ask(0.2)
    assert (reply.response, reply.reason) == (None, "")
    assert reply.seconds >= 0.2
