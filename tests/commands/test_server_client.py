"""ipl-tui server and ipl-tui client, as processes of their own that talk to each other."""

from __future__ import annotations

import os
import pty
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from itertools import product
from queue import Queue

import pytest

from ipl_tui.commands.server import ask_again_and_again
from ipl_tui.exchange.engine import Received, ServerConfig
from ipl_tui.exchange.engines import ENGINES, RAW_ENGINES, make_server
from ipl_tui.exchange.framing import FRAMINGS, Framing
from ipl_tui.exchange.socket_engine import make_packet
from ipl_tui.networks.interface import RawSocket, SendError
from ipl_tui.networks.simulated import SimulatedInterface, SimulatedNetwork
from ipl_tui.packets.messages import PORT, PROTOCOL

APP = (sys.executable, "-m", "ipl_tui")


def ask(*arguments: str, timeout: float = 30) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*APP, "client", *arguments], capture_output=True, text=True, timeout=timeout)


@contextmanager
def serving(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A server that listens; it is killed if it has not ended by itself."""
    server = subprocess.Popen(
        [*APP, "server", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1
    )
    try:
        assert server.stdout is not None
        first = server.stdout.readline()
        assert first.startswith("Listening at "), first + server.communicate()[1]
        yield server
    finally:
        server.kill()
        server.communicate()


def end(server: subprocess.Popen[str], by: signal.Signals = signal.SIGINT) -> tuple[int, str, str]:
    """Interrupt it: its status, and what it has printed since."""
    server.send_signal(by)
    out, err = server.communicate(timeout=10)
    return server.returncode, out, err


@pytest.mark.parametrize(("asking", "answering"), [*product(RAW_ENGINES, RAW_ENGINES), ("asyncio", "asyncio")])
def test_they_talk_over_loopback(own_loopback: None, asking: str, answering: str) -> None:
    with serving("--engine", answering, "--count", "2") as server:
        done = ask("--engine", asking, "--count", "2", "--show")
        out, err = server.communicate(timeout=10)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("ServerResponse, ") == 2
    assert re.search(r"ServerResponse, \d\d bytes, after \d+\.\d\d ms", done.stdout)
    assert "2 sent, 2 answered; " in done.stdout
    assert server.returncode == 0
    assert out.endswith("2 received, 2 answered\n"), err
    assert out.count("answered 127.0.0.1") == 2
    for text in (done.stdout, out):
        assert ("###[ IP ]###" in text) == (asking != "asyncio")
        assert asking == "asyncio" or "load      = b'ClientMessage'" in text


@pytest.mark.parametrize("place", ["simulated:client", "sandbox:client", "simulated:server"])
@pytest.mark.parametrize("engine", ENGINES)
def test_the_client_has_an_answer_on_networks_of_its_own(place: str, engine: str, needs_sandbox: None) -> None:
    done = ask("-i", place, "--engine", engine, *(["--dst", "10.0.2.20"] if place == "simulated:server" else []))
    if engine == "asyncio" and place.startswith("simulated"):
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == (
            "Error: The simulated hosts have no TCP: choose a sandbox interface, or one of this machine.\n"
        )
    else:
        assert done.returncode == 0, done.stderr
        assert "From 10.0.2.20" in done.stdout


@pytest.mark.parametrize(("place", "engine"), [("simulated:server", "socket"), ("sandbox:client", "asyncio")])
def test_the_server_is_asked_on_networks_of_its_own(place: str, engine: str, needs_sandbox: None) -> None:
    with serving("-i", place, "--engine", engine, "--count", "1", "--no-show") as server:
        out, err = server.communicate(timeout=20)
    assert server.returncode == 0, err
    assert "answered 10.0." in out


def test_the_server_says_that_it_waits_and_the_client_what_its_times_are(own_loopback: None) -> None:
    for delay, waits in (((), True), (("--delay", "0.3"), True), (("--delay", "0"), False)):
        server = subprocess.Popen([*APP, "server", "--no-show", *delay], stdout=subprocess.PIPE, text=True, bufsize=1)
        assert server.stdout is not None
        first = server.stdout.readline()
        done = ask()
        server.kill()
        server.communicate()
        seconds = delay[1] if delay else "0.15"
        sentence = f"It answers after {seconds} s: clients hear it that listen only after they have sent."
        assert (sentence in first) == waits, first
        took = re.search(r"34 bytes, after ([\d.]+) ms, the server's waiting included\n", done.stdout)
        assert took is not None, done.stdout + done.stderr
        assert float(took[1]) >= 1000 * float(seconds)


@pytest.mark.parametrize(
    ("engine", "delay", "sentence"),
    [
        ("asyncio", "0.15", "--delay is for scapy and socket"),
        ("scapy", "-1", "is not in the range 0<=x<=60.0"),
        ("scapy", "nan", "is no number of seconds"),
    ],
)
def test_a_delay_that_makes_no_sense(engine: str, delay: str, sentence: str) -> None:
    command = [*APP, "server", "-i", "simulated", "--engine", engine, "--delay", delay]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.returncode == 2
    assert sentence in done.stderr.replace("\n", " ")


@pytest.mark.anywhere
@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("engine", ENGINES)
def test_a_server_ends_cleanly(own_loopback: None, engine: str, by: signal.Signals) -> None:
    with serving("--engine", engine) as server:
        assert end(server, by) == (0, "0 received, 0 answered\n", "")


@pytest.mark.parametrize("engine", ENGINES)
def test_a_client_that_waits_ends_cleanly(own_loopback: None, engine: str) -> None:
    with socket.create_server(("127.0.0.1", PORT)) as listening, ExitStack() as connected:
        client = subprocess.Popen(
            [*APP, "client", "--engine", engine, "--timeout", "20"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert client.stdout is not None
        assert client.stdout.readline().startswith("To 127.0.0.1")
        if engine == "asyncio":
            stream = connected.enter_context(listening.accept()[0])
            assert stream.recv(100) == b"ClientMessage"
        client.send_signal(signal.SIGINT)
        out, err = client.communicate(timeout=10)
    assert client.returncode == 130, err
    assert (out, err) == ("1 sent, 0 answered\n", "")


@pytest.mark.parametrize(
    ("engine", "sentence"),
    [
        ("scapy", "Sent on lo, nothing came back in 0.3 s: perhaps nobody at 127.0.0.1 listens"),
        ("socket", "Sent on lo, nothing came back in 0.3 s: perhaps nobody at 127.0.0.1 listens"),
        ("asyncio", f"No answer from 127.0.0.1:{PORT} in 0.0 s: 127.0.0.1 refuses: nobody listens on TCP port"),
    ],
)
def test_no_answer_is_status_1_with_a_reason(own_loopback: None, engine: str, sentence: str) -> None:
    done = ask("--engine", engine, "--timeout", "0.3")
    assert done.returncode == 1
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("command", "arguments", "sentence", "status"),
    [
        ("server", ["--engine", "asyncio", "--rate", "5"], "--rate is for scapy and socket: over TCP nobody", 2),
        ("server", ["--rate", "-1"], "-1 is not in the range 0<=x<=1000000", 2),
        ("server", ["--proto", "255"], "255 is not in the range 1<=x<=254", 2),
        ("client", ["--proto", "256"], "256 is not in the range 1<=x<=254", 2),
        ("client", ["--timeout", "0"], "0.0 is not in the range", 2),
        ("client", ["--count", "0"], "0 is not in the range 1<=x<=100000", 2),
        ("client", ["--dst", "example.org"], '"example.org" is no IPv4 address such as 10.0.1.10.', 2),
        ("client", ["--engine", "carrier-pigeon"], "'carrier-pigeon' is not one of", 2),
        ("client", ["--framing", "length"], "--framing is for asyncio: with scapy each message is a packet", 2),
        ("client", ["-i", "nosuch0"], 'There is no interface "nosuch0"', 1),
        ("client", ["-i", "lo", "--src", "9.9.9.9"], "9.9.9.9 is no address of lo; it has: 127.0.0.1.", 1),
        ("server", ["-i", "lo", "--src", "9.9.9.9"], "9.9.9.9 is no address of lo; it has: 127.0.0.1.", 1),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(
    own_loopback: None, command: str, arguments: list[str], sentence: str, status: int
) -> None:
    done = subprocess.run([*APP, command, *arguments], capture_output=True, text=True, timeout=30)
    assert sentence in done.stderr
    assert done.returncode == status
    assert "Traceback" not in done.stderr


def test_a_port_in_use_is_said(own_loopback: None) -> None:
    with socket.create_server(("127.0.0.1", PORT)):
        done = subprocess.run([*APP, "server", "--engine", "asyncio"], capture_output=True, text=True, timeout=30)
    assert done.returncode == 1
    assert f"Error: TCP port {PORT} of 127.0.0.1 is in use: end who has it (ss -tlnp)" in done.stderr


@pytest.mark.parametrize("engine", RAW_ENGINES)
def test_garbage_and_a_flood_leave_it_answering(own_loopback: None, engine: str) -> None:
    """Also while nobody reads what it prints: the pipe is full long before the flood ends."""
    with (
        serving("--engine", engine, "--delay", "0", "--rate", "0") as server,
        socket.socket(socket.AF_INET, socket.SOCK_RAW, 255) as raw,
    ):
        for length in range(200):
            raw.sendto(make_packet("127.0.0.1", "127.0.0.1", 253, b"\x1b[2J" * length), ("127.0.0.1", 0))
        request = make_packet("127.0.0.1", "127.0.0.1", 253, b"ClientMessage")
        for _ in range(5000):
            raw.sendto(request, ("127.0.0.1", 0))
        done = ask("--engine", "socket", "--timeout", "10", "--count", "1500")
        status, out, err = end(server)
    assert done.returncode == 0, done.stderr[-1000:]
    assert status == 0
    assert re.search(r"\d received, [\d,]+ answered, [\d,]+ not printed\n", out), err
    assert "Traceback" not in err
    assert "\x1b" not in out


@pytest.mark.parametrize(("no_color", "coloured"), [("", True), ("1", False)])
def test_on_a_terminal_it_has_colours_unless_they_are_unwanted(no_color: str, coloured: bool) -> None:
    master, slave = pty.openpty()
    command = [*APP, "client", "-i", "simulated:client", "--engine", "socket"]
    environment = os.environ | {"TERM": "xterm-256color", "NO_COLOR": no_color}
    done = subprocess.run(command, stdout=slave, stderr=slave, env=environment, timeout=30)
    os.close(slave)
    text = os.read(master, 65536)
    os.close(master)
    assert done.returncode == 0
    assert b"ServerResponse" in text
    assert (b"\x1b[" in text) == coloured
    assert "\x1b" not in ask("-i", "simulated:client", "--engine", "socket").stdout, "and never in a pipe"


def test_the_host_at_the_other_end_goes_on_asking_when_it_could_not() -> None:
    """Its first client finds no socket; the one that it makes a second later does."""
    refusals = ["There is no socket left."]

    class Refusing(SimulatedInterface):
        def open_raw(self, proto: int) -> RawSocket:
            if refusals and proto == PROTOCOL:
                raise SendError(refusals.pop())
            return super().open_raw(proto)

    with closing(SimulatedNetwork()) as network:
        asker = network.find("client")
        asker.__class__ = Refusing
        told: Queue[Received | str] = Queue()
        server = make_server("socket", ServerConfig(network.find("server"), on_problem=told.put, on_received=told.put))
        server.start()
        end_asking = ask_again_and_again(
            "socket", asker, ServerConfig(network.find("server"), on_problem=told.put, on_received=told.put)
        )
        assert told.get(timeout=5) == "There is no socket left."
        received = told.get(timeout=5)
        end_asking()
        server.stop()
    assert isinstance(received, Received) and received.client == "10.0.1.10"


@pytest.mark.parametrize("framing", FRAMINGS)
def test_a_server_answers_each_client_as_it_asks(own_loopback: None, framing: Framing) -> None:
    with serving("--engine", "asyncio", "--count", "1", "--no-show") as server:
        done = ask("--engine", "asyncio", "--framing", framing)
        out, err = server.communicate(timeout=10)
    assert done.returncode == 0, done.stderr
    asked = f"To 127.0.0.1:{PORT}: ClientMessage, 13 bytes"
    assert done.stdout.splitlines()[0] == asked + ", after its length in 2 bytes" * (framing == "length")
    assert "1 received, 1 answered" in out, err


@pytest.mark.parametrize("engine", RAW_ENGINES)
def test_more_than_the_rate_is_counted_and_said_once(own_loopback: None, engine: str) -> None:
    with (
        serving("--engine", engine, "--rate", "1", "--delay", "0", "--no-show") as server,
        socket.socket(socket.AF_INET, socket.SOCK_RAW, 255) as raw,
    ):
        request = make_packet("127.0.0.2", "127.0.0.1", PROTOCOL, b"ClientMessage")
        for _ in range(50):
            raw.sendto(request, ("127.0.0.1", 0))
        raw.sendto(make_packet("127.0.0.2", "127.0.0.1", PROTOCOL, b"That is all"), ("127.0.0.1", 0))
        printed = iter(server.stdout or [])
        assert any("That is all" in line for line in printed)
        _, out, err = end(server)
    answered, refused = map(int, re.search(r"51 received, (\d+) answered, (\d+) not answered for --rate", out).groups())  # type: ignore[union-attr]
    assert answered >= 1 and answered + refused == 50
    assert err == "More than 1 ClientMessages came within a second: the rest is not answered.\n"


@pytest.mark.parametrize("engine", RAW_ENGINES)
def test_a_second_server_is_said_once(own_loopback: None, engine: str) -> None:
    with serving("--engine", "socket"), serving("--engine", "scapy"):
        once, often = ask("--engine", engine), ask("--engine", engine, "--count", "3")
    said = (
        "A second answer came from 127.0.0.1: probably two servers listen there, or a Scapy program without "
        "conf.use_pcap, which sees each packet on loopback twice, or another client here asks too.\n"
    )
    assert (once.returncode, once.stderr) == (0, said)
    assert (often.returncode, often.stderr) == (0, said)
