"""Exchange: from ClientMessage to ServerResponse on the wire, the app's responder beside one written with Scapy.

Over loopback and over a veth pair, both in namespaces; tcpdump says when each was on the wire.
Run it: python -m tests.benchmarks.exchange
"""

from __future__ import annotations

import socket
import sys
import tempfile
from pathlib import Path
from statistics import median, quantiles

from scapy.layers.inet import IP
from scapy.utils import PcapReader

from ipl_tui.exchange.messages import CLIENT_MESSAGE, PROTOCOL, SERVER_RESPONSE
from ipl_tui.packets.craft import Draft, craft
from tests.benchmarks.common import APP, Table, Terminal, benchmark_cable, installed, settle
from tests.conftest import Host, Pair, inside

EXCHANGES = 200
PATIENCE, PAUSE = 1.0, 0.05
"""Seconds that an answer is waited for, and that the wire is quiet before the next request."""

SCAPY = """
import sys
from scapy.all import IP, Raw, send, sniff
def answer(request):
    if request.haslayer(Raw) and request[Raw].load == b"ClientMessage":
        send(IP(src=request[IP].dst, dst=request[IP].src, proto=253) / Raw(b"ServerResponse"), verbose=False)
sniff(iface=sys.argv[1], filter="ip proto 253", prn=answer, store=False, started_callback=lambda: print("listening"))
"""


def ask(client: Host, server: str) -> int:
    """Send ClientMessages, each after the answer to the one before; how many were answered."""
    answered = 0
    with inside(client.namespace):
        wire = socket.socket(socket.AF_INET, socket.SOCK_RAW, PROTOCOL)
    with wire:
        wire.setsockopt(socket.IPPROTO_IP, socket.IP_HDRINCL, 1)
        for number in range(1, EXCHANGES + 1):
            draft = Draft(id=number, src=client.address, dst=server, payload=CLIENT_MESSAGE)
            wire.sendto(craft(draft).packet, (server, 0))
            wire.settimeout(PATIENCE)
            try:
                while not wire.recv(65535).endswith(SERVER_RESPONSE):
                    pass
                answered += 1
                wire.settimeout(PAUSE)
                while True:  # some answer twice
                    wire.recv(65535)
            except TimeoutError:
                continue
    return answered


def delays(file: Path) -> list[float]:
    """From each ClientMessage to the first ServerResponse after it, in ms."""
    found: list[float] = []
    asked: float | None = None
    with PcapReader(str(file)) as packets:
        for packet in packets:
            if IP in packet and packet[IP].proto == PROTOCOL:
                message = bytes(packet[IP].payload)
                if message.startswith(CLIENT_MESSAGE):
                    asked = float(packet.time)
                elif message.startswith(SERVER_RESPONSE) and asked is not None:
                    found.append((float(packet.time) - asked) * 1000)
                    asked = None
    return found


def run(command: tuple[str, ...], ready: str, leave: str, server: Host, client: Host, file: Path) -> list[float]:
    """The delays of exchanges, in ms, with a responder that runs on the server's interface."""
    capture = ("tcpdump", "-i", server.interface, "--time-stamp-precision=nano", "-U", "-w", str(file))
    with (
        Terminal(command, server.namespace, leave) as responder,
        Terminal((*capture, "ip", "proto", str(PROTOCOL)), server.namespace, "\x03") as wire,
    ):
        responder.wait_for(ready)
        wire.wait_for("listening on")
        settle(responder.pid)
        ask(client, server.address)
        settle(wire.pid)
    return delays(file)


def paths(pair: Pair) -> dict[str, tuple[Host, Host]]:
    """The server and the client of each path."""
    loopback = Host(pair.server.namespace, "lo", "127.0.0.1")
    return {"lo": (loopback, loopback), "veth": (pair.server, pair.client)}


def measure() -> Table:
    columns = ("Responder", "Path", "Answered", "Median", "90%", "99%", "x the app's median")
    table = Table(f"Exchange: ClientMessage to ServerResponse on the wire, {EXCHANGES} times", columns)
    if not installed("tcpdump"):
        table.not_installed("tcpdump")
        return table
    with tempfile.TemporaryDirectory(prefix="ipl-exchange-") as folder, benchmark_cable() as pair:
        Path(folder).chmod(0o777)  # tcpdump gives root up before it opens its file
        file = Path(folder) / "exchange.pcap"
        for path, (server, client) in paths(pair).items():
            app = (*APP, "-i", server.interface, "--responder")
            scapy = (sys.executable, "-c", SCAPY, server.interface)
            ours = 0.0
            for name, command, ready, leave in (
                ("ipl-tui --responder", app, "responder on", "q"),
                ("a Scapy script: sniff(prn=send)", scapy, "listening", "\x03"),
            ):
                found = run(command, ready, leave, server, client, file)
                file.unlink()
                answered = f"{len(found)} of {EXCHANGES}"
                if len(found) < 2:
                    table.rows.append((name, path, answered, "", "", "", ""))
                    continue
                middle, percentiles = median(found), quantiles(found, n=100, method="inclusive")
                ours = ours or middle
                times = (f"{ms:.2f} ms" for ms in (middle, percentiles[89], percentiles[98]))
                table.rows.append((name, path, answered, *times, f"{middle / ours:.1f}"))
                if name.startswith("ipl-tui"):
                    table.bar(f"Median under 2 ms over {path}", middle < 2, f"{middle:.2f} ms")
    return table


if __name__ == "__main__":
    print(measure())
