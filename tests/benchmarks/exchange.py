"""Exchange: from ClientMessage to ServerResponse on the wire, the engines and the lab beside scripts with Scapy.

Over loopback and over a veth pair, both in namespaces; tcpdump says when each was on the wire. And how many a second
each engine answers over veth, with none lost. All answer at once here, as with --delay 0.

Run it: python -m tests.benchmarks.exchange
"""

from __future__ import annotations

import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

from scapy.layers.inet import IP, TCP
from scapy.utils import PcapReader

from ipl_tui.exchange.engines import ENGINES
from ipl_tui.packets.craft import Draft, craft
from ipl_tui.packets.messages import CLIENT_MESSAGE, PORT, PROTOCOL, SERVER_RESPONSE
from tests.benchmarks.common import APP, Table, Terminal, benchmark_cable, installed, settle
from tests.conftest import Host, Pair, inside

EXCHANGES = 100
PATIENCE, PAUSE = 1.0, 0.05
"""Seconds that an answer is waited for, and that the wire is quiet before the next request."""

SLOWEST, FASTEST, STEP = 250, 200_000, 1.25
"""Requests a second that are tried, each a step above the one before."""
TRIAL = 2.0
"""Seconds that each is tried."""
CONNECTIONS = 50
"""Clients at once over TCP, which loses nothing: each asks as soon as it is answered."""

ONE_SNIFF = """
import sys
from scapy.all import IP, Raw, send, sniff
def answer(request):
    if request.haslayer(Raw) and request[Raw].load == b"ClientMessage":
        send(IP(src=request[IP].dst, dst=request[IP].src, proto=253) / Raw(b"ServerResponse"), verbose=False)
sniff(iface=sys.argv[1], filter="ip proto 253", prn=answer, store=False, started_callback=lambda: print("listening"))
"""

A_SNIFF_EACH = """
import sys
from scapy.all import IP, Raw, send, sniff
print("listening", flush=True)
while True:
    request = sniff(iface=sys.argv[1], filter="ip proto 253", count=1)[0]
    if request.haslayer(Raw) and request[Raw].load == b"ClientMessage":
        send(IP(src=request[IP].dst, dst=request[IP].src, proto=253) / Raw(b"ServerResponse"), verbose=False)
"""


@dataclass(frozen=True)
class Responder:
    """A program that answers."""

    name: str
    command: tuple[str, ...]
    """What starts it, up to the interface's name."""
    ready: str
    leave: str = "\x03"
    over_tcp: bool = False


def engine(name: str) -> Responder:
    """A server that answers at once, and all: what is measured is the answering."""
    unbound = () if name == "asyncio" else ("--delay", "0", "--rate", "0")
    command = (*APP, "server", "--no-show", "--engine", name, *unbound, "-i")
    return Responder(f"ipl-tui server --engine {name}", command, "Listening at", over_tcp=name == "asyncio")


LAB_AT_ONCE = """
from ipl_tui.cli import main
from ipl_tui.session import responder
assert responder.DELAY > 0  # else it is another module by now that the delay is taken from
responder.DELAY = 0.0
main()
"""

EACH = Responder("a Scapy script: sniff() and send() for each", (sys.executable, "-c", A_SNIFF_EACH), "listening")
RESPONDERS = (
    *map(engine, ENGINES),
    Responder("ipl-tui --responder", (sys.executable, "-c", LAB_AT_ONCE, "--responder", "-i"), "Scapy responder", "qq"),
    Responder("a Scapy script: sniff(prn=send)", (sys.executable, "-c", ONE_SNIFF), "listening"),
    EACH,
)


def raw_socket(namespace: str) -> socket.socket:
    with inside(namespace):
        wire = socket.socket(socket.AF_INET, socket.SOCK_RAW, PROTOCOL)
    wire.setsockopt(socket.IPPROTO_IP, socket.IP_HDRINCL, 1)
    wire.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE: the client is not what loses answers
    return wire


def connection(namespace: str, server: str) -> socket.socket:
    with inside(namespace):
        stream = socket.create_connection((server, PORT))
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return stream


def ask(client: Host, server: str) -> None:
    """Send ClientMessages, each after the answer to the one before."""
    with raw_socket(client.namespace) as wire:
        for number in range(1, EXCHANGES + 1):
            draft = Draft(id=number, src=client.address, dst=server, payload=CLIENT_MESSAGE)
            wire.sendto(craft(draft).packet, (server, 0))
            wire.settimeout(PATIENCE)
            try:
                while not wire.recv(65535).endswith(SERVER_RESPONSE):
                    pass
                wire.settimeout(PAUSE)
                while True:  # some answer twice
                    wire.recv(65535)
            except TimeoutError:
                continue


def ask_over_tcp(client: Host, server: str) -> None:
    """The same, on one connection."""
    with connection(client.namespace, server) as stream:
        for _ in range(EXCHANGES):
            stream.sendall(CLIENT_MESSAGE)
            stream.recv(65535)
            time.sleep(PAUSE)


def delays(file: Path) -> list[float]:
    """From each ClientMessage to the first ServerResponse after it, in ms."""
    found: list[float] = []
    asked: float | None = None
    with PcapReader(str(file)) as packets:
        for packet in packets:
            if IP not in packet:
                continue
            message = bytes(packet[TCP if TCP in packet else IP].payload)
            if message.startswith(CLIENT_MESSAGE):
                asked = float(packet.time)
            elif message.startswith(SERVER_RESPONSE) and asked is not None:
                found.append((float(packet.time) - asked) * 1000)
                asked = None
    return found


def run(responder: Responder, server: Host, client: Host, file: Path) -> list[float]:
    """The delays of exchanges, in ms, with a responder that runs on the server's interface."""
    capture = ("tcpdump", "-i", server.interface, "--time-stamp-precision=nano", "-U", "-w", str(file))
    wanted = ("ip", "proto", str(PROTOCOL), "or", "tcp", "port", str(PORT))
    with (
        Terminal((*responder.command, server.interface), server.namespace, responder.leave) as running,
        Terminal((*capture, *wanted), server.namespace, "\x03") as wire,
    ):
        running.wait_for(responder.ready)
        wire.wait_for("listening on")
        settle(running.pid)
        (ask_over_tcp if responder.over_tcp else ask)(client, server.address)
        settle(wire.pid)
    return delays(file)


def answered_at(rate: float, client: Host, server: Host) -> tuple[int, int]:
    """How many ClientMessages were sent, at so many a second, and how many were answered."""
    answers = 0
    packet = craft(Draft(src=client.address, dst=server.address, payload=CLIENT_MESSAGE)).packet

    def count(wire: socket.socket) -> None:
        nonlocal answers
        wire.settimeout(PATIENCE)
        while True:
            try:
                answers += wire.recv(65535).endswith(SERVER_RESPONSE)
            except (TimeoutError, OSError):
                return

    with raw_socket(client.namespace) as wire:
        counting = threading.Thread(target=count, args=[wire])
        counting.start()
        sent, begun = 0, time.perf_counter()
        while (passed := time.perf_counter() - begun) < TRIAL:
            while sent < passed * rate:
                wire.sendto(packet, (server.address, 0))
                sent += 1
            time.sleep(0.0005)
        counting.join()
    return sent, answers


def sustained(client: Host, server: Host) -> float:
    """The highest rate, in answers a second, at which every request is answered."""
    best, rate = 0.0, float(SLOWEST)
    while rate < FASTEST:
        sent, answers = answered_at(rate, client, server)
        if answers < sent:  # once more: on a shared machine somebody else may have had the processor
            sent, answers = answered_at(rate, client, server)
        if answers < sent:
            break
        best, rate = answers / TRIAL, rate * STEP
    return best


def sustained_over_tcp(client: Host, server: Host) -> float:
    """Answers a second to several clients, each of which asks as soon as it is answered."""
    until = time.perf_counter() + TRIAL
    answers = [0] * CONNECTIONS

    def keep_asking(number: int) -> None:
        with connection(client.namespace, server.address) as stream:
            while time.perf_counter() < until:
                stream.sendall(CLIENT_MESSAGE)
                answers[number] += stream.recv(65535) == SERVER_RESPONSE

    clients = [threading.Thread(target=keep_asking, args=[number]) for number in range(CONNECTIONS)]
    for each in clients:
        each.start()
    for each in clients:
        each.join()
    return sum(answers) / TRIAL


def run_rate(responder: Responder, server: Host, client: Host) -> float:
    measure_rate: Callable[[Host, Host], float] = sustained_over_tcp if responder.over_tcp else sustained
    with Terminal((*responder.command, server.interface), server.namespace, responder.leave) as running:
        running.wait_for(responder.ready)
        settle(running.pid)
        return measure_rate(client, server)


def paths(pair: Pair) -> dict[str, tuple[Host, Host]]:
    """The server and the client of each path."""
    loopback = Host(pair.server.namespace, "lo", "127.0.0.1")
    return {"lo": (loopback, loopback), "veth": (pair.server, pair.client)}


def measure() -> Table:
    columns = ("Responder", "Path", "Answered", "Median", "90%", "99%", "x faster than the last", "Answers a second")
    table = Table(f"Exchange: ClientMessage to ServerResponse on the wire, {EXCHANGES} times", columns)
    if not installed("tcpdump"):
        table.not_installed("tcpdump")
        return table
    with tempfile.TemporaryDirectory(prefix="ipl-exchange-") as folder, benchmark_cable() as pair:
        Path(folder).chmod(0o777)  # tcpdump gives root up before it opens its file
        file = Path(folder) / "exchange.pcap"
        for path, (server, client) in paths(pair).items():
            found = {}
            for responder in RESPONDERS:
                found[responder] = run(responder, server, client, file)
                file.unlink()
            slowest = median(found[EACH] or [float("inf")])
            for responder, times in found.items():
                ours = responder.name.startswith("ipl-tui")
                rate = f"{run_rate(responder, server, client):,.0f}" if ours and path == "veth" else ""
                answered = f"{len(times)} of {EXCHANGES}"
                if len(times) < 2:
                    table.rows.append((responder.name, path, answered, "", "", "", "", rate))
                    continue
                middle, percentiles = median(times), quantiles(times, n=100, method="inclusive")
                shown = (f"{ms:.2f} ms" for ms in (middle, percentiles[89], percentiles[98]))
                ratio = slowest / middle
                table.rows.append((responder.name, path, answered, *shown, f"{ratio:.1f}", rate))
                if ours:
                    table.bar(f"{responder.name} over {path} at least 10 times faster", ratio >= 10, f"{ratio:.1f}")
    return table


if __name__ == "__main__":
    print(measure())
